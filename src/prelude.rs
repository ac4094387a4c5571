//! What an author of actors and tasks needs, and nothing else: `use mobula::prelude::*;`.

pub use std::sync::Arc;
pub use std::time::Duration;

pub use serde::{Deserialize, Serialize};

pub use crate::wiring::objects::RemoteCall;
pub use crate::{
    ActorHandle, ActorId, ActorRef, AskError, ChildSpec, Context, Deferred, ExitReason, GetError,
    Handler, LocalHandler, Mailbox, Message, MonitorRef, Node, ObjectRef, Placement, Recipient,
    Reply, SharedHandler, Supervisor, TaskError, TellError, TimerKey, WeakRef,
};

/// So many milliseconds.
#[must_use]
pub const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// So many seconds.
#[must_use]
pub const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}
