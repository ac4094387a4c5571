//! An association: two nodes, each in one life, and an unbroken order between them.
//!
//! A connection can break with messages in its pipes, and neither side knows which arrived.
//! To send them again delivers some twice, to forget them loses some: either way the upper layer would have to
//! number its messages itself.
//! So they are numbered here, per lane; what is sent is kept until it is acknowledged, and on the next connection
//! each side first says what it has (`Resume`), then goes on from exactly there.
//! When that is no longer possible (the buffer is too old, the peer is in a new life) the epoch ends: what was not
//! acknowledged goes back as [`Output::Lost`], and numbering begins anew in the next epoch.
//! Epochs count per direction: what one side gives up takes nothing from the other.
//!
//! Invariants, each with a seeded bug ([`Mutant`]) that the tests must find:
//! - within an epoch every lane delivers a prefix of what was sent on it, in order, each message once;
//! - after message k of an epoch was lost, k+1 of that epoch is never delivered;
//! - every message taken by [`Association::send`] is acknowledged, or comes back in exactly one [`Lost`];
//! - not more waits in front of the receiver's actors than it granted, and one message.
//!
//! How to drive it, for each lane on whatever connection carries it:
//! 1. [`Association::connected`]; write what [`Association::transmit`] hands out, at the latest when
//!    [`Association::wants_transmit`] says so; batches of 16 KiB cost the least.
//! 2. Feed each frame to [`Association::receive`]; when an actor has taken a message, give the [`Receipt`] back to
//!    [`Association::taken`]. Receipts add up, so one call for many will do.
//! 3. On the end of the connection [`Association::cut`]; never feed frames of a cut connection.
//! 4. [`Association::tick`] at [`Association::next_wake`], after everything that was read has been fed.
//!
//! The life of a node here is the incarnation it started with: a suspicion that was refuted breaks nothing.
//!
//! Pure: no clock, no I/O, no tasks.

mod arrivals;
mod epochs;
mod inbound;
mod mutant;
mod outbound;
mod output;
mod settings;

use bytes::{Bytes, BytesMut};

use crate::error::{ProtocolError, SendError};
use crate::id::{Incarnation, NodeId};
use crate::time::Time;
use crate::wire::frame::Frame;
use crate::wire::segment::{Resume, Segment};

use self::inbound::Inbound;
use self::outbound::Outbound;

#[doc(hidden)]
pub use self::mutant::Mutant;
pub use self::output::{LossCause, Lost, LostMessage, Output};
pub use self::settings::Settings;

/// One side of an association. See the module for how to drive it.
#[derive(Debug)]
pub struct Association {
    settings: Settings,
    peer: NodeId,
    own_life: Incarnation,
    peer_life: Option<Incarnation>,
    /// The epoch of what we send, and of what we receive (0: nothing yet).
    epoch: u64,
    peer_epoch: u64,
    /// Counts the peer's epochs over all its lives: a new life may use an old number.
    stream: u64,
    lanes: Vec<Lane>,
    is_closed: bool,
    mutant: Mutant,
    scratch: BytesMut,
    dropped: Dropped,
}

/// How many arrivals were dropped, and why. None of it is a fault as such.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Came before: a resend after a lost acknowledgement.
    pub duplicates: u64,
    /// Of an epoch that has ended.
    pub stale: u64,
    /// Something before it is missing; it will be sent again.
    pub gaps: u64,
    /// Before the handshake of its lane.
    pub early: u64,
}

/// A message that arrived, to be handed to its actor. Borrowed from the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery<'a> {
    /// What the sender gave to [`Association::send`].
    pub payload: &'a [u8],
    /// To be given back when the message was taken.
    pub receipt: Receipt,
}

/// So much of a lane was taken. Receipts of one lane and stream may be added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Which of the peer's epochs, over all its lives, as this association counts them.
    pub stream: u64,
    /// Which lane.
    pub lane: u8,
    /// How many messages.
    pub messages: u64,
    /// How many bytes of frames.
    pub wire_bytes: u64,
}

impl Receipt {
    /// Adds `other` if it is of the same lane and stream; else it is given back.
    #[must_use = "another lane or stream is given back"]
    pub const fn add(&mut self, other: Self) -> Option<Self> {
        if self.stream != other.stream || self.lane != other.lane {
            return Some(other);
        }
        self.messages += other.messages;
        self.wire_bytes += other.wire_bytes;
        None
    }
}

#[derive(Debug)]
struct Lane {
    out: Outbound,
    inbound: Inbound,
    link: Link,
    /// A resume is to be written; and whether it asks for an answer.
    greeting: Option<bool>,
    asked_at: Option<Time>,
    /// A message was refused because the lane was full.
    is_full: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    /// No connection, or none that the peer has greeted on.
    Silent { since: Time, is_connected: bool },
    /// The peer has said what it has.
    Open,
}

impl Association {
    /// An association with `peer`, without connections.
    ///
    /// `first_epoch` (at least 1) must be greater than every epoch that this life of this node ever used towards
    /// the peer; one counter per node, raised for every association, will do.
    #[must_use]
    pub fn new(
        settings: Settings,
        peer: NodeId,
        own_life: Incarnation,
        first_epoch: u64,
        now: Time,
    ) -> Self {
        let lane = || Lane {
            out: Outbound::new(),
            inbound: Inbound::new(&settings),
            link: Link::Silent { since: now, is_connected: false },
            greeting: None,
            asked_at: None,
            is_full: false,
        };
        Self {
            settings,
            peer,
            own_life,
            peer_life: None,
            epoch: first_epoch.max(1),
            peer_epoch: 0,
            stream: 0,
            lanes: (0..settings.lanes).map(|_| lane()).collect(),
            is_closed: false,
            mutant: Mutant::None,
            scratch: BytesMut::new(),
            dropped: Dropped::default(),
        }
    }

    /// With a bug on purpose: for the mutation gate.
    #[doc(hidden)]
    #[must_use]
    pub const fn with_mutant(mut self, mutant: Mutant) -> Self {
        self.mutant = mutant;
        self
    }

    /// Who is at the other end.
    #[must_use]
    pub const fn peer(&self) -> NodeId {
        self.peer
    }

    /// In which life, once it has said so.
    #[must_use]
    pub const fn peer_life(&self) -> Option<Incarnation> {
        self.peer_life
    }

    /// The epoch of what is sent now.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What was dropped on arrival so far.
    #[must_use]
    pub const fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// What a lane holds that is not acknowledged, in bytes of frames; 0 for a lane that is not there.
    #[must_use]
    pub fn buffered_bytes(&self, lane: u8) -> usize {
        self.lanes.get(usize::from(lane)).map_or(0, |lane| lane.out.buffered_bytes())
    }

    /// Takes a message for sending, a copy of it. Messages of one lane arrive in this order. What time it is matters only
    /// if the lane holds nothing that is not acknowledged.
    ///
    /// Returns its sequence number in the present epoch.
    ///
    /// # Errors
    /// [`SendError::Full`]: wait for [`Output::Writable`]. [`SendError::TooLong`], [`SendError::Closed`],
    /// [`SendError::NoLane`]: never.
    #[inline]
    pub fn send(&mut self, now: Time, lane: u8, payload: &[u8]) -> Result<u64, SendError> {
        self.send_parts(now, lane, [&[], payload])
    }

    /// As [`Association::send`], of a message in two parts that follow each other.
    ///
    /// # Errors
    /// As [`Association::send`].
    #[inline]
    pub fn send_parts(&mut self, now: Time, lane: u8, parts: [&[u8]; 2]) -> Result<u64, SendError> {
        let epoch = self.epoch;
        let [head, payload] = parts;
        let out = &mut self.room_for(lane, head.len() + payload.len())?.out;
        Ok(out.push(now, epoch, lane, parts))
    }

    /// As [`Association::send`], but a payload of 16 KiB or more is shared, not copied.
    ///
    /// # Errors
    /// As [`Association::send`].
    pub fn send_shared(&mut self, now: Time, lane: u8, payload: &Bytes) -> Result<u64, SendError> {
        let epoch = self.epoch;
        let out = &mut self.room_for(lane, payload.len())?.out;
        Ok(out.push_shared(now, epoch, lane, payload))
    }

    #[inline]
    fn room_for(&mut self, lane: u8, size_bytes: usize) -> Result<&mut Lane, SendError> {
        if self.is_closed {
            return Err(SendError::Closed { peer: self.peer });
        }
        let limit_bytes = self.settings.message_max_bytes;
        if size_bytes > limit_bytes {
            return Err(SendError::TooLong { size_bytes, limit_bytes });
        }
        let found = self.lanes.get_mut(usize::from(lane)).ok_or(SendError::NoLane { lane })?;
        let buffered_bytes = found.out.buffered_bytes();
        if buffered_bytes > 0 && buffered_bytes + size_bytes > self.settings.resend_max_bytes {
            found.is_full = true;
            return Err(SendError::Full { lane, buffered_bytes });
        }
        Ok(found)
    }

    /// A connection for this lane is there: the first thing [`Association::transmit`] hands out is our greeting.
    pub fn connected(&mut self, now: Time, lane: u8) {
        if let Some(lane) = self.open_lane(lane) {
            lane.link = Link::Silent { since: now, is_connected: true };
            lane.greeting = Some(false);
            lane.asked_at = None;
        }
    }

    /// The connection of this lane has ended. Nothing is lost yet.
    pub fn cut(&mut self, now: Time, lane: u8) {
        if let Some(lane) = self.open_lane(lane) {
            lane.link = Link::Silent { since: now, is_connected: false };
            lane.greeting = None;
        }
    }

    fn open_lane(&mut self, lane: u8) -> Option<&mut Lane> {
        self.lanes.get_mut(usize::from(lane)).filter(|_| !self.is_closed)
    }

    /// Whether there is something to write on this lane now.
    #[must_use]
    pub fn wants_transmit(&self, now: Time, lane: u8) -> bool {
        let Some(lane) = self.lanes.get(usize::from(lane)) else {
            return false;
        };
        let is_due = lane.inbound.ack_at().is_some_and(|at| at <= now);
        match lane.link {
            Link::Silent { .. } => lane.greeting.is_some(),
            Link::Open => lane.greeting.is_some() || is_due || lane.out.is_ready(),
        }
    }

    /// How many messages of this lane could be handed out if credit allowed, and how many bytes they are; none where credit
    /// allows none.
    #[must_use]
    pub fn ready(&self, lane: u8) -> (usize, usize) {
        match self.lanes.get(usize::from(lane)) {
            Some(lane) if lane.link == Link::Open && lane.out.is_ready() => lane.out.waiting(),
            Some(_) | None => (0, 0),
        }
    }

    /// Hands out what to write next on the lane's connection: a greeting or an acknowledgement if there is one to
    /// give, then whole frames of messages, about `budget` bytes and at least one if credit allows.
    /// Returns how many bytes were appended to `out`, in as many slices as needed; nothing is copied.
    pub fn transmit(&mut self, now: Time, lane: u8, budget: usize, out: &mut Vec<Bytes>) -> usize {
        let number = lane;
        let Some(lane) = self.lanes.get_mut(usize::from(lane)) else {
            return 0;
        };
        let received = lane.inbound.state(self.peer_epoch, number, &self.settings);
        if let Some(wants_answer) = lane.greeting.take() {
            Resume {
                from_life: self.own_life,
                to_life: self.peer_life.unwrap_or_default(),
                epoch: self.epoch,
                sent: lane.out.sent(),
                wants_answer,
                received,
            }
            .encode_into(&mut self.scratch);
            lane.inbound.told(received);
        } else if lane.link == Link::Open && lane.inbound.ack_at().is_some() {
            received.encode_into(&mut self.scratch);
            lane.inbound.told(received);
        }
        let mut size_bytes = self.scratch.len();
        if size_bytes > 0 {
            out.push(self.scratch.split().freeze());
        }
        if lane.link == Link::Open {
            let ignore_credit = self.mutant == Mutant::CreditIgnored;
            size_bytes += lane.out.transmit(now, budget, ignore_credit, out);
        }
        size_bytes
    }

    /// Takes a frame from the lane's connection. A message that is due comes back at once, borrowed from the frame.
    /// Frames of kinds that are not an association's are ignored.
    ///
    /// # Errors
    /// [`ProtocolError`]: nothing was delivered; close the connection.
    #[inline]
    pub fn receive<'a>(
        &mut self,
        now: Time,
        frame: Frame<'a>,
        out: &mut Vec<Output>,
    ) -> Result<Option<Delivery<'a>>, ProtocolError> {
        if self.is_closed {
            return Err(ProtocolError::Closed);
        }
        match Segment::parse(frame)? {
            Some(Segment::Message(message)) => {
                self.on_message(now, message, frame.wire_size() as u64, out)
            }
            Some(Segment::Ack(ack)) => self.on_ack(now, &ack, out).map(|()| None),
            Some(Segment::Resume(resume)) => self.on_resume(now, &resume, out).map(|()| None),
            None => Ok(None),
        }
    }

    /// Messages were taken by their actors (or dropped on purpose): the sender may send as many more.
    /// A receipt of an ended epoch changes nothing.
    pub fn taken(&mut self, now: Time, receipt: Receipt) {
        if receipt.stream == self.stream
            && let Some(lane) = self.lanes.get_mut(usize::from(receipt.lane))
        {
            lane.inbound.taken(now, receipt.messages, receipt.wire_bytes, &self.settings);
        }
    }

    fn lane(&mut self, number: u8) -> Result<&mut Lane, ProtocolError> {
        self.lanes.get_mut(usize::from(number)).ok_or(ProtocolError::NoLane { lane: number })
    }
}

#[cfg(test)]
mod tests;
