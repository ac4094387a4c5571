//! Arguments that may not be there yet.
//!
//! A parameter `T` takes a `T`, or something that becomes a `T` later: a reference to an object. Who
//! resolves it, and how, the floor does not know; it sees a value, or a port that is polled until the
//! value comes. So typed calls here and tasks above share one rule for arguments.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Whatever can be given for a parameter of type `T`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be given for a parameter of type `{T}`",
    note = "a parameter `T` takes a `T`, an `ObjectRef<T>` or a `&ObjectRef<T>` (then `T: Clone`); `Arc<T>` shares the object without a copy"
)]
pub trait IntoArg<T> {
    /// Turns `self` into a value or a promise of one.
    fn into_arg(self) -> Arg<T>;
}

impl<T> IntoArg<T> for T {
    fn into_arg(self) -> Arg<T> {
        Arg::Ready(self)
    }
}

/// An argument: there, or on its way.
pub enum Arg<T> {
    /// The value.
    Ready(T),
    /// A port that will give the value.
    Later(Box<dyn Resolve<T>>),
}

impl<T> Arg<T> {
    /// Polls for the value; keeps it until [`take`](Self::take).
    ///
    /// # Errors
    /// [`DependencyFailed`] if what should have made the value failed.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), DependencyFailed>> {
        let Self::Later(resolve) = self else {
            return Poll::Ready(Ok(()));
        };
        match resolve.poll_resolve(cx) {
            Poll::Ready(Ok(value)) => {
                *self = Self::Ready(value);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// The value, once [`poll_ready`](Self::poll_ready) said so; `None` before.
    #[must_use]
    pub fn take(self) -> Option<T> {
        match self {
            Self::Ready(value) => Some(value),
            Self::Later(_) => None,
        }
    }
}

impl<T> fmt::Debug for Arg<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ready(_) => "Arg::Ready",
            Self::Later(_) => "Arg::Later",
        })
    }
}

/// A port to a value that comes later; the rooms above implement it for their references.
pub trait Resolve<T>: Send {
    /// Gives the value once it is there and wakes `cx` otherwise. Not polled again after `Ready`.
    fn poll_resolve(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, DependencyFailed>>;

    /// The thing waited for, in the room's own type, so that a scheduler may register with it directly.
    fn dependency(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        None
    }
}

/// What an argument was to come from has failed; the call it was for does not run.
#[derive(Clone)]
pub struct DependencyFailed {
    /// What failed and why, with its chain of causes.
    pub text: String,
    /// The failure itself.
    pub source: Arc<dyn Error + Send + Sync>,
}

/// Travels as its text: the failure itself stays where it happened.
impl Serialize for DependencyFailed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for DependencyFailed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let source: Box<dyn Error + Send + Sync> = text.clone().into();
        Ok(Self { text, source: source.into() })
    }
}

impl fmt::Display for DependencyFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an argument could not be made: {}", self.text)
    }
}

impl fmt::Debug for DependencyFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for DependencyFailed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.source.as_ref())
    }
}

/// Arguments of a call as a tuple of [`Arg`]s: resolved together, taken together.
pub trait Args: Send + 'static {
    /// The tuple of values.
    type Values: Send + 'static;

    /// Polls every argument that is not there yet.
    ///
    /// # Errors
    /// The first [`DependencyFailed`] found.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), DependencyFailed>>;

    /// Whether every value is there.
    fn is_ready(&self) -> bool;

    /// The values, if all are there; else the arguments back.
    ///
    /// # Errors
    /// `self`, unchanged, when a value is still missing.
    fn try_take(self) -> Result<Self::Values, Self>
    where
        Self: Sized;
}

macro_rules! args_for_tuple {
    ($($name:ident),*) => {
        #[allow(non_snake_case, reason = "type parameters, where there are any, double as the names of the fields")]
        impl<$($name: Send + 'static),*> Args for ($(Arg<$name>,)*) {
            type Values = ($($name,)*);

            fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), DependencyFailed>> {
                let ($($name,)*) = self;
                #[allow(unused_mut, reason = "a call without arguments has nothing to wait for")]
                let mut pending = false;
                $(match $name.poll_ready(_cx) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => pending = true,
                })*
                if pending { Poll::Pending } else { Poll::Ready(Ok(())) }
            }

            fn is_ready(&self) -> bool {
                let ($($name,)*) = self;
                true $(&& matches!($name, Arg::Ready(_)))*
            }

            fn try_take(self) -> Result<Self::Values, Self> {
                match self {
                    ($(Arg::Ready($name),)*) => Ok(($($name,)*)),
                    #[allow(unreachable_patterns, reason = "a call without arguments is always ready")]
                    other => Err(other),
                }
            }
        }
    };
}

args_for_tuple!();
args_for_tuple!(A);
args_for_tuple!(A, B);
args_for_tuple!(A, B, C);
args_for_tuple!(A, B, C, D);
args_for_tuple!(A, B, C, D, E);
args_for_tuple!(A, B, C, D, E, F);
args_for_tuple!(A, B, C, D, E, F, G);
args_for_tuple!(A, B, C, D, E, F, G, H);
