//! The scheduler of one node: takes tasks in, starts them when they may run, and concludes them.
//!
//! A scheduler that is an actor of its own would add a hop to every submission and every completion,
//! and a hop to another thread costs more than a small task. So the scheduler is a pure core under one
//! short lock, and whoever changes something (a submitter, a compute thread that finished, an object
//! that became ready) asks the core what may start now and sees to it, after letting go of the lock.
//!
//! Laws:
//! 1. No user code runs, no value is dropped and nobody is woken under the lock.
//! 2. Whoever frees resources or adds a task asks for what may start ([`Core::plan`]), and performs it.
//! 3. At most one compute thread is *searching* (woken, or looking for more work); nobody wakes another
//!    meanwhile, and the searching one, when it finds work, wakes the next if there is more. So waking
//!    costs the submitter of ten thousand tasks a few wakes and not ten thousand.
//! 4. The order of the end: inputs unpinned, task struck off, resources released, result published.
//!    Whoever sees the result sees the rest.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use mobula_actor_core::{PanicReport, System, panic_capture};
use mobula_store::{Store, TaskError};
use parking_lot::Mutex;
use rand::{SeedableRng as _, rngs::SmallRng};

use crate::{
    admission::{Admission, Enqueued, ShapeId},
    attempt, blocking,
    config::SchedulerConfig,
    error::ConfigError,
    job::{Failure, Job},
    one_shot::{OneShot, Phase, Seat},
    resources::{Demand, Quantity, QuantityError, ResourceAmount},
    retry::Verdict,
};

/// Cancelled tasks that may lie in queues before these are swept.
const TOMBSTONES_MAX: usize = 1024;

/// The scheduler of one node; hangs in its [`System`] as an extension.
pub struct Scheduler {
    shared: Arc<Shared>,
}

impl Scheduler {
    /// A scheduler for `system` that puts results into `store`. Hang it in with
    /// [`System::set_extension`].
    ///
    /// # Errors
    /// [`ConfigError`] when a setting makes no sense; nothing was started.
    pub fn try_new(
        system: System,
        store: Arc<Store>,
        config: SchedulerConfig,
    ) -> Result<Self, ConfigError> {
        let core = Core {
            admission: Admission::new(config.ledger()?),
            workers: 0,
            is_searched: false,
            tombstones: 0,
            has_warned_of_threads: false,
        };
        let shared = Shared {
            system,
            store,
            config,
            core: Mutex::new(core),
            bell: AtomicU64::new(0),
            has_searcher: AtomicBool::new(false),
            unfinished: AtomicUsize::new(0),
            is_closed: AtomicBool::new(false),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// What the node has and what is free of it, CPUs first.
    #[must_use]
    pub fn resources(&self) -> Vec<ResourceAmount> {
        self.shared.core.lock().admission.amounts()
    }

    /// Adds capacity. Tasks whose demand could not be met until now start.
    ///
    /// # Errors
    /// [`QuantityError`] for an amount that cannot be counted; nothing changed.
    pub fn add_resource(&self, resource: &str, amount: f64) -> Result<(), QuantityError> {
        let amount = Quantity::try_new(amount)?;
        let mut core = self.shared.core.lock();
        core.admission.grow(resource, amount);
        let work = core.plan(&self.shared.config);
        drop(core);
        self.shared.perform(work);
        Ok(())
    }

    /// Tasks that are not over: waiting, queued, running or to be retried.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.shared.unfinished.load(Ordering::Acquire)
    }

    /// Cancels every task and takes no more; those submitted later fail as cancelled. Plain functions
    /// that run already run to their end.
    pub fn shut_down(&self) {
        self.shared.is_closed.store(true, Ordering::Release);
        let directory = self.shared.system.directory();
        for row in directory.list() {
            if row.kind == mobula_actor_core::Kind::Task
                && let Some(task) = directory.get(row.id)
            {
                task.kill();
            }
        }
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler")
            .field("unfinished", &self.unfinished())
            .field("resources", &self.resources())
            .finish()
    }
}

/// What every task of a node shares.
pub(crate) struct Shared {
    pub(crate) system: System,
    pub(crate) store: Arc<Store>,
    pub(crate) config: SchedulerConfig,
    pub(crate) core: Mutex<Core>,
    /// Rung when there may be something for the compute thread that searches.
    pub(crate) bell: AtomicU64,
    /// Whether a compute thread searches; a hint, read without the lock.
    pub(crate) has_searcher: AtomicBool,
    pub(crate) unfinished: AtomicUsize,
    pub(crate) is_closed: AtomicBool,
}

/// What is under the lock.
pub(crate) struct Core {
    pub(crate) admission: Admission<Arc<OneShot>>,
    /// Compute threads, in whatever state.
    pub(crate) workers: usize,
    /// Whether a compute thread was woken or looks for work.
    is_searched: bool,
    tombstones: usize,
    has_warned_of_threads: bool,
}

/// What has to be done after letting go of the lock.
#[derive(Default)]
#[must_use]
pub(crate) struct Work {
    granted: Vec<Arc<OneShot>>,
    futures: Vec<Arc<OneShot>>,
    wake: bool,
    ring: bool,
    warn_of_threads: bool,
}

impl Core {
    /// The next task that may start, holding its resources from here on; or one that was cancelled, and
    /// is only taken out of the queue.
    fn take(&mut self) -> Option<Option<Arc<OneShot>>> {
        let (shape, task) = self.admission.next()?;
        if task.try_start() {
            task.take_seat(Seat::Holding);
            return Some(Some(task));
        }
        self.admission.finish(shape);
        self.tombstones = self.tombstones.saturating_sub(1);
        Some(None)
    }

    fn grant(&mut self, work: &mut Work) {
        while let Some(task) = self.admission.grant() {
            task.take_seat(Seat::Holding);
            work.granted.push(task);
        }
    }

    /// Everything that may start now, except plain functions: those are left to compute threads, and
    /// one is woken for them.
    pub(crate) fn plan(&mut self, config: &SchedulerConfig) -> Work {
        let mut work = Work::default();
        self.grant(&mut work);
        self.plan_starts(config, &mut work);
        work
    }

    fn plan_starts(&mut self, config: &SchedulerConfig, work: &mut Work) {
        while let Some((_, task)) = self.admission.peek() {
            if task.is_blocking && task.phase() == Phase::Queued {
                return self.plan_thread(config, work);
            }
            if let Some(Some(task)) = self.take() {
                work.futures.push(task);
            }
        }
    }

    /// There is a plain function that may start: the searching thread hears of it, or one is woken.
    fn plan_thread(&mut self, config: &SchedulerConfig, work: &mut Work) {
        if self.is_searched {
            work.ring = true;
        } else if self.workers < config.compute_threads_max {
            self.workers += 1;
            self.is_searched = true;
            work.wake = true;
        } else if !std::mem::replace(&mut self.has_warned_of_threads, true) {
            work.warn_of_threads = true;
        }
    }

    /// A compute thread has nothing to do: `true` if it may look for more, `false` if another does.
    #[must_use]
    pub(crate) fn begin_search(&mut self, shared: &Shared) -> bool {
        shared.has_searcher.store(true, Ordering::Relaxed);
        !std::mem::replace(&mut self.is_searched, true)
    }

    /// The searching thread found something, or gives up.
    pub(crate) fn end_search(&mut self, shared: &Shared) {
        shared.has_searcher.store(false, Ordering::Relaxed);
        self.is_searched = false;
    }

    /// The next plain function for a compute thread that has none, and what else may start.
    pub(crate) fn next_call(&mut self, config: &SchedulerConfig) -> (Option<Arc<OneShot>>, Work) {
        let mut work = Work::default();
        self.grant(&mut work);
        while let Some(taken) = self.take() {
            let Some(task) = taken else { continue };
            if task.is_blocking {
                if self.admission.ready_count() > 0 {
                    self.plan_starts(config, &mut work);
                }
                return (Some(task), work);
            }
            work.futures.push(task);
        }
        (None, work)
    }

    /// A task's body is over: its resources are free.
    pub(crate) fn release(&mut self, task: &OneShot) {
        match task.seat() {
            Seat::Holding => self.admission.finish(task.shape),
            Seat::GivenBack | Seat::Returning => {
                self.admission.finish_blocked(task.shape, |other| other.id == task.id);
            }
        }
        task.take_seat(Seat::Holding);
    }
}

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
    // Taking tasks in.

    pub(crate) fn intern(&self, demand: &Demand) -> ShapeId {
        if *demand == Demand::default() {
            return Admission::<Arc<OneShot>>::ONE_CPU;
        }
        self.core.lock().admission.intern(demand)
    }

    /// Counts a new task; `false` when there are too many.
    pub(crate) fn count_in(&self) -> bool {
        let before = self.unfinished.fetch_add(1, Ordering::AcqRel);
        before < self.config.queued_max
    }

    /// A task has all its inputs.
    pub(crate) fn enqueue(self: &Arc<Self>, task: Arc<OneShot>, from: Phase) {
        if !task.advance(from, Phase::Queued) {
            return;
        }
        let (shape, depth) = (task.shape, task.depth);
        let id = task.id;
        let mut core = self.core.lock();
        let enqueued = core.admission.enqueue(shape, depth, task);
        let work = core.plan(&self.config);
        let why = (enqueued == Enqueued::InfeasibleFirst).then(|| core.admission.why(shape));
        drop(core);
        self.perform(work);
        if let Some(why) = why {
            tracing::warn!(task = %id, "task {id} stays pending: it {why}");
        }
    }

    pub(crate) fn why(&self, shape: ShapeId) -> String {
        self.core.lock().admission.why(shape)
    }

    /// Does what the core planned.
    pub(crate) fn perform(self: &Arc<Self>, work: Work) {
        let Work { granted, futures, wake, ring, warn_of_threads } = work;
        if ring {
            self.bell.fetch_add(1, Ordering::Release);
        }
        for task in granted {
            task.resume();
        }
        for task in futures {
            attempt::spawn(task);
        }
        if wake {
            blocking::wake(self);
        }
        if warn_of_threads {
            tracing::warn!(
                limit = self.config.compute_threads_max,
                "all compute threads are taken, most of them by functions that wait for others; \
                 use async functions for deep nesting, or raise compute_threads_max"
            );
        }
    }

    // Blocking inside a body.

    /// The running task waits: its CPUs are free for others.
    pub(crate) fn give_back(self: &Arc<Self>, task: &OneShot) {
        let mut core = self.core.lock();
        if task.seat() != Seat::Holding {
            return;
        }
        core.admission.block(task.shape);
        task.take_seat(Seat::GivenBack);
        let work = core.plan(&self.config);
        drop(core);
        self.perform(work);
    }

    /// The running task goes on: `true` if it has its CPUs, `false` if it will be resumed later.
    #[must_use]
    pub(crate) fn come_back(&self, task: &OneShot) -> bool {
        if task.seat() == Seat::Holding {
            return true;
        }
        let mut core = self.core.lock();
        match task.seat() {
            Seat::Holding => true,
            Seat::Returning => false,
            Seat::GivenBack => {
                let Some(pointer) = task.pointer() else { return true };
                let has = core.admission.unblock(task.shape, pointer);
                task.take_seat(if has { Seat::Holding } else { Seat::Returning });
                has
            }
        }
    }

    // Concluding.

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
        quietly(|| job.release());
        let is_mine = task.advance(Phase::Running, Phase::Done);
        if !is_mine {
            let _was_abandoned = task.advance(Phase::Abandoned, Phase::Done);
        }
        self.strike_off(task);
        match result {
            _ if !is_mine => Ending::Abandoned(job),
            Ok(()) => Ending::Result(job),
            Err(error) => Ending::Failure(job, error),
        }
    }

    /// Shows the world how an attempt ended. The job goes last: its pens fail what was not written.
    pub(crate) fn publish(&self, task: &Arc<OneShot>, ending: Ending) {
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
            Ending::Retry(after) => attempt::retry(Arc::clone(task), after),
            Ending::Nothing => {}
        }
    }

    /// A task that does not run any more is over; it may still lie in a queue.
    pub(crate) fn forget_unstarted(&self, task: &OneShot, was_queued: bool, error: &TaskError) {
        let mut job = task.job.lock().take();
        if let Some(job) = &mut job {
            quietly(|| job.release());
        }
        self.strike_off(task);
        task.fail_outputs(error);
        quietly(|| drop(job));
        if !was_queued {
            return;
        }
        let mut core = self.core.lock();
        core.tombstones += 1;
        if core.tombstones > TOMBSTONES_MAX && core.tombstones > core.admission.ready_count() / 2 {
            core.tombstones = 0;
            let swept = core.admission.sweep(|task| task.phase() == Phase::Queued);
            drop(core);
            drop(swept);
        }
    }

    fn strike_off(&self, task: &OneShot) {
        if let Some(timer) = task.timer.lock().take() {
            timer.abort();
        }
        self.system.directory().remove(task.id);
        if task.shape != Admission::<Arc<OneShot>>::ONE_CPU {
            self.core.lock().admission.forget(task.shape);
        }
        self.unfinished.fetch_sub(1, Ordering::AcqRel);
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
