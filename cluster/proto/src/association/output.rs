//! What an association tells its driver.
//!
//! Pure: no clock, no I/O, no tasks.

use bytes::Bytes;

use crate::id::Incarnation;

/// Something the driver must act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Messages that were not acknowledged: to the senders' dead letters. A new epoch has begun.
    Lost(Lost),
    /// The peer has begun a new epoch: messages of its last one, sent before this point, may be missing.
    /// Monitors re-send their open watches.
    PeerLost {
        /// The epoch that ended.
        ended: u64,
        /// The one that began.
        begun: u64,
    },
    /// The peer is in a new life: everything it held for us is gone. Comes before what it says in that life.
    PeerRestarted {
        /// The life that ended.
        ended: Incarnation,
        /// The one that began.
        begun: Incarnation,
    },
    /// The lane speaks (again): the peer has said what it has, and sending goes on from there.
    Resumed {
        /// Which lane.
        lane: u8,
    },
    /// A lane that was full takes messages again.
    Writable {
        /// Which lane.
        lane: u8,
    },
}

/// What was lost with an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The epoch that ended.
    pub epoch: u64,
    /// Why.
    pub cause: LossCause,
    /// Sent, and perhaps delivered: the outcome is unknown. In order per lane.
    pub sent: Vec<LostMessage>,
    /// Never sent: certainly not delivered, a retry is safe. In order per lane.
    pub unsent: Vec<LostMessage>,
}

impl Lost {
    /// How many messages were lost.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.sent.len() + self.unsent.len()
    }
}

/// One lost message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostMessage {
    /// On which lane.
    pub lane: u8,
    /// What it was.
    pub payload: Bytes,
}

/// Why an epoch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossCause {
    /// Sent and not acknowledged for too long.
    Unacknowledged,
    /// No connection for too long.
    Disconnected,
    /// The peer is in a new life.
    PeerRestarted,
    /// The peer remembers a later epoch of ours than the one we are in: our memory of it is gone.
    EpochBehind,
    /// The peer, in the same life, knows nothing of an epoch of which it acknowledged messages: it took us for dead and began
    /// anew. What it has forgotten cannot be sent again, and without it nothing after it counts.
    PeerForgot,
    /// The driver gave up ([`crate::association::Association::give_up`]), for instance because a control lane was full.
    GivenUp,
    /// The peer is down.
    Closed,
}
