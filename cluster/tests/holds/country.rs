//! A country: exchanges of several nodes, and between them ways on which one parcel at a time arrives, or never does.
//!
//! What associations and the membership do to an exchange is done here by hand, in the order in which they do it: a node
//! takes another for gone, and with that ends its association with it; what was on the way may arrive for a little while
//! longer; when the next association reaches the other node, that one learns that it was given up; later the node
//! that gave it up finds it again. A node may die at any of these moments.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use mobula_actor_core::remote::{Place, Remote, SpawnKind};
use mobula_actor_core::{
    ActorDemand, Current, NodeId, Placement, SpawnError, System, scope, sync_scope,
};
use mobula_cluster::exchange::rights::Rights;
use mobula_cluster::exchange::{Courier, CourierError, Exchange, Placer};
use parking_lot::Mutex;
use rand::Rng as _;
use rand::rngs::StdRng;
use tokio::sync::watch;

pub struct Country {
    nodes: Vec<Node>,
    ways: Arc<Vec<Mutex<Way>>>,
    rng: StdRng,
}

struct Node {
    system: System,
    exchange: Arc<Exchange>,
    is_alive: bool,
    /// Which of the others it takes for gone.
    is_gone: Vec<bool>,
}

/// What one node sends to another.
#[derive(Default)]
struct Way {
    parcels: VecDeque<Bytes>,
    /// On the way when the sender ended the association: it arrives before the next one does, or never.
    late: VecDeque<Bytes>,
    /// The sender has begun an association that the receiver has not seen.
    is_new: bool,
    /// The receiver has ended the association, and the sender does not know: nothing of it arrives.
    is_deaf: bool,
}

struct Post {
    me: usize,
    size: usize,
    ways: Arc<Vec<Mutex<Way>>>,
}

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Post({})", self.me)
    }
}

impl Courier for Post {
    fn send(&self, to: NodeId, parcel: Bytes) -> Result<(), CourierError> {
        let to = usize::try_from(to.0).unwrap() - 1;
        self.ways[self.me * self.size + to].lock().parcels.push_back(parcel);
        Ok(())
    }

    fn poll_room(&self, _to: NodeId, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

#[derive(Debug)]
struct AsSaid;

impl Placer for AsSaid {
    fn place(
        &self,
        placement: &Placement,
        _kind: &SpawnKind,
        _demand: &ActorDemand,
    ) -> Result<Place, SpawnError> {
        match placement {
            Placement::OnNode { node, .. } => Ok(Place::There(*node)),
            _ => Ok(Place::Here),
        }
    }

    fn news(&self) -> watch::Receiver<u64> {
        watch::channel(0).1
    }
}

impl Country {
    /// So many nodes that all know each other.
    pub fn of(size: usize, rng: StdRng) -> Self {
        let ways: Arc<Vec<Mutex<Way>>> =
            Arc::new((0..size * size).map(|_| Mutex::default()).collect());
        let nodes = (0..size).map(|me| {
            let system = System::builder().build();
            let number = me as u64 + 1;
            let post = Arc::new(Post { me, size, ways: Arc::clone(&ways) });
            let here = (NodeId(number), 10 + number);
            let exchange = Exchange::new(system.clone(), here, post, Arc::new(AsSaid));
            system.set_remote(Arc::clone(&exchange) as Arc<dyn Remote>);
            Node { system, exchange, is_alive: true, is_gone: vec![false; size] }
        });
        let country = Self { nodes: nodes.collect(), ways, rng };
        for (one, other) in country.pairs() {
            country.reach(one, other);
        }
        country
    }

    fn pairs(&self) -> Vec<(usize, usize)> {
        let all = 0..self.nodes.len();
        all.clone()
            .flat_map(|one| all.clone().map(move |other| (one, other)))
            .filter(|(a, b)| a != b)
            .collect()
    }

    fn way(&self, from: usize, to: usize) -> &Mutex<Way> {
        &self.ways[from * self.nodes.len() + to]
    }

    pub fn rng(&mut self) -> &mut StdRng {
        &mut self.rng
    }

    pub fn node(&self, index: usize) -> NodeId {
        self.nodes[index].exchange.here().0
    }

    pub fn living(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|index| self.nodes[*index].is_alive).collect()
    }

    /// How many citizens a node lists.
    pub fn citizens(&self, index: usize) -> usize {
        self.nodes[index].system.directory().list().len()
    }

    pub fn begin(
        &self,
        index: usize,
        what: impl Future<Output = ()> + Send + 'static,
    ) -> tokio::task::JoinHandle<()> {
        let root = Current::root(self.nodes[index].system.clone());
        tokio::spawn(scope(root, what))
    }

    pub fn sync_on<T>(&self, index: usize, what: impl FnOnce() -> T) -> T {
        sync_scope(Current::root(self.nodes[index].system.clone()), what)
    }

    pub fn has_contact(&self, one: usize, other: usize) -> bool {
        self.nodes[one].exchange.life_of(self.node(other)).is_some()
    }

    fn reach(&self, one: usize, other: usize) {
        let (node, life) = self.nodes[other].exchange.here();
        self.nodes[one].exchange.reached(node, life);
    }

    fn lose(&self, one: usize, other: usize) {
        self.nodes[one].exchange.lost(self.node(other));
    }

    fn receive(&self, from: usize, to: usize, parcel: &Bytes) {
        if self.nodes[to].is_alive {
            let sender = self.node(from);
            self.nodes[to]
                .exchange
                .receive(sender, Rights::FULL, parcel)
                .expect("a parcel of ours");
        }
    }

    /// A parcel arrives, wherever one may; false if there is none.
    pub fn deliver(&mut self) -> bool {
        let mut open = Vec::new();
        for (from, to) in self.pairs() {
            let way = self.way(from, to).lock();
            if !way.late.is_empty() || (!way.parcels.is_empty() && !way.is_new && !way.is_deaf) {
                open.push((from, to));
            }
        }
        if open.is_empty() {
            return false;
        }
        let (from, to) = open[self.rng.random_range(0..open.len())];
        // A read brings several.
        for _ in 0..self.rng.random_range(1..=3) {
            let mut way = self.way(from, to).lock();
            let is_open = !way.is_new && !way.is_deaf;
            let parcel = match way.late.pop_front() {
                Some(parcel) => Some(parcel),
                None if is_open => way.parcels.pop_front(),
                None => None,
            };
            drop(way);
            if let Some(parcel) = parcel {
                self.receive(from, to, &parcel);
            }
        }
        true
    }

    /// `one` takes `other` for gone: the association ends, and its exchange is told.
    pub fn give_up(&mut self, one: usize, other: usize) {
        if self.nodes[one].is_gone[other] {
            return;
        }
        self.nodes[one].is_gone[other] = true;
        self.end_association(one, other);
        self.lose(one, other);
        if self.rng.random_bool(0.5) {
            // Told twice: by the association, and by the membership.
            self.lose(one, other);
        }
    }

    fn end_association(&mut self, one: usize, other: usize) {
        let mut out = self.way(one, other).lock();
        let late = if out.is_new { 0 } else { out.parcels.len() };
        let kept = self.rng.clone().random_range(0..=late);
        let parcels = std::mem::take(&mut out.parcels);
        if !out.is_new && !out.is_deaf {
            out.late.extend(parcels.into_iter().take(kept));
        }
        out.is_new = true;
        out.is_deaf = false;
        drop(out);
        let mut back = self.way(other, one).lock();
        back.late.clear();
        back.is_deaf = !back.is_new;
    }

    /// The new association of `one` reaches `other`, which learns that it was given up, if it was.
    pub fn greet(&mut self, one: usize, other: usize) {
        let mut out = self.way(one, other).lock();
        if !std::mem::take(&mut out.is_new) {
            return;
        }
        out.late.clear();
        drop(out);
        let mut back = self.way(other, one).lock();
        let was_deaf = std::mem::take(&mut back.is_deaf);
        back.is_new = false;
        if was_deaf {
            back.parcels.clear();
        }
        drop(back);
        if was_deaf && self.nodes[other].is_alive {
            for _ in 0..self.rng.random_range(1..=2) {
                self.renew(other, one);
            }
        }
    }

    /// As the carrier does it when an association began anew.
    fn renew(&self, one: usize, other: usize) {
        self.nodes[one].exchange.renewed(self.node(other));
    }

    /// `one` learns that `other` is there after all.
    pub fn find(&mut self, one: usize, other: usize) {
        if self.nodes[other].is_alive && std::mem::take(&mut self.nodes[one].is_gone[other]) {
            self.reach(one, other);
        }
    }

    /// Something goes wrong, or is mended.
    pub fn happen(&mut self) {
        let pairs = self.pairs();
        let (one, other) = pairs[self.rng.random_range(0..pairs.len())];
        if !self.nodes[one].is_alive {
            return;
        }
        match self.rng.random_range(0..6) {
            0 => self.give_up(one, other),
            1 | 2 => self.greet(one, other),
            3 | 4 => self.find(one, other),
            // An association that grew too old.
            _ if !self.nodes[one].is_gone[other] => {
                self.end_association(one, other);
                self.renew(one, other);
            }
            _ => {}
        }
    }

    /// A node is killed: what it sent last may still arrive, for a while.
    pub fn kill(&mut self, index: usize) {
        self.nodes[index].is_alive = false;
    }

    /// Who was killed is taken for gone by those who have not yet, and what waits for it is lost.
    pub fn bury(&mut self) {
        for (one, other) in self.pairs() {
            if self.nodes[one].is_alive && !self.nodes[other].is_alive {
                self.give_up(one, other);
                let waiting = std::mem::take(&mut self.way(one, other).lock().parcels);
                if !waiting.is_empty() {
                    self.renew(one, other);
                }
            }
        }
    }

    /// All that live find each other.
    pub fn mend(&mut self) {
        for (one, other) in self.pairs() {
            if self.nodes[one].is_alive && self.nodes[other].is_alive {
                self.greet(one, other);
                self.find(one, other);
            }
        }
    }
}

/// Lets everything that is ready run.
pub async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}
