//! The scheduler's working part: takes tasks in, and starts them when they may run.
//!
//! A scheduler that is an actor of its own would add a hop to every submission and every completion,
//! and a hop to another thread costs more than a small task. So the scheduler is a pure core under one
//! short lock, and whoever changes something (a submitter, a compute thread that finished, an object
//! that became ready) asks the core what may start now and sees to it, after letting go of the lock.
//!
//! Laws:
//! 1. No user code runs, no value is dropped and nobody is woken under the lock.
//! 2. Whoever frees resources or adds a task asks for what may start ([`Core::plan`]), and performs it.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Instant,
};

use mobula_actor_core::{GroupId, Kind, System};
use mobula_store::Store;
use parking_lot::Mutex;

use crate::{
    admission::{Enqueued, ShapeId},
    config::SchedulerConfig,
    elsewhere::Elsewhere,
    history::History,
    one_shot::{OneShot, Phase, Seat},
    plan::{Core, Work},
    resources::Demand,
    waiter::{Claimant, Waiter},
};

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
    /// Tasks that have ended, for the pace.
    pub(crate) finished: AtomicU64,
    pub(crate) is_closed: AtomicBool,
    /// Tasks that are over.
    pub(crate) history: Mutex<History>,
    /// When the node started.
    pub(crate) origin: Instant,
    pub(crate) launchers: Launchers,
    /// The way to other nodes, if there are any.
    pub(crate) elsewhere: OnceLock<Arc<dyn Elsewhere>>,
    /// Whether somebody looks from time to time if other nodes should take what waits here.
    pub(crate) is_spilling: AtomicBool,
}

/// How bodies are started; a port, because what runs bodies comes back to conclude them here.
#[derive(Clone, Copy)]
pub(crate) struct Launchers {
    /// Starts a compute thread, which the core has counted already.
    pub(crate) thread: fn(&Arc<Shared>),
    /// Spawns an attempt of a task that holds its resources.
    pub(crate) future: fn(&Arc<Shared>, Arc<OneShot>),
}

impl Shared {
    pub(crate) fn intern(&self, demand: &Demand) -> ShapeId {
        if *demand == Demand::default() {
            return ShapeId::ONE_CPU;
        }
        self.core.lock().admission.intern(demand)
    }

    /// Microseconds since the node's start.
    pub(crate) fn micros(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Counts a new task; `false` when there are too many.
    pub(crate) fn count_in(&self) -> bool {
        let before = self.unfinished.fetch_add(1, Ordering::AcqRel);
        before < self.config.queued_max
    }

    /// A task has all its inputs.
    pub(crate) fn enqueue(self: &Arc<Self>, task: Arc<OneShot>, from: Phase) {
        match self.elsewhere.get() {
            Some(port) => self.enqueue_among(port, task, from),
            None => self.enqueue_here(task, from),
        }
    }

    /// The same, for this node alone.
    pub(crate) fn enqueue_here(self: &Arc<Self>, task: Arc<OneShot>, from: Phase) {
        if !task.advance(from, Phase::Queued) {
            return;
        }
        let (shape, depth) = (task.shape, task.depth);
        let id = task.id;
        let visit = task.extras.as_ref().and_then(|extras| extras.visit);
        let mut core = self.core.lock();
        // Closed since the visitor was let in, the group's room did not find it to end it.
        if visit.is_some()
            && let Some(within) = task.demand.place()
            && !core.admission.is_feasible(&task.demand)
        {
            drop(core);
            return task.lose_group(&format!("{within} has no room on this node any more"));
        }
        if visit.is_some() {
            core.count_visitor();
        }
        let enqueued = if visit.is_some_and(|visit| visit.is_expected) {
            core.admission.enqueue_expected(shape, Waiter::Task(task));
            Enqueued::Ready
        } else {
            core.admission.enqueue(shape, depth, Waiter::Task(task))
        };
        let work = core.plan(&self.config);
        self.has_searcher.store(core.is_searched(), Ordering::Relaxed);
        let why = (enqueued == Enqueued::InfeasibleFirst).then(|| core.admission.why(shape));
        drop(core);
        self.perform(work);
        if let Some(why) = why {
            tracing::warn!(task = %id, "task {id} stays pending: it {why}");
        }
    }

    /// Changes the books, and starts what may start now.
    pub(crate) fn change(self: &Arc<Self>, change: impl FnOnce(&mut Core)) {
        let mut core = self.core.lock();
        change(&mut core);
        let work = core.plan(&self.config);
        drop(core);
        self.perform(work);
    }

    /// Somebody queued was cancelled where it lies. Whoever was held back for it may start.
    pub(crate) fn bury(self: &Arc<Self>) {
        let mut swept = Vec::new();
        self.change(|core| swept = core.bury());
        drop(swept);
    }

    /// Does what the core planned.
    pub(crate) fn perform(self: &Arc<Self>, work: Work) {
        let Work { granted, futures, seated, buried, wake, ring, warn_of_threads } = work;
        drop(buried);
        seated.into_iter().for_each(Claimant::grant);
        if ring {
            self.bell.fetch_add(1, Ordering::Release);
        }
        for task in granted {
            task.resume();
        }
        for task in futures {
            (self.launchers.future)(self, task);
        }
        if wake {
            (self.launchers.thread)(self);
        }
        if warn_of_threads {
            tracing::warn!(
                limit = self.config.compute_threads_max,
                "all compute threads are taken, most of them by functions that wait for others; \
                 use async functions for deep nesting, or raise compute_threads_max"
            );
        }
    }

    /// Ends the tasks and actors of a group: as cancelled, or, if it was lost, with the words that say so.
    pub(crate) fn cancel_group(&self, group: GroupId, lost: Option<&str>) {
        let directory = self.system.directory();
        for citizen in directory.list().into_iter().filter_map(|row| directory.get(row.id)) {
            if citizen.group() == Some(group) {
                match lost {
                    None => citizen.kill(),
                    Some(why) => citizen.end_with_group(why),
                }
            }
        }
    }

    /// Takes no more tasks and cancels those there are.
    pub(crate) fn close(&self) {
        if self.is_closed.swap(true, Ordering::AcqRel) {
            return;
        }
        let directory = self.system.directory();
        for row in directory.list() {
            if row.kind == Kind::Task
                && let Some(task) = directory.get(row.id)
            {
                task.kill();
            }
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
                let has = core.admission.unblock(task.shape, Waiter::Task(pointer));
                task.take_seat(if has { Seat::Holding } else { Seat::Returning });
                has
            }
        }
    }
}
