//! The one place that reads the date.
//!
//! Certificates end at a date, and the first incarnation of a life is one; everything else counts from its own start.
//! A rule that read the date itself could not be tested for the day after tomorrow, so the doorkeeper carries a [`Clock`].
//!
//! Invariant: nothing here decides anything.

use super::certificate::UnixTime;

/// Where the wall time comes from: certificates end at a date.
pub type Clock = fn() -> UnixTime;

pub(super) fn wall_time() -> UnixTime {
    UnixTime(wall_time_millis() / 1_000)
}

/// Milliseconds since 1970, for dates of certificates and the first incarnation of a life.
#[expect(clippy::disallowed_methods, reason = "both are dates; tests bring a clock of their own")]
pub(crate) fn wall_time_millis() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
