//! Submitting a task: make its objects, enter it among the citizens, and leave it to the graph or the
//! scheduler.
//!
//! Submitting never waits and never fails in the caller's face: whatever is wrong with a task (a senseless
//! option, too many tasks, a node that shuts down) becomes the failure of its reference, where every other
//! failure of the task would be found too.

use std::sync::{Arc, Weak, atomic::Ordering};

use mobula_actor_core::{Citizen, current};
use mobula_store::{ArgPin, Canceller, Object, ObjectRef, TaskError};

use crate::{
    arrival::await_inputs,
    dispatch::Shared,
    function::TaskFunction,
    input::{Inputs, TaskArgs},
    job::{Job, TypedJob},
    one_shot::{Host, OneShot, Phase, Spec},
    options::TaskOptions,
    output::{Entries, Many, One, Outputs},
    scheduler::Scheduler,
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
    let shared = scheduler_here();
    let (refs, sealers, entries) = O::create(&shared.store);
    let inputs = args.into_inputs();
    launch_on::<F, O, _>(&shared, parent.as_deref(), options, inputs, (sealers, entries));
    refs
}

/// Enters a task whose results are pending already.
pub(crate) fn launch_on<F, O, I>(
    shared: &Arc<Shared>,
    parent: Option<&OneShot>,
    options: TaskOptions,
    inputs: I,
    (sealers, outputs): (O::Sealers, Entries),
) where
    F: TaskFunction,
    O: Outputs<Value = F::Output>,
    I: Inputs<Values = F::Args>,
{
    let visit = options.extras.as_ref().and_then(|extras| extras.visit);
    let is_portable = F::ARGS.is_some() && F::OUTPUT.is_some() && visit.is_none();
    let depth = visit.map_or(0, |visit| visit.depth);
    if options.extras.as_ref().is_some_and(|extras| extras.is_durable) {
        for entry in outputs.as_slice() {
            shared.store.make_entry_durable(entry);
        }
    }
    let spec = Spec {
        function: F::NAME,
        extras: options.extras,
        depth: parent.map_or(depth, |parent| parent.depth.saturating_add(1)),
        shape: shared.intern(&options.demand),
        is_blocking: F::BLOCKING,
        function_hash: if is_portable { F::HASH } else { 0 },
        demand: options.demand,
        outputs,
    };
    let soon = shared.has_searcher.load(Ordering::Relaxed);
    let task = OneShot::new(Arc::clone(shared) as Arc<dyn Host>, spec);
    let canceller: Weak<dyn Canceller> = Arc::downgrade(&task) as _;
    O::announce(&sealers, &canceller, soon);
    let job = TypedJob::<F, _, O>::new(inputs, sealers);
    begin(shared, task, parent, Box::new(job));
}

/// The scheduler of the node that the running code belongs to.
#[track_caller]
pub(crate) fn scheduler_here() -> Arc<Shared> {
    match current::expect_system().extension::<Scheduler>() {
        Some(scheduler) => Arc::clone(scheduler.shared()),
        None => panic!("this node has no scheduler: it was stopped, or built without one"),
    }
}

/// The untyped rest of a submission.
fn begin(shared: &Arc<Shared>, task: Arc<OneShot>, parent: Option<&OneShot>, job: Box<dyn Job>) {
    let mut pins: Vec<Arc<ArgPin>> = Vec::new();
    let mut has_ports = false;
    job.visit(&mut |dependency| match dependency.map(Arc::downcast::<ArgPin>) {
        Some(Ok(pin)) => pins.push(pin),
        Some(Err(_)) | None => has_ports = true,
    });
    *task.job.lock() = Some(job);

    let admitted = admit(shared, &task);
    shared.system.directory().insert(Arc::clone(&task) as Arc<dyn Citizen>);
    if let Err(error) = admitted {
        task.stop(false, || error);
        return;
    }
    if parent.is_some_and(|parent| !parent.tree.adopt(&task)) {
        task.cancel(true);
        return;
    }
    set_timer(shared, &task);
    if pins.is_empty() && !has_ports {
        shared.enqueue(task, Phase::Waiting);
    } else {
        await_inputs(shared, &task, &pins, has_ports);
    }
}

/// Counts the task, and says what is wrong with it.
fn admit(shared: &Shared, task: &OneShot) -> Result<(), TaskError> {
    let has_room = shared.count_in();
    if shared.is_closed.load(Ordering::Acquire) {
        return Err(TaskError::Cancelled { task: task.label() });
    }
    if !has_room {
        let limit = shared.config.queued_max;
        return Err(TaskError::QueueFull { task: task.label(), limit });
    }
    let Some(extras) = task.extras.as_ref() else { return Ok(()) };
    if let Some(text) = &extras.invalid {
        return Err(TaskError::Invalid { task: task.label(), text: Arc::clone(text) });
    }
    if let Some(text) = &extras.group_gone {
        return Err(TaskError::GroupGone { task: task.label(), text: Arc::clone(text) });
    }
    Ok(())
}

fn set_timer(shared: &Shared, task: &Arc<OneShot>) {
    let Some(after) = task.extras.as_ref().and_then(|extras| extras.timeout) else { return };
    let late = Arc::downgrade(task);
    let timer = shared.system.runtime().spawn(async move {
        tokio::time::sleep(after).await;
        if let Some(task) = late.upgrade() {
            task.stop(true, || TaskError::TimedOut { task: task.label(), after });
        }
    });
    *task.timer.lock() = Some(timer.abort_handle());
}
