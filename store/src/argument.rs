//! References as arguments: a parameter `T` takes an `ObjectRef<T>`, and the value is there when the body runs.
//!
//! A submitted task needs its arguments whether or not the caller keeps its references, so an argument pins its
//! object, counted as *submitted*. A parameter `Arc<T>` shares the object's value; a parameter `T` gets a clone,
//! or the value itself when nobody else can see it any more.

use std::{
    any::Any,
    sync::Arc,
    task::{Context, Poll, ready},
};

use mobula_actor_core::{Arg, DependencyFailed, IntoArg, Resolve, chain_text};

use crate::{
    entry::Entry, error::GetError, hold::ArgPin, object_ref::ObjectRef, waiters::WaiterKey,
};

/// One argument that is an object.
struct Argument {
    /// `None` once it was resolved.
    pin: Option<Arc<ArgPin>>,
    key: Option<WaiterKey>,
}

impl Argument {
    fn new<T>(reference: &ObjectRef<T>) -> Self {
        Self { pin: Some(Arc::new(ArgPin::new(reference.hold().entry()))), key: None }
    }

    /// The shared value; the pin is let go, so that a sole owner can be recognised.
    fn poll_shared<T: Any + Send + Sync>(
        &mut self,
        cx: &Context<'_>,
    ) -> Poll<Result<Arc<T>, DependencyFailed>> {
        let Some(pin) = &self.pin else {
            return Poll::Pending;
        };
        let entry: &Entry = pin.entry();
        ready!(entry.poll_ready(&mut self.key, cx));
        self.key = None;
        let outcome = entry.outcome().unwrap_or(Err(GetError::Freed { object: entry.id() }));
        self.pin = None;
        Poll::Ready(outcome.map_err(dependency_failed))
    }
}

impl Drop for Argument {
    fn drop(&mut self) {
        if let (Some(pin), Some(key)) = (&self.pin, self.key.take()) {
            pin.entry().forget(key);
        }
    }
}

fn dependency_failed(error: GetError) -> DependencyFailed {
    DependencyFailed { text: chain_text(&error), source: Arc::new(error) }
}

struct Owned(Argument);
struct Shared(Argument);

impl<T: Any + Clone + Send + Sync> Resolve<T> for Owned {
    fn poll_resolve(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, DependencyFailed>> {
        self.0.poll_shared(cx).map_ok(Arc::unwrap_or_clone)
    }

    /// An [`ArgPin`].
    fn dependency(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        self.0.pin.clone().map(|pin| pin as Arc<dyn Any + Send + Sync>)
    }
}

impl<T: Any + Send + Sync> Resolve<Arc<T>> for Shared {
    fn poll_resolve(&mut self, cx: &mut Context<'_>) -> Poll<Result<Arc<T>, DependencyFailed>> {
        self.0.poll_shared(cx)
    }

    /// An [`ArgPin`].
    fn dependency(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        self.0.pin.clone().map(|pin| pin as Arc<dyn Any + Send + Sync>)
    }
}

impl<T: Any + Clone + Send + Sync> IntoArg<T> for ObjectRef<T> {
    fn into_arg(self) -> Arg<T> {
        Arg::Later(Box::new(Owned(Argument::new(&self))))
    }
}

impl<T: Any + Clone + Send + Sync> IntoArg<T> for &ObjectRef<T> {
    fn into_arg(self) -> Arg<T> {
        Arg::Later(Box::new(Owned(Argument::new(self))))
    }
}

impl<T: Any + Send + Sync> IntoArg<Arc<T>> for ObjectRef<T> {
    fn into_arg(self) -> Arg<Arc<T>> {
        Arg::Later(Box::new(Shared(Argument::new(&self))))
    }
}

impl<T: Any + Send + Sync> IntoArg<Arc<T>> for &ObjectRef<T> {
    fn into_arg(self) -> Arg<Arc<T>> {
        Arg::Later(Box::new(Shared(Argument::new(self))))
    }
}

/// A parameter that is itself a reference takes a borrowed one, too.
impl<T> IntoArg<ObjectRef<T>> for &ObjectRef<T> {
    fn into_arg(self) -> Arg<ObjectRef<T>> {
        Arg::Ready(self.clone())
    }
}
