//! Submitting a task: make its objects, enter it among the citizens, and leave it to the graph or the
//! scheduler.
//!
//! Submitting never waits and never fails in the caller's face: whatever is wrong with a task (a senseless
//! option, too many tasks, a node that shuts down) becomes the failure of its reference, where every other
//! failure of the task would be found too.

use std::{
    cell::RefCell,
    sync::{Arc, Weak, atomic::Ordering},
};

use mobula_actor_core::{Citizen, current};
use mobula_store::{ArgPin, Canceller, Entry, GetError, Object, ObjectRef, TaskError};

use crate::{
    function::TaskFunction,
    graph::Progress,
    input::TaskArgs,
    job::{Job, TypedJob},
    one_shot::{InputKey, OneShot, Phase, Spec},
    options::TaskOptions,
    output::{Many, One, Outputs},
    scheduler::{Scheduler, Shared},
};

/// Submits `F` with these arguments; gives the reference to its result at once.
///
/// # Panics
/// Outside a node, or on a node without a scheduler.
#[track_caller]
pub fn submit<F>(
    options: TaskOptions,
    args: impl TaskArgs<Values = F::Args>,
) -> ObjectRef<F::Output>
where
    F: TaskFunction,
    F::Output: Object,
{
    launch::<F, One<F::Output>, _>(options, args)
}

/// Submits `F`, which returns a tuple, with these arguments; gives one reference per part. If the task
/// fails, all of them fail with the same error.
///
/// # Panics
/// Outside a node, or on a node without a scheduler.
#[expect(private_bounds, reason = "the tuples that have outputs are listed in the docs")]
#[track_caller]
pub fn submit_many<F, R>(
    options: TaskOptions,
    args: impl TaskArgs<Values = F::Args>,
) -> <Many<R> as Outputs>::Refs
where
    F: TaskFunction<Output = R>,
    R: 'static,
    Many<R>: Outputs<Value = R>,
{
    launch::<F, Many<R>, _>(options, args)
}

#[track_caller]
fn launch<F, O, A>(options: TaskOptions, args: A) -> O::Refs
where
    F: TaskFunction,
    O: Outputs<Value = F::Output>,
    A: TaskArgs<Values = F::Args>,
{
    let parent = OneShot::current();
    let shared = parent.as_ref().map_or_else(scheduler_here, |task| Arc::clone(&task.shared));
    let (refs, sealers, outputs) = O::create(&shared.store);
    let spec = Spec {
        function: F::NAME,
        extras: options.extras,
        depth: parent.as_ref().map_or(0, |parent| parent.depth.saturating_add(1)),
        shape: shared.intern(&options.demand),
        is_blocking: F::BLOCKING,
        outputs,
    };
    let soon = shared.has_searcher.load(Ordering::Relaxed);
    let task = OneShot::new(shared, spec);
    let canceller: Weak<dyn Canceller> = Arc::downgrade(&task) as _;
    O::announce(&sealers, &canceller, soon);
    begin(task, parent.as_deref(), Box::new(TypedJob::<F, _, O>::new(args.into_inputs(), sealers)));
    refs
}

/// The scheduler of the node that the running code belongs to.
#[track_caller]
fn scheduler_here() -> Arc<Shared> {
    match current::expect_system().extension::<Scheduler>() {
        Some(scheduler) => Arc::clone(scheduler.shared()),
        None => panic!("this node has no scheduler: it was stopped, or built without one"),
    }
}

/// The untyped rest of a submission.
fn begin(task: Arc<OneShot>, parent: Option<&OneShot>, job: Box<dyn Job>) {
    let mut pins: Vec<Arc<ArgPin>> = Vec::new();
    let mut has_ports = false;
    job.visit(&mut |dependency| match dependency.map(Arc::downcast::<ArgPin>) {
        Some(Ok(pin)) => pins.push(pin),
        Some(Err(_)) | None => has_ports = true,
    });
    *task.job.lock() = Some(job);

    let shared = &task.shared;
    shared.system.directory().insert(Arc::clone(&task) as Arc<dyn Citizen>);
    if let Err(error) = admit(&task) {
        task.stop(false, || error);
        return;
    }
    if parent.is_some_and(|parent| !parent.tree.adopt(&task)) {
        task.cancel(true);
        return;
    }
    set_timer(&task);
    if pins.is_empty() && !has_ports {
        let shared = Arc::clone(shared);
        return shared.enqueue(task, Phase::Waiting);
    }
    await_inputs(&task, &pins, has_ports);
}

/// Counts the task, and says what is wrong with it.
fn admit(task: &OneShot) -> Result<(), TaskError> {
    let shared = &task.shared;
    let has_room = shared.count_in();
    if shared.is_closed.load(Ordering::Acquire) {
        return Err(TaskError::Cancelled { task: task.label() });
    }
    if !has_room {
        let limit = shared.config.queued_max;
        return Err(TaskError::QueueFull { task: task.label(), limit });
    }
    match task.extras.as_ref().and_then(|extras| extras.invalid.as_ref()) {
        None => Ok(()),
        Some(error) => {
            Err(TaskError::Invalid { task: task.label(), text: error.to_string().into() })
        }
    }
}

fn set_timer(task: &Arc<OneShot>) {
    let Some(after) = task.extras.as_ref().and_then(|extras| extras.timeout) else { return };
    let late = Arc::downgrade(task);
    let timer = task.shared.system.runtime().spawn(async move {
        tokio::time::sleep(after).await;
        if let Some(task) = late.upgrade() {
            task.stop(true, || TaskError::TimedOut { task: task.label(), after });
        }
    });
    *task.timer.lock() = Some(timer.abort_handle());
}

// Waiting for inputs.

fn await_inputs(task: &Arc<OneShot>, pins: &[Arc<ArgPin>], has_ports: bool) {
    {
        let mut open = task.open.lock();
        for pin in pins {
            open.add(InputKey::Object(pin.entry().id()));
        }
        if has_ports {
            open.add(InputKey::Port);
        }
    }
    for pin in pins {
        // Held weakly: the directory keeps the task, the pin keeps the object.
        let (task, entry) = (Arc::downgrade(task), Arc::downgrade(pin.entry()));
        let key = pin.entry().on_sealed(Box::new(move || {
            if let (Some(task), Some(entry)) = (task.upgrade(), entry.upgrade()) {
                arrived(&task, &entry);
            }
        }));
        drop(key);
    }
    if has_ports {
        poll_ports(Arc::clone(task));
    }
    let progress = task.open.lock().arm();
    match progress {
        Progress::Waiting => {}
        Progress::Complete => make_ready(task),
        Progress::Failed => {
            let failure = pins.iter().find_map(|pin| pin.entry().failure());
            fail_dependents(task, failure);
        }
    }
}

/// An object that a task waits for is settled.
fn arrived(task: &Arc<OneShot>, entry: &Entry) {
    let failure = entry.failure();
    let key = InputKey::Object(entry.id());
    let progress = task.open.lock().arrived(&key, failure.is_some());
    match progress {
        Progress::Waiting => {}
        Progress::Complete => make_ready(task),
        Progress::Failed => fail_dependents(task, failure),
    }
}

/// Arguments that announce nothing are polled on the executor.
fn poll_ports(task: Arc<OneShot>) {
    let runtime = task.shared.system.runtime().clone();
    let polling = std::future::poll_fn(move |cx| {
        let polled = task.job.lock().as_mut().map(|job| job.poll_inputs(cx));
        // No job: the task was cancelled. A failure shows when the attempt resolves its inputs.
        if let Some(std::task::Poll::Pending) = polled {
            return std::task::Poll::Pending;
        }
        if let Some(std::task::Poll::Ready(Err(failed))) = polled {
            task.stop(false, || TaskError::from_dependency(task.label(), &failed));
        }
        let progress = task.open.lock().arrived(&InputKey::Port, false);
        if progress == Progress::Complete {
            make_ready(&task);
        }
        std::task::Poll::Ready(())
    });
    drop(runtime.spawn(polling));
}

fn make_ready(task: &Arc<OneShot>) {
    let shared = Arc::clone(&task.shared);
    shared.enqueue(Arc::clone(task), Phase::Waiting);
}

thread_local! {
    /// Tasks to fail after the one that is being failed on this thread; `None` while none is.
    static FAILING: RefCell<Option<Vec<(Arc<OneShot>, TaskError)>>> = const { RefCell::new(None) };
}

/// Fails a task whose input failed. That fails its own dependents in turn: a list instead of recursion,
/// because a chain of tasks may be longer than the stack is deep.
fn fail_dependents(task: &Arc<OneShot>, failure: Option<GetError>) {
    let error = match failure {
        Some(GetError::Task(cause)) => TaskError::dependency(task.label(), &cause),
        Some(GetError::Freed { object }) => {
            TaskError::ArgumentFreed { task: task.label(), object }
        }
        Some(GetError::Timeout { .. }) | None | Some(_) => {
            TaskError::Cancelled { task: task.label() }
        }
    };
    let is_first = FAILING.with(|failing| {
        let mut failing = failing.borrow_mut();
        let is_first = failing.is_none();
        failing.get_or_insert_default().push((Arc::clone(task), error));
        is_first
    });
    while is_first {
        let next = FAILING.with(|failing| {
            let mut failing = failing.borrow_mut();
            let next = failing.as_mut().and_then(Vec::pop);
            if next.is_none() {
                *failing = None;
            }
            next
        });
        let Some((task, error)) = next else { break };
        task.stop(false, || error);
    }
}
