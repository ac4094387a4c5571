//! Lanes: the long-lived connections that carry messages between two nodes.
//!
//! A write for each message costs a system call and an encryption for each: measured, 30 times less throughput than
//! batches of 16 KiB. To wait for a batch to fill costs latency when there is little to say.
//! So a message is put into the lane's buffer, and one task per lane writes whatever is there: a batch while the network
//! is busy, a single message at once when it is idle.
//! When a connection is lost the task dials anew, and the association goes on where the peer says it is.
//!
//! Invariants:
//! - messages of one sender and lane arrive in order, each at most once; what can no longer be said to have arrived comes
//!   back in one [`Inbound::lost`];
//! - nothing here calls [`Inbound`] while it holds a lock, so an implementation may send from within;
//! - a lane holds at most `resend_max_bytes` (4 MiB) of what was not acknowledged.
//!
//! Measured (two processes on loopback, 2 cores shared with other work, 100-byte messages, Noise): round trip p50 39–83 µs,
//! p99 64–156 µs; 64 in flight 450–830 k/s; one way 2.5–3.5 M/s; round trip beside a bulk transfer p50 95 µs, p99 2.5 ms.
//! Again: `cargo run --release -p mobula-cluster --example lanes`.
//!
//! `inbound` is the port to the layer above, `keeper` keeps one lane connected, `pump` moves bytes while it is.

use std::collections::BTreeMap;
use std::fmt;
use std::mem::take;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

use mobula_proto::association::{Association, Output, Receipt, Settings};
use mobula_proto::error::SendError;
use mobula_proto::id::{Incarnation, NodeId};
use mobula_proto::time::Time;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

mod inbound;
mod keeper;
mod pump;
mod sender;

pub use self::inbound::{Inbound, Origin};
pub use self::sender::LaneSender;

use crate::admission::Admitted;
use crate::admission::rules::Purpose;
use crate::transport::{Link, Transport};

/// Most nodes with which lanes are kept at one time.
pub const PEERS_MAX: usize = 16_384;

/// Where members can be dialed.
pub trait AddressBook: Send + Sync + 'static {
    /// The addresses of `node`, best first; empty if it is not known (any more).
    fn addresses(&self, node: NodeId) -> Vec<String>;
}

/// All lanes of one node.
#[derive(Clone)]
pub struct Lanes {
    shared: Arc<Shared>,
}

struct Shared {
    transport: Arc<dyn Transport>,
    book: Arc<dyn AddressBook>,
    inbound: Arc<dyn Inbound>,
    settings: Settings,
    life: Incarnation,
    epochs: AtomicU64,
    origin: Instant,
    runtime: Handle,
    peers: Mutex<BTreeMap<NodeId, Arc<Peer>>>,
}

/// One association with its lanes.
struct Peer {
    shared: Arc<Shared>,
    node: NodeId,
    core: Mutex<Core>,
    lanes: Vec<Lane>,
}

struct Core {
    association: Association,
    is_closed: bool,
    slots: Vec<Slot>,
}

/// The part of a lane that is guarded by the association's lock.
#[derive(Default)]
struct Slot {
    /// The lane's task, while it has nothing to do.
    waker: Option<Waker>,
    /// Who waits for room, at most one waker a task.
    waiting: Vec<Waker>,
    /// Who is at the other end of its connection, while there is one.
    admitted: Option<Arc<Admitted>>,
    /// What its alarm is set to.
    armed: Option<Time>,
    /// Where links that the peer dialed go; `None` while the lane has no task.
    offers: Option<mpsc::Sender<Link>>,
}

/// The part that is not.
#[derive(Default)]
struct Lane {
    room: Notify,
}

impl fmt::Debug for Lanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lanes").field("node", &self.shared.transport.node()).finish_non_exhaustive()
    }
}

impl Lanes {
    /// Lanes over `transport`, with tasks on the current tokio runtime.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn new(
        transport: Arc<dyn Transport>,
        book: Arc<dyn AddressBook>,
        inbound: Arc<dyn Inbound>,
        settings: Settings,
    ) -> Self {
        let life = transport.admission().presence().incarnation;
        let shared = Shared {
            transport,
            book,
            inbound,
            settings,
            life,
            epochs: AtomicU64::new(1),
            origin: Instant::now(),
            runtime: Handle::current(),
            peers: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// A sender to `node` on `lane`. Cheap to clone; keep it rather than ask each time.
    ///
    /// # Errors
    /// [`SendError::NoLane`]: the lane is not among the settings'. [`SendError::Closed`]: [`PEERS_MAX`] are connected.
    pub fn sender(&self, node: NodeId, lane: u8) -> Result<LaneSender, SendError> {
        if lane >= self.shared.settings.lanes {
            return Err(SendError::NoLane { lane });
        }
        let peer = self.peer(node).ok_or(SendError::Closed { peer: node })?;
        Ok(LaneSender { peer, lane })
    }

    /// Takes a link that a peer dialed; links of other purposes are dropped.
    pub fn accept(&self, link: Link) {
        let Purpose::Messages { lane } = link.purpose else { return };
        if lane >= self.shared.settings.lanes {
            return;
        }
        if let Some(peer) = self.peer(link.node()) {
            let offers = Peer::keep(&peer, &mut peer.core.lock(), lane);
            // A second offer before the first was looked at: its dialer will come again.
            let _full = offers.map(|offers| offers.try_send(link));
        }
    }

    /// Gives a receipt back: the message was taken.
    pub fn taken(&self, node: NodeId, receipt: Receipt) {
        let peer = self.shared.peers.lock().get(&node).cloned();
        if let Some(peer) = peer {
            peer.taken(receipt);
        }
    }

    /// Ends the association with `node`: it is down. What was not acknowledged comes back as lost; senders to it fail.
    pub fn close(&self, node: NodeId) {
        let peer = self.shared.peers.lock().remove(&node);
        if let Some(peer) = peer {
            peer.close();
        }
    }

    /// Closes the associations with nodes that are connected here and, says `is_unwelcome`, should not be any more; and
    /// which these are.
    pub fn sweep(&self, is_unwelcome: impl Fn(&Admitted) -> bool) -> Vec<NodeId> {
        let mut swept = Vec::new();
        let peers: Vec<_> = self.shared.peers.lock().values().cloned().collect();
        for peer in peers {
            let admitted: Vec<_> =
                peer.core.lock().slots.iter().filter_map(|slot| slot.admitted.clone()).collect();
            if admitted.iter().any(|admitted| is_unwelcome(admitted)) {
                self.close(peer.node);
                swept.push(peer.node);
            }
        }
        swept
    }

    /// Ends all associations.
    pub fn close_all(&self) {
        let peers = take(&mut *self.shared.peers.lock());
        peers.values().for_each(|peer| peer.close());
    }

    fn peer(&self, node: NodeId) -> Option<Arc<Peer>> {
        let mut peers = self.shared.peers.lock();
        if let Some(peer) = peers.get(&node) {
            return Some(Arc::clone(peer));
        }
        if peers.len() >= PEERS_MAX {
            return None;
        }
        let peer = Arc::new(Peer::new(Arc::clone(&self.shared), node));
        peers.insert(node, Arc::clone(&peer));
        Some(peer)
    }
}

impl Shared {
    fn now(&self) -> Time {
        let micros = self.origin.elapsed().as_micros();
        Time(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    fn at(&self, time: Time) -> Instant {
        self.origin + time.since(Time::ZERO)
    }
}

impl Peer {
    fn new(shared: Arc<Shared>, node: NodeId) -> Self {
        let settings = shared.settings;
        let epoch = shared.epochs.fetch_add(1, Ordering::Relaxed);
        let association = Association::new(settings, node, shared.life, epoch, shared.now());
        let slots = (0..settings.lanes).map(|_| Slot::default()).collect();
        let lanes = (0..settings.lanes).map(|_| Lane::default()).collect();
        let core = Mutex::new(Core { association, is_closed: false, slots });
        Self { shared, node, core, lanes }
    }

    /// The lane's task, started if there is none.
    fn keep(this: &Arc<Self>, core: &mut Core, lane: u8) -> Option<mpsc::Sender<Link>> {
        if core.is_closed {
            return None;
        }
        let slot = core.slots.get_mut(usize::from(lane))?;
        Some(slot.offers.get_or_insert_with(|| keeper::start(Arc::clone(this), lane)).clone())
    }

    /// The lane has a connection to this peer, or none any more.
    fn connected(&self, lane: u8, admitted: Option<Arc<Admitted>>) {
        let now = self.shared.now();
        let mut core = self.core.lock();
        match admitted {
            Some(_) => core.association.connected(now, lane),
            None => core.association.cut(now, lane),
        }
        core.slots[usize::from(lane)].admitted = admitted;
    }

    fn taken(&self, receipt: Receipt) {
        let now = self.shared.now();
        let mut core = self.core.lock();
        core.association.taken(now, receipt);
        let waker = core.wake_if_due(now, receipt.lane);
        drop(core);
        wake(waker);
    }

    fn close(&self) {
        let mut out = Vec::new();
        let mut core = self.core.lock();
        core.is_closed = true;
        core.association.close(self.shared.now(), &mut out);
        // An association counts epochs on by itself; the next one to this node must begin after them.
        let next = core.association.epoch().saturating_add(1);
        self.shared.epochs.fetch_max(next, Ordering::Relaxed);
        let wakers: Vec<_> = core.slots.iter_mut().filter_map(|slot| slot.waker.take()).collect();
        core.slots.iter_mut().for_each(|slot| slot.offers = None);
        drop(core);
        wakers.into_iter().for_each(Waker::wake);
        (0..self.shared.settings.lanes).for_each(|lane| self.make_room(lane));
        self.report(&mut out);
    }

    fn make_room(&self, lane: u8) {
        if let Some(own) = self.lanes.get(usize::from(lane)) {
            own.room.notify_waiters();
        }
        let slot = self.core.lock().slots.get_mut(usize::from(lane)).map(|s| take(&mut s.waiting));
        slot.into_iter().flatten().for_each(Waker::wake);
    }

    /// Tells the layer above what the association said. Without the lock.
    fn report(&self, outputs: &mut Vec<Output>) {
        let inbound = &self.shared.inbound;
        for output in outputs.drain(..) {
            match output {
                Output::Lost(lost) => {
                    inbound.lost(self.node, lost);
                    (0..self.shared.settings.lanes).for_each(|lane| self.make_room(lane));
                }
                Output::PeerLost { .. } => inbound.peer_lost(self.node),
                Output::PeerRestarted { ended, begun } => {
                    inbound.peer_restarted(self.node, ended, begun);
                }
                Output::Resumed { lane } => {
                    tracing::debug!(node = %self.node, lane, "lane resumed");
                }
                Output::Writable { lane } => {
                    self.make_room(lane);
                    inbound.writable(self.node, lane);
                }
            }
        }
    }
}

impl Core {
    /// The sleeper, if there is something to write or its alarm would ring too late.
    fn wake_if_due(&mut self, now: Time, lane: u8) -> Option<Waker> {
        let slot = self.slots.get(usize::from(lane)).filter(|slot| slot.waker.is_some())?;
        let sooner = match (self.association.next_wake(), slot.armed) {
            (Some(wake), Some(armed)) => wake < armed,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if sooner || self.association.wants_transmit(now, lane) { self.wake(lane) } else { None }
    }

    /// Those who wait for room, if there is some.
    fn with_room(&mut self, lane: u8, resend_max_bytes: usize) -> Vec<Waker> {
        match self.slots.get_mut(usize::from(lane)) {
            Some(slot)
                if !slot.waiting.is_empty()
                    && self.association.buffered_bytes(lane) <= resend_max_bytes / 2 =>
            {
                take(&mut slot.waiting)
            }
            Some(_) | None => Vec::new(),
        }
    }

    fn wake(&mut self, lane: u8) -> Option<Waker> {
        self.slots.get_mut(usize::from(lane)).and_then(|slot| slot.waker.take())
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
