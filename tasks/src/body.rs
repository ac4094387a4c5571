//! The body of one attempt: a plain call for a compute thread, or a future for the executor.
//!
//! A computation on an executor thread stalls every actor that shares it, and a future on a compute
//! thread holds the thread while it only waits. So each body says which of the two it is.

use std::{fmt, future::Future, pin::Pin};

use crate::error::UserError;

/// What one attempt will run; made by [`TaskFunction::run`](crate::TaskFunction::run).
pub struct Body<T>(pub(crate) BodyKind<T>);

pub(crate) enum BodyKind<T> {
    Call(Box<dyn FnOnce() -> Result<T, UserError> + Send>),
    Future(BodyFuture<T>),
}

pub(crate) type BodyFuture<T> = Pin<Box<dyn Future<Output = Result<T, UserError>> + Send>>;

impl<T> Body<T> {
    /// A plain call; it runs on a compute thread.
    #[must_use]
    pub fn sync(call: impl FnOnce() -> Result<T, UserError> + Send + 'static) -> Self {
        Self(BodyKind::Call(Box::new(call)))
    }

    /// A future; it runs on the executor, and cancelling the task drops it at its await.
    #[must_use]
    pub fn future(future: impl Future<Output = Result<T, UserError>> + Send + 'static) -> Self {
        Self(BodyKind::Future(Box::pin(future)))
    }
}

impl<T> fmt::Debug for Body<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            BodyKind::Call(_) => "Body::sync",
            BodyKind::Future(_) => "Body::future",
        })
    }
}
