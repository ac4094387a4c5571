//! How long to wait before a restart?
//!
//! OTP restarts at once, which is right for a fault in memory and wrong for a database that is
//! away: the intensity is used up in a millisecond. Waiting a fixed time makes all children of all
//! nodes knock together. The answer is exponential growth with *full* jitter: a uniformly random
//! time up to `base * 2^attempt`, at most `cap`. Invariant: the delay never exceeds `cap`, and a
//! child that stayed up for `stable` begins again with attempt 0.
//!
//! Pure: no clock, no I/O, no tasks.

use std::{ops::Range, time::Duration};

use rand::Rng;

/// Exponential delays with full jitter. [`Backoff::none`] (the default) restarts at once, as OTP.
///
/// Source: M. Brooker, "Exponential Backoff and Jitter" (AWS, 2015), variant *full jitter*.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    stable: Duration,
}

impl Backoff {
    /// No delay at all.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Delays up to `base` after the first fault, twice that after the second, never above `cap`.
    ///
    /// A child that stayed up for `cap` counts as stable: its next fault is a first one again.
    #[must_use]
    pub fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap: cap.max(base), stable: cap.max(base) }
    }

    /// A child that stayed up so long begins again with the shortest delay.
    #[must_use]
    pub fn stable_after(mut self, stable: Duration) -> Self {
        self.stable = stable;
        self
    }

    /// The longest possible delay after `attempt` faults in a row before this one.
    #[must_use]
    pub fn ceiling(&self, attempt: u32) -> Duration {
        let factor = 1_u32.checked_shl(attempt).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.cap)
    }

    /// The delay to wait now.
    pub fn delay(&self, attempt: u32, rng: &mut impl Rng) -> Duration {
        let ceiling = self.ceiling(attempt);
        if ceiling.is_zero() {
            return Duration::ZERO;
        }
        rng.random_range(Duration::ZERO..=ceiling)
    }

    /// The attempt number for a child that had `attempt` and then ran for `ran`.
    #[must_use]
    pub fn attempt_after(&self, attempt: u32, ran: Duration) -> u32 {
        if ran >= self.stable { 0 } else { attempt }
    }
}

impl From<Range<Duration>> for Backoff {
    /// `ms(100)..secs(30)`: first ceiling and cap.
    fn from(range: Range<Duration>) -> Self {
        Self::new(range.start, range.end)
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::SmallRng};

    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn ceilings_double_up_to_the_cap() {
        let backoff = Backoff::from(MS(100)..MS(30_000));
        let ceilings = [0, 1, 2, 8, 9, 31, 32, u32::MAX].map(|a| backoff.ceiling(a));
        let expected = [100, 200, 400, 25_600, 30_000, 30_000, 30_000, 30_000].map(MS);
        assert_eq!(ceilings, expected);
    }

    #[test]
    fn delays_fill_the_whole_range_below_the_ceiling() {
        let backoff = Backoff::new(MS(100), MS(800));
        let mut rng = SmallRng::seed_from_u64(7);
        let delays: Vec<_> = (0..1000).map(|_| backoff.delay(2, &mut rng)).collect();
        assert!(delays.iter().all(|d| *d <= MS(400)));
        assert!(delays.iter().any(|d| *d < MS(40)) && delays.iter().any(|d| *d > MS(360)));
    }

    #[test]
    fn no_backoff_takes_no_chance() {
        let mut rng = SmallRng::seed_from_u64(7);
        let untouched = rng.clone();
        assert_eq!(Backoff::none().delay(40, &mut rng), Duration::ZERO);
        assert_eq!(rng, untouched);
    }

    #[test]
    fn a_stable_child_begins_again() {
        let backoff = Backoff::new(MS(100), MS(800)).stable_after(MS(5000));
        assert_eq!(backoff.attempt_after(6, MS(4999)), 6);
        assert_eq!(backoff.attempt_after(6, MS(5000)), 0);
    }

    #[test]
    fn a_reversed_range_waits_its_start() {
        assert_eq!(Backoff::from(MS(50)..MS(10)).ceiling(9), MS(50));
    }
}
