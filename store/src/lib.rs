//! The object store of mobula: immutable values behind counted references.
//!
//! Start at [`object_ref`], then [`put`](mod@put), [`get`](mod@get) and [`mod@wait`]; what an object is inside
//! stands in `entry`. Users take all of this through the facade crate `mobula`.
//!
//! # Life of an object
//! [`put`](fn@put) measures a value and waits for room; a task's result comes through a [`Sealer`] instead.
//! Either way there is an `Entry` with a place in the index, and an [`ObjectRef`] that points at it. Whoever
//! wants the value registers with the entry and is woken when it is sealed. When the last reference and the last
//! argument of a submitted task are gone, the value goes, and its bytes return to the budget.

// Values and names.
pub mod object_id;
pub mod time;
pub mod object_ref;
pub mod error;

// What programs do with them.
pub mod put;
pub mod get;
pub mod get_many;
pub mod wait;
pub mod wire;
mod argument;
mod keeping;

// Objects of other nodes.
pub mod remote;
pub mod attach;
pub mod loose;
mod exchange;
mod elsewhere;
mod address;

// What a node and its tasks do with them.
pub mod store;
pub mod store_actor;
pub mod sealer;
pub mod entry;
pub mod hold;
pub mod block;
pub mod collect;
mod locate;

// Inside: one object, and many.
mod waiting;
mod crowd;
mod board;
mod ledger;
mod discard;
mod codec;

// Pure cores of objects that several nodes know.
pub mod ownership;
pub mod owner;
pub mod borrower;
pub mod pins;
pub mod spread;
pub mod transfer;
pub mod lineage;
pub mod backup;
pub mod effect;
pub mod message;
mod dead;
mod reunion;

// Pure cores of one store.
mod table;
mod refcount;
mod waiters;
mod budget;
mod size;

pub use block::{BlockHook, TaskSlot};
pub use codec::{Object, Portable};
pub use collect::{Collected, collect_refs};
pub use entry::{Canceller, Entry, ObjectListing};
pub use error::{GetError, ReferenceError, StoreError, TaskError, TaskLabel, WaitError, WireError};
pub use get::Get;
pub use get_many::{GetMany, get};
pub use hold::ArgPin;
pub use keeping::DurablePut;
pub use loose::{Loose, ObjectProbe, Opener};
pub use message::Failure;
pub use object_id::{Incarnation, NodeId, ObjectId, ObjectIdError, StoreId};
pub use object_ref::{ObjectRef, free};
pub use put::{Put, put};
pub use refcount::RefCounts;
pub use remote::{
    AttachError, DeliverError, Rebuild, Remote, TransferError, UnpackError, Whereabouts,
};
pub use sealer::Sealer;
pub use size::size_of_value;
pub use store::{Store, StoreConfig, StoreUsage};
pub use store_actor::StoreActor;
pub use time::Time;
pub use wait::{Wait, wait};
pub use waiters::WaiterKey;
pub use wire::decode;
