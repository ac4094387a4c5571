//! How a task hears that its inputs are there, or will never be.
//!
//! A waiting task costs no thread and no future: each object that it needs calls it back when it is
//! settled, on the thread that settled it. So the last input of a task queues it, and a compute thread
//! that has just finished the input finds the dependent as its next call.
//!
//! Only what has no object behind it (an argument of some other make) is polled, by a future of its own.

use std::{
    cell::RefCell,
    sync::Arc,
    task::{Context, Poll},
};

use mobula_actor_core::{DependencyFailed, chain_text};
use mobula_store::{ArgPin, Entry, GetError, TaskError};

use crate::{
    dispatch::Shared,
    graph::{OpenInputs, Progress},
    one_shot::{InputKey, OneShot, Phase},
};

/// Registers `task` with everything that it waits for: until it is made, on whatever node, if the task may go to others.
pub(crate) fn await_inputs(
    shared: &Arc<Shared>,
    task: &Arc<OneShot>,
    pins: &[Arc<ArgPin>],
    has_ports: bool,
) {
    let is_mobile = task.function_hash != 0 && shared.elsewhere.get().is_some();
    let stage = if is_mobile { Stage::Made } else { Stage::Here };
    register(shared, task, (pins, has_ports), stage);
}

/// Fetches values that were made on other nodes, then goes on as `then` says. At once if all are here.
pub(crate) fn fetch_inputs(
    shared: &Arc<Shared>,
    task: &Arc<OneShot>,
    pins: &[Arc<ArgPin>],
    (then, from): (Then, Phase),
) {
    *task.open.lock() = OpenInputs::new();
    register(shared, task, (pins, false), Stage::Fetched(then, from));
}

/// What a task waits for.
#[derive(Clone, Copy)]
enum Stage {
    /// Its inputs to be made somewhere.
    Made,
    /// Their values.
    Here,
    /// Their values, after they were made.
    Fetched(Then, Phase),
}

/// What becomes of a task whose inputs were fetched.
#[derive(Clone, Copy)]
pub(crate) enum Then {
    /// Another node is found for it.
    Place,
    /// It is queued here.
    Queue,
}

impl Stage {
    fn complete(self, shared: &Arc<Shared>, task: Arc<OneShot>) {
        match self {
            Self::Made | Self::Here => shared.enqueue(task, Phase::Waiting),
            Self::Fetched(Then::Place, from) => shared.enqueue(task, from),
            Self::Fetched(Then::Queue, from) => {
                shared.enqueue_here(task, from);
                shared.watch_queue();
            }
        }
    }
}

fn register(
    shared: &Arc<Shared>,
    task: &Arc<OneShot>,
    (pins, has_ports): (&[Arc<ArgPin>], bool),
    stage: Stage,
) {
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
        // Held weakly: the directory keeps the task, the task's pin keeps the object.
        let (waiting, entry) = (Arc::downgrade(task), Arc::downgrade(pin.entry()));
        let shared = Arc::clone(shared);
        let callback = Box::new(move || {
            if let (Some(task), Some(entry)) = (waiting.upgrade(), entry.upgrade()) {
                arrived(&shared, &task, &entry, stage);
            }
        });
        // A task that is cancelled stays registered: a call to nobody is cheaper than leaving.
        match stage {
            Stage::Made => pin.entry().on_made(callback),
            Stage::Here | Stage::Fetched(..) => drop(pin.entry().on_sealed(callback)),
        }
    }
    if has_ports {
        poll_ports(shared, Arc::clone(task));
    }
    let progress = task.open.lock().arm();
    match progress {
        Progress::Waiting => {}
        Progress::Complete => stage.complete(shared, Arc::clone(task)),
        Progress::Failed => {
            let failure = pins.iter().find_map(|pin| pin.entry().failure());
            fail(task, failure);
        }
    }
}

/// An object that a task waits for is settled.
fn arrived(shared: &Arc<Shared>, task: &Arc<OneShot>, entry: &Entry, stage: Stage) {
    let failure = entry.failure();
    let key = InputKey::Object(entry.id());
    let progress = task.open.lock().arrived(&key, failure.is_some());
    match progress {
        Progress::Waiting => {}
        Progress::Complete => stage.complete(shared, Arc::clone(task)),
        Progress::Failed => fail(task, failure),
    }
}

/// Arguments that announce nothing are polled on the executor.
fn poll_ports(shared: &Arc<Shared>, task: Arc<OneShot>) {
    let mine = Arc::clone(shared);
    drop(shared.system.runtime().spawn(async move {
        let polled = std::future::poll_fn(|cx| poll_inputs(&task, cx)).await;
        if let Err(failed) = polled {
            task.stop(false, || TaskError::from_dependency(task.label(), &failed));
            return;
        }
        let progress = task.open.lock().arrived(&InputKey::Port, false);
        if progress == Progress::Complete {
            mine.enqueue(task, Phase::Waiting);
        }
    }));
}

fn poll_inputs(task: &OneShot, cx: &mut Context<'_>) -> Poll<Result<(), DependencyFailed>> {
    // No job: the task was cancelled.
    task.job.lock().as_mut().map_or(Poll::Ready(Ok(())), |job| job.poll_inputs(cx))
}

thread_local! {
    /// Tasks to fail after the one that is being failed on this thread; `None` while none is.
    static FAILING: RefCell<Option<Failing>> = const { RefCell::new(None) };
}

type Failing = Vec<(Arc<OneShot>, TaskError)>;

/// Fails a task whose input failed. That fails its own dependents in turn: a list instead of recursion,
/// because a chain of tasks may be longer than the stack is deep.
fn fail(task: &Arc<OneShot>, failure: Option<GetError>) {
    let Some(failure) = failure else {
        debug_assert!(false, "an input was reported as failed and has not");
        return;
    };
    let failed = DependencyFailed { text: chain_text(&failure), source: Arc::new(failure) };
    let error = TaskError::from_dependency(task.label(), &failed);
    let is_first = FAILING.with_borrow_mut(|failing| {
        let is_first = failing.is_none();
        failing.get_or_insert_default().push((Arc::clone(task), error));
        is_first
    });
    if !is_first {
        return;
    }
    while let Some((task, error)) = FAILING.with_borrow_mut(next_to_fail) {
        task.stop(false, || error);
    }
}

/// The next of the list; the last one closes it.
fn next_to_fail(failing: &mut Option<Failing>) -> Option<(Arc<OneShot>, TaskError)> {
    let next = failing.as_mut().and_then(Vec::pop);
    if next.is_none() {
        *failing = None;
    }
    next
}
