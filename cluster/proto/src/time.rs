//! Time as an argument.
//!
//! `Instant` cannot be made up, so a core that takes one cannot be simulated.
//! Here a moment is a number of microseconds on one node's own clock that never runs backwards.
//!
//! Invariant: moments of two nodes are never compared and never travel.
//!
//! Pure: no clock, no I/O, no tasks.

use std::ops::Add;
use std::time::Duration;

/// A moment: microseconds on the node's own monotonic clock, from an origin that only the driver knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// The origin.
    pub const ZERO: Self = Self(0);

    /// The time from `earlier` until `self`; zero if `earlier` is the later one.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// The moment so long before this one, but not before the origin.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(span.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    /// Stops at the end of time (584 000 years) rather than wrap.
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_micros()).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_never_go_below_zero_or_beyond_the_end() {
        let later = Time(5) + Duration::from_micros(7);
        assert_eq!(later, Time(12));
        assert_eq!(later.since(Time(5)), Duration::from_micros(7));
        assert_eq!(Time(5).since(later), Duration::ZERO);
        assert_eq!(Time(5) + Duration::MAX, Time(u64::MAX));
        assert_eq!(later.before(Duration::from_micros(5)), Time(7));
        assert_eq!(later.before(Duration::MAX), Time::ZERO);
    }
}
