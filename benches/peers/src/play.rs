//! The patterns at work, each written once for all contenders.
//!
//! Every pattern warms its actors up, takes the time of a fixed amount of work, and checks the sum
//! that the handlers counted, so that nobody is fast by skipping work.

use std::time::{Duration, Instant};

use crate::contender::{Contender, crowd};
use crate::error::BenchError;
use crate::latch::Gate;
use crate::memory;
use crate::pattern::Pattern;

/// Tells between two answers, of all senders together.
const WAVE: u64 = 10_000;
/// Asking tasks of `ask_64_in_flight`.
const ASKERS: u64 = 64;
/// Actors of the ring.
const RING: usize = 1000;
/// Receivers of a fan-out.
const CROWD: usize = 10_000;

/// Runs `pattern` once on a started executor; one figure per unit of the pattern.
pub(crate) async fn play<C: Contender>(
    lab: C,
    pattern: Pattern,
    load: u64,
) -> Result<Vec<f64>, BenchError> {
    match pattern {
        Pattern::Tell1To1 => tell(&lab, 1, load).await,
        Pattern::Tell4To1 => tell(&lab, 4, load).await,
        Pattern::AskSequential => ask_sequential(&lab, load).await,
        Pattern::Ask64InFlight => ask_in_flight(&lab, load).await,
        Pattern::PingPong => ring(&lab, 2, load).await,
        Pattern::Ring1000 => ring(&lab, RING, load).await,
        Pattern::FanOut10000 => fan_out(&lab, load).await,
        Pattern::SpawnStop100000 => spawn_stop(&lab, load).await,
        Pattern::BytesPerActor => memory::weigh(&lab, load).await,
        Pattern::TasksBatch10000 | Pattern::TaskGetLatency | Pattern::TaskChain1000 => {
            Err(BenchError::NothingToRun("actors have no pattern of tasks"))
        }
    }
}

async fn tell<C: Contender>(lab: &C, senders: u64, messages: u64) -> Result<Vec<f64>, BenchError> {
    let counter = lab.spawn_counter().await?;
    let wave = WAVE / senders;
    let waves = messages / WAVE;
    let warmed = tell_all::<C>(lab, &counter, senders, waves.div_ceil(10), wave).await?;
    let begun = Instant::now();
    let total = tell_all::<C>(lab, &counter, senders, waves, wave).await?;
    let took = begun.elapsed();
    verify(senders * waves * sum_below(wave), total - warmed)?;
    Ok(vec![per_second(senders * waves * wave, took)])
}

/// Sends waves of `0..wave` from each sender and returns the counter's total afterwards.
async fn tell_all<C: Contender>(
    lab: &C,
    counter: &C::Counter,
    senders: u64,
    waves: u64,
    wave: u64,
) -> Result<u64, BenchError> {
    if senders == 1 {
        tell_waves::<C>(counter, waves, wave).await?;
    } else {
        at_once(lab, senders, |_| {
            let counter = counter.clone();
            async move { tell_waves::<C>(&counter, waves, wave).await }
        })
        .await?;
    }
    C::ask(counter, 0).await
}

/// One sender's part. An answer after each wave keeps the queues of contenders without a bound
/// from growing into fresh memory, whose page faults would be all that is measured.
async fn tell_waves<C: Contender>(
    counter: &C::Counter,
    waves: u64,
    wave: u64,
) -> Result<(), BenchError> {
    for _ in 0..waves {
        for amount in 0..wave {
            C::tell(counter, amount).await?;
        }
        C::ask(counter, 0).await?;
    }
    Ok(())
}

async fn ask_sequential<C: Contender>(lab: &C, asks: u64) -> Result<Vec<f64>, BenchError> {
    let counter = lab.spawn_counter().await?;
    for _ in 0..asks / 10 {
        C::ask(&counter, 0).await?;
    }
    let begun = Instant::now();
    let mut total = 0;
    for amount in 0..asks {
        total = C::ask(&counter, amount).await?;
    }
    let took = begun.elapsed();
    verify(sum_below(asks), total)?;
    Ok(vec![nanoseconds_each(asks, took)])
}

async fn ask_in_flight<C: Contender>(lab: &C, asks: u64) -> Result<Vec<f64>, BenchError> {
    let counter = lab.spawn_counter().await?;
    let share = asks / ASKERS;
    let ask_all = async |share: u64, counter: &C::Counter| {
        at_once(lab, ASKERS, |_| {
            let counter = counter.clone();
            async move {
                for amount in 0..share {
                    C::ask(&counter, amount).await?;
                }
                Ok(())
            }
        })
        .await
    };
    ask_all(share / 10, &counter).await?;
    let warmed = C::ask(&counter, 0).await?;
    let begun = Instant::now();
    ask_all(share, &counter).await?;
    let took = begun.elapsed();
    let total = C::ask(&counter, 0).await?;
    verify(ASKERS * sum_below(share), total - warmed)?;
    Ok(vec![per_second(share * ASKERS, took)])
}

/// A ball round `size` actors, `laps` times. Ping-pong is the ring of two.
async fn ring<C: Contender>(lab: &C, size: usize, laps: u64) -> Result<Vec<f64>, BenchError> {
    let gate = Gate::new(size);
    let members = crowd(lab, size, &gate).await?;
    for (index, member) in members.iter().enumerate() {
        C::link(member, members[(index + 1) % size].clone()).await?;
    }
    let lap = size as u64;
    let warm_hops = lap * laps.div_ceil(10);
    let hops = lap * laps;
    gate.expect_one();
    C::pass(&members[0], warm_hops).await?;
    gate.wait().await;
    gate.expect_one();
    let begun = Instant::now();
    C::pass(&members[0], hops).await?;
    gate.wait().await;
    let took = begun.elapsed();
    verify(warm_hops + hops, total_of::<C>(&members).await?)?;
    Ok(vec![per_second(if size == 2 { laps } else { hops }, took)])
}

async fn fan_out<C: Contender>(lab: &C, rounds: u64) -> Result<Vec<f64>, BenchError> {
    let gate = Gate::new(CROWD);
    let members = crowd(lab, CROWD, &gate).await?;
    let broadcast = async |amount: u64| {
        gate.expect_all();
        for member in &members {
            C::arrive(member, amount).await?;
        }
        gate.wait().await;
        Ok::<(), BenchError>(())
    };
    broadcast(0).await?;
    let begun = Instant::now();
    for amount in 1..=rounds {
        broadcast(amount).await?;
    }
    let took = begun.elapsed();
    let messages = rounds * CROWD as u64;
    verify(CROWD as u64 * sum_below(rounds + 1), total_of::<C>(&members).await?)?;
    Ok(vec![per_second(messages, took)])
}

async fn spawn_stop<C: Contender>(lab: &C, actors: u64) -> Result<Vec<f64>, BenchError> {
    let (_, _) = spawn_stop_once(lab, actors / 100).await?;
    let (spawning, stopping) = spawn_stop_once(lab, actors).await?;
    Ok(vec![nanoseconds_each(actors, spawning), nanoseconds_each(actors, stopping)])
}

async fn spawn_stop_once<C: Contender>(
    lab: &C,
    actors: u64,
) -> Result<(Duration, Duration), BenchError> {
    let count = usize::try_from(actors).unwrap_or(usize::MAX);
    let gate = Gate::new(count);
    let begun = Instant::now();
    let members = crowd(lab, count, &gate).await?;
    let spawning = begun.elapsed();
    gate.expect_all();
    let begun = Instant::now();
    for member in members {
        C::stop(member).await?;
    }
    gate.wait().await;
    Ok((spawning, begun.elapsed()))
}

/// Runs `count` tasks beside each other and waits for all.
async fn at_once<C, W, F>(lab: &C, count: u64, work: W) -> Result<(), BenchError>
where
    C: Contender,
    W: Fn(u64) -> F,
    F: Future<Output = Result<(), BenchError>> + Send + 'static,
{
    let tasks = (0_usize..).zip(0..count).map(|(index, number)| lab.task(index, work(number)));
    futures_util::future::try_join_all(tasks).await.map(|_| ())
}

async fn total_of<C: Contender>(members: &[C::Member]) -> Result<u64, BenchError> {
    let mut total = 0;
    for member in members {
        total += C::total(member).await?;
    }
    Ok(total)
}

fn verify(expected: u64, got: u64) -> Result<(), BenchError> {
    if expected == got { Ok(()) } else { Err(BenchError::WrongSum { expected, got }) }
}

/// `0 + 1 + … + (count - 1)`.
const fn sum_below(count: u64) -> u64 {
    count * count.saturating_sub(1) / 2
}

fn per_second(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

fn nanoseconds_each(count: u64, took: Duration) -> f64 {
    took.as_secs_f64() * 1e9 / count as f64
}
