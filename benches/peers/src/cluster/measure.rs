//! From counts and times to figures.
//!
//! Pure: no clock, no I/O, no tasks.

use std::time::Duration;

use crate::error::BenchError;

/// What the far side counted against what was sent.
pub(crate) fn verify(expected: u64, got: u64) -> Result<(), BenchError> {
    if expected == got { Ok(()) } else { Err(BenchError::WrongSum { expected, got }) }
}

/// In microseconds.
pub(crate) fn percentile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort_unstable();
    let index = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(index).map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
}

/// `0 + 1 + … + (count - 1)`.
pub(crate) const fn sum_below(count: u64) -> u64 {
    count * count.saturating_sub(1) / 2
}

/// How many in a second.
pub(crate) fn per_second(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}
