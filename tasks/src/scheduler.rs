//! The scheduler of one node, as the node sees it: set up, looked at, shut down.
//!
//! Its working part is in `dispatch` (taking in, starting) and `conclude` (ending), under which lie the
//! pure cores. This file joins them with what runs bodies.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use mobula_actor_core::{ActorId, GroupId, NodeId, System};
use mobula_store::{ObjectId, Rebuild, Store, TaskError};
use parking_lot::Mutex;

use crate::{
    admission::ShapeId,
    attempt, blocking,
    config::SchedulerConfig,
    dispatch::{Launchers, Shared},
    elsewhere::{Elsewhere, Lease, Waiting},
    error::ConfigError,
    history::{EndedCounts, EndedTask},
    ledger::ResourceAmount,
    one_shot::{Host, OneShot},
    plan::Core,
    resources::{Demand, Quantity, QuantityError},
    waiter::Waiter,
};

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
        let ledger = config.ledger()?;
        let launchers = Launchers { thread: blocking::wake, future: attempt::spawn };
        let shared = Shared {
            system,
            store,
            config,
            core: Mutex::new(Core::new(ledger)),
            bell: AtomicU64::new(0),
            has_searcher: AtomicBool::new(false),
            elsewhere: std::sync::OnceLock::new(),
            is_spilling: AtomicBool::new(false),
            unfinished: AtomicUsize::new(0),
            finished: AtomicU64::new(0),
            is_closed: AtomicBool::new(false),
            history: Mutex::default(),
            origin: Instant::now(),
            launchers,
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
        self.shared.change(|core| core.admission.grow(resource, amount));
        Ok(())
    }

    /// Tasks that are not over: waiting, queued, running or to be retried.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.shared.unfinished.load(Ordering::Acquire)
    }

    /// Tasks that are over, in the order of their ends: the newest 4096 that have a result, and the newest 1024 that
    /// have none.
    #[must_use]
    pub fn ended(&self) -> Vec<EndedTask> {
        self.shared.history.lock().list()
    }

    /// How a task ended that is over, while that is remembered.
    #[must_use]
    pub fn ended_task(&self, id: ActorId) -> Option<EndedTask> {
        self.shared.history.lock().find(id)
    }

    /// How many tasks are over, and how, since the start.
    #[must_use]
    pub fn ended_counts(&self) -> EndedCounts {
        self.shared.history.lock().counts()
    }

    /// How long ago this node's scheduler started: what the times of tasks that are over count from.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.shared.origin.elapsed()
    }

    /// Takes attempts of other nodes that have not begun, and may run elsewhere, out of the queues, to be cancelled by whoever can tell those
    /// nodes; gives their results' objects.
    #[must_use = "what was taken out of the queue must be cancelled, or it never ends"]
    pub fn withdraw_visitors(&self) -> Vec<ObjectId> {
        let swept = self
            .shared
            .core
            .lock()
            .admission
            .sweep(|waiter| waiter.task().is_none_or(|task| !task.may_go_back()));
        let tasks = swept.iter().filter_map(Waiter::task);
        let outputs = tasks.flat_map(|task| task.outputs.as_slice());
        outputs.map(|entry| entry.id()).collect()
    }

    /// Cancels every task and takes no more; those submitted later fail as cancelled. Plain functions
    /// that run already run to their end.
    pub fn shut_down(&self) {
        self.shared.close();
    }

    /// Joins this scheduler to others: from now on attempts may run on other nodes. The first port stands.
    pub fn set_elsewhere(&self, port: Arc<dyn Elsewhere>) {
        let _ = self.shared.elsewhere.set(port);
    }

    /// Runs tasks again whose results are lost: what [`Remote::rebuild`](mobula_store::Remote::rebuild) was given.
    pub fn rebuild(&self, tasks: Vec<Rebuild>) {
        self.shared.rebuild(tasks);
    }

    // For whoever joins this scheduler to others.

    /// Tasks that wait for resources, those of other nodes included.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.shared.core.lock().admission.ready_count()
    }

    /// Whether tasks of this node itself wait for resources: then it would rather have no others.
    #[must_use]
    pub fn has_own_waiting(&self) -> bool {
        self.shared.core.lock().own_ready() > 0
    }

    /// Tasks that have ended, those of other nodes included.
    #[must_use]
    pub fn finished(&self) -> u64 {
        self.shared.finished.load(Ordering::Relaxed)
    }

    /// What waits here and could run elsewhere, by demand.
    #[must_use]
    pub fn waiting(&self) -> Vec<Waiting> {
        self.shared.waiting()
    }

    /// Starts an attempt on `node` of a task of this demand that waits here and whose function `may_go`; the newest.
    /// `false` if none waits.
    #[must_use]
    pub fn send(
        &self,
        demand: &Demand,
        node: NodeId,
        lease: Option<Lease>,
        may_go: &dyn Fn(u64) -> bool,
    ) -> bool {
        self.shared.send(demand, (node, lease), may_go)
    }

    /// Whether this node could ever meet the demand, with nothing else running: that of a group, while it has room here.
    #[must_use]
    pub fn is_feasible(&self, demand: &Demand) -> bool {
        self.shared.core.lock().admission.is_feasible(demand)
    }

    /// Holds what a demand names, until [`give_back`](Self::give_back), a visitor that is expected, or
    /// [`open_group`](Self::open_group). `false` if it is not free now.
    #[must_use]
    pub fn hold(&self, demand: &Demand) -> bool {
        self.shared.core.lock().admission.hold(demand)
    }

    /// Gives back what was held.
    pub fn give_back(&self, demand: &Demand) {
        self.shared.change(|core| core.admission.give_back(demand));
    }

    /// Makes what is held the room of a placement group: its bundles on this node, by their indices.
    pub fn open_group(&self, group: GroupId, bundles: &[(u32, Demand)]) {
        self.shared.change(|core| core.admission.open_group(group, bundles));
    }

    /// Ends a group's room: its actors and tasks here are ended, and what they held is the node's again when their bodies have
    /// ended. Tasks end as cancelled, or, if the group was `lost`, with these words. `false` if there is none.
    #[must_use]
    pub fn close_group(&self, group: GroupId, lost: Option<&str>) -> bool {
        let mut is_closed = false;
        self.shared.change(|core| is_closed = core.admission.close_group(group));
        self.shared.cancel_group(group, lost);
        is_closed
    }

    /// Ends every actor of a group that lives here, and every task of it that was submitted here or runs here.
    pub fn cancel_group(&self, group: GroupId) {
        self.shared.cancel_group(group, None);
    }

    /// A group's room is known now: its tasks that wait here are placed.
    pub fn place_group(&self, group: GroupId) {
        self.shared.place_group(group);
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

/// What a task asks of its scheduler.
impl Host for Shared {
    fn system(&self) -> &System {
        &self.system
    }

    fn give_back(self: Arc<Self>, task: &OneShot) {
        Self::give_back(&self, task);
    }

    fn come_back(&self, task: &OneShot) -> bool {
        Self::come_back(self, task)
    }

    fn forget_unstarted(self: Arc<Self>, task: &OneShot, was_queued: bool, error: &TaskError) {
        Self::forget_unstarted(&self, task, was_queued, error);
    }

    fn forget_shape(&self, shape: ShapeId) {
        self.core.lock().admission.forget(shape);
    }

    fn free_shape(self: Arc<Self>, shape: ShapeId) {
        self.change(|core| core.admission.finish_lasting(shape));
    }

    fn why(&self, shape: ShapeId) -> String {
        self.core.lock().admission.why(shape)
    }
}
