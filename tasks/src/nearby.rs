//! What a task needs before it can go where it is to run: on this node the values of its arguments, on another only
//! those that cannot go there as references.
//!
//! A task whose arguments were made elsewhere is not fetched them before it is known where it runs: perhaps it runs where
//! they are.

use std::sync::Arc;

use mobula_store::ArgPin;

use crate::{
    arrival::{Then, fetch_inputs},
    dispatch::Shared,
    one_shot::{OneShot, Phase},
};

impl Shared {
    /// Queues a task here once the values of its arguments are here.
    pub(crate) fn queue_here(self: &Arc<Self>, task: Arc<OneShot>, from: Phase) {
        let mut missing = Vec::new();
        if let Some(job) = &*task.job.lock() {
            job.visit(&mut |dependency| missing.extend(dependency.and_then(distant)));
        }
        if missing.is_empty() {
            return self.enqueue_here(task, from);
        }
        fetch_inputs(self, &task, &missing, (Then::Queue, from));
    }

    /// Whether a task can go to another node now; if not, it comes back to be placed when it can.
    pub(crate) fn can_go(self: &Arc<Self>, task: &Arc<OneShot>, from: Phase) -> bool {
        let mut missing = Vec::new();
        if let Some(job) = &*task.job.lock() {
            job.visit_unwritable(&mut |dependency| missing.extend(distant(dependency)));
        }
        if missing.is_empty() {
            return true;
        }
        fetch_inputs(self, task, &missing, (Then::Place, from));
        false
    }
}

/// The argument's object, if its value is not here.
fn distant(dependency: crate::input::Dependency) -> Option<Arc<ArgPin>> {
    dependency.downcast::<ArgPin>().ok().filter(|pin| !pin.entry().is_ready())
}
