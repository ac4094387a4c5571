//! How a task ended without a result.
//!
//! The error is stored in the place of the value and read by everybody who asks for it, so it is cheap to
//! clone; and it goes down the graph to every dependent, so it must not grow with the graph's depth.
//! A dependent of a dependent therefore points at the original failure, not at its predecessor's.
//!
//! Invariant: the cause inside [`TaskError::DependencyFailed`] is never itself a `DependencyFailed`.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use mobula_actor_core::{DependencyFailed, ExitReason};

use crate::{error::GetError, object_id::ObjectId};

/// How a task is called in errors: its name and id, as `multiply a17`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TaskLabel(Arc<str>);

impl TaskLabel {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<S: Into<Arc<str>>> From<S> for TaskLabel {
    fn from(text: S) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for TaskLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TaskLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Why a task, or a call whose result is an object, has no result.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TaskError {
    /// The body returned an error of the user's. Look at it with [`user`](TaskError::user).
    UserError {
        /// The task.
        task: TaskLabel,
        /// The error's text with its causes.
        text: Arc<str>,
        /// The error itself.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The body panicked. The node lives on; mend the body.
    Panicked {
        /// The task.
        task: TaskLabel,
        /// What the panic said.
        message: Arc<str>,
        /// Where, as file, line and column, if known.
        location: Option<Arc<str>>,
    },
    /// Somebody cancelled the task. Whether it had begun shows in its effects only. Submit it again if its result is still
    /// wanted.
    Cancelled {
        /// The task.
        task: TaskLabel,
    },
    /// The task went missing with what ran it, retries included. Submit it again if it is safe to run twice.
    Lost {
        /// The task.
        task: TaskLabel,
        /// The node it was on, if it was on another one.
        node: Option<Arc<str>>,
        /// Which attempt it was, counted from 1.
        attempt: u32,
        /// What happened.
        text: Arc<str>,
    },
    /// An argument could not be made, so the body never ran. See to the cause.
    DependencyFailed {
        /// The task that did not run.
        task: TaskLabel,
        /// The original failure.
        cause: Arc<Self>,
    },
    /// An argument was freed by hand, so the body never ran. Free an object only after its last use.
    ArgumentFreed {
        /// The task that did not run.
        task: TaskLabel,
        /// The object.
        object: ObjectId,
    },
    /// An argument was lost with the node that kept it, or with its last copy, so the body never ran. Make it anew.
    ArgumentLost {
        /// The task that did not run.
        task: TaskLabel,
        /// The object.
        object: ObjectId,
        /// How it was lost.
        text: Arc<str>,
    },
    /// No node that may run it has this function, with this version and signature. Start one whose program contains it, or
    /// give all nodes the same build.
    NoProvider {
        /// The task.
        task: TaskLabel,
        /// The nodes that were looked at, and what they have instead.
        seen: Arc<str>,
    },
    /// The node that was to run it does not let this one submit tasks. Nothing ran. Ask for another certificate.
    Denied {
        /// The task.
        task: TaskLabel,
        /// Who refused, and which capability is missing.
        text: Arc<str>,
    },
    /// The placement group that the task was to run in, or the bundle of it, is not there: it was removed, or lost with a
    /// node, or the node that asked for the group cannot be reached. The task did not begin, or ended with the group. Ask
    /// for another group.
    GroupGone {
        /// The task.
        task: TaskLabel,
        /// Which group, and what became of it.
        text: Arc<str>,
    },
    /// No node will ever have what the task asks for. Ask for less, or add a node.
    Infeasible {
        /// The task.
        task: TaskLabel,
        /// What was asked for and what there is.
        text: Arc<str>,
    },
    /// The task was not accepted: its options make no sense. Nothing ran. Mend the options.
    Invalid {
        /// The task.
        task: TaskLabel,
        /// What is wrong with which option.
        text: Arc<str>,
    },
    /// The task was not accepted: too many are unfinished. Nothing ran. Wait for some and submit it again.
    QueueFull {
        /// The task.
        task: TaskLabel,
        /// How many may be unfinished.
        limit: usize,
    },
    /// The task was not done in the time it was given. Its body may have begun. Give it more, or let it do less.
    TimedOut {
        /// The task.
        task: TaskLabel,
        /// How long it was given.
        after: Duration,
    },
    /// The actor ended before it answered; whether it had begun shows in its effects only. Call again if it was restarted
    /// and what it does may happen twice, or start another.
    ActorDied {
        /// The call.
        task: TaskLabel,
        /// Why the actor ended.
        reason: ExitReason,
    },
    /// The result is larger than the whole store. Return less, or raise the capacity.
    StoreFull {
        /// The task.
        task: TaskLabel,
        /// The size of the result.
        bytes: u64,
        /// What the store may hold.
        capacity_bytes: u64,
    },
}

impl TaskError {
    /// The body of `task` returned `error`.
    pub fn user_error(
        task: impl Into<TaskLabel>,
        error: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        let source: Arc<dyn Error + Send + Sync> = Arc::from(error.into());
        let text = super::Chain(source.as_ref()).to_string().into();
        Self::UserError { task: task.into(), text, source }
    }

    /// `task` did not run because `cause` befell an argument of it.
    pub fn dependency(task: impl Into<TaskLabel>, cause: &Self) -> Self {
        let cause = match cause {
            Self::DependencyFailed { cause, .. } => Arc::clone(cause),
            cause => Arc::new(cause.clone()),
        };
        Self::DependencyFailed { task: task.into(), cause }
    }

    /// `task` did not run because an argument of it could not be resolved.
    pub fn from_dependency(task: impl Into<TaskLabel>, failed: &DependencyFailed) -> Self {
        let source: &(dyn Error + Send + Sync + 'static) = failed.source.as_ref();
        match source.downcast_ref::<GetError>() {
            Some(GetError::Task(cause)) => Self::dependency(task, cause),
            Some(GetError::Freed { object }) => {
                Self::ArgumentFreed { task: task.into(), object: *object }
            }
            Some(
                error @ (GetError::OwnerDied { object, .. }
                | GetError::Lost { object, .. }
                | GetError::Unreadable { object, .. }),
            ) => Self::ArgumentLost {
                task: task.into(),
                object: *object,
                text: error.to_string().into(),
            },
            Some(GetError::Timeout { .. }) | None => {
                let cause = Self::UserError {
                    task: TaskLabel::from("an argument"),
                    text: failed.text.as_str().into(),
                    source: Arc::clone(&failed.source),
                };
                Self::dependency(task, &cause)
            }
        }
    }

    /// The task that has no result.
    #[must_use]
    pub const fn label(&self) -> &TaskLabel {
        match self {
            Self::UserError { task, .. }
            | Self::Panicked { task, .. }
            | Self::Cancelled { task }
            | Self::Lost { task, .. }
            | Self::DependencyFailed { task, .. }
            | Self::ArgumentFreed { task, .. }
            | Self::ArgumentLost { task, .. }
            | Self::NoProvider { task, .. }
            | Self::Denied { task, .. }
            | Self::GroupGone { task, .. }
            | Self::Infeasible { task, .. }
            | Self::Invalid { task, .. }
            | Self::QueueFull { task, .. }
            | Self::TimedOut { task, .. }
            | Self::ActorDied { task, .. }
            | Self::StoreFull { task, .. } => task,
        }
    }

    /// The failure that all began with: itself, unless an argument failed.
    #[must_use]
    pub fn root(&self) -> &Self {
        match self {
            Self::DependencyFailed { cause, .. } => cause.root(),
            other => other,
        }
    }

    /// The user's own error of type `E`, if the original failure is one.
    ///
    /// # Examples
    /// ```
    /// use mobula_store::TaskError;
    /// let error = TaskError::user_error("parse a3", "x".parse::<u8>().unwrap_err());
    /// assert!(error.user::<std::num::ParseIntError>().is_some());
    /// ```
    #[must_use]
    pub fn user<E: Error + 'static>(&self) -> Option<&E> {
        match self.root() {
            Self::UserError { source, .. } => {
                let source: &(dyn Error + Send + Sync + 'static) = source.as_ref();
                source.downcast_ref()
            }
            _other_failures_hold_no_user_error => None,
        }
    }

    /// Whether somebody cancelled this task itself.
    #[must_use]
    pub const fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled { .. })
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UserError { task, text, .. } => write!(f, "task `{task}` failed: {text}"),
            Self::Panicked { task, message, location } => {
                write!(f, "task `{task}` panicked: {message}")?;
                location.iter().try_for_each(|location| write!(f, " at {location}"))
            }
            Self::Cancelled { task } => write!(
                f,
                "task `{task}` was cancelled; submit it again if its result is still wanted"
            ),
            Self::Lost { task, node, attempt, text } => {
                write!(f, "task `{task}` was lost in attempt {attempt}")?;
                node.iter().try_for_each(|node| write!(f, " on node {node}"))?;
                write!(f, ": {text}")
            }
            Self::DependencyFailed { task, cause } => {
                write!(f, "task `{task}` did not run because an argument failed: {cause}")
            }
            Self::ArgumentFreed { task, object } => write!(
                f,
                "task `{task}` did not run because its argument, object {object}, was freed; \
                 free an object only after its last use"
            ),
            Self::ArgumentLost { task, text, .. } => {
                write!(f, "task `{task}` did not run because an argument was lost: {text}")
            }
            Self::NoProvider { task, seen } => write!(
                f,
                "no node provides the function of task `{task}`: {seen}; start one that does"
            ),
            // Who refused says, too, what to ask for.
            Self::Denied { task, text } => write!(f, "task `{task}` was not let in: {text}"),
            Self::GroupGone { task, text } => {
                write!(f, "task `{task}` has no placement group: {text}")
            }
            Self::Infeasible { task, text } => write!(f, "task `{task}` can never run: {text}"),
            Self::Invalid { task, text } => write!(f, "task `{task}` was not accepted: {text}"),
            Self::QueueFull { task, limit } => write!(
                f,
                "task `{task}` was not accepted: {limit} tasks are unfinished, which is the limit; \
                 wait for some before submitting more"
            ),
            Self::TimedOut { task, after } => write!(
                f,
                "task `{task}` was not done within {after:?}; give it more with `.timeout(..)`, \
                 or let it do less"
            ),
            Self::ActorDied { task, reason } => write!(
                f,
                "call `{task}` has no result: its actor {reason}; call again if it was restarted \
                 and this may happen twice, or start another"
            ),
            Self::StoreFull { task, bytes, capacity_bytes } => write!(
                f,
                "the result of task `{task}` has {bytes} bytes, more than the store's \
                 {capacity_bytes}; return less, or raise the capacity"
            ),
        }
    }
}

impl Error for TaskError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::UserError { source, .. } => Some(source.as_ref()),
            Self::DependencyFailed { cause, .. } => Some(cause.as_ref()),
            _other_failures_begin_here => None,
        }
    }
}
