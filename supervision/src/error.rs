//! What can go wrong in supervision, split by what the caller does next.
//!
//! A refused spec is corrected in the source; a refused request is a question of time or of the
//! wrong child. One big error type would make every caller match variants it can never meet.

use std::fmt;

use mobula_actor_core::ExitReason;
use thiserror::Error;

/// A child spec contradicts itself, its siblings or its supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SpecError {
    /// A child has no name. Nothing was started. Give it one: siblings are told apart by it.
    #[error("a child spec has an empty name")]
    EmptyName,
    /// Two children share a name. Nothing was started. Rename one.
    #[error("two child specs share the name `{child}`")]
    DuplicateName {
        /// The name.
        child: String,
    },
    /// A permanent child never stays down, so its end cannot end the supervisor. Nothing was
    /// started. Make it transient or temporary, or not significant.
    #[error("child `{child}` is permanent and significant, which contradict each other")]
    SignificantPermanent {
        /// The child.
        child: String,
    },
    /// A significant child under a supervisor that never shuts down by itself. Nothing was started.
    /// Choose an `auto_shutdown` for the supervisor, or make the child not significant.
    #[error("child `{child}` is significant but its supervisor has no auto_shutdown")]
    SignificantWithoutAutoShutdown {
        /// The child.
        child: String,
    },
}

/// Why a supervisor refused a request about one of its children.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No child of this name (or no longer). Nothing changed. Look at `which_children`.
    #[error("there is no such child")]
    NotFound,
    /// A child of this name is up. Nothing changed. Use it, or terminate it first.
    #[error("a child of this name is already running")]
    Running,
    /// The child is on its way up, perhaps waiting out a back-off. Nothing changed. Wait for it.
    #[error("the child is being restarted")]
    Restarting,
    /// A spec of this name is there, its actor is down. Nothing changed. Restart or delete it.
    #[error("a child spec of this name is already present")]
    AlreadyPresent,
    /// The supervisor has as many children as it may have. Nothing changed. Try when some ended.
    #[error("the supervisor has as many children as it may have")]
    Full,
    /// The child's start failed; the reason is in the crash report. A new spec was not kept; an
    /// existing one stays, with its actor down.
    #[error("the child failed to start")]
    StartFailed,
    /// The child's actor is down. Nothing changed. Restart the child, then ask again.
    #[error("the child is down")]
    Down,
    /// The child is an actor of another type. Nothing changed. Correct the type asked for.
    #[error("the child is an actor of another type")]
    OtherType,
    /// The spec contradicts itself or the supervisor. Nothing changed. Correct it.
    #[error(transparent)]
    BadSpec(SpecError),
    /// Somebody terminated the child while it was starting. It is down.
    #[error("the child was terminated while it was starting")]
    Terminated,
    /// The supervisor is ending; nothing is started any more. Ask its successor.
    #[error("the supervisor is shutting down")]
    ShuttingDown,
}

/// A supervisor refused a request about a child.
#[derive(Clone, Debug)]
pub struct ChildError {
    /// The child's name.
    pub child: String,
    /// Why it was refused, and what to do.
    pub refusal: Refusal,
    /// Why its start failed, if that is what happened.
    pub reason: Option<ExitReason>,
}

impl ChildError {
    pub(crate) fn new(child: &str, refusal: Refusal) -> Self {
        Self { child: child.to_owned(), refusal, reason: None }
    }
}

impl fmt::Display for ChildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "child `{}`: {}", self.child, self.refusal)?;
        match &self.reason {
            Some(reason) => write!(f, ": it {reason}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ChildError {}
