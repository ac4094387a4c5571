//! Who may start now, and what has to be done about it.
//!
//! Admission says which task is next; this adds who is to run it. A future is handed out to be spawned;
//! a plain function waits for a compute thread, and one must come for it. Waking a thread for every
//! function would cost more than most functions, so at most one thread is *searching* (woken, or looking
//! for more work). Nobody wakes another meanwhile; the searching one, when it has found something, has
//! the next woken if there is more. So the submitter of ten thousand functions pays for a few wake-ups.
//!
//! Nothing here wakes, spawns or runs anything: that is [`Work`], to be performed without the lock.

use std::sync::Arc;

use mobula_actor_core::GroupId;

use crate::{
    admission::Admission,
    config::SchedulerConfig,
    ledger::Ledger,
    one_shot::{OneShot, Phase, Seat},
    waiter::{Claimant, Waiter},
};

/// What is under the scheduler's lock.
pub(crate) struct Core {
    pub(crate) admission: Admission<Waiter>,
    /// Compute threads, in whatever state.
    workers: usize,
    /// Whether a compute thread was woken or looks for work.
    is_searched: bool,
    /// Cancelled tasks, and actors that have ended, that still lie in queues.
    tombstones: usize,
    /// Attempts of other nodes' tasks that lie in queues.
    visitors: usize,
    /// Actors that lie in queues.
    claimants: usize,
    has_warned_of_threads: bool,
}

/// Cancelled tasks that may lie in queues before these are swept.
const TOMBSTONES_MAX: usize = 1024;

/// What has to be done after letting go of the lock.
#[derive(Default)]
#[must_use]
pub(crate) struct Work {
    /// Blocked tasks that have their CPUs again.
    pub(crate) granted: Vec<Arc<OneShot>>,
    /// Tasks to be spawned on the executor.
    pub(crate) futures: Vec<Arc<OneShot>>,
    /// Actors that have what they are to hold.
    pub(crate) seated: Vec<Claimant>,
    /// Who was cancelled in the queue, to be dropped.
    pub(crate) buried: Vec<Waiter>,
    /// A compute thread is to be started; it is counted already.
    pub(crate) wake: bool,
    /// The searching compute thread is to look again.
    pub(crate) ring: bool,
    /// There should be more compute threads than there may; said once.
    pub(crate) warn_of_threads: bool,
}

/// What came out of a queue.
enum Taken {
    Starts(Arc<OneShot>),
    /// It is none to be run.
    Aside,
}

impl Core {
    pub(crate) fn new(ledger: Ledger) -> Self {
        Self {
            admission: Admission::new(ledger),
            workers: 0,
            is_searched: false,
            tombstones: 0,
            visitors: 0,
            claimants: 0,
            has_warned_of_threads: false,
        }
    }

    /// Takes one task out of the queues, holding its resources from here on. One that was cancelled in the
    /// queue is laid aside, to be dropped without the lock. `None` when nothing may start.
    fn take(&mut self, work: &mut Work) -> Option<Taken> {
        let (shape, waiter) = self.admission.next()?;
        self.count_out(std::slice::from_ref(&waiter));
        let gone = match waiter {
            Waiter::Task(task) if task.try_start() => {
                task.take_seat(Seat::Holding);
                return Some(Taken::Starts(task));
            }
            Waiter::Actor(claimant) if !claimant.is_gone() => {
                self.admission.hold_lastingly(shape);
                work.seated.push(claimant);
                return Some(Taken::Aside);
            }
            gone @ (Waiter::Task(_) | Waiter::Actor(_)) => gone,
        };
        self.admission.finish(shape);
        self.tombstones = self.tombstones.saturating_sub(1);
        work.buried.push(gone);
        Some(Taken::Aside)
    }

    /// Takes out those who were cancelled and are next: they will not run, and must not hold others back.
    fn clear_heads(&mut self, work: &mut Work) {
        if self.tombstones == 0 {
            return;
        }
        let gone = self.admission.drop_heads(Waiter::is_gone);
        self.tombstones = self.tombstones.saturating_sub(gone.len());
        self.count_out(&gone);
        work.buried.extend(gone);
    }

    /// Takes out all who wait for room of this group, to be placed anew.
    pub(crate) fn take_group(&mut self, group: GroupId) -> Vec<Waiter> {
        let taken = self.admission.take_group(group);
        self.count_out(&taken);
        taken
    }

    /// They do not lie in queues any more.
    fn count_out(&mut self, gone: &[Waiter]) {
        let visitors = gone.iter().filter_map(Waiter::task).filter(|task| task.is_visitor());
        self.visitors = self.visitors.saturating_sub(visitors.count());
        let claimants = gone.iter().filter(|waiter| waiter.task().is_none()).count();
        self.claimants = self.claimants.saturating_sub(claimants);
    }

    fn grant(&mut self, work: &mut Work) {
        while let Some(task) = self.admission.grant().and_then(Waiter::into_task) {
            task.take_seat(Seat::Holding);
            work.granted.push(task);
        }
    }

    /// Everything that may start now, except plain functions: those are left to compute threads, and
    /// one is woken for them.
    pub(crate) fn plan(&mut self, config: &SchedulerConfig) -> Work {
        let mut work = Work::default();
        self.grant(&mut work);
        self.clear_heads(&mut work);
        self.plan_starts(config, &mut work);
        work
    }

    fn plan_starts(&mut self, config: &SchedulerConfig, work: &mut Work) {
        while let Some((_, waiter)) = self.admission.peek() {
            let is_call = |task: &Arc<OneShot>| task.is_blocking && task.phase() == Phase::Queued;
            if waiter.task().is_some_and(is_call) {
                return self.plan_thread(config, work);
            }
            if let Some(Taken::Starts(task)) = self.take(work) {
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
    pub(crate) fn begin_search(&mut self) -> bool {
        !std::mem::replace(&mut self.is_searched, true)
    }

    /// The searching thread found something, or gives up.
    pub(crate) fn end_search(&mut self) {
        self.is_searched = false;
    }

    /// The next plain function for a compute thread that has none, and what else may start.
    pub(crate) fn next_call(&mut self, config: &SchedulerConfig) -> (Option<Arc<OneShot>>, Work) {
        let mut work = Work::default();
        self.grant(&mut work);
        self.clear_heads(&mut work);
        while let Some(taken) = self.take(&mut work) {
            let Taken::Starts(task) = taken else { continue };
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

    /// A compute thread goes.
    pub(crate) fn end_worker(&mut self) {
        self.workers -= 1;
    }

    /// Whether a compute thread was woken or looks for work.
    pub(crate) const fn is_searched(&self) -> bool {
        self.is_searched
    }

    /// Somebody queued was cancelled where it lies. Gives back what was swept out, to be dropped without
    /// the lock.
    #[must_use]
    pub(crate) fn bury(&mut self) -> Vec<Waiter> {
        self.tombstones += 1;
        if self.tombstones <= TOMBSTONES_MAX || self.tombstones <= self.admission.ready_count() / 2
        {
            return Vec::new();
        }
        self.tombstones = 0;
        let swept = self.admission.sweep(|waiter| !waiter.is_gone());
        self.count_out(&swept);
        swept
    }

    /// A task of another node is queued.
    pub(crate) const fn count_visitor(&mut self) {
        self.visitors += 1;
    }

    /// An actor is queued.
    pub(crate) const fn count_claimant(&mut self) {
        self.claimants += 1;
    }

    /// Tasks that wait for resources.
    pub(crate) const fn tasks_ready(&self) -> usize {
        self.admission.ready_count().saturating_sub(self.claimants)
    }

    /// Tasks of this node itself that wait for resources.
    pub(crate) const fn own_ready(&self) -> usize {
        self.tasks_ready().saturating_sub(self.visitors)
    }

    /// A task's body is over: its resources are free.
    pub(crate) fn release(&mut self, task: &OneShot) {
        match task.seat() {
            Seat::Holding => self.admission.finish(task.shape),
            Seat::GivenBack | Seat::Returning => {
                let is_it = |other: &Waiter| other.task().is_some_and(|other| other.id == task.id);
                self.admission.finish_blocked(task.shape, is_it);
            }
        }
        task.take_seat(Seat::Holding);
    }
}
