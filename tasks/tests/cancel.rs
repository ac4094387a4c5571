//! Behaviours C1 to C4 and C7 to C10: what cancelling does to a task, its children and its dependents.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, inside a task too")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    time::Duration,
};

use mobula_store::{GetError, ObjectRef, TaskError};
use mobula_tasks::{TaskOptions, task as this_task};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tokio::sync::Notify;

#[path = "support/node.rs"]
mod node;
use node::{Node, cpus};

type Runs = Arc<AtomicU32>;
type Gate = Arc<Notify>;

/// Reports its drop.
#[derive(Debug)]
struct OnDrop(mpsc::Sender<&'static str>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        let _ = self.0.send("dropped");
    }
}

task! {
    fn increment(x: u64) -> u64 { x + 1 }
    fn count(runs: Runs) -> u32 { runs.fetch_add(1, Ordering::Relaxed) }
    fn hold(started: mpsc::Sender<()>, gate: mpsc::Receiver<u64>) -> u64 {
        started.send(()).unwrap();
        gate.recv().unwrap()
    }
    fn until_cancelled(report: mpsc::Sender<&'static str>) -> u64 {
        report.send("running").unwrap();
        while !this_task::current().unwrap().is_cancelled() {
            std::thread::yield_now();
        }
        report.send("ended").unwrap();
        1
    }
    fn panic_when_cancelled(runs: Runs) -> u64 {
        runs.fetch_add(1, Ordering::Relaxed);
        let token = this_task::current().unwrap().cancellation();
        while !token.is_cancelled() {
            std::thread::yield_now();
        }
        assert!(!token.is_cancelled(), "cancelled");
        1
    }
}

task! {
    async fn after(gate: Gate, x: u64) -> u64 { gate.notified().await; x }
    async fn for_ever(report: mpsc::Sender<&'static str>, guard: Arc<OnDrop>) -> u64 {
        let _guard = guard;
        report.send("running").unwrap();
        std::future::pending().await
    }
    async fn parent(children: mpsc::Sender<ObjectRef<u64>>, gate: Gate, wait: bool) -> u64 {
        let child = after::with(TaskOptions::new().num_cpus(0.0), gate, 7);
        children.send(child.clone()).unwrap();
        if wait { *child.get().await.unwrap() } else { std::future::pending().await }
    }
    async fn cancel_it(object: ObjectRef<u64>) -> bool { object.cancel() }
}

fn failure<T: std::fmt::Debug>(result: Result<T, GetError>) -> TaskError {
    match result {
        Err(GetError::Task(error)) => error,
        other => panic!("expected the failure of a task, not {other:?}"),
    }
}

async fn is_cancelled<T: std::fmt::Debug + Send + Sync + 'static>(object: &ObjectRef<T>) -> bool {
    failure(object.get().await).is_cancelled()
}

/// Lets everything that can run do so.
async fn settle() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn c1_a_task_queued_for_resources_or_arguments_never_runs() {
    let node = Node::new(cpus(1));
    node.enter(async {
        let (started, has_started) = mpsc::channel();
        let (open, gate) = mpsc::channel();
        let holder = hold::remote(started, gate);
        has_started.recv().unwrap();
        let runs = Runs::default();
        let queued = count::remote(runs.clone());
        let waiting = increment::remote(&holder);
        assert!(queued.cancel() && waiting.cancel());
        assert!(!queued.cancel(), "it is over");
        assert!(is_cancelled(&queued).await && is_cancelled(&waiting).await);
        assert_eq!(holder.counts().submitted, 0, "its arguments are let go at once");
        open.send(1).unwrap();
        assert_eq!(*holder.get().await.unwrap(), 1);
        settle().await;
        assert_eq!(runs.load(Ordering::Relaxed), 0);
    })
    .await;
    assert!(node.is_idle());
    assert_eq!(node.scheduler.unfinished(), 0);
    assert!(node.system.directory().is_empty());
}

#[tokio::test(start_paused = true)]
async fn c2_a_running_async_task_is_dropped_at_its_await() {
    let node = Node::new(cpus(1));
    node.enter(async {
        let (report, reports) = mpsc::channel();
        let guard = Arc::new(OnDrop(report.clone()));
        let running = for_ever::remote(report, guard);
        settle().await;
        assert_eq!(reports.recv().unwrap(), "running");
        assert!(running.cancel());
        assert!(is_cancelled(&running).await);
        settle().await;
        assert_eq!(reports.try_recv().unwrap(), "dropped");
    })
    .await;
    assert!(node.is_idle());
}

#[tokio::test(start_paused = true)]
async fn c2_a_running_plain_task_is_cancelled_by_token_and_get_fails_at_once() {
    let node = Node::new(cpus(2));
    node.enter(async {
        let (started, has_started) = mpsc::channel();
        let (open, gate) = mpsc::channel();
        let deaf = hold::remote(started, gate);
        has_started.recv().unwrap();
        assert!(deaf.cancel());
        assert!(is_cancelled(&deaf).await, "although its body still runs");
        assert!(!node.is_idle(), "it still holds its CPU");
        open.send(1).unwrap();

        let (report, reports) = mpsc::channel();
        let listening = until_cancelled::remote(report);
        assert_eq!(reports.recv().unwrap(), "running");
        assert!(listening.cancel());
        assert_eq!(reports.recv().unwrap(), "ended");
        assert!(is_cancelled(&listening).await);
        settle().await;
    })
    .await;
    assert!(node.is_idle());
    assert_eq!(node.scheduler.unfinished(), 0);
}

#[tokio::test(start_paused = true)]
async fn c3_a_cancelled_task_is_not_retried() {
    let node = Node::new(cpus(1));
    node.enter(async {
        let runs = Runs::default();
        let options = TaskOptions::new().max_retries(5);
        let object = panic_when_cancelled::with(options, runs.clone());
        while runs.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        assert!(object.cancel());
        assert!(is_cancelled(&object).await);
        settle().await;
        assert_eq!(runs.load(Ordering::Relaxed), 1);
    })
    .await;
    assert!(node.is_idle());
}

#[tokio::test(start_paused = true)]
async fn c4_cancelling_the_third_of_a_chain_fails_the_third_and_fourth_only() {
    let node = Node::new(cpus(1));
    node.enter(async {
        let gate = Gate::default();
        let one = after::remote(Arc::clone(&gate), 1);
        let two = increment::remote(&one);
        let three = increment::remote(&two);
        let four = increment::remote(&three);
        assert!(three.cancel());
        assert!(is_cancelled(&three).await);
        let error = failure(four.get().await);
        assert!(matches!(error, TaskError::DependencyFailed { .. }) && error.root().is_cancelled());
        gate.notify_one();
        assert_eq!((*one.get().await.unwrap(), *two.get().await.unwrap()), (1, 2));
    })
    .await;
    assert!(node.is_idle());
}

#[tokio::test(start_paused = true)]
async fn c7_recursive_cancel_reaches_children_and_can_be_declined() {
    let node = Node::new(cpus(1));
    node.enter(async {
        let (children, born) = mpsc::channel();
        for recursive in [true, false] {
            let gate = Gate::default();
            let outer = parent::remote(children.clone(), Arc::clone(&gate), recursive);
            settle().await;
            let child = born.recv().unwrap();
            assert!(outer.cancel_recursive(recursive));
            assert!(is_cancelled(&outer).await);
            if recursive {
                assert!(is_cancelled(&child).await);
            } else {
                gate.notify_one();
                assert_eq!(*child.get().await.unwrap(), 7);
            }
        }
        settle().await;
    })
    .await;
    assert!(node.is_idle());
    assert_eq!(node.scheduler.unfinished(), 0);
}

#[tokio::test(start_paused = true)]
async fn c8_cancel_after_completion_is_a_no_op() {
    let node = Node::new(cpus(1));
    node.enter(async {
        let object = increment::remote(1);
        assert_eq!(*object.get().await.unwrap(), 2);
        assert!(!object.cancel());
        assert_eq!(*object.get().await.unwrap(), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn c9_any_holder_of_a_reference_may_cancel() {
    let node = Node::new(cpus(2));
    node.enter(async {
        let object = after::remote(Gate::default(), 1);
        assert!(*cancel_it::remote(&object).get().await.unwrap());
        assert!(is_cancelled(&object).await);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn c10_of_five_thousand_queued_tasks_some_cancelled_each_gives_a_value_or_cancelled() {
    let node = Node::new(cpus(2));
    node.enter(async {
        let mut rng = StdRng::seed_from_u64(10);
        let gate = Gate::default();
        let signal = after::remote(Arc::clone(&gate), 1);
        let refs: Vec<_> = (0..5000).map(|_| increment::remote(&signal)).collect();
        let mut cancelled: Vec<bool> = refs.iter().map(|_| rng.random_bool(0.05)).collect();
        for (object, _) in refs.iter().zip(&cancelled).take(2500).filter(|(_, chosen)| **chosen) {
            assert!(object.cancel());
        }
        gate.notify_one();
        signal.get().await.unwrap();
        for (object, chosen) in refs.iter().zip(&mut cancelled).skip(2500) {
            // These race with their execution: either outcome is right.
            *chosen = *chosen && object.cancel();
        }
        for (object, cancelled) in refs.iter().zip(cancelled) {
            match object.get().await {
                Ok(value) => assert!(!cancelled && *value == 2),
                Err(error) => assert!(cancelled && failure::<u64>(Err(error)).is_cancelled()),
            }
        }
        settle().await;
    })
    .await;
    assert!(node.is_idle());
    assert_eq!(node.scheduler.unfinished(), 0);
}

#[tokio::test(start_paused = true)]
async fn cancelled_tasks_do_not_pile_up_in_a_queue_that_never_moves() {
    let node = Node::new(cpus(1));
    node.enter(async {
        let runs = Runs::default();
        for _ in 0..10_000 {
            let never = TaskOptions::new().resource("unicorn", 1.0);
            assert!(count::with(never, runs.clone()).cancel());
        }
        // Whatever still lies in the queue holds its task, and each task its `runs`.
        assert_eq!(Arc::strong_count(&runs), 1);
        assert!(node.system.directory().is_empty());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn killing_the_citizen_cancels_the_task() {
    let node = Node::new(cpus(1));
    node.enter(async {
        let object = after::with(TaskOptions::new().name("sleeper"), Gate::default(), 1);
        let rows = node.system.directory().list();
        let row = rows.first().unwrap();
        assert_eq!(
            (row.name.as_deref(), &*row.type_name, row.state),
            (Some("sleeper"), "after", "running")
        );
        node.system.directory().get(row.id).unwrap().kill();
        assert!(is_cancelled(&object).await);
        settle().await;
        assert!(node.system.directory().is_empty());
    })
    .await;
}
