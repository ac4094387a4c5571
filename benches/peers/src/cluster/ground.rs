//! What both processes of a run stand on: the same runtime for everybody, and how a far side says where it is.

use std::future::Future;
use std::io::Write as _;

use crate::contender::WORKERS;
use crate::error::BenchError;

/// Drives a future as a task of a fresh runtime, with as many workers for everybody.
pub(crate) fn on_workers<T: Send + 'static>(
    work: impl Future<Output = Result<T, BenchError>> + Send + 'static,
) -> Result<T, BenchError> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(WORKERS).enable_all().build();
    let runtime = runtime.map_err(BenchError::Executor)?;
    let outcome = runtime.block_on(async { tokio::spawn(work).await });
    runtime.shutdown_background();
    outcome.unwrap_or(Err(BenchError::DriverLost))
}

/// Says where the far side is called, and ends with standard input, which the referee closes.
pub(crate) async fn serve_at(address: &str) -> Result<(), BenchError> {
    {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{address}")?;
        out.flush()?;
    }
    let closed = tokio::task::spawn_blocking(|| std::io::stdin().lines().next());
    closed.await.map(drop).map_err(|_panicked| BenchError::DriverLost)
}
