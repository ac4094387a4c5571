//! Actors, tasks and objects: an actor framework that is also a (one day distributed) computer.
//!
//! # Five minutes
//!
//! **Tasks** are functions that run in the background. Calling `remote` gives a reference to the result at once; a
//! reference given as an argument makes the next task wait for it, so calls build a graph.
//!
//! **Actors** are structs with a mailbox. Their methods become calls that are handled one at a time.
//!
//! **Objects** are results and values that were put: kept once, shared without copying, freed with the last reference.
//!
//! ```
//! use mobula::prelude::*;
//!
//! #[mobula::task]
//! fn square(x: u64) -> u64 { x * x }
//!
//! pub struct Counter { count: u64 }
//!
//! #[mobula::actor]
//! impl Counter {
//!     pub fn new(start: u64) -> Self { Self { count: start } }
//!     pub fn add(&mut self, by: u64) -> u64 { self.count += by; self.count }
//! }
//!
//! #[mobula::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let nine = square::remote(3);                      // ObjectRef<u64>, at once
//!     let eighty_one = square::remote(&nine);            // runs when `nine` exists
//!     let counter = Counter::remote(1);                  // ActorRef<Counter>
//!     assert_eq!(counter.add(&eighty_one).await?, 82);   // a reference is an argument here, too
//!     assert_eq!(*counter.add(1).remote().get().await?, 83); // and a call's result is an object
//!     Ok(())
//! }
//! ```
//!
//! Where to go on: [`actor`](macro@actor), [`task`](macro@task), [`Node`], [`Supervisor`], [`put()`], [`get()`], [`wait()`].

extern crate self as mobula;

// Composition.
mod config;
#[cfg(feature = "cluster")]
mod inspector;
#[cfg(feature = "cluster")]
mod membership;
#[cfg(feature = "cluster")]
mod members;
#[cfg(feature = "cluster")]
mod placement_group;
#[cfg(feature = "cluster")]
mod service;
#[cfg(feature = "cluster")]
mod trust;
#[cfg(feature = "cluster")]
mod listing;
#[cfg(feature = "cluster")]
mod survey;
#[cfg(feature = "cluster")]
mod warden;
#[cfg(feature = "cluster")]
mod leaving;
#[cfg(all(fuzzing, feature = "cluster"))]
#[doc(hidden)]
pub mod strangers;
mod entry;
mod node;
mod telemetry;
mod topics;
mod wiring;
pub mod prelude;
#[cfg(feature = "testkit")]
pub mod testkit;

pub use config::{ConfigError, NodeConfig};
#[cfg(feature = "cluster")]
pub use inspector::{ActorRow, FunctionRow, NodeRow, ObjectRow, TaskRow};
#[cfg(feature = "cluster")]
pub use leaving::{DRAIN_LIMIT, Drained};
#[cfg(feature = "cluster")]
pub use listing::{Listing, Wanted};
#[cfg(feature = "cluster")]
pub use members::{MemberRow, Members};
#[cfg(feature = "cluster")]
pub use membership::{AuthorityConfig, ClusterConfig};
#[cfg(feature = "cluster")]
pub use mobula_cluster::admission::certificate::{Capabilities, Role};
#[cfg(feature = "cluster")]
pub use mobula_cluster::error::ProbeError;
#[cfg(feature = "cluster")]
pub use mobula_cluster::scheduling::Strategy as GroupStrategy;
#[cfg(feature = "cluster")]
pub use mobula_cluster::transport::libp2p::RelayLimits;
pub use node::{Node, NodeBuilder, NodeError, NodeStatus};
#[cfg(feature = "cluster")]
pub use placement_group::{BUNDLES_MAX, Bundle, PlacementGroup, placement_group};
pub use topics::{Subscription, Topic, TopicError, topic};
#[cfg(feature = "cluster")]
pub use trust::RevokeError;
#[cfg(feature = "cluster")]
pub use wiring::bundles::RemoveGroupError;
pub use wiring::groups::group;
pub use wiring::naming::{actor, actor_in, list_named_actors};
pub use wiring::objects::RemoteCall;

// Macros.
pub use mobula_actor_core::remote::Home;
pub use mobula_actor_core::{actor, handler, main, task, test};

// Actors.
#[cfg(feature = "actix")]
pub use mobula_actor_core::actix_guest;
pub use mobula_actor_core::{
    Actor, ActorHandle, ActorId, ActorListing, ActorOptions, ActorRef, AsHandle, AskError, Call,
    CallerId, Calls, ChildExited, Context, DEFAULT_NAMESPACE, DeadLetter, DeadLetterReason,
    DeadLetterTap, DeadLetters, DeadlockPath, Deferred, Denied, ErrorText, Exclusive, ExitReason,
    Factory, FencingToken, FlightRecord, Group, GroupError, GroupId, Grouped, Handler, Hook,
    IntoArg, IntoStart, Kind, Local, LocalHandler, LookupError, Mailbox, Message, Method,
    MonitorRef, NoCalls, NodeId, Overflow, PanicReport, Pin, Placement, Receive, Recipient, Reply,
    Returned, Right, RouteError, Router, Routing, Shared, SharedHandler, SpawnError, System,
    Target, TellError, TimerKey, Undelivered, UnknownOutcome, WeakRef, spawn,
};

// Supervision.
pub use mobula_supervision::{self as supervision, ChildSpec, Supervisor};

// Objects.
pub use mobula_store::{
    DurablePut, Get, GetError, GetMany, Object, ObjectId, ObjectListing, ObjectRef, Put,
    ReferenceError, Store, StoreError, StoreUsage, TaskError, TransferError, Wait, WaitError,
    WireError, decode, free, get, put, wait,
};

// Tasks.
pub use mobula_tasks::{
    self as tasks, Bound, CurrentTask, FunctionEntry, IntoBound, ResourceAmount, TaskOptions,
    UserError, functions,
};

/// What the running task knows of itself.
pub mod task {
    pub use mobula_tasks::task::{CancellationToken, CurrentTask, current};
}

#[doc(hidden)]
pub mod __macro {
    pub use crate::entry::{MainOptions, run_main, run_test};
    pub use crate::node::Node;
    pub use inventory;
    pub use mobula_actor_core::__macro::*;
    pub use mobula_store::ObjectRef;
    pub use mobula_store::loose::{NoOwned, NoShared, ObjectProbe};
    pub use mobula_tasks::{
        ArgTuple, ArgWire, Body, Bound, BoundArg, FunctionEntry, IntoBound, TaskError,
        TaskFunction, TaskOptions, UserError, VisitorEntry, bind, submit, submit_many,
    };
    pub mod duplicate {
        pub use mobula_tasks::{CloneProbe, MaybeClone};
    }
}

/// Names crates whose tasks and messages this program wants, so that the linker does not leave them out.
///
/// A library's tasks are entered in the function table when it is linked; a crate that the program never names is not.
///
/// ```
/// mobula::functions!(mobula);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! functions {
    ($($krate:ident),* $(,)?) => {
        $(const _: () = { use $krate as _; };)*
    };
}

// A page that nobody compiles goes wrong in silence: `cargo test` takes the programs of README.md for examples of this.
#[cfg(all(doctest, feature = "cluster"))]
#[doc = include_str!("../README.md")]
struct Readme;
