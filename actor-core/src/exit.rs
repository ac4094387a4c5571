//! Why an actor ended.
//!
//! A reason is a value that travels: to monitors, along links, to the supervisor, into errors of callers.
//! The one question that decides a restart is OTP's: *abnormal* is everything but `Normal` and `Shutdown`.
//!
//! Pure: no clock, no I/O, no tasks.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::denied::Denied;
use crate::id::{ActorId, NodeId};

/// Why an actor ended. See OTP, `supervisor(3)`, "Restart Strategy": only `Normal` and `Shutdown` are
/// normal ends, for which a transient child is not restarted.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ExitReason {
    /// The actor ended by itself, or its last reference went.
    Normal,
    /// A supervisor, an owner or the node asked it to stop.
    Shutdown,
    /// It was killed: no hook ran, what was running was dropped at its await.
    Killed,
    /// A handler, a hook or the constructor panicked.
    Panic(Arc<PanicReport>),
    /// The constructor or `started` returned an error; the actor never served.
    StartFailed(ErrorText),
    /// The actor gave itself up with an error (`ctx.fail`).
    Failed(ErrorText),
    /// An actor it was linked to ended abnormally.
    Linked {
        /// The actor that ended first.
        from: ActorId,
        /// Why that one ended.
        reason: Arc<Self>,
    },
    /// Its supervisor gave up: more restarts than the intensity allows.
    Escalated {
        /// The child whose end was one too many.
        child: String,
        /// Why that child ended.
        reason: Arc<Self>,
    },
    /// The name it was started under belongs to a living actor.
    NameTaken(String),
    /// A monitor or link was set on an actor that is already gone.
    NoActor,
    /// Its node did not let this one start it, or hold it.
    Denied(Denied),
    /// Its node cannot be reached any more. No proof of death: should the node come back in the same life, the
    /// actor's references work again.
    NodeDown(NodeId),
}

impl ExitReason {
    /// Whether OTP calls this end abnormal: everything but [`Normal`](Self::Normal) and
    /// [`Shutdown`](Self::Shutdown).
    #[must_use]
    pub const fn is_abnormal(&self) -> bool {
        !matches!(self, Self::Normal | Self::Shutdown)
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("ended normally"),
            Self::Shutdown => f.write_str("was shut down"),
            Self::Killed => f.write_str("was killed"),
            Self::Panic(report) => write!(f, "panicked: {report}"),
            Self::StartFailed(error) => write!(f, "failed to start: {error}"),
            Self::Failed(error) => write!(f, "failed: {error}"),
            Self::Linked { from, reason } => write!(f, "linked actor {from} {reason}"),
            Self::Escalated { child, reason } => {
                write!(f, "gave up on child `{child}`, which {reason}")
            }
            Self::NameTaken(name) => write!(f, "name `{name}` is already taken"),
            Self::NoActor => f.write_str("was already gone"),
            Self::Denied(denied) => write!(f, "was not to be had: {denied}"),
            Self::NodeDown(node) => write!(f, "was lost with node {node}"),
        }
    }
}

/// What a panic said, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PanicReport {
    /// The panic's text; "a panic without text" for a payload that is no string.
    pub message: String,
    /// `file:line:column` of the panic, where the hook saw it.
    pub location: Option<String>,
    /// The message whose handler panicked; `None` in a constructor or hook.
    pub while_handling: Option<Cow<'static, str>>,
}

impl PanicReport {
    /// The end of whoever panicked while it handled this message, if it handled one.
    pub(crate) fn during(self, message: Option<&'static str>) -> ExitReason {
        let while_handling = message.map(Into::into);
        ExitReason::Panic(Arc::new(Self { while_handling, ..self }))
    }
}

impl fmt::Display for PanicReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(location) = &self.location {
            write!(f, " at {location}")?;
        }
        if let Some(message) = &self.while_handling {
            write!(f, " (while handling `{message}`)")?;
        }
        Ok(())
    }
}

/// An error that can be shown anywhere: its text with the whole chain of causes, and the error itself.
#[derive(Clone)]
pub struct ErrorText {
    text: Arc<str>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl ErrorText {
    /// Keeps `error` and writes down its chain, each cause after a colon.
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let error: Box<dyn Error + Send + Sync> = error.into();
        Self { text: chain_text(error.as_ref()).into(), source: Some(Arc::from(error)) }
    }

    /// Text alone.
    #[must_use]
    pub fn from_text(text: impl Into<String>) -> Self {
        Self { text: text.into().into(), source: None }
    }

    /// The text with all causes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The error itself, for a downcast; `None` if only text was given.
    #[must_use]
    pub fn error(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        self.source.as_deref()
    }
}

/// Writes an error and its causes as one line, leaving out a cause that the text before it repeats.
#[must_use]
pub fn chain_text(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

/// Travels as its text: the error itself stays where it happened.
impl Serialize for ErrorText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for ErrorText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from_text)
    }
}

impl fmt::Display for ErrorText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for ErrorText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ErrorText({})", self.text)
    }
}
