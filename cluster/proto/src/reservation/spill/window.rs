//! How many tasks are bound ahead to one lease.
//!
//! One alone leaves room empty while an answer travels; many bind tasks where they may wait for each other.
//! So it is as many as are seen to end in a moment.
//!
//! Pure: no clock, no I/O, no tasks.

use std::time::Duration;

/// Tasks that a fresh lease carries: nothing is known of them, and a second might wait long behind the first.
pub(super) const WINDOW_FIRST: usize = 1;
/// A task that ends sooner is small: 5 ms, its time in the window included.
const QUICK: Duration = Duration::from_millis(5);
/// A task that ends later is not: 20 ms.
const SLOW: Duration = Duration::from_millis(20);

/// The next window: twice as wide while tasks end at once, half as wide when they take long.
pub(super) const fn window(now: usize, took: Duration) -> usize {
    if took.as_micros() < QUICK.as_micros() {
        now.saturating_mul(2)
    } else if took.as_micros() > SLOW.as_micros() && now > 1 {
        now / 2
    } else {
        now
    }
}
