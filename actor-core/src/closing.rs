//! Ends that were asked for: stops and kills under way.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;

use tokio::sync::oneshot;

use crate::denied::Denied;
use crate::exit::ExitReason;
use crate::handle::ActorHandle;

/// A stop or kill under way; await it for the end and its reason, or for the word that the actor's node does not let this
/// one end it ([`Denied`]; on one node that never happens).
#[must_use = "the request stands; `.await` it to wait for the end, or drop it knowingly"]
pub struct Closing {
    handle: ActorHandle,
    end: Option<End>,
}

/// What is told of the end.
type End = oneshot::Receiver<Result<ExitReason, Denied>>;

impl Closing {
    /// Asks for the end.
    pub(crate) fn new(handle: ActorHandle, reason: ExitReason) -> Self {
        // An actor elsewhere may refuse, and whoever waits must not come too late to hear it.
        let end = handle.is_stand_in().then(|| handle.expect_end());
        handle.request_stop(reason);
        Self { handle, end }
    }
}

async fn told(end: End) -> Result<ExitReason, Denied> {
    end.await.unwrap_or(Ok(ExitReason::NoActor))
}

impl fmt::Debug for Closing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Closing")
    }
}

impl IntoFuture for Closing {
    type Output = Result<ExitReason, Denied>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let end = self.end.unwrap_or_else(|| self.handle.expect_end());
        Box::pin(told(end))
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
    type Output = Result<ExitReason, Denied>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(mut self) -> Self::IntoFuture {
        let end = self.handle.take().map(|handle| {
            let end = handle.expect_end();
            handle.kill();
            end
        });
        Box::pin(async move {
            match end {
                Some(end) => told(end).await,
                None => Ok(ExitReason::NoActor),
            }
        })
    }
}
