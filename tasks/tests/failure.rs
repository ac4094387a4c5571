//! Behaviours F1 to F4, O5 to O7: errors, panics, failed inputs, retries, and what they leave behind.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, inside a task too")]

use std::{
    num::ParseIntError,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    time::Duration,
};

use mobula_store::{GetError, ObjectRef, TaskError, free, put};
use mobula_tasks::{TaskOptions, task as this_task};
use tokio::time::Instant;

#[path = "support/node.rs"]
mod node;
use node::{Node, cpus};

type Runs = Arc<AtomicU32>;

#[derive(Debug)]
struct NoCopy(Runs);

task! {
    try fn parse(text: String) -> Result<u64, ParseIntError> { text.parse() }
    try fn fail_until(good: u32, runs: Runs) -> Result<u32, String> {
        let run = runs.fetch_add(1, Ordering::Relaxed) + 1;
        assert_eq!(this_task::current().unwrap().attempt(), run);
        if run < good { Err(format!("run {run}")) } else { Ok(run) }
    }
    try fn fail_without_copy(runs: NoCopy) -> Result<u32, String> {
        runs.0.fetch_add(1, Ordering::Relaxed);
        Err("never".into())
    }
    try fn fail_with(bytes: Arc<Vec<u8>>, gate: mpsc::Receiver<()>) -> Result<u64, String> {
        gate.recv().unwrap();
        Err(format!("{} bytes", bytes.len()))
    }
}

task! {
    fn double(x: u64) -> u64 { x * 2 }
    fn panic_until(good: u32, runs: Runs) -> u32 {
        let run = runs.fetch_add(1, Ordering::Relaxed) + 1;
        assert!(run >= good, "run {run}");
        run
    }
    fn sum_when(bytes: Arc<Vec<u8>>, gate: mpsc::Receiver<()>) -> usize {
        gate.recv().unwrap();
        bytes.len()
    }
    fn pass_down(levels: u32, object: ObjectRef<Vec<u8>>) -> ObjectRef<usize> {
        descend::remote(levels, object)
    }
    fn descend(levels: u32, object: ObjectRef<Vec<u8>>) -> usize {
        if levels == 0 {
            object.get().blocking().unwrap().len()
        } else {
            *remote(levels - 1, object).get().blocking().unwrap()
        }
    }
}

task! {
    async fn panic_later(x: u64) -> u64 {
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(x == 0, "x is {x}");
        x
    }
}

fn failure<T: std::fmt::Debug>(result: Result<T, GetError>) -> TaskError {
    match result {
        Err(GetError::Task(error)) => error,
        other => panic!("expected the failure of a task, not {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn f1_a_users_error_keeps_its_type_and_names_the_task() {
    let node = Node::new(cpus(1));
    node.enter(async {
        let failed = parse::with(TaskOptions::new().name("reader"), "x".to_owned());
        let error = failure(failed.get().await);
        assert!(error.user::<ParseIntError>().is_some());
        assert!(error.to_string().starts_with("task `reader a"), "{error}");
        assert!(error.to_string().ends_with("failed: invalid digit found in string"), "{error}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_an_error_with_text_and_place_and_the_node_lives_on() {
    let node = Node::new(cpus(1));
    node.enter(async {
        for error in [
            failure(panic_until::remote(2, Runs::default()).get().await),
            failure(panic_later::remote(1).get().await),
        ] {
            let TaskError::Panicked { message, location, .. } = error else { panic!("{error}") };
            assert!(&*message == "run 1" || &*message == "x is 1", "{message}");
            assert!(location.unwrap().contains("failure.rs"));
        }
        assert_eq!(*double::remote(2).get().await.unwrap(), 4);
    })
    .await;
    assert!(node.is_idle());
}

#[tokio::test(start_paused = true)]
async fn f2_a_task_with_a_failed_input_does_not_run_and_names_the_original_cause() {
    let node = Node::new(cpus(1));
    node.enter(async {
        let bad = parse::remote("x".to_owned());
        let after = double::remote(double::remote(&bad));
        let error = failure(after.get().await);
        assert!(matches!(error, TaskError::DependencyFailed { .. }));
        assert!(error.user::<ParseIntError>().is_some());
        assert!(error.to_string().contains("parse a"), "{error}");
        // The input has failed already when the task is submitted.
        let late = failure(double::remote(&bad).get().await);
        assert!(late.user::<ParseIntError>().is_some());

        let freed = put(1).await.unwrap();
        free(&freed);
        let error = failure(double::remote(&freed).get().await);
        assert!(matches!(error, TaskError::ArgumentFreed { .. }), "{error}");
    })
    .await;
    assert_eq!(node.scheduler.unfinished(), 0);
}

#[tokio::test(start_paused = true)]
async fn f2_a_failure_travels_down_a_very_long_chain() {
    let node = Node::new(cpus(1));
    node.enter(async {
        let (gate, gated) = mpsc::channel::<()>();
        let bytes = put(vec![1u8]).await.unwrap();
        let mut last = fail_with::remote(&bytes, gated);
        for _ in 0..100_000 {
            last = double::remote(&last);
        }
        gate.send(()).unwrap();
        assert!(failure(last.get().await).to_string().contains("1 bytes"));
    })
    .await;
    assert_eq!(node.scheduler.unfinished(), 0);
}

#[tokio::test(start_paused = true)]
async fn f3_user_errors_are_retried_only_on_request() {
    let node = Node::new(cpus(1));
    node.enter(async {
        let runs = Runs::default();
        let once = fail_until::with(TaskOptions::new().max_retries(5), 2, runs.clone());
        assert!(failure(once.get().await).to_string().ends_with("run 1"));
        assert_eq!(runs.load(Ordering::Relaxed), 1);

        let options = TaskOptions::new().max_retries(5).retry_errors();
        let sixth = fail_until::with(options.clone(), 6, Runs::default());
        assert_eq!(*sixth.get().await.unwrap(), 6);
        let seventh = fail_until::with(options, 7, Runs::default());
        assert!(failure(seventh.get().await).to_string().ends_with("run 6"));

        let picky = TaskOptions::new()
            .max_retries(9)
            .retry_if(|error| !error.to_string().ends_with("run 3"));
        let third = fail_until::with(picky, 9, Runs::default());
        assert!(failure(third.get().await).to_string().ends_with("run 3"));

        let panicking = TaskOptions::new().max_retries(9).retry_if(|_| panic!("bad predicate"));
        let first = fail_until::with(panicking, 9, Runs::default());
        assert!(failure(first.get().await).to_string().ends_with("run 1"));
    })
    .await;
    assert!(node.is_idle());
}

#[tokio::test(start_paused = true)]
async fn f4_a_crash_is_retried_max_retries_times() {
    let node = Node::new(cpus(1));
    node.enter(async {
        let third = panic_until::with(TaskOptions::new().max_retries(3), 3, Runs::default());
        assert_eq!(*third.get().await.unwrap(), 3);
        let runs = Runs::default();
        let never = panic_until::with(TaskOptions::new().max_retries(3), 100, runs.clone());
        assert!(failure(never.get().await).to_string().contains("run 4"));
        assert_eq!(runs.load(Ordering::Relaxed), 4);
        let once = panic_until::remote(2, Runs::default());
        assert!(failure(once.get().await).to_string().contains("run 1"));
        let forever = TaskOptions::new().max_retries(mobula_tasks::RETRY_FOREVER);
        assert_eq!(*panic_until::with(forever, 40, Runs::default()).get().await.unwrap(), 40);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn retries_back_off_exponentially_with_jitter() {
    let node = Node::new(cpus(1));
    node.enter(async {
        let options = TaskOptions::new()
            .max_retries(4)
            .backoff(Duration::from_secs(1)..Duration::from_secs(4));
        let began = Instant::now();
        let fifth = panic_until::with(options, 5, Runs::default());
        assert_eq!(*fifth.get().await.unwrap(), 5);
        // 1 + 2 + 4 + 4 seconds, each between a half and the whole.
        let took = began.elapsed();
        assert!((5.5..=11.1).contains(&took.as_secs_f64()), "{took:?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn arguments_that_cannot_be_cloned_are_not_retried() {
    let node = Node::new(cpus(1));
    node.enter(async {
        let runs = Runs::default();
        let options = TaskOptions::new().max_retries(3).retry_errors();
        let failed = fail_without_copy::with(options, NoCopy(runs.clone()));
        assert!(failure(failed.get().await).to_string().ends_with("never"));
        assert_eq!(runs.load(Ordering::Relaxed), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn o5_counts_follow_submission_and_completion() {
    let node = Node::new(cpus(2));
    node.enter(async {
        let bytes = put(vec![0u8; 100]).await.unwrap();
        let (open, gate) = mpsc::channel();
        let sum = sum_when::remote(&bytes, gate);
        let counts = bytes.counts();
        assert_eq!((counts.local, counts.submitted), (1, 1));
        open.send(()).unwrap();
        sum.get().await.unwrap();
        let counts = bytes.counts();
        assert_eq!((counts.local, counts.submitted), (1, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn o6_a_failure_releases_the_arguments_too() {
    let node = Node::new(cpus(2));
    node.enter(async {
        let bytes = put(vec![0u8; 100]).await.unwrap();
        let (open, gate) = mpsc::channel();
        let failed = fail_with::remote(&bytes, gate);
        assert_eq!(bytes.counts().submitted, 1);
        open.send(()).unwrap();
        failure(failed.get().await);
        assert_eq!(bytes.counts().submitted, 0);
        drop((bytes, failed));
        assert_eq!(node.store.usage().bytes, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn o7_a_reference_passed_down_a_chain_of_tasks_keeps_the_object() {
    let node = Node::new(cpus(1));
    node.enter(async {
        let bytes = put(vec![0u8; 5000]).await.unwrap();
        let outer = pass_down::remote(20, bytes);
        let length = outer.get().await.unwrap();
        assert_eq!(*length.get().await.unwrap(), 5000);
        drop((outer, length));
        assert_eq!((node.store.usage().bytes, node.store.usage().objects), (0, 0));
    })
    .await;
}
