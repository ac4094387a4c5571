//! Tasks of the workload: some work whose result is known, alone or in a chain, here, there or anywhere.

use mobula::Placement;
use rand::Rng as _;
use rand::rngs::StdRng;

use super::voice::{Mutant, Voice};
use super::work::Work;
use crate::event::{End, Event, Wait};

/// Stirs a number a little, and says that it ran.
#[mobula::task]
pub(super) fn stir(task: u64, number: u64) -> u64 {
    let voice = Voice::here();
    voice.say(Event::Ran { task });
    let stirred = stirred(number);
    if voice.strikes(Mutant::Misread) { stirred ^ 1 } else { stirred }
}

fn stirred(number: u64) -> u64 {
    let mut sum = number;
    for round in 0..20_000_u64 {
        sum = std::hint::black_box(sum.rotate_left(5) ^ round);
    }
    sum
}

/// Submits chains of tasks until the work ends.
pub(super) async fn drive(work: Work, mut rng: StdRng) {
    while !work.is_over() {
        let (count, retries) = (rng.random_range(1..=4_u64), rng.random_range(0..=3_u32));
        let (first, wait) = (work.voice.numbers(count), work.voice.number());
        let runs_max = u64::from(retries) + 1;
        work.voice.say(Event::Begun { wait, what: Wait::Tasks { first, count, runs_max } });
        let start: u64 = rng.random();
        let mut right = start;
        let mut result = None;
        for task in first..first + count {
            right = stirred(right);
            let mut options = stir::options().max_retries(retries);
            options = match rng.random_range(0..3) {
                0 => options,
                1 => options.on(Placement::Spread),
                _ => match work.somebody(&mut rng) {
                    Some(node) => options.on(Placement::OnNode { node, or_elsewhere: true }),
                    None => options,
                },
            };
            result = Some(match result {
                None => options.remote(task, start),
                Some(before) => options.remote(task, &before),
            });
        }
        let Some(result) = result else { continue };
        let end = match result.get().await {
            Ok(value) => End::Value { is_right: *value == right },
            Err(error) => End::Error { why: error.to_string() },
        };
        work.voice.say(Event::Ended { wait, end });
        work.pace(&mut rng).await;
    }
}
