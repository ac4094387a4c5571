//! When this node has too much to do: attempts go to nodes that have less.
//!
//! To ask for each task whether another node would be quicker costs more than most tasks. So tasks queue here first, and
//! what still waits after a moment ([`PATIENCE`]) is offered to others, a window for each; whenever one of theirs has
//! ended, the next goes out at once. Small tasks never wait that long, and stay.

use std::sync::{Arc, atomic::Ordering};
use std::time::Duration;

use crate::{
    dispatch::Shared,
    elsewhere::{Destination, Elsewhere},
    far,
    one_shot::{OneShot, Phase},
};

use mobula_store::TaskError;

/// How long what waits is left to this node.
const PATIENCE: Duration = Duration::from_millis(2);

impl Shared {
    /// A task is ready, and there are other nodes.
    pub(crate) fn enqueue_among(
        self: &Arc<Self>,
        port: &Arc<dyn Elsewhere>,
        task: Arc<OneShot>,
        from: Phase,
    ) {
        let chosen = task.extras.as_ref().and_then(|extras| extras.placement.as_ref());
        let Some(placement) = chosen else {
            if let Some(seen) = self.nobody_can(port, &task) {
                let error = TaskError::NoProvider { task: task.label(), seen: seen.into() };
                task.stop(false, || error);
                return;
            }
            self.queue_here(task, from);
            self.watch_queue();
            return;
        };
        if !self.can_go(&task, from) {
            return;
        }
        let destination = if task.function_hash == 0 {
            match port.place(placement, 0) {
                Destination::There { node, only: true } => Destination::Nowhere(format!(
                    "node {node} was asked for, and its arguments or its result cannot travel"
                )),
                _ => Destination::Here,
            }
        } else {
            port.place(placement, task.function_hash)
        };
        match destination {
            Destination::Here => self.queue_here(task, from),
            Destination::There { node, only } => {
                if task.advance(from, Phase::Queued) {
                    far::spawn(self, task, port, (node, only));
                }
            }
            Destination::Unprovided(seen) => {
                let error = TaskError::NoProvider { task: task.label(), seen: seen.into() };
                task.stop(false, || error);
            }
            Destination::Nowhere(text) => {
                let task_label = task.label();
                let error = TaskError::Infeasible { task: task_label, text: text.into() };
                task.stop(false, || error);
            }
        }
    }

    /// A task that this node can never run, while others could and none has its function: what was seen.
    fn nobody_can(&self, port: &Arc<dyn Elsewhere>, task: &OneShot) -> Option<String> {
        if task.function_hash == 0 || self.core.lock().admission.can_ever(task.shape) {
            return None;
        }
        port.unprovided(task.function_hash)
    }

    /// Looks after [`PATIENCE`] whether anything still waits, as long as it does.
    fn watch_queue(self: &Arc<Self>) {
        if self.is_spilling.swap(true, Ordering::AcqRel) {
            return;
        }
        let shared = Arc::downgrade(self);
        drop(self.system.runtime().spawn(async move {
            loop {
                tokio::time::sleep(PATIENCE).await;
                let Some(shared) = shared.upgrade() else { return };
                shared.spill();
                if shared.core.lock().admission.ready_count() == 0 {
                    shared.is_spilling.store(false, Ordering::Release);
                    // What came in between is watched by nobody yet.
                    if shared.core.lock().admission.ready_count() == 0
                        || shared.is_spilling.swap(true, Ordering::AcqRel)
                    {
                        return;
                    }
                }
            }
        }));
    }

    /// Offers what waits to others, as much as they would take now.
    pub(crate) fn spill(self: &Arc<Self>) {
        let Some(port) = self.elsewhere.get() else { return };
        loop {
            let movable = |task: &Arc<OneShot>| task.may_move() && task.phase() == Phase::Queued;
            let Some(function) = self.core.lock().admission.find(movable) else { return };
            let Some(node) = port.spare(function.function_hash) else { return };
            let taken = self.core.lock().admission.take_last(movable);
            match taken {
                Some(task) => far::spawn(self, task, port, (node, false)),
                None => return port.give_back(node),
            }
        }
    }
}
