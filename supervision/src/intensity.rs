//! How many restarts are too many?
//!
//! A child that dies at once after every start would be restarted for ever, hiding the fault from
//! everybody. A plain counter ("five and no more") is wrong the other way: a service that fails
//! once a month would be given up after half a year. OTP's answer is a sliding window: *more than
//! `restarts` restarts within any `period`* means that restarting does not help, and the fault is
//! handed to the parent. Invariant: the window holds only times no older than `period`, and never
//! more than `restarts + 1` of them. A restart exactly `period` ago still counts, as in OTP.
//!
//! Pure: no clock, no I/O, no tasks.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// The limit: at most `restarts` restarts within any `period`.
///
/// The default is OTP's: 1 restart in 5 seconds. Choose `restarts / period` as the rate of faults
/// you can live with for ever, and `restarts` as the burst you expect from one cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intensity {
    restarts: Option<u32>,
    period: Duration,
}

impl Default for Intensity {
    fn default() -> Self {
        Self::new(1, Duration::from_secs(5))
    }
}

impl Intensity {
    /// At most `restarts` restarts within any `period`. With 0 the first fault is handed on.
    #[must_use]
    pub fn new(restarts: u32, period: Duration) -> Self {
        Self { restarts: Some(restarts), period }
    }

    /// No limit, for supervisors of strangers whose children bring budgets of their own.
    #[must_use]
    pub fn unlimited() -> Self {
        Self { restarts: None, period: Duration::ZERO }
    }

    /// The number of restarts allowed, or `None` if there is no limit.
    #[must_use]
    pub fn restarts(&self) -> Option<u32> {
        self.restarts
    }

    /// The length of the window.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.period
    }
}

/// The restarts of the last `period`.
#[derive(Clone, Debug)]
pub struct Window {
    limit: Intensity,
    times: VecDeque<Instant>,
}

/// What [`Window::record`] finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Allowance {
    /// Go on; so many restarts are left in this window (`None`: no limit).
    Left(Option<u32>),
    /// More than allowed: give up.
    Exceeded,
}

impl Window {
    /// An empty window.
    #[must_use]
    pub fn new(limit: Intensity) -> Self {
        Self { limit, times: VecDeque::new() }
    }

    /// Counts one restart at `now`. Times must not go backwards; one that does counts as "now".
    pub fn record(&mut self, now: Instant) -> Allowance {
        let Some(allowed) = self.limit.restarts else {
            return Allowance::Left(None);
        };
        let in_period = |then: &Instant| now.saturating_duration_since(*then) <= self.limit.period;
        while self.times.front().is_some_and(|then| !in_period(then)) {
            self.times.pop_front();
        }
        self.times.push_back(now);
        let count = u32::try_from(self.times.len()).unwrap_or(u32::MAX);
        match allowed.checked_sub(count) {
            Some(left) => Allowance::Left(Some(left)),
            None => {
                // The caller gives up; should it not, memory stays bounded all the same.
                self.times.pop_front();
                Allowance::Exceeded
            }
        }
    }
}

#[cfg(test)]
mod tests;
