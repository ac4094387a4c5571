//! How much an owner keeps, and for how long.
//!
//! Pure: no clock, no I/O, no tasks.

use std::time::Duration;

/// Settings and limits of an owner.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct OwnerLimits {
    /// So many objects may be known to other stores at a time; 2^20 unless said otherwise.
    pub objects_max: usize,
    /// A value of at most so many bytes travels in the answer; 100 KiB unless said otherwise.
    pub inline_max_bytes: u64,
    /// An object outlives the crash of a borrower by this; longer than a message is under way. 5 s.
    pub crash_grace: Duration,
    /// So many bytes of recipes are kept for results that may be lost; 1 GiB unless said otherwise.
    pub lineage_max_bytes: u64,
    /// A backup frees nothing for so long after it has taken over; lease and margin of the node. 4.5 s.
    pub takeover_margin: Duration,
}

impl Default for OwnerLimits {
    fn default() -> Self {
        Self {
            objects_max: 1 << 20,
            inline_max_bytes: 100 << 10,
            crash_grace: Duration::from_secs(5),
            lineage_max_bytes: 1 << 30,
            takeover_margin: Duration::from_millis(4500),
        }
    }
}

/// Too many objects are known to other stores. Drop references, or put fewer and larger objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{objects_max} objects are known to other nodes, which is the limit; drop references")]
pub struct TooManyShared {
    /// The limit.
    pub objects_max: usize,
}
