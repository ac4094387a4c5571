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
    Actor, ActorDemand, ActorRef, Current, NodeId, Placement, SpawnError, System, scope, sync_scope,
};
use mobula_cluster::exchange::rights::Rights;
use mobula_cluster::exchange::{Courier, CourierError, Exchange, Placer};
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};

pub struct School {
    nodes: Vec<Node>,
}

struct Node {
    system: System,
    exchange: Arc<Exchange>,
    courier: Arc<Memory>,
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
        watch::Sender::new(0).subscribe()
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
            let exchange = Exchange::new(system.clone(), here, port, Arc::new(AsSaid));
            system.set_remote(Arc::clone(&exchange) as Arc<dyn Remote>);
            Node { system, exchange, courier }
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
