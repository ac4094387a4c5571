//! Ends that were asked for: stops and kills under way.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;

use crate::exit::ExitReason;
use crate::handle::ActorHandle;

/// A stop or kill under way; await it for the end and its reason.
#[must_use = "the request stands; `.await` it to wait for the end, or drop it knowingly"]
pub struct Closing {
    handle: ActorHandle,
}

impl Closing {
    pub(crate) const fn new(handle: ActorHandle) -> Self {
        Self { handle }
    }
}

impl fmt::Debug for Closing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Closing")
    }
}

impl IntoFuture for Closing {
    type Output = Result<ExitReason, std::convert::Infallible>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.handle.closed().await) })
    }
}

/// A kill, sent when this is awaited or dropped.
#[must_use = "`.await` it to wait for the end, or drop it knowingly"]
pub struct Kill {
    pub(crate) handle: Option<ActorHandle>,
}

impl Kill {
    /// Kills as a crash would: a supervised or restartable actor may be started again
    /// (`ray.kill(no_restart=False)`).
    pub fn restart(mut self) {
        if let Some(handle) = self.handle.take() {
            handle.exit(ExitReason::Killed);
        }
    }
}

impl Drop for Kill {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            handle.kill();
        }
    }
}

impl fmt::Debug for Kill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kill")
    }
}

impl IntoFuture for Kill {
    type Output = Result<ExitReason, std::convert::Infallible>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(mut self) -> Self::IntoFuture {
        let handle = self.handle.take();
        if let Some(handle) = &handle {
            handle.kill();
        }
        Box::pin(async move {
            Ok(match handle {
                Some(handle) => handle.closed().await,
                None => ExitReason::NoActor,
            })
        })
    }
}
