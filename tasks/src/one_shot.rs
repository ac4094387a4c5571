//! A task: an actor with one message, which ends when it has answered.
//!
//! Like every citizen it has an id, a line in the listing, and can be killed. Unlike an actor it has no
//! mailbox: its one message is its job, and it waits in the graph for inputs, then in a queue for resources.
//!
//! Laws:
//! 1. A change of [`Phase`] is one compare-and-swap; whoever makes it does what it entails. So a task is
//!    concluded once, however many cancel it while it finishes.
//! 2. What waits in queues is never searched for. A cancelled task stays where it is and is passed over
//!    when its turn comes, for it is not [`Phase::Queued`] any more.
//! 3. The [`Seat`] is changed under the scheduler's lock only: it says what the ledger believes.
//! 4. The last pointer to a task is never dropped under the scheduler's lock.

use std::{
    any::Any,
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    thread::Thread,
};

use futures_util::task::AtomicWaker;
use mobula_actor_core::{ActorId, NodeId, Placement, System, current};
use mobula_store::{BlockHook, Failure, TaskError, TaskLabel, TaskSlot};
use parking_lot::Mutex;
use tokio::task::AbortHandle;

mod citizen;
mod phase;
mod stop;

pub(crate) use phase::{InputKey, Phase, Seat};

use crate::{
    admission::ShapeId, cancel::CancelNode, function::short_name, graph::OpenInputs, job::Job,
    options::Extras, output::Entries, resources::Demand, retry::RETRY_FOREVER,
};

/// What a task asks of the scheduler that it belongs to: a port, so that tasks do not depend on it.
pub(crate) trait Host: Send + Sync {
    /// The node.
    fn system(&self) -> &System;

    /// The running task waits: its CPUs are free for others.
    fn give_back(self: Arc<Self>, task: &OneShot);

    /// The running task goes on: `true` if it has its CPUs, `false` if it will be resumed later.
    fn come_back(&self, task: &OneShot) -> bool;

    /// A task that does not run any more is over with this error; it may still lie in a queue.
    fn forget_unstarted(self: Arc<Self>, task: &OneShot, was_queued: bool, error: &TaskError);

    /// A task of this shape is gone; nothing names the shape on its behalf any more.
    fn forget_shape(&self, shape: ShapeId);

    /// An actor that holds what this shape demands gives it back.
    fn free_shape(self: Arc<Self>, shape: ShapeId);

    /// Why a queued task of this shape does not run.
    fn why(&self, shape: ShapeId) -> String;
}

/// One task.
pub(crate) struct OneShot {
    pub(crate) id: ActorId,
    /// The function's path.
    pub(crate) function: &'static str,
    pub(crate) extras: Option<Box<Extras>>,
    pub(crate) depth: u32,
    pub(crate) shape: ShapeId,
    pub(crate) is_blocking: bool,
    /// The function's hash if its attempts can run on other nodes; 0 otherwise.
    pub(crate) function_hash: u64,
    pub(crate) demand: Demand,
    pub(crate) host: Arc<dyn Host>,
    me: Weak<Self>,
    pub(crate) outputs: Entries,
    pub(crate) tree: CancelNode<Self>,
    pub(crate) job: Mutex<Option<Box<dyn Job>>>,
    pub(crate) open: Mutex<OpenInputs<InputKey>>,
    pub(crate) timer: Mutex<Option<AbortHandle>>,
    phase: AtomicU8,
    attempt: AtomicU32,
    /// When the running attempt began, and, once the task is over, when that was; in microseconds since the node's start.
    moment: AtomicU64,
    /// The node that the last attempt went to; 0 for this one.
    ran_on: AtomicU64,
    seat: AtomicU8,
    /// Waits under way inside the body.
    pub(crate) waits: AtomicU32,
    /// The future that runs the body, if it is a future.
    pub(crate) driver: AtomicWaker,
    returner: Mutex<Option<Returner>>,
    /// The error of an abandoned task, for the thread that its body ends on.
    verdict: Mutex<Option<Box<TaskError>>>,
}

/// Who is told when a returning task has its CPUs.
enum Returner {
    Waker(Waker),
    Thread(Thread),
}

/// What a new task is made of.
pub(crate) struct Spec {
    pub(crate) function: &'static str,
    pub(crate) extras: Option<Box<Extras>>,
    pub(crate) depth: u32,
    pub(crate) shape: ShapeId,
    pub(crate) is_blocking: bool,
    pub(crate) function_hash: u64,
    pub(crate) demand: Demand,
    pub(crate) outputs: Entries,
}

impl OneShot {
    pub(crate) fn new(host: Arc<dyn Host>, spec: Spec) -> Arc<Self> {
        let Spec { function, extras, depth, shape, is_blocking, function_hash, demand, outputs } =
            spec;
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            id: host.system().next_id(),
            function,
            extras,
            depth,
            shape,
            is_blocking,
            function_hash,
            demand,
            host,
            outputs,
            tree: CancelNode::new(),
            job: Mutex::new(None),
            open: Mutex::new(OpenInputs::new()),
            timer: Mutex::new(None),
            phase: AtomicU8::new(Phase::Waiting as u8),
            attempt: AtomicU32::new(0),
            moment: AtomicU64::new(0),
            ran_on: AtomicU64::new(0),
            seat: AtomicU8::new(Seat::Holding as u8),
            waits: AtomicU32::new(0),
            driver: AtomicWaker::new(),
            returner: Mutex::new(None),
            verdict: Mutex::new(None),
        })
    }

    /// The pointer that everybody else holds.
    pub(crate) fn pointer(&self) -> Option<Arc<Self>> {
        self.me.upgrade()
    }

    /// The task that the running code belongs to.
    pub(crate) fn current() -> Option<Arc<Self>> {
        let slot = TaskSlot::current()?;
        let hook: Arc<dyn Any + Send + Sync> = Arc::clone(&slot.0) as _;
        hook.downcast().ok()
    }

    pub(crate) fn phase(&self) -> Phase {
        Phase::from_word(self.phase.load(Ordering::Acquire))
    }

    /// Changes the phase if it is still `from`.
    #[must_use]
    pub(crate) fn advance(&self, from: Phase, to: Phase) -> bool {
        let (from, to) = (from as u8, to as u8);
        self.phase.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Starts the next attempt, unless the task was cancelled in the queue.
    #[must_use]
    pub(crate) fn try_start(&self) -> bool {
        let is_mine = self.advance(Phase::Queued, Phase::Running);
        if is_mine {
            self.attempt.fetch_add(1, Ordering::Relaxed);
        }
        is_mine
    }

    /// An attempt begins at this microsecond, on that node if it is another one.
    pub(crate) fn begin_at(&self, micros: u64, node: Option<NodeId>) {
        self.moment.store(micros, Ordering::Relaxed);
        self.ran_on.store(node.map_or(0, |node| node.0), Ordering::Relaxed);
    }

    /// The task is over at this microsecond: gives the one its last attempt began at.
    pub(crate) fn end_at(&self, micros: u64) -> u64 {
        self.moment.swap(micros, Ordering::Relaxed)
    }

    /// See [`begin_at`](Self::begin_at) and [`end_at`](Self::end_at).
    pub(crate) fn moment(&self) -> u64 {
        self.moment.load(Ordering::Relaxed)
    }

    pub(crate) fn ran_on(&self) -> Option<NodeId> {
        Some(NodeId(self.ran_on.load(Ordering::Relaxed))).filter(|node| node.0 != 0)
    }

    /// The attempt was refused where it was to run, before it began.
    pub(crate) fn take_back_attempt(&self) {
        self.attempt.fetch_sub(1, Ordering::Relaxed);
        self.ran_on.store(0, Ordering::Relaxed);
    }

    pub(crate) fn attempt(&self) -> u32 {
        self.attempt.load(Ordering::Relaxed)
    }

    /// Whether another attempt is allowed after this one, so that its arguments must be kept.
    pub(crate) fn may_repeat(&self) -> bool {
        self.extras.as_ref().is_some_and(|extras| {
            let retries_max = extras.retry.retries_max;
            retries_max == RETRY_FOREVER || self.attempt() <= retries_max
        })
    }

    pub(crate) fn seat(&self) -> Seat {
        Seat::from_word(self.seat.load(Ordering::Acquire))
    }

    /// Only under the scheduler's lock.
    pub(crate) fn take_seat(&self, seat: Seat) {
        self.seat.store(seat as u8, Ordering::Release);
    }

    /// Whether it is an attempt of another node's task.
    pub(crate) fn is_visitor(&self) -> bool {
        self.extras.as_ref().is_some_and(|extras| extras.visit.is_some())
    }

    /// Whether it came from another node, and may go back to it.
    pub(crate) fn may_go_back(&self) -> bool {
        self.extras.as_ref().and_then(|extras| extras.visit).is_some_and(|visit| !visit.is_bound)
    }

    /// Whether its attempts may run on other nodes than this, where it was queued: it can travel, and nobody asked for
    /// this very node.
    pub(crate) fn may_move(&self) -> bool {
        let placement = self.extras.as_ref().and_then(|extras| extras.placement.as_ref());
        let is_bound = placement.is_some_and(|placement| {
            matches!(
                placement,
                Placement::OnNode { or_elsewhere: false, .. }
                    | Placement::Labelled { or_elsewhere: false, .. }
            )
        });
        self.function_hash != 0 && self.demand.place().is_none() && !is_bound
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.tree.is_cancelled()
    }

    pub(crate) fn display_name(&self) -> &str {
        let name = self.extras.as_ref().and_then(|extras| extras.name.as_deref());
        name.unwrap_or_else(|| short_name(self.function))
    }

    /// What errors call this task.
    pub(crate) fn label(&self) -> TaskLabel {
        TaskLabel::from(format!("{} {}", self.display_name(), self.id))
    }

    /// A failure on another node, as this task's own.
    pub(crate) fn own_failure(&self, failure: Failure) -> TaskError {
        TaskError::from(Failure { task: self.label().to_string(), ..failure })
    }

    /// Fails every result that is not settled yet.
    pub(crate) fn fail_outputs(&self, error: &TaskError) {
        for entry in self.outputs.as_slice() {
            entry.fail(error.clone());
        }
    }

    /// A returning task has its CPUs: whoever waits for that goes on.
    pub(crate) fn resume(&self) {
        match self.returner.lock().take() {
            Some(Returner::Waker(waker)) => waker.wake(),
            Some(Returner::Thread(thread)) => thread.unpark(),
            None => {}
        }
        self.driver.wake();
    }

    /// Why the task does not run, for people.
    pub(crate) fn why(&self) -> String {
        match self.phase() {
            Phase::Waiting => format!("waiting for {}", self.open.lock().text()),
            Phase::Queued => self.host.why(self.shape),
            Phase::Running => match self.seat() {
                Seat::Holding => format!("running, attempt {}", self.attempt()),
                Seat::GivenBack => "running, blocked in a get or wait".to_owned(),
                Seat::Returning => "running, waiting for a CPU to go on with".to_owned(),
            },
            Phase::Abandoned => "cancelled; its body has not ended yet".to_owned(),
            Phase::BackingOff => format!("attempt {} failed; waiting to retry", self.attempt()),
            Phase::Done => "over".to_owned(),
        }
    }
}

impl Drop for OneShot {
    // Not when the task is over: a queue may still hold it, and a thread its resources.
    fn drop(&mut self) {
        if self.shape != ShapeId::ONE_CPU {
            self.host.forget_shape(self.shape);
        }
    }
}

impl BlockHook for OneShot {
    fn blocked(&self) {
        self.waits.fetch_add(1, Ordering::AcqRel);
        Arc::clone(&self.host).give_back(self);
    }

    fn poll_unblocked(&self, cx: &mut Context<'_>) -> Poll<()> {
        // Left before asking, so that a grant in between finds it.
        *self.returner.lock() = Some(Returner::Waker(cx.waker().clone()));
        if !self.host.come_back(self) {
            return Poll::Pending;
        }
        self.returner.lock().take();
        self.waits.fetch_sub(1, Ordering::AcqRel);
        Poll::Ready(())
    }

    fn unblocked_blocking(&self) {
        *self.returner.lock() = Some(Returner::Thread(std::thread::current()));
        while !self.host.come_back(self) {
            std::thread::park();
        }
        self.returner.lock().take();
        self.waits.fetch_sub(1, Ordering::AcqRel);
    }

    fn abandoned(&self) {
        // The driver of the body takes the CPUs again before it polls the body next.
        self.waits.fetch_sub(1, Ordering::AcqRel);
    }
}

impl fmt::Debug for OneShot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Task({} {}, {})", self.display_name(), self.id, self.phase().word())
    }
}

/// Where the body of `task` runs, with the slot that running code finds its task by.
pub(crate) fn place(task: &Arc<OneShot>) -> current::Current {
    let slot = Arc::new(TaskSlot(Arc::clone(task) as Arc<dyn BlockHook>));
    current::Current::citizen(task.host.system().clone(), task.id).with_task(slot)
}
