//! One file per framework, each in that framework's own idiom.

pub(crate) mod actix;
pub(crate) mod kameo;
pub(crate) mod mobula;
pub(crate) mod ractor;
pub(crate) mod tokio_mpsc;

use std::future::Future;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use crate::contender::{Executor, WORKERS};
use crate::error::BenchError;

/// Drives a future as a task of a fresh tokio runtime; the executor of all that build on tokio.
fn on_tokio<T, F>(executor: Executor, drive: F) -> Result<T, BenchError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, BenchError>> + Send + 'static,
{
    on_thread(move || {
        let runtime = runtime(executor)?;
        // A task, not the blocked thread itself, which would be a third worker.
        let outcome = runtime.block_on(async { tokio::spawn(drive).await });
        outcome.unwrap_or(Err(BenchError::DriverLost))
    })
}

/// Each run has a thread of its own, whoever is at play. A system of actix stays the current one of its thread; and the
/// allocator gives the main thread a heap that grows more cheaply than those of all others, arbiters among them.
fn on_thread<T: Send + 'static>(
    run: impl FnOnce() -> Result<T, BenchError> + Send + 'static,
) -> Result<T, BenchError> {
    std::thread::spawn(run).join().unwrap_or(Err(BenchError::DriverLost))
}

fn runtime(executor: Executor) -> Result<Runtime, BenchError> {
    let mut builder = match executor {
        Executor::Multi => Builder::new_multi_thread(),
        Executor::Arbiter => Builder::new_current_thread(),
    };
    builder.worker_threads(WORKERS).enable_time().build().map_err(BenchError::Executor)
}

/// Runs work as a task of the current tokio runtime.
async fn tokio_task<F>(work: F) -> Result<(), BenchError>
where
    F: Future<Output = Result<(), BenchError>> + Send + 'static,
{
    tokio::spawn(work).await.unwrap_or(Err(BenchError::DriverLost))
}

/// Drives a future on the one arbiter of a fresh actix system; `make` is called on its thread.
fn on_arbiter<T, F, D>(make: D) -> Result<T, BenchError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, BenchError>> + 'static,
    D: FnOnce() -> F + Send + 'static,
{
    on_thread(move || {
        ::actix::System::new().block_on(async {
            let (done, outcome) = oneshot::channel();
            let driver = make();
            ::actix::spawn(async move {
                // The receiver waits below for as long as the driver runs.
                let _ = done.send(driver.await);
            });
            outcome.await.unwrap_or(Err(BenchError::DriverLost))
        })
    })
}
