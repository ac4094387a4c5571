//! A school: nodes in one process whose exchanges are joined by couriers in memory.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use bytes::Bytes;
use mobula_actor_core::remote::{Place, Remote, SpawnKind};
use mobula_actor_core::wire::baggage;
use mobula_actor_core::{
    Actor, ActorDemand, ActorRef, BoxFuture, Current, Held, NodeId, Placement, ResourceBook,
    SpawnError, System, scope, sync_scope,
};
use mobula_cluster::exchange::rights::Rights;
use mobula_cluster::exchange::{Courier, CourierError, Exchange, Placer};
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, mpsc, watch};

pub struct School {
    nodes: Vec<Node>,
}

struct Node {
    system: System,
    exchange: Arc<Exchange>,
    courier: Arc<Memory>,
    placer: Arc<AsSaid>,
}

/// Brings parcels to other exchanges, in order, by one task for each way.
struct Memory {
    me: NodeId,
    ways: Mutex<HashMap<NodeId, mpsc::UnboundedSender<Bytes>>>,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({})", self.me)
    }
}

impl Memory {
    fn open(&self, to: NodeId, exchange: Weak<Exchange>) {
        let (sender, mut receiver) = mpsc::unbounded_channel::<Bytes>();
        let me = self.me;
        tokio::spawn(async move {
            while let Some(parcel) = receiver.recv().await {
                if let Some(exchange) = exchange.upgrade() {
                    exchange.receive(me, Rights::FULL, &parcel).expect("a parcel of ours");
                }
                tokio::task::yield_now().await;
            }
        });
        self.ways.lock().insert(to, sender);
    }
}

impl Courier for Memory {
    fn send(&self, to: NodeId, parcel: Bytes) -> Result<(), CourierError> {
        match self.ways.lock().get(&to) {
            Some(way) => way.send(parcel).map_err(|_closed| CourierError::Unreachable(to)),
            None => Err(CourierError::Unreachable(to)),
        }
    }

    fn poll_room(&self, _to: NodeId, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

/// Places as it is told to.
#[derive(Debug, Default)]
struct AsSaid {
    /// Where there is what is wanted.
    offer: Mutex<Option<NodeId>>,
    news: watch::Sender<u64>,
}

/// Gives what is demanded as often as it has permits.
#[derive(Debug)]
struct Book {
    permits: Arc<Semaphore>,
    can_ever: bool,
}

impl ResourceBook for Book {
    fn check(&self, _demand: &ActorDemand) -> Result<(), String> {
        Ok(())
    }

    fn take(&self, _actor: &'static str, _demand: &ActorDemand) -> BoxFuture<'static, Held> {
        let permits = Arc::clone(&self.permits);
        Box::pin(async move { Box::new(permits.acquire_owned().await.unwrap()) as Held })
    }

    fn why(&self, _demand: &ActorDemand) -> String {
        "waiting".to_owned()
    }

    fn can_ever(&self, _demand: &ActorDemand) -> bool {
        self.can_ever
    }
}

impl Placer for AsSaid {
    fn place(
        &self,
        placement: &Placement,
        _kind: &SpawnKind,
        _demand: &ActorDemand,
    ) -> Result<Place, SpawnError> {
        match placement {
            Placement::OnNode { node, .. } => Ok(Place::There(*node)),
            _ => Ok(self.offer.lock().map_or(Place::Here, Place::There)),
        }
    }

    fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }
}

/// There and back as bytes.
pub fn carry<T: Serialize + DeserializeOwned>(value: &T) -> T {
    rmp_serde::from_slice(&rmp_serde::to_vec_named(value).unwrap()).unwrap()
}

impl School {
    pub fn of(size: u64) -> Self {
        let nodes = (1..=size).map(|number| {
            let system = System::builder().build();
            let here = (NodeId(number), 10 + number);
            let courier = Arc::new(Memory { me: here.0, ways: Mutex::default() });
            let port = Arc::clone(&courier) as Arc<dyn Courier>;
            let placer = Arc::new(AsSaid::default());
            let places = Arc::clone(&placer) as Arc<dyn Placer>;
            let exchange = Exchange::new(system.clone(), here, port, places);
            system.set_remote(Arc::clone(&exchange) as Arc<dyn Remote>);
            Node { system, exchange, courier, placer }
        });
        let school = Self { nodes: nodes.collect() };
        for from in 0..school.nodes.len() {
            for to in 0..from {
                school.join(from, to);
            }
        }
        school
    }

    pub fn node(&self, index: usize) -> NodeId {
        self.nodes[index].exchange.here().0
    }

    /// How many messages of a node were not handled.
    pub fn dead_letters(&self, index: usize) -> u64 {
        self.nodes[index].system.dead_letters().count()
    }

    /// How many citizens a node lists.
    pub fn citizens(&self, index: usize) -> usize {
        self.nodes[index].system.directory().list().len()
    }

    /// A node can hold something for actors, as often as there are permits, or never.
    pub fn keep_books(&self, index: usize, can_ever: bool, permits: usize) -> Arc<Semaphore> {
        let permits = Arc::new(Semaphore::new(permits));
        let book = Book { permits: Arc::clone(&permits), can_ever };
        self.nodes[index].system.set_resource_book(Arc::new(book));
        permits
    }

    /// What actors of one node wait for can be had on another from now on, or nowhere.
    pub fn offer(&self, to: usize, at: Option<usize>) {
        let placer = &self.nodes[to].placer;
        *placer.offer.lock() = at.map(|at| self.node(at));
        placer.news.send_modify(|count| *count += 1);
    }

    pub fn join(&self, one: usize, other: usize) {
        for (from, to) in [(one, other), (other, one)] {
            let (from, to) = (&self.nodes[from], &self.nodes[to]);
            let (node, life) = to.exchange.here();
            from.courier.open(node, Arc::downgrade(&to.exchange));
            from.exchange.reached(node, life);
        }
    }

    pub fn part(&self, one: usize, other: usize) {
        for (from, to) in [(one, other), (other, one)] {
            let (from, to) = (&self.nodes[from], &self.nodes[to]);
            let (node, _) = to.exchange.here();
            from.courier.ways.lock().remove(&node);
            from.exchange.lost(node);
        }
    }

    /// One node takes another for lost for a moment, and that one notices nothing.
    pub fn blink(&self, one: usize, other: usize) {
        self.lose(one, other);
        self.find(one, other);
    }

    /// One node takes another for lost, and that one notices nothing.
    pub fn lose(&self, one: usize, other: usize) {
        self.nodes[one].exchange.lost(self.node(other));
    }

    /// One node is told that another can be reached.
    pub fn find(&self, one: usize, other: usize) {
        let (node, life) = self.nodes[other].exchange.here();
        self.nodes[one].exchange.reached(node, life);
    }

    pub async fn on<T>(&self, index: usize, what: impl Future<Output = T>) -> T {
        scope(Current::root(self.nodes[index].system.clone()), what).await
    }

    /// A reference of one node, as another one reads it. Like a message, the first holds it until the other does.
    pub fn carry<A: Actor>(&self, from: usize, to: usize, actor: &ActorRef<A>) -> ActorRef<A> {
        let root = |index: usize| Current::root(self.nodes[index].system.clone());
        let (bytes, baggage) =
            sync_scope(root(from), || baggage::collect(|| rmp_serde::to_vec_named(actor).unwrap()));
        let ticket: baggage::Ticket = Arc::new(Mutex::new(baggage));
        sync_scope(root(to), || baggage::unpack(ticket, || rmp_serde::from_slice(&bytes).unwrap()))
    }

    /// Lets everything that is on its way arrive.
    pub async fn settle(&self) {
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
    }
}
