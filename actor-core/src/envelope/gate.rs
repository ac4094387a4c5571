//! The promise of a message: its arguments are on their way.

use std::task::{Context, Poll};

use crate::arg::DependencyFailed;

/// A message whose arguments are on their way.
pub struct Gate<M>(pub(crate) GateFn<M>);

pub(crate) type GateFn<M> =
    Box<dyn FnMut(&mut Context<'_>) -> Poll<Result<M, DependencyFailed>> + Send>;

impl<M> Gate<M> {
    /// A gate that `poll` opens by giving the message.
    pub fn new(
        poll: impl FnMut(&mut Context<'_>) -> Poll<Result<M, DependencyFailed>> + Send + 'static,
    ) -> Self {
        Self(Box::new(poll))
    }
}

impl<M> std::fmt::Debug for Gate<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gate")
    }
}
