//! Random graphs of tasks that succeed, fail, panic, nest, demand and are cancelled, against a model that
//! only adds numbers. Whatever happens, every reference is settled, and the node is as empty as before.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, inside a task too")]

use std::time::Duration;

use mobula_store::{GetError, ObjectRef};
use mobula_tasks::{SchedulerConfig, TaskOptions};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

#[path = "support/node.rs"]
mod node;
use node::{Node, cpus};

/// What a task does after adding its inputs and one.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Turn {
    Succeed,
    Fail,
    Panic,
    /// Asks a child, and waits for it.
    Nest(u32),
}

task! {
    try fn plain(x: u64, y: u64, turn: Turn) -> Result<u64, String> {
        match turn {
            Turn::Succeed => Ok(x + y + 1),
            Turn::Fail => Err("as told".into()),
            Turn::Panic => panic!("as told"),
            Turn::Nest(0) => Ok(x + y + 1),
            Turn::Nest(levels) => {
                let child = later::remote(x, y, Turn::Nest(levels - 1));
                child.get().blocking().map(|value| *value).map_err(|error| error.to_string())
            }
        }
    }
}

task! {
    async fn later(x: u64, y: u64, turn: Turn) -> u64 {
        if (x + y) % 3 == 0 {
            tokio::task::yield_now().await;
        }
        match turn {
            Turn::Succeed | Turn::Nest(0) => x + y + 1,
            Turn::Fail | Turn::Panic => panic!("as told"),
            Turn::Nest(levels) => {
                let child = plain::remote(x, y, Turn::Nest(levels - 1));
                *child.get().await.unwrap()
            }
        }
    }
}

struct Submitted {
    object: ObjectRef<u64>,
    /// What it gives when nobody cancels anything; `None` for a failure.
    expected: Option<u64>,
    /// Whether it or one of its inputs was told to end early.
    is_cancelled: bool,
}

fn options(rng: &mut StdRng) -> TaskOptions {
    let mut options =
        TaskOptions::new().num_cpus([0.0, 0.5, 1.0, 1.0, 2.0][rng.random_range(0..5)]);
    if rng.random_bool(0.2) {
        options = options.resource("licence", 1.0);
    }
    if rng.random_bool(0.3) {
        let backoff = Duration::from_micros(1)..Duration::from_millis(1);
        options = options.max_retries(2).retry_errors().backoff(backoff);
    }
    options
}

fn submit_one(rng: &mut StdRng, earlier: &[Submitted]) -> Submitted {
    let turn = match rng.random_range(0..20) {
        0 => Turn::Fail,
        1 => Turn::Panic,
        levels @ 2..5 => Turn::Nest(levels - 1),
        _ => Turn::Succeed,
    };
    let options = options(rng);
    let pick = |rng: &mut StdRng| {
        let recent = earlier.len().saturating_sub(20);
        (!earlier.is_empty()).then(|| &earlier[rng.random_range(recent..earlier.len())])
    };
    let (Some(x), Some(y)) = (pick(rng), pick(rng)) else {
        let object = plain::remote(1, 1, Turn::Succeed);
        return Submitted { object, expected: Some(3), is_cancelled: false };
    };
    let object = if rng.random_bool(0.5) {
        plain::with(options, &x.object, &y.object, turn)
    } else {
        later::with(options, &x.object, &y.object, turn)
    };
    let sum = x.expected.zip(y.expected).map(|(x, y)| x.wrapping_add(y).wrapping_add(1));
    let expected = sum.filter(|_| !matches!(turn, Turn::Fail | Turn::Panic));
    Submitted { object, expected, is_cancelled: x.is_cancelled || y.is_cancelled }
}

async fn history(seed: u64, tasks: usize) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut all: Vec<Submitted> = Vec::new();
    for _ in 0..tasks {
        let mut next = submit_one(&mut rng, &all);
        // Sums double at each step; beyond this the model would have to know about overflow.
        if next.expected.is_some_and(|sum| sum > 1 << 40) {
            next = Submitted {
                object: plain::remote(1, 1, Turn::Succeed),
                expected: Some(3),
                is_cancelled: false,
            };
        }
        all.push(next);
        if rng.random_bool(0.03) {
            let chosen = rng.random_range(0..all.len());
            let object = all[chosen].object.clone();
            // Those that depend on it and were submitted before are told apart below, by their error.
            all[chosen].is_cancelled |= object.cancel_recursive(rng.random_bool(0.5));
        }
        if rng.random_bool(0.02) {
            tokio::task::yield_now().await;
        }
    }
    for Submitted { object, expected, is_cancelled } in all {
        match (object.get().await, expected) {
            (Ok(value), Some(expected)) => assert_eq!(*value, expected, "seed {seed}"),
            (Ok(value), None) => panic!("seed {seed}: {value} instead of a failure"),
            (Err(_), None) => {}
            (Err(GetError::Task(error)), Some(_)) => {
                assert!(is_cancelled || error.root().is_cancelled(), "seed {seed}: {error}");
            }
            (Err(error), Some(_)) => panic!("seed {seed}: {error}"),
        }
    }
}

async fn assert_empty(node: &Node, seed: u64) {
    // Bodies that were cancelled end a moment after their results.
    while node.scheduler.unfinished() > 0 || !node.is_idle() {
        tokio::task::yield_now().await;
    }
    assert!(node.system.directory().is_empty(), "seed {seed}");
    let usage = node.store.usage();
    assert_eq!((usage.objects, usage.bytes), (0, 0), "seed {seed}");
}

#[tokio::test(start_paused = true)]
async fn random_graphs_settle_and_leave_nothing_behind() {
    for seed in 0..30 {
        let node = Node::new(cpus(2).resource("licence", 1.0));
        node.enter(history(seed, 300)).await;
        assert_empty(&node, seed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn random_graphs_from_several_threads_settle_and_leave_nothing_behind() {
    for seed in 0..10 {
        let config = SchedulerConfig::default().num_cpus(2.0).resource("licence", 1.0);
        let node = Node::new(config);
        let mut drivers = tokio::task::JoinSet::new();
        for driver in 0..3 {
            drivers.spawn(node.enter(history(100 + seed * 10 + driver, 300)));
        }
        while let Some(ended) = drivers.join_next().await {
            ended.unwrap();
        }
        assert_empty(&node, seed).await;
    }
}
