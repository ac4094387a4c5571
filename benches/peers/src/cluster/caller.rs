//! What a contender of this suite must be able to do.
//!
//! The far side counts: how many messages came, what their numbers add up to, and how many came out of turn. The near
//! side asks, tells, and fetches bytes. Each contender does that in its own idiom; `play.rs` does the rest once for all.

use std::future::Future;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::measure::sum_below;
use super::pattern::TEXT;
use crate::error::BenchError;

/// What the far side has counted since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// Messages.
    pub(crate) count: u64,
    /// Their numbers, added up.
    pub(crate) sum: u64,
    /// How many came with another number than the one after the last.
    pub(crate) misplaced: u64,
    next: u64,
}

impl Tally {
    /// Counts a message, which must have its text with it.
    pub(crate) fn take(&mut self, number: u64, text: &str) {
        if text.len() != TEXT.len() {
            return;
        }
        self.count += 1;
        self.sum += number;
        self.misplaced += u64::from(number != self.next);
        self.next = number + 1;
    }

    /// As numbers, for those who write their own wire format.
    pub(crate) const fn to_numbers(self) -> [u64; 4] {
        [self.count, self.sum, self.misplaced, self.next]
    }

    /// From numbers.
    pub(crate) const fn from_numbers([count, sum, misplaced, next]: [u64; 4]) -> Self {
        Self { count, sum, misplaced, next }
    }
}

/// The near side of one contender. A clone talks to the same far side.
pub(crate) trait Caller: Clone + Send + Sync + 'static {
    /// Tells between two tallies. As many as the contender stands, for every tally is a pause.
    const WAVE: u64 = 100_000;
    /// Whether it promises nothing about tells: then what is missing is a figure, and no error.
    const MAY_LOSE: bool = false;

    /// Sends a number and [`TEXT`], and waits for the sum.
    fn ask(&self, number: u64) -> impl Future<Output = Result<u64, BenchError>> + Send;

    /// Sends a number and [`TEXT`]; waits only where the contender does, for room.
    fn tell(&self, number: u64) -> impl Future<Output = Result<(), BenchError>> + Send;

    /// Asks what has been counted, after everything told before.
    fn tally(&self) -> impl Future<Output = Result<Tally, BenchError>> + Send;

    /// Asks `count` times with `window` questions always under way; numbers begin at 0 in each task.
    fn ask_many(
        &self,
        count: u64,
        window: u64,
    ) -> impl Future<Output = Result<u64, BenchError>> + Send {
        ask_in_tasks(self, count, window)
    }

    /// Has that many bytes sent over, keeps them in whatever way it keeps values, and says how long it took.
    fn fetch(&self, _bytes: u64) -> impl Future<Output = Result<Duration, BenchError>> + Send {
        std::future::ready(Err(BenchError::NothingToRun("it moves no large values")))
    }

    /// Runs work as a task beside the driver.
    fn task<F>(&self, work: F) -> impl Future<Output = Result<(), BenchError>> + Send
    where
        F: Future<Output = Result<(), BenchError>> + Send + 'static,
    {
        async { tokio::spawn(work).await.unwrap_or(Err(BenchError::DriverLost)) }
    }
}

/// `window` tasks, each asking and waiting; what they sent adds up to what is returned.
async fn ask_in_tasks<C: Caller>(caller: &C, count: u64, window: u64) -> Result<u64, BenchError> {
    let share = count / window;
    let tasks = (0..window).map(|_| {
        let asker = caller.clone();
        caller.task(async move {
            for number in 0..share {
                asker.ask(number).await?;
            }
            Ok(())
        })
    });
    futures_util::future::try_join_all(tasks).await?;
    Ok(window * sum_below(share))
}
