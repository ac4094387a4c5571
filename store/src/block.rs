//! A task that waits for an object gives its CPU back, and takes one again before it goes on.
//!
//! On one CPU, a task that submits another and waits for it would wait for ever if it kept its CPU. The store
//! does not know CPUs; whoever runs the task leaves a hook with the running code, and everything here that
//! waits calls it.
//!
//! Invariant: every [`BlockHook::blocked`] is followed by exactly one of: a ready
//! [`poll_unblocked`](BlockHook::poll_unblocked), [`unblocked_blocking`](BlockHook::unblocked_blocking),
//! [`abandoned`](BlockHook::abandoned).

use std::{
    any::Any,
    fmt,
    sync::Arc,
    task::{Context, Poll, ready},
};

use mobula_actor_core::current;

/// How a running task is told that it waits. Waits of one task may overlap (`join!`).
pub trait BlockHook: Any + Send + Sync {
    /// The task is about to wait: give its CPU to others.
    fn blocked(&self);

    /// The wait is over: take a CPU again, and wake `cx` when there may be one. Several waits of one task may
    /// ask; one that is dropped meanwhile calls [`abandoned`](BlockHook::abandoned).
    fn poll_unblocked(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// The wait is over, on a compute thread: take a CPU again and park the thread until there is one.
    fn unblocked_blocking(&self);

    /// The wait was dropped, and the task goes on: take a CPU again, at the latest before the task is polled
    /// next.
    fn abandoned(&self);
}

/// What [`Current::task`](mobula_actor_core::Current) holds for code that runs in a task.
#[derive(Clone)]
pub struct TaskSlot(pub Arc<dyn BlockHook>);

impl TaskSlot {
    /// The slot of the running task, if the running code belongs to one.
    #[must_use]
    pub fn current() -> Option<Arc<Self>> {
        let task = current::try_with(|current| current.task.clone())??;
        task.downcast().ok()
    }
}

impl fmt::Debug for TaskSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TaskSlot")
    }
}

/// Whether the running task has been told of one particular wait.
#[derive(Default)]
pub(crate) struct Blocked {
    /// The running task was looked for; outside a task there is none.
    begun: bool,
    /// The task that has given its CPU back.
    task: Option<Arc<dyn BlockHook>>,
}

impl Blocked {
    pub(crate) fn begin(&mut self) {
        if !self.begun {
            self.begun = true;
            self.task = TaskSlot::current().map(|slot| Arc::clone(&slot.0));
            if let Some(task) = &self.task {
                task.blocked();
            }
        }
    }

    pub(crate) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(task) = &self.task {
            ready!(task.poll_unblocked(cx));
            self.task = None;
        }
        self.begun = false;
        Poll::Ready(())
    }

    pub(crate) fn end_blocking(&mut self) {
        self.begun = false;
        if let Some(task) = self.task.take() {
            task.unblocked_blocking();
        }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abandoned();
        }
    }
}
