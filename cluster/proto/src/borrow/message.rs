//! What nodes say to each other about borrows, and what the core tells its driver.
//!
//! Pure: no clock, no I/O, no tasks.

use serde::{Deserialize, Serialize};

use crate::id::NodeId;

/// The most entries in one message.
pub const HOLDS_MAX: usize = 1024;

/// Between borrower and owner, or sender and receiver of a reference. A sequence grows with every hold of the
/// borrower, so a message that comes late or twice is recognised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message<T> {
    /// Borrower to owner: my first reference.
    Hold {
        /// Of which thing.
        thing: T,
        /// Which hold of mine.
        sequence: u64,
    },
    /// Borrower to owner: my last reference is gone.
    Release {
        /// Of which thing.
        thing: T,
        /// Which hold of mine ends.
        sequence: u64,
    },
    /// Borrower to owner, after an epoch ended: of the things in a range of names, these are what I hold.
    Holds {
        /// The range begins after this name; `None`: at the first.
        after: Option<T>,
        /// The range ends with this name; `None`: at the last.
        up_to: Option<T>,
        /// Holds of mine beyond this sequence are newer than the list.
        snapshot: u64,
        /// Thing and sequence of each.
        holds: Vec<(T, u64)>,
    },
    /// Owner to borrower: noted.
    Held {
        /// Thing and sequence of each hold.
        holds: Vec<(T, u64)>,
    },
    /// Owner to borrower: there is no such thing (any more).
    Gone {
        /// Which.
        thing: T,
        /// Of the hold that is answered.
        sequence: u64,
    },
    /// Receiver to sender: these references have arrived and are held, or never will arrive.
    Received {
        /// The sender's numbers.
        pins: Vec<u64>,
    },
    /// Sender to receiver, after an epoch ended, on the lane of the references: what became of these?
    AskPins {
        /// The sender's numbers.
        pins: Vec<u64>,
    },
}

/// What the driver is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output<T> {
    /// Send this.
    Send {
        /// To whom.
        to: NodeId,
        /// On which lane; `None`: control.
        lane: Option<u8>,
        /// What.
        message: Message<T>,
    },
    /// No node has a reference to this thing of ours: free it.
    Free {
        /// Which.
        thing: T,
    },
    /// The owner of this thing is down or has freed it although this node holds a reference, which happens when
    /// this node was believed down. Its references are dangling; they are still to be released.
    Lost {
        /// Which.
        thing: T,
    },
}
