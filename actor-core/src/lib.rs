//! The floor of mobula: actors, their mailboxes, references, timers, streams and names.
//!
//! Start at [`mod@actor`], then [`message`] and [`actor_ref`]; how an actor runs is in `run_loop`.
//! Users take all of this through the facade crate `mobula`.

pub mod actor;
pub mod message;
pub mod context;
pub mod actor_ref;
pub mod closing;
mod placement;
mod resources;
pub mod spawn;
pub mod call;
pub mod ask;
pub mod tell;
pub mod recipient;
pub mod arg;
pub mod reply;
pub mod mailbox;
pub mod factory;
pub mod timers;
pub mod error;
pub mod denied;
pub mod exit;
pub mod id;
pub mod handle;
pub mod directory;
pub mod names;
pub mod groups;
pub mod postings;
pub mod dead_letters;
pub mod flight_recorder;
pub mod current;
pub mod system;
pub mod panic_capture;
pub mod remote;
pub mod wire;
#[cfg(feature = "actix")]
pub mod actix_guest;
#[cfg(feature = "testkit")]
pub mod testkit;
mod arbiters;
mod cancel;
mod cell;
mod drive;
mod ending;
mod envelope;
mod extras;
mod lifecycle;
mod macro_support;
mod run_loop;
mod send;
mod signal;
mod sync;

pub use actor::{
    Actor, BoxFuture, Calls, Exclusive, Handler, Hook, Local, LocalBoxFuture, LocalHandler, Mode,
    NoCalls, Receive, Shared, SharedHandler, Step,
};
pub use actor_ref::{ActorRef, Address, WeakRef, lookup};
pub use arbiters::Pin;
pub use arg::{Arg, Args, DependencyFailed, IntoArg, Resolve};
pub use ask::Ask;
pub use call::Call;
pub use cancel::CallToken;
pub use closing::{Closing, Kill};
pub use context::Context;
pub use current::{CallChain, Current, MessageContext, Scoped, current_system, scope, sync_scope};
pub use dead_letters::{DeadLetter, DeadLetterReason, DeadLetterTap, DeadLetters};
pub use denied::{Denied, Right};
pub use directory::{ActorListing, Citizen, Directory, Kind};
pub use envelope::Gate;
pub use error::{
    AskError, DeadlockPath, GroupError, LookupError, Returned, RouteError, SpawnError, Target,
    TellError, Undelivered, UnknownOutcome, WaitingActor,
};
pub use exit::{ErrorText, ExitReason, PanicReport, chain_text};
pub use factory::{ArgsPolicy, Factory, IntoStart, Once, Restartable};
pub use flight_recorder::FlightRecord;
pub use groups::{Group, Groups, Router, Routing};
pub use handle::{ActorHandle, AsHandle};
pub use id::{ActorId, CallerId, FencingToken, GroupId, MonitorRef, NodeId};
pub use mailbox::{Mailbox, Overflow};
pub use message::{Message, Method, MethodTag};
pub use names::{DEFAULT_NAMESPACE, FullName, Names};
pub use placement::{Grouped, Locate, Placement};
pub use recipient::Recipient;
pub use reply::{Answer, Deferred, Missing, Reply, ReplySlot};
pub use resources::{ActorDemand, Held, ResourceBook};
pub use signal::ChildExited;
pub use spawn::{ActorOptions, spawn};
pub use system::{System, SystemBuilder};
pub use tell::Tell;
pub use timers::TimerKey;

pub use mobula_macros::{Message, actor, handler, main, task, test};

#[doc(hidden)]
pub mod __macro {
    pub use crate::macro_support::*;
    pub use crate::remote::SpawnKind;
    pub use crate::remote::table::{HandlerEntry, SpawnEntry, spawn_from};
    pub use crate::wire::{Codec, NoCodec, Probe as WireProbe, Wire, key, keyed};
    pub use crate::{
        Actor, ActorOptions, ActorRef, Address, Args, ArgsPolicy, Call, Calls, Context, Deferred,
        ErrorText, Exclusive, ExitReason, Factory, Grouped, Handler, Hook, IntoArg, IntoStart,
        Local, LocalHandler, Mailbox, Message, Method, MethodTag, MonitorRef, Once, Placement,
        ReplySlot, Restartable, Shared, SharedHandler, SpawnError, Step,
    };
    pub use inventory;
}
