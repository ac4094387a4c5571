//! The patterns of tasks, which mobula alone plays.
//!
//! A task adds one, so what is measured is the way there and back: submission, scheduling, the
//! compute thread, sealing the result and fetching it. Results are added up and checked.

use std::time::Instant;

use mobula::{ObjectRef, get};

use crate::error::BenchError;
use crate::pattern::Pattern;

/// Tasks of one batch.
const BATCH: u64 = 10_000;
/// Tasks of the chain.
const CHAIN: u64 = 1000;

#[mobula::task]
fn increment(number: u64) -> u64 {
    number + 1
}

/// Plays a pattern of tasks on the node that the running task belongs to.
pub(crate) async fn play(pattern: Pattern, load: u64) -> Result<Vec<f64>, BenchError> {
    let figure = match pattern {
        Pattern::TaskGetLatency => latency(load).await?,
        Pattern::TaskChain1000 => chain(load).await?,
        _ => batches(load).await?,
    };
    Ok(vec![figure])
}

async fn batches(count: u64) -> Result<f64, BenchError> {
    batch().await?;
    let begun = Instant::now();
    for _ in 0..count {
        batch().await?;
    }
    Ok((count * BATCH) as f64 / begun.elapsed().as_secs_f64())
}

async fn batch() -> Result<(), BenchError> {
    let results: Vec<ObjectRef<u64>> = (0..BATCH).map(increment::remote).collect();
    let numbers = get(&results).await.map_err(|failed| lost(&failed))?;
    verify(BATCH * (BATCH + 1) / 2, numbers.iter().map(|number| **number).sum())
}

/// The median of single round trips, in microseconds.
async fn latency(count: u64) -> Result<f64, BenchError> {
    let mut nanoseconds = Vec::new();
    for number in 0..count {
        let begun = Instant::now();
        let result = increment::remote(number).get().await.map_err(|failed| lost(&failed))?;
        nanoseconds.push(begun.elapsed().as_nanos());
        verify(number + 1, *result)?;
    }
    nanoseconds.sort_unstable();
    Ok(nanoseconds[nanoseconds.len() / 2] as f64 / 1e3)
}

/// The mean time of one chain, in milliseconds.
async fn chain(count: u64) -> Result<f64, BenchError> {
    link_up().await?;
    let begun = Instant::now();
    for _ in 0..count {
        link_up().await?;
    }
    Ok(begun.elapsed().as_secs_f64() * 1e3 / count as f64)
}

async fn link_up() -> Result<(), BenchError> {
    let mut last = increment::remote(0);
    for _ in 1..CHAIN {
        last = increment::remote(&last);
    }
    let result = last.get().await.map_err(|failed| lost(&failed))?;
    verify(CHAIN, *result)
}

fn lost(failed: &mobula::GetError) -> BenchError {
    BenchError::refused("get")(failed.to_string())
}

fn verify(expected: u64, got: u64) -> Result<(), BenchError> {
    if expected == got { Ok(()) } else { Err(BenchError::WrongSum { expected, got }) }
}
