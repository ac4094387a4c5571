//! What can go wrong with objects, one enum per operation.
//!
//! Variants are split by what the caller does next; the failure of a task, which is a value that objects hold
//! and dependents inherit, is in [`TaskError`].

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    message::LossReason,
    object_id::{ObjectId, StoreId},
    remote::TransferError,
};

mod task_error;
mod travel;

pub use task_error::{TaskError, TaskLabel};
pub(crate) use travel::{failure, task_error};

/// Why a value was not put.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The code does not run inside a node. Nothing was stored. Run it in `#[mobula::main]`, a task, an actor
    /// or `node.enter(..)`.
    #[error(
        "no object store here: this code does not run inside a node; wrap it in `node.enter(..)`"
    )]
    NoNode,
    /// No room: the value is larger than the whole store, or nobody was to wait, or the wait was too long.
    /// Nothing was stored. Drop references, free objects, raise the capacity, or wait for room.
    #[error(
        "no room for {bytes} bytes: {used_bytes} of {capacity_bytes} bytes are in use; \
         drop references, or raise the capacity of the store"
    )]
    StoreFull {
        /// The size of the value.
        bytes: u64,
        /// What was in use at that moment.
        used_bytes: u64,
        /// What the store may hold.
        capacity_bytes: u64,
    },
    /// The value was to outlive this node, and cannot be entered in the books that this takes. Nothing was stored. Drop
    /// references to objects that other nodes know.
    #[error("the value cannot be made durable; drop references to objects that other nodes know")]
    NotDurable(#[from] TransferError),
    /// The value is itself a reference. Nothing was stored. Pass the reference on as it is, or put a struct or
    /// list that contains it.
    #[error(
        "the value is already a reference, to object {object}: pass it on as it is, \
         or put a struct or list that contains it"
    )]
    IsReference {
        /// The object that the value refers to.
        object: ObjectId,
    },
}

/// Why there is no value to get.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GetError {
    /// The task or call that was to make the object failed. It stays failed.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// Not ready in time. The object is still being made; get it again later.
    #[error(
        "object {object} was not ready within {after:?}; it is still being made, get it again later"
    )]
    Timeout {
        /// The object; of several, the first that was not ready.
        object: ObjectId,
        /// How long the caller waited.
        after: Duration,
    },
    /// The node that kept the object died, and with it whoever counted its references. It does not come back;
    /// make it anew, or let durable objects outlive their owner.
    #[error(
        "object {object} went with its owner: node {} died; make it anew, or make it durable",
        owner.node
    )]
    OwnerDied {
        /// The object.
        object: ObjectId,
        /// Who kept it.
        owner: StoreId,
    },
    /// The last copy is gone, and it cannot be made again. Make it anew.
    #[error("object {object} is lost: {reason}; make it anew")]
    Lost {
        /// The object.
        object: ObjectId,
        /// Why it cannot be made again.
        reason: LossReason,
    },
    /// The value came and could not be read: another type or version of it, or damage. Run the same program on
    /// all nodes.
    #[error(
        "object {object} of type `{type_name}` came from another node and cannot be read: {text}"
    )]
    Unreadable {
        /// The object.
        object: ObjectId,
        /// The type expected here.
        type_name: &'static str,
        /// The decoder's reason.
        text: Arc<str>,
    },
    /// Somebody freed the object by hand. It does not come back; make it anew.
    #[error("object {object} was freed; make it anew, or free it only after the last use")]
    Freed {
        /// The object.
        object: ObjectId,
    },
}

impl GetError {
    /// The failure of the task, if that is the reason.
    #[must_use]
    pub const fn task(&self) -> Option<&TaskError> {
        match self {
            Self::Task(error) => Some(error),
            Self::Timeout { .. }
            | Self::Freed { .. }
            | Self::OwnerDied { .. }
            | Self::Lost { .. }
            | Self::Unreadable { .. } => None,
        }
    }

    /// The user's own error, if the reason is one of type `E`; see [`TaskError::user`].
    #[must_use]
    pub fn user<E: std::error::Error + 'static>(&self) -> Option<&E> {
        self.task().and_then(TaskError::user)
    }

    /// Whether only time was missing.
    #[must_use]
    pub const fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout { .. })
    }
}

/// Why a list of references cannot be waited for. Nothing was waited for; the list was wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// `num_returns` is 0 or more than there are references. Ask for 1 to `len`.
    #[error("cannot wait for {num_returns} of {len} references; num_returns must be 1 to {len}")]
    NumReturns {
        /// What was asked for.
        num_returns: usize,
        /// How many references there are.
        len: usize,
    },
    /// The same object stands in the list twice. Remove the duplicate.
    #[error(
        "object {object} stands in the list more than once; a list to wait for has no duplicates"
    )]
    Duplicate {
        /// The object.
        object: ObjectId,
    },
}

/// Why bytes and objects do not turn into each other.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// There is no value to encode.
    #[error(transparent)]
    Get(#[from] GetError),
    /// The type's own `Serialize` refused. The object is unharmed.
    #[error("could not encode object {object} of type `{type_name}`")]
    Encode {
        /// The object.
        object: ObjectId,
        /// Its type.
        type_name: &'static str,
        /// The encoder's reason.
        source: Arc<rmp_serde::encode::Error>,
    },
    /// The bytes are no value of this type: another type, another version, or damage.
    #[error("could not decode a value of type `{type_name}`")]
    Decode {
        /// The type asked for.
        type_name: &'static str,
        /// The decoder's reason.
        source: Arc<rmp_serde::decode::Error>,
    },
}

/// Why a reference that came as bytes does not lead to an object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// Decoded outside a node. Decode inside `node.enter(..)`.
    #[error("object {object} cannot be looked up: this code does not run inside a node")]
    NoNode {
        /// The object.
        object: ObjectId,
    },
    /// The reference belongs to another node. Use it there, or send the value.
    #[error(
        "object {object} belongs to store {theirs}, not to {ours}: use the reference on its own node, or send the value"
    )]
    Foreign {
        /// The object.
        object: ObjectId,
        /// The store named in the reference.
        theirs: StoreId,
        /// The store that was asked.
        ours: StoreId,
    },
    /// The object's last reference was dropped before this one arrived. Keep a reference while one travels.
    #[error(
        "object {object} is unknown: its last reference is gone; keep a reference while one travels"
    )]
    Unknown {
        /// The object.
        object: ObjectId,
    },
    /// The object holds a value of another type.
    #[error("object {object} is a `{actual}`, not a `{expected}`")]
    WrongType {
        /// The object.
        object: ObjectId,
        /// The type of the reference.
        expected: &'static str,
        /// The type of the object.
        actual: &'static str,
    },
}

/// Shows an error and its causes in one line, each after a colon.
pub(crate) struct Chain<'a>(pub(crate) &'a (dyn std::error::Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mobula_actor_core::chain_text(self.0))
    }
}
