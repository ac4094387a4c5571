//! Rows C of what users rely on: cancellation.
//!
//! A cancel is a race by nature, so each test first makes sure where the task stands: queued, at an await, in the midst
//! of plain code, or done.

#![expect(clippy::unwrap_used, reason = "what fails in a body fails its test")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use mobula::prelude::*;
use mobula::testkit;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::Semaphore;

type Runs = Arc<AtomicUsize>;
type Gate = Arc<Semaphore>;

fn closed_gate() -> Gate {
    Arc::new(Semaphore::new(0))
}

fn count(runs: &Runs) -> usize {
    runs.load(Ordering::SeqCst)
}

async fn is_cancelled<T: Send + Sync + 'static>(object: &ObjectRef<T>) -> bool {
    match object.get().await {
        Ok(_) => false,
        Err(error) => error.task().is_some_and(TaskError::is_cancelled),
    }
}

/// Counts up when dropped: the value of a body that was dropped.
struct OnDrop(Runs);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[mobula::task(num_cpus = 0)]
async fn behind(gate: Gate, value: u64) -> u64 {
    gate.acquire().await.unwrap().forget();
    value
}

#[mobula::task]
fn note(runs: Runs, x: u64) -> u64 {
    runs.fetch_add(1, Ordering::SeqCst);
    x + 1
}

/// Holds its CPU until the gate opens.
#[mobula::task]
async fn occupy(gate: Gate) {
    gate.acquire().await.unwrap().forget();
}

#[mobula::test]
async fn c1_a_task_queued_for_resources_or_arguments_never_runs(node: Node) {
    let (gate, runs) = (closed_gate(), Runs::default());
    let (one, two) = (occupy::remote(Arc::clone(&gate)), occupy::remote(Arc::clone(&gate)));
    let queued = note::remote(Arc::clone(&runs), 1);
    let pending = behind::remote(Arc::clone(&gate), 1);
    let waiting = note::remote(Arc::clone(&runs), &pending);
    let never = note::options().resource("unicorn", 1.0).remote(Arc::clone(&runs), 1);
    testkit::advance(secs(1)).await;
    for task in [&queued, &waiting, &never] {
        assert!(task.cancel());
        assert!(is_cancelled(task).await);
    }
    gate.add_permits(3);
    mobula::get(&[one, two]).await.unwrap();
    assert_eq!(*pending.get().await.unwrap(), 1, "the argument itself goes on");
    testkit::advance(secs(60)).await;
    assert_eq!(count(&runs), 0);
    assert_eq!(node.status().unfinished_tasks, 0);
}

#[mobula::task]
async fn wait_for_ever(started: Runs, on_drop: Arc<OnDrop>) -> u64 {
    started.fetch_add(1, Ordering::SeqCst);
    let _on_drop = on_drop;
    std::future::pending().await
}

/// Plain code that looks at its token, and says how it ended.
#[mobula::task]
fn until_cancelled(report: mpsc::Sender<&'static str>) -> u64 {
    report.send("started").unwrap();
    let token = mobula::task::current().unwrap().cancellation();
    while !token.is_cancelled() {
        std::thread::yield_now();
    }
    report.send("saw it").unwrap();
    1
}

/// Plain code that does not look, as inside one long call.
#[mobula::task]
fn until_let_go(report: mpsc::Sender<&'static str>, leave: mpsc::Receiver<()>) -> u64 {
    report.send("started").unwrap();
    leave.recv().unwrap();
    report.send("done").unwrap();
    1
}

async fn next(reports: &mpsc::Receiver<&'static str>) -> &'static str {
    loop {
        match reports.try_recv() {
            Ok(report) => return report,
            Err(mpsc::TryRecvError::Empty) => tokio::task::yield_now().await,
            Err(mpsc::TryRecvError::Disconnected) => panic!("nobody is left to report"),
        }
    }
}

#[mobula::test]
async fn c2_a_running_task_ends_at_its_await_or_by_its_token_and_get_fails_at_once() {
    // At its await, the body is dropped with all it holds.
    let (started, dropped) = (Runs::default(), Runs::default());
    let on_drop = Arc::new(OnDrop(Arc::clone(&dropped)));
    let waiting = wait_for_ever::remote(Arc::clone(&started), on_drop);
    testkit::advance(secs(1)).await;
    assert_eq!((count(&started), count(&dropped)), (1, 0));
    assert!(waiting.cancel());
    assert!(is_cancelled(&waiting).await);
    testkit::advance(ms(1)).await;
    assert_eq!(count(&dropped), 1);

    // Plain code is asked by its token.
    let (report, reports) = mpsc::channel();
    let polite = until_cancelled::remote(report);
    assert_eq!(next(&reports).await, "started");
    assert!(polite.cancel());
    assert!(is_cancelled(&polite).await);
    assert_eq!(next(&reports).await, "saw it");

    // Who does not look goes on to the end; whoever gets does not wait for that.
    let ((report, reports), (leave, gone)) = (mpsc::channel(), mpsc::channel());
    let stubborn = until_let_go::remote(report, gone);
    assert_eq!(next(&reports).await, "started");
    assert!(stubborn.cancel());
    assert!(is_cancelled(&stubborn).await);
    assert!(reports.try_recv().is_err(), "the body is still inside");
    leave.send(()).unwrap();
    assert_eq!(next(&reports).await, "done");
    assert!(is_cancelled(&stubborn).await, "its value comes too late");
}

#[mobula::task(max_retries = 5, retry_errors)]
async fn retry_for_ever(runs: Runs, gate: Gate) -> Result<u64, String> {
    runs.fetch_add(1, Ordering::SeqCst);
    gate.acquire().await.unwrap().forget();
    Err("again".to_owned())
}

#[mobula::task(max_retries = 5)]
fn panic_when_cancelled(runs: Runs) -> u64 {
    runs.fetch_add(1, Ordering::SeqCst);
    let task = mobula::task::current().unwrap();
    while !task.is_cancelled() {
        std::thread::yield_now();
    }
    panic!("out")
}

#[mobula::test]
async fn c3_cancelled_tasks_are_not_retried() {
    // At an await, in the second attempt.
    let (runs, gate) = (Runs::default(), closed_gate());
    let retried = retry_for_ever::remote(Arc::clone(&runs), Arc::clone(&gate));
    gate.add_permits(1);
    testkit::advance(secs(60)).await;
    assert_eq!(count(&runs), 2);
    assert!(retried.cancel());
    assert!(is_cancelled(&retried).await);
    // While it waits for its next attempt.
    let waits = Runs::default();
    let backing_off = retry_for_ever::options()
        .backoff(secs(100)..secs(100))
        .remote(Arc::clone(&waits), Arc::new(Semaphore::new(1)));
    testkit::advance(secs(1)).await;
    assert!(backing_off.cancel());
    assert!(is_cancelled(&backing_off).await);
    // With a failure of the body after the cancel.
    let panics = Runs::default();
    let panicking = panic_when_cancelled::remote(Arc::clone(&panics));
    while count(&panics) == 0 {
        tokio::task::yield_now().await;
    }
    assert!(panicking.cancel());
    assert!(is_cancelled(&panicking).await);
    testkit::advance(secs(3_600)).await;
    assert_eq!((count(&runs), count(&waits), count(&panics)), (2, 1, 1));
}

#[mobula::test]
async fn c4_in_a_chain_of_four_cancelling_the_third_fails_the_third_and_fourth_only() {
    let (gate, runs) = (closed_gate(), Runs::default());
    let first = behind::remote(Arc::clone(&gate), 0);
    let second = note::remote(Arc::clone(&runs), &first);
    let third = note::remote(Arc::clone(&runs), &second);
    let fourth = note::remote(Arc::clone(&runs), &third);
    assert!(third.cancel());
    assert!(is_cancelled(&third).await);
    let error = fourth.get().await.unwrap_err();
    let failed = error.task().unwrap();
    assert!(matches!(failed, TaskError::DependencyFailed { .. }), "{error}");
    assert!(failed.root().is_cancelled(), "the original cause");
    assert!(!first.is_ready() && !second.is_ready());
    gate.add_permits(1);
    assert_eq!((*first.get().await.unwrap(), *second.get().await.unwrap()), (0, 1));
    assert_eq!(count(&runs), 1);
}

/// Starts a child, hands it out and waits for it.
#[mobula::task(num_cpus = 0)]
async fn parent(children: mpsc::Sender<ObjectRef<u64>>, gate: Gate, levels: u32) -> u64 {
    let child = if levels == 0 {
        behind::remote(gate, 7)
    } else {
        parent::remote(children.clone(), gate, levels - 1)
    };
    children.send(child.clone()).unwrap();
    *child.get().await.unwrap()
}

#[mobula::test]
async fn c7_cancel_reaches_the_children_too_unless_told_otherwise() {
    for recursive in [true, false] {
        let (gate, (sender, receiver)) = (closed_gate(), mpsc::channel());
        let top = parent::remote(sender, Arc::clone(&gate), 2);
        testkit::advance(ms(1)).await;
        let children: Vec<ObjectRef<u64>> = receiver.try_iter().collect();
        assert_eq!(children.len(), 3);
        // `cancel()` is `cancel_recursive(true)`.
        assert!(if recursive { top.cancel() } else { top.cancel_recursive(false) });
        assert!(is_cancelled(&top).await);
        testkit::advance(ms(1)).await;
        gate.add_permits(1);
        for child in &children {
            if recursive {
                assert!(is_cancelled(child).await);
            } else {
                assert_eq!(*child.get().await.unwrap(), 7);
            }
        }
    }
}

#[mobula::test]
async fn c8_cancel_after_completion_is_a_no_op_and_the_value_stays() {
    let runs = Runs::default();
    let done = note::remote(Arc::clone(&runs), 4);
    assert_eq!(*done.get().await.unwrap(), 5);
    assert!(!done.cancel());
    assert_eq!(*done.get().await.unwrap(), 5);
    let failed = fail::remote().get().await.unwrap_err().to_string();
    assert!(failed.contains("no luck"), "{failed}");
    let object = fail::remote();
    object.get().await.unwrap_err();
    assert!(!object.cancel());
    assert!(!is_cancelled(&object).await, "its error stays, too");
    assert!(!mobula::put(1).await.unwrap().cancel(), "nothing to cancel");
}

#[mobula::task]
fn fail() -> Result<u64, String> {
    Err("no luck".to_owned())
}

#[mobula::task]
fn cancel_it(nested: Vec<ObjectRef<u64>>) -> bool {
    nested[0].cancel()
}

struct Canceller;

#[mobula::actor]
impl Canceller {
    pub fn new() -> Self {
        Self
    }

    pub fn cancel_it(&mut self, object: ObjectRef<u64>) -> bool {
        object.cancel()
    }
}

#[mobula::test]
async fn c9_any_holder_of_the_reference_may_cancel(node: Node) {
    let pending = || behind::remote(closed_gate(), 1);
    let by_task = pending();
    assert!(*cancel_it::remote(vec![by_task.clone()]).get().await.unwrap());
    let by_actor = pending();
    assert!(Canceller::remote().cancel_it(&by_actor).await.unwrap());
    let (by_driver, copy) = {
        let object = pending();
        (object.clone(), object)
    };
    assert!(tokio::spawn(node.enter(async move { copy.cancel() })).await.unwrap());
    for object in [by_task, by_actor, by_driver] {
        assert!(is_cancelled(&object).await);
    }
}

#[mobula::test]
async fn c10_of_5000_tasks_queued_on_one_signal_each_gives_its_value_or_cancelled_and_none_hangs(
    node: Node,
) {
    let seed: u64 = rand::rng().random();
    let mut rng = StdRng::seed_from_u64(seed);
    let (gate, runs) = (closed_gate(), Runs::default());
    let signal = behind::remote(Arc::clone(&gate), 0);
    let tasks: Vec<ObjectRef<u64>> =
        (0..5_000).map(|_| note::remote(Arc::clone(&runs), &signal)).collect();
    // The first two and a half per cent before the signal, as many while the tasks run.
    let mut cancel_some = || -> Vec<bool> {
        tasks.iter().map(|task| rng.random_bool(0.025) && task.cancel()).collect()
    };
    let queued = cancel_some();
    gate.add_permits(1);
    tokio::task::yield_now().await;
    let late = cancel_some();
    let expected = queued.iter().chain(&late).filter(|cancelled| **cancelled).count();
    assert!((20..1_000).contains(&expected), "{expected} were cancelled, seed {seed}");
    for (task, (queued, late)) in tasks.iter().zip(queued.iter().zip(&late)) {
        match task.get().timeout(secs(60)).await {
            // A late cancel may lose against the end of the body.
            Ok(value) => assert!(*value == 1 && !queued, "seed {seed}"),
            Err(error) => {
                let is_cancelled = error.task().is_some_and(TaskError::is_cancelled);
                assert!(is_cancelled && (*queued || *late), "{error}, seed {seed}");
            }
        }
    }
    assert!(count(&runs) >= 5_000 - expected, "seed {seed}");
    assert_eq!(node.status().unfinished_tasks, 0, "seed {seed}");
}

/// Some calls wait, some block.
struct Clerk {
    served: u64,
}

#[mobula::actor]
impl Clerk {
    pub fn new() -> Self {
        Self { served: 0 }
    }

    pub async fn wait(&mut self, started: Runs, on_drop: Arc<OnDrop>) -> u64 {
        started.fetch_add(1, Ordering::SeqCst);
        let _on_drop = on_drop;
        std::future::pending().await
    }

    pub fn serve(&mut self) -> u64 {
        self.served += 1;
        self.served
    }

    pub fn block(&mut self, report: mpsc::Sender<&'static str>, leave: mpsc::Receiver<()>) -> u64 {
        report.send("started").unwrap();
        leave.recv().unwrap();
        self.served += 100;
        report.send("done").unwrap();
        self.served
    }
}

#[mobula::test]
async fn c12_a_cancelled_async_call_ends_at_its_await_queued_ones_never_start_the_actor_lives() {
    let (started, dropped) = (Runs::default(), Runs::default());
    let clerk = Clerk::remote();
    let wait = || {
        let on_drop = Arc::new(OnDrop(Arc::clone(&dropped)));
        clerk.wait(Arc::clone(&started), on_drop).remote()
    };
    let (running, queued) = (wait(), wait());
    let served = clerk.serve().remote();
    testkit::advance(secs(1)).await;
    assert_eq!((count(&started), count(&dropped)), (1, 0));
    assert!(queued.cancel());
    assert!(is_cancelled(&queued).await);
    assert!(running.cancel());
    assert!(is_cancelled(&running).await);
    assert_eq!(*served.get().await.unwrap(), 1, "what stood behind them is served");
    assert_eq!((count(&started), count(&dropped)), (1, 2));
    assert!(!served.cancel());
    assert_eq!(clerk.serve().await.unwrap(), 2);
}

#[test]
fn c12_a_running_plain_call_goes_on_to_its_end_yet_get_fails_as_cancelled() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let node = Node::builder().start().await.unwrap();
        node.enter(async {
            let ((report, reports), (leave, gone)) = (mpsc::channel(), mpsc::channel());
            let clerk = Clerk::remote();
            let running = clerk.block(report, gone).remote();
            assert_eq!(next(&reports).await, "started");
            assert!(running.cancel());
            assert!(is_cancelled(&running).await);
            assert!(reports.try_recv().is_err(), "the body is still inside");
            leave.send(()).unwrap();
            assert_eq!(next(&reports).await, "done");
            assert_eq!(clerk.serve().await.unwrap(), 101, "it ran to its end, and the actor lives");
            assert!(is_cancelled(&running).await);
        })
        .await;
        node.shutdown().await;
    });
}
