//! The exchange: one node's actors on one side, parcels on the other.
//!
//! The floor knows stand-ins and wants calls carried; lanes carry bytes in order and know no actors. Between them stands
//! this: it numbers calls and matches their answers, holds actors that other nodes refer to, keeps what is in flight
//! alive, tells both sides of ends, and when a node is lost answers for it.
//!
//! The law:
//! 1. Every call that wants an answer gets one: from the other node, or from here when that node is lost.
//! 2. An actor that another node refers to lives, from before the first reference leaves until that node has let
//!    go of the last, or is gone itself.
//! 3. A message that stands in line slows down its own stand-in, and nobody else: the others' calls go on.
//! 4. Between two nodes everything about one actor, calls and signals, travels in one order.
//!
//! - [`Courier`]: the port to the lanes.
//! - [`carrier`]: the lanes behind that port.
//! - [`message`]: what travels beside calls.
//! - [`rights`]: what another node may do here.
//! - `peer`: what is known of one other node.
//! - `link`: outbound, one for each stand-in.
//! - `arrivals`: inbound; `spawning`: actors that are asked for.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use bytes::Bytes;
use mobula_actor_core::remote::table::Table;
use mobula_actor_core::remote::{Home, Link, NotSpawned, Place, Remote, SpawnKind, SpawnRequest};
use mobula_actor_core::wire::baggage;
use mobula_actor_core::{
    ActorDemand, ActorHandle, ActorId, BoxFuture, Denied, ErrorText, ExitReason, NodeId, Placement,
    Right, SpawnError, System,
};
use parking_lot::RwLock;
use tokio::sync::{oneshot, watch};

pub mod carrier;
pub mod message;
pub mod rights;
mod arrivals;
mod gate;
mod holding;
mod link;
mod peer;
mod spawning;

use crate::admission::certificate::Capabilities;
use link::FarLink;
use message::Signal;
use peer::Peer;

/// The port to the lanes: bytes to other nodes, in order for each, resumed over broken connections.
pub trait Courier: fmt::Debug + Send + Sync + 'static {
    /// Sends one parcel to a node in this life of it. What it refuses, or loses later, ends the contact: the
    /// exchange is told by [`Exchange::lost`].
    ///
    /// # Errors
    /// The parcel is too large, or there is no way to that node.
    fn send(&self, to: NodeId, parcel: Bytes) -> Result<(), CourierError>;

    /// The same for a parcel in two parts that follow each other.
    ///
    /// # Errors
    /// As [`Courier::send`].
    fn send_parts(&self, to: NodeId, head: &[u8], body: &[u8]) -> Result<(), CourierError> {
        self.send(to, joined(head, body))
    }

    /// Ready when another parcel would not wait long.
    fn poll_room(&self, to: NodeId, cx: &mut Context<'_>) -> Poll<()>;
}

/// Two parts as one parcel.
fn joined(head: &[u8], body: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(head.len() + body.len());
    bytes.extend_from_slice(head);
    bytes.extend_from_slice(body);
    bytes.into()
}

/// A parcel was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CourierError {
    /// There is no way to that node now.
    #[error("node {0} cannot be reached")]
    Unreachable(NodeId),
    /// One message may not be as large as this; put large values into the object store and send the reference.
    #[error(
        "a message of {size_bytes} bytes is over the limit of {max_bytes}; put it into an object"
    )]
    TooLarge {
        /// The parcel.
        size_bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
}

/// Where actors are spawned; the cluster's view decides.
pub trait Placer: fmt::Debug + Send + Sync + 'static {
    /// The node for an actor of this kind that is to hold this.
    ///
    /// # Errors
    /// [`SpawnError::NoPlace`] or [`SpawnError::GroupGone`], with what was seen.
    fn place(
        &self,
        placement: &Placement,
        kind: &SpawnKind,
        demand: &ActorDemand,
    ) -> Result<Place, SpawnError>;

    /// Changes whenever [`place`](Self::place) may find a node that it did not find before.
    fn news(&self) -> watch::Receiver<u64>;
}

/// Hears that a node, in this life of it, may not send to a guarded actor.
pub type DeniedListener = Arc<dyn Fn(NodeId, u64) + Send + Sync>;

/// What guards a service.
struct Guard {
    needs: Capabilities,
    denied: Option<DeniedListener>,
}

/// Learns where an actor lives that is spawned elsewhere, or why it never will.
type Spawning = oneshot::Sender<Result<Home, NotSpawned>>;

/// One node's exchange. Hang it into the system with [`System::set_remote`]; feed it from the lanes and the
/// membership.
pub struct Exchange {
    me: Weak<Self>,
    system: System,
    here: (NodeId, u64),
    table: Table,
    courier: Arc<dyn Courier>,
    placer: Arc<dyn Placer>,
    peers: RwLock<HashMap<NodeId, Arc<Peer>, foldhash::fast::RandomState>>,
    /// What other nodes need to send to an actor of this one, where that is more than to take part.
    guards: RwLock<HashMap<ActorId, Guard>>,
    /// Counts contacts that began.
    contacts: watch::Sender<u64>,
}

impl Exchange {
    /// The exchange of `system`, which is `node` in the life `incarnation`.
    #[must_use]
    pub fn new(
        system: System,
        (node, incarnation): (NodeId, u64),
        courier: Arc<dyn Courier>,
        placer: Arc<dyn Placer>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            system,
            here: (node, incarnation),
            table: Table::linked(),
            courier,
            placer,
            peers: RwLock::default(),
            guards: RwLock::default(),
            contacts: watch::Sender::new(0),
        })
    }

    /// From now on other nodes need these capabilities to send to `actor`; observers, too, may if they have them. For the
    /// services of a node. `denied` hears of each node that was refused, and in which life.
    pub fn guard(&self, actor: ActorId, needs: Capabilities, denied: Option<DeniedListener>) {
        self.guards.write().insert(actor, Guard { needs, denied });
    }

    fn needs(&self, actor: ActorId) -> Option<Capabilities> {
        self.guards.read().get(&actor).map(|guard| guard.needs)
    }

    /// Tells the service that a node may not send to it.
    fn tell_guard(&self, actor: ActorId, node: NodeId, life: Option<u64>) {
        let listener = self.guards.read().get(&actor).and_then(|guard| guard.denied.clone());
        if let (Some(listener), Some(life)) = (listener, life) {
            listener(node, life);
        }
    }

    /// The word to a node that has not the right.
    const fn denied(&self, right: Right) -> Denied {
        Denied { by: self.here.0, right }
    }

    /// A member can be reached, in this life of it. What was held of an earlier life is over.
    pub fn reached(&self, node: NodeId, life: u64) {
        let peer = self.peer(node);
        peer.reached(life, &|signal| self.signal(&peer, signal));
        self.contacts.send_modify(|count| *count += 1);
    }

    /// Changes whenever a node was reached; see [`Exchange::life_of`].
    #[must_use]
    pub fn contacts(&self) -> watch::Receiver<u64> {
        self.contacts.subscribe()
    }

    /// Something came from `node`: if nothing was known of this life of it, it can be reached. One that was taken for gone
    /// is not there again for that: what came may be its last word. Whether there is contact now.
    pub(crate) fn heard(&self, node: NodeId, life: u64) -> bool {
        match self.known(node) {
            Some(peer) if peer.is_reached(life) => true,
            Some(peer) if !peer.is_new(life) => false,
            Some(_) | None => {
                self.reached(node, life);
                true
            }
        }
    }

    /// The association with `node` began anew: what was in flight ends, and if there is contact, what either side holds of the
    /// other is agreed upon again.
    pub fn renewed(&self, node: NodeId) {
        if let Some(peer) = self.known(node) {
            peer.renew(&|signal| self.signal(&peer, signal));
            self.contacts.send_modify(|count| *count += 1);
        }
    }

    /// The life of `node` that there is contact with.
    #[must_use]
    pub fn life_of(&self, node: NodeId) -> Option<u64> {
        self.known(node)?.life()
    }

    /// A member is down, has left, or an association with it ended with parcels unacknowledged. Calls in flight end as
    /// unknown, monitors are told, its holds on our actors go.
    pub fn lost(&self, node: NodeId) {
        if let Some(peer) = self.known(node) {
            peer.lost();
        }
    }

    fn known(&self, node: NodeId) -> Option<Arc<Peer>> {
        self.peers.read().get(&node).cloned()
    }

    fn peer(&self, node: NodeId) -> Arc<Peer> {
        if let Some(peer) = self.known(node) {
            return peer;
        }
        let mut peers = self.peers.write();
        Arc::clone(peers.entry(node).or_insert_with(|| Arc::new(Peer::new(node))))
    }

    /// Sends a signal; what holds references keeps them until the other node has its own.
    fn signal(&self, peer: &Peer, signal: Signal) {
        let parcel = message::signal_parcel(&signal);
        if let Err(error) = self.courier.send(peer.node(), parcel) {
            tracing::debug!(node = %peer.node(), %error, ?signal, "a signal was not sent");
        }
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("node", &self.here.0)
            .field("peers", &self.peers.read().len())
            .finish_non_exhaustive()
    }
}

impl Remote for Exchange {
    fn here(&self) -> (NodeId, u64) {
        self.here
    }

    fn stand_in(&self, home: Home, visit: &mut dyn FnMut(Option<&ActorHandle>) -> ActorHandle) {
        let peer = self.peer(home.node);
        peer.visit(home, baggage::ticket(), visit, &|signal| self.signal(&peer, signal));
    }

    fn link(&self, home: Home, stand_in: &ActorHandle) -> Arc<dyn Link> {
        let peer = self.peer(home.node);
        let gate = peer.link(home, stand_in, &|signal| self.signal(&peer, signal));
        Arc::new(FarLink::new(Weak::clone(&self.me), peer, home, stand_in.id(), gate))
    }

    fn has_contact(&self, home: Home) -> bool {
        self.known(home.node).is_some_and(|peer| peer.is_reached(home.incarnation))
    }

    fn place(
        &self,
        placement: &Placement,
        kind: &SpawnKind,
        demand: &ActorDemand,
    ) -> Result<Place, SpawnError> {
        self.placer.place(placement, kind, demand).map(|place| match place {
            Place::There(node) if node == self.here.0 => Place::Here,
            place => place,
        })
    }

    fn spawn(
        &self,
        node: NodeId,
        request: SpawnRequest,
    ) -> BoxFuture<'static, Result<Home, NotSpawned>> {
        let peer = self.peer(node);
        let (sender, receiver) = oneshot::channel();
        let mut request = request;
        let (number, pin) = peer.spawning(sender, std::mem::take(&mut request.baggage.0));
        let request = Box::new(request);
        let parcel = message::signal_parcel(&Signal::Spawn { number, request, pin });
        if let Err(error) = self.courier.send(node, parcel) {
            let text = format!("it could not be sent to node {node}: {error}");
            let reason = ExitReason::StartFailed(ErrorText::from_text(text));
            if let (Some(waiting), _) = peer.was_spawned(number, None) {
                let _ = waiting.send(Err(NotSpawned::Refused(reason)));
            }
            pin.into_iter().for_each(|pin| peer.unpin(pin));
        }
        Box::pin(async move { receiver.await.unwrap_or(Err(NotSpawned::Lost(node))) })
    }

    fn news(&self) -> watch::Receiver<u64> {
        self.placer.news()
    }
}
