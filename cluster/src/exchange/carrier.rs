//! The carrier: the exchange's parcels over lanes, and the membership's news to the exchange.
//!
//! Calls wait for room before they are sent, but answers and signals cannot: whoever gives them has no way to wait.
//! So what finds a lane full goes into an overflow, in order, and nothing overtakes it; the bound on calls in
//! flight bounds it, and beyond [`OVERFLOW_MAX_BYTES`] the contact is given up rather than the memory.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use bytes::Bytes;
use mobula_actor_core::NodeId;
use mobula_proto::association::{LossCause, Lost, Receipt};
use mobula_proto::error::SendError;
use mobula_proto::id::{Incarnation, NodeId as Name};
use mobula_proto::membership::MembershipEvent;
use parking_lot::Mutex;
use tokio::sync::broadcast::error::RecvError;

use super::rights::Rights;
use super::{Courier, CourierError, Exchange, joined};
use crate::handle::{Cluster, WeakCluster};
use crate::lanes::{Inbound, LaneSender, Lanes, Origin};

/// Bytes of answers and signals that may wait for one node.
pub const OVERFLOW_MAX_BYTES: usize = 256 * 1024 * 1024;

/// A smaller body is written into the lane's buffer where it lies; a larger one is put into a parcel that is shared.
const COPIED_MAX: usize = 16 * 1024;

/// All parcels of a pair of nodes go by one lane: more were not measured to pay.
const LANE: u8 = 0;

/// Joins an exchange to lanes. Made first, since each needs the other.
#[derive(Default)]
pub struct Carrier {
    lanes: OnceLock<Lanes>,
    exchange: OnceLock<Weak<Exchange>>,
    cluster: OnceLock<WeakCluster>,
    /// Looked up for each parcel, changed when nodes come and go.
    ways: ArcSwap<Ways>,
}

type Ways = HashMap<NodeId, Arc<Way>, foldhash::fast::RandomState>;

/// The way to one node.
struct Way {
    sender: LaneSender,
    overflow: Mutex<Overflow>,
}

#[derive(Default)]
struct Overflow {
    parcels: VecDeque<Bytes>,
    size_bytes: usize,
}

impl Carrier {
    /// A carrier that carries nothing yet.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Joins both sides, and feeds the exchange with what becomes of members. Before the node joins others.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn open(self: &Arc<Self>, cluster: &Cluster, exchange: &Arc<Exchange>) {
        // Opened twice, the first stands.
        let _ = self.lanes.set(cluster.lanes().clone());
        let _ = self.exchange.set(Arc::downgrade(exchange));
        let _ = self.cluster.set(cluster.downgrade());
        tokio::spawn(follow(cluster.clone(), Arc::downgrade(exchange), Arc::clone(self)));
    }

    fn exchange(&self) -> Option<Arc<Exchange>> {
        self.exchange.get()?.upgrade()
    }

    /// Whether the sender is a member in this life of it.
    fn is_member(&self, from: Origin) -> bool {
        let cluster = self.cluster.get().and_then(WeakCluster::upgrade);
        cluster.is_some_and(|cluster| {
            let view = cluster.view();
            let record = view.get(from.node);
            record.is_some_and(|one| one.status.is_live() && one.details.life == from.life)
        })
    }

    fn way(&self, to: NodeId) -> Option<Arc<Way>> {
        if let Some(way) = self.ways.load().get(&to) {
            return Some(Arc::clone(way));
        }
        let sender = self.lanes.get()?.sender(Name(to.0), LANE).ok()?;
        let way = Arc::new(Way { sender, overflow: Mutex::default() });
        self.ways.rcu(|ways| {
            let mut ways = Ways::clone(ways);
            ways.entry(to).or_insert_with(|| Arc::clone(&way));
            ways
        });
        // Another one may have been faster.
        Some(self.ways.load().get(&to).cloned().unwrap_or(way))
    }

    /// A way turned out to be closed: unless there is another one by now, the next parcel takes a new association.
    fn forget_closed(&self, node: NodeId, closed: &Arc<Way>) {
        self.ways.rcu(|ways| {
            let mut ways = Ways::clone(ways);
            if ways.get(&node).is_some_and(|way| Arc::ptr_eq(way, closed)) {
                ways.remove(&node);
            }
            ways
        });
    }

    /// The next parcel to `node` takes a new association.
    fn forget(&self, node: NodeId) {
        self.ways.rcu(|ways| {
            let mut ways = Ways::clone(ways);
            ways.remove(&node);
            ways
        });
    }

    /// The association began anew: what either side holds of the other is agreed upon again.
    fn renew(&self, node: NodeId) {
        if let Some(exchange) = self.exchange() {
            exchange.renewed(node);
        }
    }
}

impl fmt::Debug for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carrier").field("ways", &self.ways.load().len()).finish_non_exhaustive()
    }
}

impl Courier for Carrier {
    fn send(&self, to: NodeId, parcel: Bytes) -> Result<(), CourierError> {
        let way = self.way(to).ok_or(CourierError::Unreachable(to))?;
        let mut overflow = way.overflow.lock();
        if overflow.parcels.is_empty() {
            match way.sender.send_shared(&parcel) {
                Ok(()) => return Ok(()),
                Err(SendError::Full { .. }) => {}
                Err(SendError::TooLong { size_bytes, limit_bytes }) => {
                    return Err(CourierError::TooLarge { size_bytes, max_bytes: limit_bytes });
                }
                Err(_closed) => {
                    drop(overflow);
                    self.forget_closed(to, &way);
                    return Err(CourierError::Unreachable(to));
                }
            }
        }
        if overflow.size_bytes + parcel.len() > OVERFLOW_MAX_BYTES {
            return Err(CourierError::Unreachable(to));
        }
        overflow.size_bytes += parcel.len();
        overflow.parcels.push_back(parcel);
        Ok(())
    }

    fn send_parts(&self, to: NodeId, head: &[u8], body: &[u8]) -> Result<(), CourierError> {
        if body.len() < COPIED_MAX
            && let Some(way) = self.way(to)
        {
            let overflow = way.overflow.lock();
            if overflow.parcels.is_empty() && way.sender.send_parts([head, body]).is_ok() {
                return Ok(());
            }
        }
        self.send(to, joined(head, body))
    }

    fn poll_room(&self, to: NodeId, cx: &mut Context<'_>) -> Poll<()> {
        match self.way(to) {
            Some(way) => way.sender.poll_room(cx),
            None => Poll::Ready(()),
        }
    }
}

impl Inbound for Carrier {
    fn message(&self, from: Origin, lane: u8, payload: &[u8], receipt: Receipt) -> Option<Receipt> {
        self.messages(from, lane, &mut std::iter::once((payload, receipt)), &mut |_| {});
        Some(receipt)
    }

    fn messages(
        &self,
        from: Origin,
        _lane: u8,
        messages: &mut dyn Iterator<Item = (&[u8], Receipt)>,
        taken: &mut dyn FnMut(Receipt),
    ) {
        let Some(exchange) = self.exchange() else {
            return messages.for_each(|(_, receipt)| taken(receipt));
        };
        let node = NodeId(from.node.0);
        let rights = Rights { role: from.role, capabilities: from.capabilities };
        // Who writes to us is there, even if the membership has not told us yet; and if it was taken for gone, and is a member
        // again, nobody need wait for the event.
        if !exchange.heard(node, from.life.0) && self.is_member(from) {
            exchange.reached(node, from.life.0);
        }
        exchange.receive_all(
            node,
            rights,
            &mut messages.map(|(payload, receipt)| {
                taken(receipt);
                payload
            }),
        );
    }

    fn lost(&self, peer: Name, lost: Lost) {
        let node = NodeId(peer.0);
        let (sent, unsent) = (lost.sent.len(), lost.unsent.len());
        self.forget(node);
        if lost.cause == LossCause::Closed {
            // The membership has given it up: there is nothing to renew.
            tracing::debug!(%node, sent, unsent, "an association was closed");
            if let Some(exchange) = self.exchange() {
                exchange.lost(node);
            }
            return;
        }
        tracing::warn!(%node, sent, unsent, cause = ?lost.cause, "an association was lost");
        self.renew(node);
    }

    fn peer_lost(&self, peer: Name) {
        self.renew(NodeId(peer.0));
    }

    fn peer_restarted(&self, peer: Name, _ended: Incarnation, begun: Incarnation) {
        if let Some(exchange) = self.exchange() {
            exchange.lost(NodeId(peer.0));
            exchange.reached(NodeId(peer.0), begun.0);
        }
    }

    fn writable(&self, peer: Name, _lane: u8) {
        let Some(way) = self.ways.load().get(&NodeId(peer.0)).cloned() else { return };
        let mut overflow = way.overflow.lock();
        while let Some(parcel) = overflow.parcels.front() {
            if way.sender.send_shared(parcel).is_err() {
                break;
            }
            let sent = overflow.parcels.pop_front();
            overflow.size_bytes -= sent.map_or(0, |parcel| parcel.len());
        }
    }
}

/// Tells the exchange what becomes of members, as long as there is one.
async fn follow(cluster: Cluster, exchange: Weak<Exchange>, carrier: Arc<Carrier>) {
    let mut events = cluster.events();
    let own = cluster.node();
    loop {
        let event = events.recv().await;
        let Some(exchange) = exchange.upgrade() else { return };
        match event {
            Ok(MembershipEvent::Joined(member) | MembershipEvent::Healed(member))
                if member.node != own =>
            {
                exchange.reached(NodeId(member.node.0), member.details.life.0);
            }
            Ok(MembershipEvent::Down { node, .. } | MembershipEvent::Left(node)) => {
                let node = NodeId(node.0);
                carrier.forget(node);
                exchange.lost(node);
            }
            Ok(_) => {}
            // Too slow for the events: the view has them all.
            Err(RecvError::Lagged(_)) => {
                for record in cluster.view().records().filter(|record| record.node != own) {
                    let node = NodeId(record.node.0);
                    if record.status.is_live() {
                        exchange.reached(node, record.details.life.0);
                    } else {
                        exchange.lost(node);
                    }
                }
            }
            Err(RecvError::Closed) => return,
        }
    }
}
