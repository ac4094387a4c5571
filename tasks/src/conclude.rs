//! The end of an attempt: what comes of it, and in which order the world sees it.
//!
//! The obvious order, publish the result and then clean up, lets the caller of `get` see a task that is
//! over and still listed, with arguments pinned and a CPU in use; tests of such a system sleep a little.
//!
//! Invariant: inputs are unpinned, the task is struck off, its resources are released, and then the
//! result is published. Whoever sees the result sees the rest.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use mobula_actor_core::{PanicReport, chain_text, panic_capture};
use mobula_store::{TaskError, collect_refs};
use rand::{SeedableRng as _, rngs::SmallRng};

use crate::{
    dispatch::Shared,
    history::{EndedTask, Outcome},
    job::{Failure, Job},
    one_shot::{OneShot, Phase},
    recipe::Written,
    retry::Verdict,
    wires::SMALL_BYTES,
};

/// How an attempt ended, for everybody else to see once its resources are released.
#[must_use]
pub(crate) enum Ending {
    Result(Box<dyn Job>),
    Failure(Box<dyn Job>, TaskError),
    Retry(Duration),
    /// The result was settled while the body ran: the task was cancelled.
    Abandoned(Box<dyn Job>),
    Nothing,
}

impl Shared {
    /// An attempt is over: settles what comes of it. Resources are still held.
    pub(crate) fn settle(
        &self,
        task: &Arc<OneShot>,
        mut job: Box<dyn Job>,
        result: Result<(), TaskError>,
    ) -> Ending {
        let result = match result {
            Err(error) => match self.judge(task, &*job, &error) {
                Some(after) => {
                    *task.job.lock() = Some(job);
                    if task.advance(Phase::Running, Phase::BackingOff) {
                        return Ending::Retry(after);
                    }
                    match task.job.lock().take() {
                        Some(back) => job = back,
                        None => return Ending::Nothing,
                    }
                    Err(error)
                }
                None => Err(error),
            },
            Ok(()) => Ok(()),
        };
        if self.elsewhere.get().is_some() {
            quietly(|| self.account(task, &*job));
        }
        quietly(|| job.release());
        let is_mine = task.advance(Phase::Running, Phase::Done);
        if !is_mine {
            let _was_abandoned = task.advance(Phase::Abandoned, Phase::Done);
        }
        self.strike_off(task);
        match &result {
            _ if !is_mine => self.note_end(task, task.verdict().as_ref()),
            Ok(()) => self.note_end(task, None),
            Err(error) => self.note_end(task, Some(error)),
        }
        match result {
            _ if !is_mine => Ending::Abandoned(job),
            Ok(()) => Ending::Result(job),
            Err(error) => Ending::Failure(job, error),
        }
    }

    /// Shows the world how an attempt ended. The job goes last: its pens fail what was not written.
    pub(crate) fn publish(self: &Arc<Self>, task: &Arc<OneShot>, ending: Ending) {
        match ending {
            Ending::Result(mut job) => quietly(|| job.seal()),
            Ending::Failure(job, error) => {
                task.fail_outputs(&error);
                quietly(|| drop(job));
            }
            Ending::Abandoned(job) => {
                task.fail_abandoned();
                quietly(|| drop(job));
            }
            Ending::Retry(after) => self.retry(Arc::clone(task), after),
            Ending::Nothing => {}
        }
    }

    /// A task that does not run any more is over; it may still lie in a queue.
    pub(crate) fn forget_unstarted(
        self: &Arc<Self>,
        task: &OneShot,
        was_queued: bool,
        error: &TaskError,
    ) {
        let mut job = task.job.lock().take();
        if let Some(job) = &mut job {
            quietly(|| job.release());
        }
        self.strike_off(task);
        self.note_end(task, Some(error));
        task.fail_outputs(error);
        quietly(|| drop(job));
        if !was_queued {
            return;
        }
        self.bury();
    }

    /// Queues the next attempt after a pause.
    fn retry(self: &Arc<Self>, task: Arc<OneShot>, after: Duration) {
        let shared = Arc::clone(self);
        drop(self.system.runtime().spawn(async move {
            tokio::time::sleep(after).await;
            shared.enqueue(task, Phase::BackingOff);
        }));
    }

    /// What the store must know of a task that has run, in case that results are lost with other nodes.
    fn account(&self, task: &OneShot, job: &dyn Job) {
        let Some(extras) = task.extras.as_deref() else { return };
        if extras.is_rebuild
            && let Some(object) = job.objects().into_iter().flatten().next()
        {
            self.store.repeated(object, task.attempt().saturating_sub(1));
        }
        if extras.retry.retries_max == 0 || extras.is_rebuild || task.function_hash == 0 {
            return;
        }
        // Something on another node may have been made of a large result when that is gone here.
        let (args, met) = collect_refs(|| job.describe(SMALL_BYTES));
        if let Some(args) = args {
            let nested = met.objects().collect();
            self.remember(task, job.objects(), &Written { args, nested });
        }
    }

    fn strike_off(&self, task: &OneShot) {
        if let Some(timer) = task.timer.lock().take() {
            timer.abort();
        }
        self.system.directory().remove(task.id);
        self.unfinished.fetch_sub(1, Ordering::AcqRel);
        self.finished.fetch_add(1, Ordering::Relaxed);
    }

    /// Writes down how a task ended, for those who ask later.
    fn note_end(&self, task: &OneShot, error: Option<&TaskError>) {
        let ended = self.micros();
        let began = task.end_at(ended);
        let outcome = match error {
            None => Outcome::Finished,
            Some(TaskError::Cancelled { .. }) => Outcome::Cancelled,
            Some(_) => Outcome::Failed,
        };
        let attempts = task.attempt();
        let name = task.extras.as_ref().and_then(|extras| extras.name.as_deref());
        let ended = EndedTask {
            id: task.id,
            function: task.function,
            name: name.map(Into::into),
            outcome,
            error: error.map(|error| chain_text(error).into()),
            attempts,
            began: (attempts > 0).then(|| Duration::from_micros(began)),
            ended: Duration::from_micros(ended),
            ran_on: task.ran_on(),
        };
        let forgotten = self.history.lock().push(ended);
        drop(forgotten);
    }

    /// The delay before another attempt, if there is to be one.
    fn judge(&self, task: &OneShot, job: &dyn Job, error: &TaskError) -> Option<Duration> {
        let rule = &task.extras.as_ref()?.retry;
        if rule.retries_max == 0 || self.is_closed.load(Ordering::Acquire) {
            return None;
        }
        // A predicate is user code: one that panics says no.
        let mut rng = SmallRng::from_rng(&mut rand::rng());
        match panic_capture::guard(|| rule.judge(task.attempt(), error, &mut rng)) {
            Ok(Verdict::Again { after }) if job.can_repeat() => Some(after),
            Ok(Verdict::Again { .. }) => {
                tracing::warn!(
                    task = %task.id,
                    "`{}` is not retried: its arguments cannot be cloned", task.display_name()
                );
                None
            }
            Ok(Verdict::GiveUp) => None,
            Err(report) => {
                tracing::warn!(task = %task.id, "the retry predicate panicked: {report}");
                None
            }
        }
    }
}

/// What an attempt's failure is called outside.
pub(crate) fn task_error(task: &OneShot, failure: Failure) -> TaskError {
    match failure {
        Failure::User(error) => TaskError::user_error(task.label(), error.into_inner()),
        Failure::Dependency(failed) => TaskError::from_dependency(task.label(), &failed),
        Failure::Bug(text) => {
            debug_assert!(false, "{text}");
            tracing::error!(task = %task.id, "a bug in the scheduler: {text}");
            TaskError::Lost {
                task: task.label(),
                node: None,
                attempt: task.attempt(),
                text: text.into(),
            }
        }
    }
}

/// What a panic of a task's body is called outside.
pub(crate) fn panicked(task: &OneShot, report: PanicReport) -> TaskError {
    let PanicReport { message, location, .. } = report;
    TaskError::Panicked {
        task: task.label(),
        message: message.into(),
        location: location.map(Into::into),
    }
}

/// Runs the drops of user values; a panic in one of them ends here.
fn quietly(work: impl FnOnce()) {
    if let Err(report) = panic_capture::guard(work) {
        tracing::error!("a value panicked while it was dropped: {report}");
    }
}
