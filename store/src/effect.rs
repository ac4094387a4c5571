//! What the pure parts of ownership ask their driver to do, and the bugs that tests may plant in them.
//!
//! Pure: no clock, no I/O, no tasks.

use crate::{
    message::{LossReason, Message, PinId},
    object_id::{ObjectId, StoreId},
};

/// Something to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// Send a message; it may be lost.
    Send {
        /// To whom.
        to: StoreId,
        /// What.
        message: Message,
    },
    /// Others need this object: hold it, and say that nobody needs it if it is too late for that.
    Export(ObjectId),
    /// No other store needs this object any more: let go.
    Unexport(ObjectId),
    /// What this pin held has arrived or never will: let go.
    Unpin(PinId),
    /// Send the value itself: it is small and here.
    Inline {
        /// To whom.
        to: StoreId,
        /// Which object.
        object: ObjectId,
    },
    /// The object has no copy left and somebody wants it: make it again, or say why not.
    Rebuild(ObjectId),
    /// Another store keeps this object now: local needs of it are borrowed from there.
    HandedOver {
        /// The object.
        object: ObjectId,
        /// Its new keeper.
        keeper: StoreId,
    },
    /// A borrowed object will never have a value.
    Lose {
        /// The object.
        object: ObjectId,
        /// Why.
        loss: Loss,
    },
}

/// Why a borrowed object is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// Its keeper died, and nobody took over.
    OwnerDied {
        /// The keeper.
        owner: StoreId,
    },
    /// Its keeper says so.
    Gone(LossReason),
}

/// A rule left out, to show that a test notices. For tests only.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mutant {
    /// Nothing is left out.
    #[default]
    None,
    /// The owner takes every word for the newest.
    OldWordsCount,
    /// The receiver unpins before its need is counted.
    UnpinsAtOnce,
    /// The borrower forgets to say that it is done.
    NeverReleases,
    /// The owner keeps the needs of the dead.
    DeadKeepBorrowing,
    /// The sender keeps its pins for the dead.
    PinsForTheDead,
    /// The owner frees at once when a borrower crashed.
    NoGrace,
    /// Nothing is said twice.
    NeverRepeats,
    /// A message that was given up is taken all the same when it comes.
    LateArrivals,
    /// What is wrongly counted is left so.
    NeverHeals,
    /// A backup frees as soon as it has taken over.
    NoMargin,
}
