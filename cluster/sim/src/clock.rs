//! A node's own clock: started anywhere, and never running quite right.
//!
//! A simulator that hands every node the true time hides each bug that needs two clocks.
//! So a node sees an offset and a rate of its own, and the simulator translates in both directions.
//!
//! Invariant: a wake-up asked for at local time t happens no earlier than the local clock shows t.

use mobula_proto::time::Time;

use crate::queue::Tick;

const MILLION: u64 = 1_000_000;

/// Translation between true time and one process's monotonic clock.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Tick,
    offset: u64,
    rate_ppm: i32,
}

impl Clock {
    /// A clock that shows `offset` µs at tick `started` and gains `rate_ppm` µs a second (±100 000 is ±10 %).
    #[must_use]
    pub fn new(started: Tick, offset: u64, rate_ppm: i32) -> Self {
        Self { started, offset, rate_ppm: rate_ppm.clamp(-500_000, 500_000) }
    }

    fn rate(&self) -> u64 {
        MILLION.saturating_add_signed(i64::from(self.rate_ppm))
    }

    /// What this clock shows at the true time `now`.
    #[must_use]
    pub fn local(&self, now: Tick) -> Time {
        let passed = now.saturating_sub(self.started);
        Time(
            self.offset + passed / MILLION * self.rate() + passed % MILLION * self.rate() / MILLION,
        )
    }

    /// The first tick at which this clock shows `local` or more.
    #[must_use]
    pub fn when(&self, local: Time) -> Tick {
        let wanted = local.0.saturating_sub(self.offset);
        let rate = self.rate();
        let mut at = self.started
            + wanted / rate * MILLION
            + (wanted % rate).saturating_mul(MILLION).div_ceil(rate);
        while self.local(at).0 < local.0 {
            at += 1;
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_up_is_never_early() {
        for rate in [-100_000, -1, 0, 7, 99_999] {
            let clock = Clock::new(500, 12_345, rate);
            for local in [0, 12_345, 12_346, 250_000, 3_600_000_000] {
                assert!(
                    clock.local(clock.when(Time(local))).0 >= local,
                    "rate {rate}, local {local}"
                );
            }
        }
    }

    #[test]
    fn ten_percent_fast_is_ten_percent_fast() {
        let clock = Clock::new(0, 0, 100_000);
        assert_eq!(clock.local(10_000_000), Time(11_000_000));
    }
}
