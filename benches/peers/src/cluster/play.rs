//! The patterns at work, each written once for all contenders, and each checked by what the far side counted.

use std::time::{Duration, Instant};

use super::caller::{Caller, Tally};
use super::measure::{per_second, percentile, sum_below, verify};
use super::pattern::FarPattern;
use crate::error::BenchError;

/// Questions under way at once.
const WINDOW: u64 = 64;
/// How long a far side that lost messages is asked for its tally, and how long one that has not all yet is waited for.
const TALLY_LIMIT: Duration = Duration::from_secs(5);

/// Runs `pattern` once; one figure per unit of the pattern.
pub(crate) async fn play<C: Caller>(
    caller: &C,
    pattern: FarPattern,
    load: u64,
) -> Result<Vec<f64>, BenchError> {
    match pattern {
        FarPattern::RemoteAsk => ask_sequential(caller, load).await,
        FarPattern::RemoteAsk64 => ask_in_flight(caller, load).await,
        FarPattern::RemoteTell => tell(caller, load).await,
        FarPattern::RemoteBurst => burst(caller, load).await,
        FarPattern::Object1Gib => {
            let took = caller.fetch(load).await?;
            Ok(vec![load as f64 / took.as_secs_f64() / 1e9])
        }
        FarPattern::ControlRoundTrip
        | FarPattern::RemoteTasks
        | FarPattern::Start
        | FarPattern::Idle
        | FarPattern::Crash => Err(BenchError::NothingToRun("only mobula has nodes like that")),
    }
}

async fn ask_sequential<C: Caller>(caller: &C, asks: u64) -> Result<Vec<f64>, BenchError> {
    for number in 0..asks / 5 {
        caller.ask(number).await?;
    }
    let warm = caller.tally().await?;
    let mut times = Vec::with_capacity(usize::try_from(asks).unwrap_or(0));
    let mut sum = warm.sum;
    for number in 0..asks {
        let begun = Instant::now();
        let answer = caller.ask(number).await?;
        times.push(begun.elapsed());
        sum += number;
        verify(sum, answer)?;
    }
    verify(warm.count + asks, caller.tally().await?.count)?;
    Ok(vec![percentile(&mut times, 50), percentile(&mut times, 99)])
}

async fn ask_in_flight<C: Caller>(caller: &C, asks: u64) -> Result<Vec<f64>, BenchError> {
    caller.ask_many(asks / 10, WINDOW).await?;
    let warm = caller.tally().await?;
    let begun = Instant::now();
    let sum = caller.ask_many(asks, WINDOW).await?;
    let took = begun.elapsed();
    let tally = caller.tally().await?;
    verify(asks / WINDOW * WINDOW, tally.count - warm.count)?;
    verify(sum, tally.sum - warm.sum)?;
    Ok(vec![per_second(asks / WINDOW * WINDOW, took)])
}

async fn tell<C: Caller>(caller: &C, tells: u64) -> Result<Vec<f64>, BenchError> {
    let mut number = 0;
    tell_waves(caller, tells / 10, &mut number).await?;
    let warm = number;
    let begun = Instant::now();
    tell_waves(caller, tells, &mut number).await?;
    let took = begun.elapsed();
    let tally = caller.tally().await?;
    verify(number, tally.count)?;
    verify(sum_below(number), tally.sum)?;
    verify(0, tally.misplaced)?;
    Ok(vec![per_second(number - warm, took)])
}

async fn tell_waves<C: Caller>(caller: &C, tells: u64, number: &mut u64) -> Result<(), BenchError> {
    for _ in 0..tells.div_ceil(C::WAVE) {
        for _ in 0..C::WAVE {
            caller.tell(*number).await?;
            *number += 1;
        }
        verify(*number, caller.tally().await?.count)?;
    }
    Ok(())
}

async fn burst<C: Caller>(caller: &C, tells: u64) -> Result<Vec<f64>, BenchError> {
    // Whoever connects late does so before the time is taken.
    caller.tally().await?;
    let begun = Instant::now();
    for number in 0..tells {
        match caller.tell(number).await {
            Err(error) if !C::MAY_LOSE => return Err(error),
            Err(_refused) => break,
            Ok(()) => {}
        }
    }
    let tally = settled(caller, tells).await?;
    let took = begun.elapsed();
    if !C::MAY_LOSE {
        verify(tells, tally.count)?;
        verify(0, tally.misplaced)?;
    }
    let in_order = tally.count - tally.misplaced.min(tally.count);
    let is_whole = in_order == tells;
    let rate = if is_whole { per_second(tells, took) } else { f64::NAN };
    Ok(vec![rate, in_order as f64 / tells as f64 * 100.0])
}

/// The tally when all has come, or nothing more comes.
async fn settled<C: Caller>(caller: &C, expected: u64) -> Result<Tally, BenchError> {
    if !C::MAY_LOSE {
        return caller.tally().await;
    }
    let mut known = Tally::default();
    let mut until = Instant::now() + TALLY_LIMIT;
    while Instant::now() < until && known.count < expected {
        match tokio::time::timeout(TALLY_LIMIT, caller.tally()).await {
            Ok(Ok(tally)) if tally.count > known.count => {
                known = tally;
                until = Instant::now() + TALLY_LIMIT;
            }
            Ok(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            Err(_elapsed) => {}
        }
    }
    Ok(known)
}
