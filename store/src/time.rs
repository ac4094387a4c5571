//! Time as pure parts of the store see it.
//!
//! A pure part is told what time it is; it compares and adds, and never asks. A number of microseconds since
//! some moment of this node's own is all that takes, and makes a test's clock an integer.
//!
//! Pure: no clock, no I/O, no tasks.

use std::{ops::Add, time::Duration};

/// Microseconds on this node's own monotonic clock. Times of two nodes do not compare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// How much later this is than `earlier`; zero if it is not.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }
}
