//! What code inside a task can ask about the task it runs in.

use std::{fmt, sync::Arc};

use mobula_actor_core::{ActorId, NodeId};

use crate::one_shot::OneShot;

/// The task that the running code belongs to; `None` in a driver or an actor.
///
/// # Examples
/// ```
/// // Outside a task there is no current one.
/// assert!(mobula_tasks::task::current().is_none());
/// ```
#[must_use]
pub fn current() -> Option<CurrentTask> {
    OneShot::current().map(CurrentTask)
}

/// The running task, seen from inside.
#[derive(Clone)]
pub struct CurrentTask(Arc<OneShot>);

impl CurrentTask {
    /// Its id, as in the listing of actors.
    #[must_use]
    pub fn id(&self) -> ActorId {
        self.0.id
    }

    /// Which attempt this is; the first is 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.0.attempt()
    }

    /// The node that runs this attempt; `None` on a node that is in no cluster, where there is only one.
    #[must_use]
    pub fn node(&self) -> Option<NodeId> {
        self.0.host.system().remote().map(|remote| remote.here().0)
    }

    /// The name given in the options, or the function's.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.display_name()
    }

    /// How many tasks up the driver is; 0 for a task that a driver or an actor submitted.
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.0.depth
    }

    /// Whether somebody cancelled the task, or its time is up. Its result is no longer wanted: a long
    /// computation should look here now and then, and return.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    /// The same question as a value to hand on, also to other threads.
    #[must_use]
    pub fn cancellation(&self) -> CancellationToken {
        CancellationToken(Arc::clone(&self.0))
    }
}

impl fmt::Debug for CurrentTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CurrentTask")
            .field("id", &self.id())
            .field("name", &self.name())
            .field("attempt", &self.attempt())
            .finish()
    }
}

/// Says whether one task was cancelled.
#[derive(Clone)]
pub struct CancellationToken(Arc<OneShot>);

impl CancellationToken {
    /// Whether the task was cancelled, or its time is up.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

impl fmt::Debug for CancellationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CancellationToken({}, {})", self.0.id, self.is_cancelled())
    }
}
