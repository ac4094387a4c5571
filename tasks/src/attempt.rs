//! One attempt of an `async fn` on the executor.
//!
//! The future of a body is wrapped in a driver, because three things must happen between its polls that
//! the body knows nothing of: a cancelled task's future is dropped at its await; a body that waits in a
//! `get` gives its CPUs back; and one whose wait was dropped (`select!`) takes them again before it
//! is polled next.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
};

use mobula_actor_core::{current::Current, panic_capture, sync_scope};
use mobula_store::TaskError;

use crate::{
    conclude::{panicked, task_error},
    dispatch::Shared,
    job::{Failure, Job},
    one_shot::{OneShot, Phase, Seat, place},
};

/// Starts an attempt of a task that holds its resources.
pub(crate) fn spawn(shared: &Arc<Shared>, task: Arc<OneShot>) {
    if shared.is_closed.load(Ordering::Acquire) {
        return refuse(shared, task);
    }
    let job = task.job.lock().take();
    if job.is_some() {
        task.begin_at(shared.micros(), None);
        run(Attempt { shared: Arc::clone(shared), task, job, has_started: false });
    }
}

/// Goes on with an attempt that a compute thread began, whose body turned out to be a future.
pub(crate) fn go_on(shared: &Arc<Shared>, task: Arc<OneShot>, job: Box<dyn Job>) {
    run(Attempt { shared: Arc::clone(shared), task, job: Some(job), has_started: true });
}

/// Ends a task that would start now, and those that would start in its place: by a list, because a
/// runtime that shuts down drops what is spawned on the spot, each inside the last.
fn refuse(shared: &Arc<Shared>, task: Arc<OneShot>) {
    let mut refused = vec![task];
    while let Some(task) = refused.pop() {
        let job = task.job.lock().take();
        let error = TaskError::Cancelled { task: task.label() };
        let ending = job.map(|job| shared.settle(&task, job, Err(error)));
        let mut core = shared.core.lock();
        core.release(&task);
        let mut work = core.plan(&shared.config);
        drop(core);
        refused.append(&mut work.futures);
        if let Some(ending) = ending {
            shared.publish(&task, ending);
        }
        shared.perform(work);
    }
}

fn run(attempt: Attempt) {
    let runtime = attempt.shared.system.runtime().clone();
    drop(runtime.spawn(attempt));
}

struct Attempt {
    shared: Arc<Shared>,
    task: Arc<OneShot>,
    job: Option<Box<dyn Job>>,
    has_started: bool,
}

impl Future for Attempt {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let task = &this.task;
        task.driver.register(cx.waker());
        if task.phase() == Phase::Abandoned {
            // Here the body's values drop, which is the body's own code.
            let here = place(task);
            let dropped = panic_capture::guard(|| {
                sync_scope(here, || this.job.as_mut().map(|job| job.release()))
            });
            if let Err(report) = dropped {
                tracing::error!(task = %task.id, "a cancelled body panicked while it was dropped: {report}");
            }
            this.end(Err(TaskError::Cancelled { task: this.task.label() }));
            return Poll::Ready(());
        }
        // A wait that was dropped has left the task without its CPUs.
        if task.waits.load(Ordering::Acquire) == 0 && !this.shared.come_back(task) {
            return Poll::Pending;
        }
        let Some(job) = &mut this.job else { return Poll::Ready(()) };
        let is_first = !std::mem::replace(&mut this.has_started, true);
        let keep = task.may_repeat();
        let here: Current = place(task);
        let polled = panic_capture::guard(|| {
            sync_scope(here, || {
                if is_first && let Poll::Ready(result) = job.start(keep) {
                    return Poll::Ready(result);
                }
                job.poll(cx)
            })
        });
        let result = match polled {
            Ok(Poll::Pending) => {
                this.pause();
                return Poll::Pending;
            }
            Ok(Poll::Ready(result)) => {
                result.map_err(|failure: Failure| task_error(&this.task, failure))
            }
            Err(report) => Err(panicked(&this.task, report)),
        };
        this.end(result);
        Poll::Ready(())
    }
}

impl Attempt {
    /// The body waits. One of several waits may just have taken the CPUs while others go on.
    fn pause(&self) {
        let waits = self.task.waits.load(Ordering::Acquire);
        match self.task.seat() {
            Seat::Holding if waits > 0 => self.shared.give_back(&self.task),
            // Nothing is waited for by name any more: stand in line for the CPUs.
            Seat::GivenBack if waits == 0 => {
                if self.shared.come_back(&self.task) {
                    self.task.driver.wake();
                }
            }
            Seat::Holding | Seat::GivenBack | Seat::Returning => {}
        }
    }

    fn end(&mut self, result: Result<(), TaskError>) {
        let Some(job) = self.job.take() else { return };
        let shared = Arc::clone(&self.shared);
        let ending = shared.settle(&self.task, job, result);
        let mut core = shared.core.lock();
        core.release(&self.task);
        let work = core.plan(&shared.config);
        drop(core);
        shared.publish(&self.task, ending);
        shared.perform(work);
    }
}

impl Drop for Attempt {
    /// The runtime shuts down with the body unfinished: nobody may wait for its result for ever, nor for
    /// one that would have started next.
    fn drop(&mut self) {
        if self.job.is_some() {
            self.shared.close();
            let error = TaskError::Lost {
                task: self.task.label(),
                node: None,
                attempt: self.task.attempt(),
                text: "the executor was shut down while it ran".into(),
            };
            self.end(Err(error));
        }
    }
}
