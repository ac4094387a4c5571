//! What can happen to a message, told by what the sender does next.
//!
//! Three families: *not delivered* (the message comes back, a retry is safe), *outcome unknown* (it may
//! have been handled; retry only what is idempotent), *refused* (the handler's own error).

use std::error::Error;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sync_wrapper::SyncWrapper;

use crate::arg::DependencyFailed;
use crate::denied::Denied;
use crate::exit::ExitReason;
use crate::id::{ActorId, NodeId};
use crate::message::Message;

mod groups;
mod spawning;

pub use groups::{GroupError, PostingsFull, RouteError};
pub use spawning::SpawnError;

/// Which actor an error speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its id.
    pub id: ActorId,
    /// The name of its type.
    pub type_name: &'static str,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.type_name, self.id)
    }
}

/// Why a message was not delivered. The handler never saw it, so sending it again is safe.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Undelivered {
    /// The actor has ended for good. Nothing will come of this reference; look the name up again or spawn anew.
    ActorGone(ExitReason),
    /// The actor crashed while the message waited and is being restarted. Send it again.
    Discarded(ExitReason),
    /// The mailbox was full and its rule hands messages back. Wait, or slow down.
    MailboxFull,
    /// The deadline passed before the handler began. Allow more time, or send less.
    Expired,
    /// Somebody took the call back before its turn came.
    Cancelled,
    /// What an argument was to come from failed. Repair that first.
    DependencyFailed(DependencyFailed),
    /// The actor's node cannot be reached. Send again when it is back, or go to another actor.
    Unreachable(NodeId),
    /// The actor is on another node, and the message cannot travel, for the reason given.
    NoWireForm(String),
    /// The actor's node knows no such message: it runs another build. Give both the same.
    Unknown(String),
    /// The actor's node could not read the message.
    Unreadable(String),
    /// This node is not allowed to ask that of the actor's node. Ask for another certificate, or let another node ask.
    Denied(Denied),
}

impl fmt::Display for Undelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ActorGone(reason) => write!(f, "the actor {reason}"),
            Self::Discarded(reason) => {
                write!(f, "the actor {reason} and is being restarted; send again")
            }
            Self::MailboxFull => f.write_str("its mailbox is full; wait or slow down"),
            Self::Cancelled => f.write_str("it was cancelled before its turn came"),
            Self::Expired => f.write_str("the deadline passed before its turn came"),
            Self::DependencyFailed(error) => fmt::Display::fmt(error, f),
            Self::Unreachable(node) => write!(f, "node {node} cannot be reached; send again later"),
            Self::NoWireForm(why) => write!(f, "the actor is on another node, and {why}"),
            Self::Unknown(what) => write!(f, "{what}; run the same build on all nodes"),
            Self::Unreadable(why) => write!(f, "its node could not read it: {why}"),
            Self::Denied(denied) => fmt::Display::fmt(denied, f),
        }
    }
}

/// A message that came back. `Sync` whatever the message is, so that errors can travel anywhere; boxed, so that an answer
/// is no larger for a large question.
pub struct Returned<M>(Box<SyncWrapper<M>>);

impl<M> Returned<M> {
    pub(crate) fn new(message: M) -> Self {
        Self(Box::new(SyncWrapper::new(message)))
    }

    /// The message.
    #[must_use]
    pub fn into_inner(self) -> M {
        self.0.into_inner()
    }
}

impl<M> fmt::Debug for Returned<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Returned(..)")
    }
}

/// A one-way message was not delivered. Boxed, so that a tell that went well carries one word.
pub struct TellError<M>(Box<Unsent<M>>);

struct Unsent<M> {
    message: Option<Returned<M>>,
    to: Target,
    reason: Undelivered,
}

impl<M> TellError<M> {
    #[cold]
    pub(crate) fn new(message: Option<Returned<M>>, to: Target, reason: Undelivered) -> Self {
        Self(Box::new(Unsent { message, to, reason }))
    }

    /// Why.
    #[must_use]
    pub const fn reason(&self) -> &Undelivered {
        &self.0.reason
    }

    /// The actor it was for.
    #[must_use]
    pub const fn to(&self) -> &Target {
        &self.0.to
    }

    /// The message; `None` if it was consumed while its arguments were resolved, or written for another node.
    #[must_use]
    pub fn into_message(self) -> Option<M> {
        self.0.message.map(Returned::into_inner)
    }

    pub(crate) fn into_parts(self) -> (Option<Returned<M>>, Target, Undelivered) {
        let Unsent { message, to, reason } = *self.0;
        (message, to, reason)
    }
}

impl<M: Message> fmt::Display for TellError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` was not delivered to {}: {}", M::NAME, self.to(), self.reason())
    }
}

impl<M> fmt::Debug for TellError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TellError(to {}: {})", self.to(), self.reason())
    }
}

impl<M: Message> Error for TellError<M> {}

/// Why nobody knows what became of a message.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum UnknownOutcome {
    /// No reply came in this time. The handler may still run.
    Deadline(Duration),
    /// The actor ended while it handled the message.
    ActorEnded(ExitReason),
    /// The handler dropped its reply without sending it.
    NoReply,
    /// The actor's node was lost after the message had been sent. It may have been handled.
    NodeLost(NodeId),
    /// The reply came and could not be read.
    Unreadable(String),
}

impl fmt::Display for UnknownOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deadline(after) => write!(f, "no reply within {after:?}"),
            Self::ActorEnded(reason) => write!(f, "the actor {reason}"),
            Self::NoReply => f.write_str("the handler dropped the reply"),
            Self::NodeLost(node) => write!(f, "node {node} was lost before it replied"),
            Self::Unreadable(why) => write!(f, "the reply could not be read: {why}"),
        }
    }
}

/// The asks that wait for each other, first to last; the last one's target is the first again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadlockPath(pub Vec<WaitingActor>);

/// One actor on a [`DeadlockPath`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingActor {
    /// Its id.
    pub id: ActorId,
    /// Its type or name.
    pub label: String,
}

impl fmt::Display for DeadlockPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, actor) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" asks ")?;
            }
            write!(f, "{} {}", actor.label, actor.id)?;
        }
        Ok(())
    }
}

/// An ask got no value.
#[non_exhaustive]
pub enum AskError<M: Message> {
    /// The handler never saw the message. A retry is safe.
    NotDelivered {
        /// The message; `None` if it was consumed while its arguments were resolved.
        message: Option<Returned<M>>,
        /// The actor it was for.
        to: Target,
        /// Why.
        reason: Undelivered,
    },
    /// The message was delivered, and no reply came. Retry only what is idempotent.
    OutcomeUnknown {
        /// The actor it was for.
        to: Target,
        /// Why.
        why: UnknownOutcome,
    },
    /// The handler answered with its own error.
    Refused(M::Refusal),
    /// The handler returned an error on another node, and the error's type cannot travel: its text, with causes.
    /// Derive `Serialize` and `Deserialize` for the error to get it as [`Refused`](Self::Refused).
    RefusedElsewhere(String),
    /// The actor asked waits, by way of others, for the asker itself. Answer later (`ctx.defer`), tell
    /// instead of asking, or let one side hold the state that both need.
    ///
    /// What is found are asks, whose chain travels with them. A handler that waits for an object instead (`.remote()`, then
    /// `get`) is no link of a chain: give such a wait a timeout.
    Deadlock(DeadlockPath),
}

impl<M: Message> AskError<M> {
    /// Whether the handler certainly never saw the message.
    #[must_use]
    pub const fn is_safe_to_retry(&self) -> bool {
        matches!(self, Self::NotDelivered { .. })
    }

    /// The handler's own error, if that is what came.
    pub const fn refusal(&self) -> Option<&M::Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::NotDelivered { .. }
            | Self::OutcomeUnknown { .. }
            | Self::RefusedElsewhere(_)
            | Self::Deadlock(_) => None,
        }
    }

    /// Why the actor ended, if that is what happened.
    #[must_use]
    pub const fn exit_reason(&self) -> Option<&ExitReason> {
        match self {
            Self::NotDelivered {
                reason: Undelivered::ActorGone(reason) | Undelivered::Discarded(reason),
                ..
            }
            | Self::OutcomeUnknown { why: UnknownOutcome::ActorEnded(reason), .. } => Some(reason),
            Self::NotDelivered { .. }
            | Self::OutcomeUnknown { .. }
            | Self::Refused(_)
            | Self::RefusedElsewhere(_)
            | Self::Deadlock(_) => None,
        }
    }
}

impl<M: Message> fmt::Display for AskError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotDelivered { to, reason, .. } => {
                write!(f, "`{}` was not delivered to {to}: {reason}", M::NAME)
            }
            Self::OutcomeUnknown { to, why } => {
                write!(f, "outcome of `{}` at {to} is unknown: {why}", M::NAME)
            }
            Self::Refused(refusal) => {
                write!(f, "`{}` was refused: {}", M::NAME, M::refusal_text(refusal))
            }
            Self::RefusedElsewhere(text) => write!(f, "`{}` was refused: {text}", M::NAME),
            Self::Deadlock(path) => {
                write!(f, "`{}` would wait for itself: {path}; answer later or tell", M::NAME)
            }
        }
    }
}

impl<M: Message> fmt::Debug for AskError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AskError({self})")
    }
}

impl<M: Message> Error for AskError<M> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Refused(refusal) => M::refusal_source(refusal),
            Self::NotDelivered { reason: Undelivered::DependencyFailed(error), .. } => Some(error),
            Self::NotDelivered { .. }
            | Self::OutcomeUnknown { .. }
            | Self::RefusedElsewhere(_)
            | Self::Deadlock(_) => None,
        }
    }
}

/// No actor was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// No living actor has this name. Spawn it, or wait for its start.
    #[error("no living actor is named `{0}`")]
    NoSuchName(String),
    /// The name is empty or blank.
    #[error("an actor's name must not be blank")]
    BlankName,
    /// The actor of this name has another type.
    #[error("actor `{name}` is a `{found}`, not a `{expected}`")]
    WrongType {
        /// The name.
        name: String,
        /// The type of the actor that has it.
        found: String,
        /// The type asked for.
        expected: &'static str,
    },
}
