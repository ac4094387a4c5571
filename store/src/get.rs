//! The value of one object, when it is there.
//!
//! A get keeps the object alive on its own: the reference it came from may be dropped while it runs.
//!
//! Invariant: a get leaves no waker behind; dropped early, it takes its registration back.

use std::{
    any::Any,
    fmt,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use crate::{
    error::GetError,
    hold::LocalHold,
    waiters::WaiterKey,
    waiting::{Waitable, Waiting},
};

/// A get under way; see [`ObjectRef::get`](crate::ObjectRef::get).
#[must_use = "a get does nothing until it is awaited, or called with `.blocking()`"]
pub struct Get<T: Any + Send + Sync> {
    waiting: Waiting<One<T>>,
}

impl<T: Any + Send + Sync> Get<T> {
    pub(crate) fn new(hold: LocalHold) -> Self {
        Self { waiting: Waiting::new(One { hold, key: None, value: PhantomData }) }
    }

    /// Waits no longer than `timeout`, counted from the first poll; zero only looks.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { waiting: self.waiting.limit(timeout) }
    }

    /// Waits on this thread, under the wall clock. For compute threads and programs outside an executor; an
    /// executor's own thread must await instead.
    ///
    /// # Errors
    /// As when awaited.
    pub fn blocking(self) -> Result<Arc<T>, GetError> {
        self.waiting.block()
    }
}

impl<T: Any + Send + Sync> Future for Get<T> {
    type Output = Result<Arc<T>, GetError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().waiting.poll(cx)
    }
}

impl<T: Any + Send + Sync> fmt::Debug for Get<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Get")
    }
}

/// One object, waited for.
struct One<T> {
    hold: LocalHold,
    key: Option<WaiterKey>,
    value: PhantomData<fn() -> T>,
}

impl<T: Any + Send + Sync> Waitable for One<T> {
    type Output = Result<Arc<T>, GetError>;

    fn look(&mut self) -> Option<Self::Output> {
        self.hold.entry().outcome()
    }

    fn register(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let entry = self.hold.entry();
        if self.key.is_none() && entry.spin() {
            return Poll::Ready(());
        }
        entry.poll_ready(&mut self.key, cx)
    }

    fn expired(&mut self, after: Duration) -> Self::Output {
        let entry = self.hold.entry();
        entry.outcome().unwrap_or(Err(GetError::Timeout { object: entry.id(), after }))
    }
}

impl<T> Drop for One<T> {
    fn drop(&mut self) {
        let entry = self.hold.entry();
        if let Some(key) = self.key.take()
            && !entry.is_ready()
        {
            entry.forget(key);
        }
    }
}
