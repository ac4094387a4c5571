//! When this node has too much to do: attempts go to nodes that have less.
//!
//! To ask for each task whether another node would be quicker costs more than most tasks. So tasks queue here first, and
//! what still waits after a moment ([`PATIENCE`]) is said to the port, which looks for room and comes back for tasks
//! when it has found some. Until then they stay in their queue: a task is bound to a node when there is room, not
//! before. Small tasks never wait that long, and stay.

use std::sync::{Arc, atomic::Ordering};
use std::time::Duration;

use mobula_actor_core::{GroupId, NodeId, Placement};
use mobula_store::TaskError;

use crate::{
    dispatch::Shared,
    elsewhere::{Destination, Elsewhere, Lease, Waiting, Wanted},
    far::{self, Journey},
    one_shot::{OneShot, Phase},
    resources::Demand,
    waiter::Waiter,
};

/// How long what waits is left to this node.
const PATIENCE: Duration = Duration::from_millis(2);
/// How long between two looks when nobody could be asked: it doubles up to this.
const PATIENCE_MAX: Duration = Duration::from_millis(128);

impl Shared {
    /// A task is ready, and there are other nodes.
    pub(crate) fn enqueue_among(
        self: &Arc<Self>,
        port: &Arc<dyn Elsewhere>,
        task: Arc<OneShot>,
        from: Phase,
    ) {
        if task.is_visitor() {
            return self.enqueue_here(task, from);
        }
        let group = task
            .demand
            .place()
            .map(|within| Placement::InGroup { group: within.group, bundle: within.bundle });
        let chosen = task.extras.as_ref().and_then(|extras| extras.placement.as_ref());
        let Some(placement) = group.as_ref().or(chosen) else {
            if let Some(seen) = self.nobody_can(port, &task) {
                return task_unprovided(&task, seen);
            }
            return self.enqueue_near(port, task, from);
        };
        if !self.can_go(&task, from) {
            return;
        }
        let wanted = wanted(&task);
        match port.place(placement, &wanted) {
            Destination::There { node, only: true } if task.function_hash == 0 => {
                let why = "and its arguments or its result cannot travel";
                self.refuse(&task, format!("node {node} was asked for, {why}"));
            }
            Destination::There { node, only } if task.function_hash != 0 => {
                if task.advance(from, Phase::Queued) {
                    far::spawn(self, task, port, Journey { node, only, lease: None });
                }
            }
            Destination::Later => self.queue_until_placed(port, &task, (placement, from)),
            Destination::Here | Destination::There { .. } => self.queue_here(task, from),
            Destination::Nowhere(text) => self.refuse(&task, text),
            Destination::Unprovided(seen) => task_unprovided(&task, seen),
            Destination::GroupGone(text) => task.lose_group(&text),
            Destination::Denied(text) => {
                task.stop(false, || TaskError::Denied { task: task.label(), text: text.into() });
            }
        }
    }

    /// A task whose place is not known yet.
    fn queue_until_placed(
        self: &Arc<Self>,
        port: &Arc<dyn Elsewhere>,
        task: &Arc<OneShot>,
        (placement, from): (&Placement, Phase),
    ) {
        self.queue_here(Arc::clone(task), from);
        // What became known in between found it in no queue.
        if let Some(within) = task.demand.place()
            && port.place(placement, &wanted(task)) != Destination::Later
        {
            self.place_group(within.group);
        }
    }

    /// A task that may run anywhere: where its largest arguments are, if they are worth the way and there is room; else
    /// here, and if it has to wait, wherever there is room first.
    fn enqueue_near(self: &Arc<Self>, port: &Arc<dyn Elsewhere>, task: Arc<OneShot>, from: Phase) {
        if let Some(node) = self.drawn(&task) {
            if !self.can_go(&task, from) {
                return;
            }
            if port.has_room(node, &wanted(&task)) {
                if task.advance(from, Phase::Queued) {
                    far::spawn(self, task, port, Journey { node, only: false, lease: None });
                }
                return;
            }
        }
        self.queue_here(task, from);
        self.watch_queue();
    }

    /// A task that this node can never run, while others could and none has its function: what was seen.
    fn nobody_can(&self, port: &Arc<dyn Elsewhere>, task: &OneShot) -> Option<String> {
        if task.function_hash == 0 || self.core.lock().admission.can_ever(task.shape) {
            return None;
        }
        port.unprovided(task.function_hash)
    }

    fn refuse(&self, task: &OneShot, text: String) {
        task.stop(false, || TaskError::Infeasible { task: task.label(), text: text.into() });
    }

    /// Says what still waits after [`PATIENCE`], as long as it does.
    pub(crate) fn watch_queue(self: &Arc<Self>) {
        if self.is_spilling.swap(true, Ordering::AcqRel) {
            return;
        }
        let shared = Arc::downgrade(self);
        drop(self.system.runtime().spawn(async move {
            let mut patience = PATIENCE;
            loop {
                tokio::time::sleep(patience).await;
                let Some(shared) = shared.upgrade() else { return };
                let has_asked = shared.overflow();
                patience = if has_asked { PATIENCE } else { (patience * 2).min(PATIENCE_MAX) };
                if shared.core.lock().tasks_ready() == 0 {
                    shared.is_spilling.store(false, Ordering::Release);
                    // What came in between is watched by nobody yet.
                    if shared.core.lock().tasks_ready() == 0
                        || shared.is_spilling.swap(true, Ordering::AcqRel)
                    {
                        return;
                    }
                }
            }
        }));
    }

    fn overflow(&self) -> bool {
        let Some(port) = self.elsewhere.get() else { return false };
        let waiting = self.waiting();
        !waiting.is_empty() && port.overflow(&waiting)
    }

    /// What waits here and could run elsewhere.
    pub(crate) fn waiting(&self) -> Vec<Waiting> {
        let core = self.core.lock();
        let waiting = core.admission.waiting(is_movable);
        let waiting = waiting.filter_map(|(demand, count, last)| {
            let last = last.task()?;
            Some(Waiting {
                demand: demand.clone(),
                function: last.function_hash,
                name: last.function,
                count,
            })
        });
        waiting.collect()
    }

    /// Starts an attempt on `node` of a task that waits here and `may_go`, the newest of the least nested ones. `false`
    /// if none waits.
    pub(crate) fn send(
        self: &Arc<Self>,
        demand: &Demand,
        (node, lease): (NodeId, Option<Lease>),
        may_go: &dyn Fn(u64) -> bool,
    ) -> bool {
        let Some(port) = self.elsewhere.get() else { return false };
        loop {
            let may = |task: &Arc<OneShot>| may_go(task.function_hash);
            let movable = |waiter: &Waiter| is_movable(waiter) && waiter.task().is_some_and(may);
            let taken = self.core.lock().admission.take_last(demand, movable);
            let Some(task) = taken.and_then(Waiter::into_task) else { return false };
            if far::spawn(self, task, port, Journey { node, only: false, lease }) {
                return true;
            }
        }
    }

    /// Places those anew that wait here for a group's room.
    pub(crate) fn place_group(self: &Arc<Self>, group: GroupId) {
        let Some(port) = self.elsewhere.get() else { return };
        let waiting = self.core.lock().take_group(group);
        for waiter in waiting {
            let task = match waiter {
                Waiter::Task(task) => task,
                // It lives here, whatever becomes of the group's other bundles.
                Waiter::Actor(claimant) => {
                    let (shape, depth) = claimant.place();
                    self.change(|core| {
                        core.count_claimant();
                        let _ = core.admission.enqueue(shape, depth, Waiter::Actor(claimant));
                    });
                    continue;
                }
            };
            // Cancelled ones are Done already, and fall.
            if task.advance(Phase::Queued, Phase::Waiting) {
                self.enqueue_among(port, task, Phase::Waiting);
            }
        }
    }
}

fn wanted(task: &OneShot) -> Wanted<'_> {
    Wanted { function: task.function_hash, name: task.function, demand: &task.demand }
}

fn task_unprovided(task: &OneShot, seen: String) {
    task.stop(false, || TaskError::NoProvider { task: task.label(), seen: seen.into() });
}

fn is_movable(waiter: &Waiter) -> bool {
    waiter.task().is_some_and(|task| task.may_move() && task.phase() == Phase::Queued)
}
