//! The port to other stores, and what a node does to join its store to them.
//!
//! The store knows nothing of networks. It hands messages to whoever implements [`Remote`] and is handed those of
//! others; everything between, what it takes to keep objects alive and to find their values, is its own.
//! What the node calls in turn stands in [`attach`](crate::attach).

use std::fmt;

use crate::{
    lineage::Beside,
    message::Message,
    object_id::{ObjectId, StoreId},
    ownership::PinError,
    time::Time,
};

/// What a store needs of its node to reach others. Called with no lock of the store's own tables held, from any
/// thread; must not block.
pub trait Remote: Send + Sync + fmt::Debug + 'static {
    /// The time on this node's monotonic clock.
    fn now(&self) -> Time;

    /// Sends `message` to another store. It may be lost, doubled or overtaken; to a store that is not a member it
    /// goes nowhere, and [`Store::node_down`](crate::Store::node_down) should follow. [`Message::is_bulk`] says which belong on a
    /// connection of their own.
    fn send(&self, to: StoreId, message: Message);

    /// The other stores that may back up a durable object, those on other hosts if there are any.
    fn members(&self) -> Vec<StoreId>;

    /// Runs tasks again, in this order: each may need results of those before it, which nobody else keeps until all
    /// have been begun. Results must come as before, by a [`Sealer`](crate::Sealer) of
    /// [`Store::create_again`](crate::Store::create_again), or by [`Store::deliver`](crate::Store::deliver) somewhere and [`Store::receive`](crate::Store::receive) here;
    /// if they cannot come at all, by [`Store::cannot_rebuild`](crate::Store::cannot_rebuild).
    fn rebuild(&self, tasks: Vec<Rebuild>);
}

/// A task that is to run again, because results of it are lost.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rebuild {
    /// What [`Store::remember`](crate::Store::remember) was given.
    pub call: Vec<u8>,
    /// The same, of what has no encoding.
    pub beside: Beside,
    /// All of its results.
    pub outputs: Vec<ObjectId>,
    /// Those that are lost and needed; the others stay as they are.
    pub lost: Vec<ObjectId>,
    /// How often it may be repeated beyond this time.
    pub attempts_left: u32,
}

/// Why a store was not attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// It is attached already, and stays so.
    #[error("the store is attached to other stores already")]
    Attached,
}

/// Why an object was not handed over, or not made durable. It stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// This store knows no others. Start the node in a cluster.
    #[error("object {object} cannot be handed over: this node is on its own")]
    Alone {
        /// The object.
        object: ObjectId,
    },
    /// Another store keeps the object. Ask there.
    #[error("object {object} is kept by {keeper}, not here")]
    NotOurs {
        /// The object.
        object: ObjectId,
        /// Who keeps it.
        keeper: StoreId,
    },
    /// The actor whose node was to keep it has ended. Hand it to another.
    #[error("object {object} cannot be handed over: the actor has ended")]
    NoActor {
        /// The object.
        object: ObjectId,
    },
    /// It has no value yet, is being handed over already, or the table of such objects is full. Try again later.
    #[error("object {object} cannot be handed over now; try again when it has a value")]
    NotNow {
        /// The object.
        object: ObjectId,
    },
}

/// Why a message with references cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// Its sender gave it up before it came, and no longer keeps what it refers to. Drop it.
    #[error("the message came after its sender had given it up")]
    GivenUp,
}

/// Why a result cannot be sent to the object's keeper. Send it what [`Store::deliver`](crate::Store::deliver) gives for the error instead.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeliverError {
    /// Too many references are on their way. Try again later.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// This store knows no others.
    #[error("this node is on its own")]
    Alone,
}

/// What is known here of an object's place. A hint: it may be old.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Whereabouts {
    /// Who keeps it.
    pub keeper: StoreId,
    /// Whether its value is in this store.
    pub is_here: bool,
    /// Its size as charged, if known.
    pub bytes: Option<u64>,
    /// Who else has a copy, if this store keeps it, or has been told by the keeper: then a few of them.
    pub copies: Vec<StoreId>,
    /// Which other stores need it, if this store keeps it.
    pub borrowers: Vec<StoreId>,
    /// Who would take over a durable object, if this store keeps it and that one has its copy.
    pub backup: Option<StoreId>,
}
