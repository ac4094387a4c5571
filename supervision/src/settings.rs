//! What holds for all children of a supervisor.
//!
//! Kept as one value so that a supervisor's behaviour is fixed when it is built: strategies that
//! change while a restart is under way have no meaning anybody could agree on.
//!
//! Pure: no clock, no I/O, no tasks.

use crate::{
    auto_shutdown::AutoShutdown, backoff::Backoff, intensity::Intensity, shutdown::StopOrder,
    strategy::Strategy,
};

/// What holds for all children of a supervisor.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Who is restarted with whom.
    pub strategy: Strategy,
    /// How many restarts are too many.
    pub intensity: Intensity,
    /// How long to wait before a restart.
    pub backoff: Backoff,
    /// Whether significant children end the supervisor.
    pub auto_shutdown: AutoShutdown,
    /// In which order children are stopped at the end.
    pub stop_order: StopOrder,
    /// How many children there may be; `None`: as many as memory allows.
    pub children_max: Option<usize>,
}
