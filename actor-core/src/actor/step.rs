//! What handlers and hooks leave to do: nothing, or a future, boxed the way the actor's mode needs.

use std::fmt;
use std::future::Future;

use super::{Actor, BoxFuture, LocalBoxFuture, Mode};
use crate::exit::ErrorText;

/// What a handler left to do.
pub struct Step<'a, A: Actor>(pub(crate) Option<<A::Mode as Mode<A>>::Handling<'a>>);

impl<'a, A: Actor> Step<'a, A> {
    /// Nothing.
    #[must_use]
    pub const fn done() -> Self {
        Self(None)
    }

    /// This future.
    pub fn later<F>(future: F) -> Self
    where
        F: Future<Output = ()> + Send + 'a,
        A::Mode: Mode<A, Handling<'a> = BoxFuture<'a, ()>>,
    {
        Self(Some(Box::pin(future)))
    }

    /// This future, on the actor's own thread.
    pub fn later_local<F>(future: F) -> Self
    where
        F: Future<Output = ()> + 'a,
        A::Mode: Mode<A, Handling<'a> = LocalBoxFuture<'a, ()>>,
    {
        Self(Some(Box::pin(future)))
    }
}

impl<A: Actor> fmt::Debug for Step<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Step::later" } else { "Step::done" })
    }
}

/// What a lifecycle hook does.
pub struct Hook<'a, A: Actor>(pub(crate) HookStep<'a, A>);

pub(crate) enum HookStep<'a, A: Actor> {
    Done(Result<(), ErrorText>),
    Later(<A::Mode as Mode<A>>::Hooking<'a>),
}

impl<'a, A: Actor> Hook<'a, A> {
    /// Done, well.
    #[must_use]
    pub const fn done() -> Self {
        Self(HookStep::Done(Ok(())))
    }

    /// Done, with this result.
    #[must_use]
    pub const fn from_result(result: Result<(), ErrorText>) -> Self {
        Self(HookStep::Done(result))
    }

    /// Done when this future is.
    pub fn later<F>(future: F) -> Self
    where
        F: Future<Output = Result<(), ErrorText>> + Send + 'a,
        A::Mode: Mode<A, Hooking<'a> = BoxFuture<'a, Result<(), ErrorText>>>,
    {
        let boxed: BoxFuture<'a, Result<(), ErrorText>> = Box::pin(future);
        Self(HookStep::Later(boxed))
    }

    /// Done when this future is, on the actor's own thread.
    pub fn later_local<F>(future: F) -> Self
    where
        F: Future<Output = Result<(), ErrorText>> + 'a,
        A::Mode: Mode<A, Hooking<'a> = LocalBoxFuture<'a, Result<(), ErrorText>>>,
    {
        let boxed: LocalBoxFuture<'a, Result<(), ErrorText>> = Box::pin(future);
        Self(HookStep::Later(boxed))
    }
}

impl<A: Actor> fmt::Debug for Hook<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}
