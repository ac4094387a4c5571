//! How a child is asked to end, and how long one waits for it.
//!
//! Waiting for ever lets one stuck child keep a whole node from ending; killing at once loses the
//! work of all the others. So every child says what its own end is worth. Invariant: whatever is
//! said here, the end is bounded unless the spec itself says `Infinity`.
//!
//! Pure: no clock, no I/O, no tasks.

use std::time::Duration;

/// How a supervisor stops a child (OTP: `shutdown` of the child spec).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shutdown {
    /// Ask, wait so long, then kill.
    Deadline(Duration),
    /// Kill at once; no hook of the child runs.
    BrutalKill,
    /// Ask and wait for as long as it takes. Right for supervisors, whose children have deadlines
    /// of their own.
    Infinity,
}

impl Shutdown {
    /// OTP's default for a worker: five seconds.
    pub const WORKER: Self = Self::Deadline(Duration::from_secs(5));
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::WORKER
    }
}

impl From<Duration> for Shutdown {
    fn from(deadline: Duration) -> Self {
        Self::Deadline(deadline)
    }
}

/// The order in which a supervisor stops its children at its own end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum StopOrder {
    /// One after the other, the youngest first: nobody outlives what it depends on.
    #[default]
    Reverse,
    /// All at once: for many like children, where one deadline after the other would never end.
    Together,
}
