//! Behaviours R1 to R4, and the limits: what runs together, what waits, and what is refused.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, inside a task too")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
        mpsc,
    },
    time::Duration,
};

use mobula_store::{GetError, ObjectRef, TaskError, get};
use mobula_tasks::{
    ConfigError, FunctionEntry, Scheduler, SchedulerConfig, TaskFunction as _, TaskOptions,
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tokio::{sync::Notify, time::Instant};

#[path = "support/node.rs"]
mod node;
use node::{Node, cpus};

type Gate = Arc<Notify>;

/// How much of something is in use, and the most it ever was.
#[derive(Debug, Default)]
struct Gauge {
    now: AtomicI64,
    most: AtomicI64,
}

impl Gauge {
    fn enter(&self, amount: i64) {
        let now = self.now.fetch_add(amount, Ordering::SeqCst) + amount;
        self.most.fetch_max(now, Ordering::SeqCst);
    }

    fn leave(&self, amount: i64) {
        self.now.fetch_sub(amount, Ordering::SeqCst);
    }
}

task! {
    fn work(gauge: Arc<Gauge>, amount: i64) -> i64 {
        gauge.enter(amount);
        for _ in 0..20 {
            std::thread::yield_now();
        }
        gauge.leave(amount);
        amount
    }
    fn answer() -> u64 { 42 }
    fn double(x: u64) -> u64 { x * 2 }
    fn hold(started: mpsc::Sender<()>, gate: mpsc::Receiver<u64>) -> u64 {
        started.send(()).unwrap();
        gate.recv().unwrap()
    }
    fn report_failure(object: ObjectRef<u64>, report: mpsc::Sender<&'static str>) -> () {
        report.send("started").unwrap();
        let outcome = object.get().blocking();
        report.send(if outcome.is_err() { "failed" } else { "value" }).unwrap();
    }
    fn read(object: ObjectRef<u64>) -> u64 { *object.get().blocking().unwrap() }
}

task! {
    async fn work_later(gauge: Arc<Gauge>, amount: i64) -> i64 {
        gauge.enter(amount);
        tokio::time::sleep(Duration::from_millis(1)).await;
        gauge.leave(amount);
        amount
    }
    async fn after(gate: Gate) -> u64 { gate.notified().await; 1 }
    async fn read_later(object: ObjectRef<u64>) -> u64 { *object.get().await.unwrap() }
    async fn give_up_reading(object: ObjectRef<u64>, gauge: Arc<Gauge>) -> bool {
        let is_late = object.get().timeout(Duration::from_secs(1)).await.is_err();
        tokio::time::sleep(Duration::from_millis(1)).await;
        gauge.enter(1);
        tokio::time::sleep(Duration::from_millis(1)).await;
        gauge.leave(1);
        is_late
    }
}

fn failure<T: std::fmt::Debug>(result: Result<T, GetError>) -> TaskError {
    match result {
        Err(GetError::Task(error)) => error,
        other => panic!("expected the failure of a task, not {other:?}"),
    }
}

/// Lets everything that can run do so.
async fn settle() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn r1_what_runs_never_exceeds_the_node_in_fractions_too() {
    let node = Node::new(cpus(3).resource("gpu", 2.0));
    node.enter(async {
        let mut rng = StdRng::seed_from_u64(1);
        let (cpu, gpu) = (Arc::new(Gauge::default()), Arc::new(Gauge::default()));
        let mut refs = Vec::new();
        for _ in 0..300 {
            let units = [1, 2500, 5000, 10_000, 15_000, 30_000][rng.random_range(0..6)];
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let amount = units as f64 / 10_000.0;
            let options = TaskOptions::new().num_cpus(amount);
            refs.push(work::with(options.clone(), Arc::clone(&cpu), units));
            refs.push(work_later::with(options, Arc::clone(&cpu), units));
            let on_gpu = TaskOptions::new().num_cpus(0.0).resource("gpu", amount.min(0.25));
            refs.push(work::with(on_gpu, Arc::clone(&gpu), units.min(2500)));
        }
        get(&refs).await.unwrap();
        assert!(cpu.most.load(Ordering::SeqCst) <= 30_000, "{cpu:?}");
        assert!(gpu.most.load(Ordering::SeqCst) <= 20_000, "{gpu:?}");

        let odd = answer::with(TaskOptions::new().resource("gpu", 1.5));
        let error = failure(odd.get().await);
        assert!(error.to_string().contains("more than one gpu must be a whole number"), "{error}");
        let fine = answer::with(TaskOptions::new().num_cpus(0.00001));
        assert!(matches!(failure(fine.get().await), TaskError::Invalid { .. }));
    })
    .await;
    assert!(node.is_idle());
}

#[tokio::test(start_paused = true)]
async fn r2_a_demand_that_cannot_be_met_stays_pending_and_runs_when_the_node_grows() {
    let node = Node::new(cpus(1));
    node.enter(async {
        let odd = answer::with(TaskOptions::new().resource("tpu", 1.0));
        let plain = answer::remote();
        assert_eq!(*plain.get().await.unwrap(), 42, "it blocks nobody");
        settle().await;
        assert!(!odd.is_ready());
        node.scheduler.add_resource("tpu", 1.0).unwrap();
        assert_eq!(*odd.get().await.unwrap(), 42);
    })
    .await;
    assert!(node.is_idle());
}

#[tokio::test(start_paused = true)]
async fn r3_tasks_without_cpus_run_on_a_node_without_cpus() {
    let node = Node::new(cpus(0));
    node.enter(async {
        let none = TaskOptions::new().num_cpus(0.0);
        assert_eq!(*answer::with(none.clone()).get().await.unwrap(), 42);
        let gate = Gate::default();
        gate.notify_one();
        assert_eq!(*after::with(none, gate).get().await.unwrap(), 1);
        let one = answer::remote();
        settle().await;
        assert!(!one.is_ready());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn r4_a_blocked_task_gives_back_its_cpu_and_not_its_custom_resources() {
    for plain in [true, false] {
        let node = Node::new(cpus(1).resource("licence", 1.0));
        node.enter(async {
            let gate = Gate::default();
            let licence = TaskOptions::new().resource("licence", 1.0);
            let waits_for = after::with(TaskOptions::new().num_cpus(0.0), Arc::clone(&gate));
            let blocked = if plain {
                read::with(licence.clone(), &waits_for)
            } else {
                read_later::with(licence.clone(), &waits_for)
            };
            while node.scheduler.resources()[1].free == node.scheduler.resources()[1].total {
                tokio::task::yield_now().await;
            }
            assert_eq!(*answer::remote().get().await.unwrap(), 42, "the CPU is free");
            let second = answer::with(licence);
            assert_eq!(*answer::remote().get().await.unwrap(), 42);
            assert!(!second.is_ready(), "the licence is not");
            gate.notify_one();
            assert_eq!(*blocked.get().await.unwrap(), 1);
            assert_eq!(*second.get().await.unwrap(), 42);
            settle().await;
        })
        .await;
        assert!(node.is_idle());
    }
}

#[tokio::test(start_paused = true)]
async fn r4_a_wait_that_was_given_up_takes_the_cpu_again_before_the_body_goes_on() {
    let node = Node::new(cpus(1));
    node.enter(async {
        let never = after::with(TaskOptions::new().num_cpus(0.0), Gate::default());
        let gauge = Arc::new(Gauge::default());
        let refs: Vec<_> =
            (0..20).map(|_| give_up_reading::remote(&never, Arc::clone(&gauge))).collect();
        assert!(get(&refs).await.unwrap().iter().all(|is_late| **is_late));
        assert_eq!(gauge.most.load(Ordering::SeqCst), 1);
        never.cancel();
        settle().await;
    })
    .await;
    assert!(node.is_idle());
}

#[tokio::test(start_paused = true)]
async fn a_pending_task_can_say_what_it_waits_for() {
    let node = Node::new(cpus(1));
    node.enter(async {
        let gate = Gate::default();
        let running = after::remote(Arc::clone(&gate));
        let _waiting = double::remote(&running);
        let _queued = answer::remote();
        let _odd = answer::with(TaskOptions::new().resource("tpu", 2.0));
        settle().await;
        let directory = node.system.directory();
        let why: Vec<String> = directory
            .list()
            .iter()
            .map(|row| directory.get(row.id).unwrap().why().unwrap())
            .collect();
        assert_eq!(
            why,
            [
                "running, attempt 1".to_owned(),
                format!("waiting for {}", running.id()),
                "waiting for 1 CPU (0 of 1 free)".to_owned(),
                "needs 1 CPU and 2 tpu, which no node can ever meet; this node has 1 cpu"
                    .to_owned(),
            ]
        );
        node.scheduler.shut_down();
        settle().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn one_task_too_many_fails_and_the_others_do_not_notice() {
    let node = Node::new(cpus(1).queued_max(2));
    node.enter(async {
        let (started, has_started) = mpsc::channel();
        let (open, gate) = mpsc::channel();
        let holder = hold::remote(started, gate);
        has_started.recv().unwrap();
        let second = answer::remote();
        let error = failure(answer::remote().get().await);
        assert!(matches!(error, TaskError::QueueFull { limit: 2, .. }), "{error}");
        open.send(1).unwrap();
        assert_eq!((*holder.get().await.unwrap(), *second.get().await.unwrap()), (1, 42));
        assert_eq!(*answer::remote().get().await.unwrap(), 42);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_task_that_takes_too_long_fails_on_time_wherever_it_stands() {
    let node = Node::new(cpus(1));
    node.enter(async {
        let soon = TaskOptions::new().timeout(Duration::from_secs(5));
        let running = after::with(soon.clone(), Gate::default());
        let queued = answer::with(soon.clone());
        let waiting = read_later::with(soon, running.clone());
        let began = Instant::now();
        for error in [
            failure(running.get().await),
            failure(queued.get().await),
            failure(waiting.get().await),
        ] {
            assert!(matches!(error, TaskError::TimedOut { .. }), "{error}");
        }
        assert_eq!(began.elapsed(), Duration::from_secs(5));
        settle().await;
    })
    .await;
    assert!(node.is_idle());
}

#[tokio::test(start_paused = true)]
async fn a_shut_down_scheduler_cancels_what_it_has_and_takes_no_more() {
    let node = Node::new(cpus(1));
    node.enter(async {
        let running = after::remote(Gate::default());
        let queued = answer::remote();
        node.scheduler.shut_down();
        let late = answer::remote();
        for error in
            [failure(running.get().await), failure(queued.get().await), failure(late.get().await)]
        {
            assert!(error.is_cancelled(), "{error}");
        }
        settle().await;
    })
    .await;
    assert_eq!(node.scheduler.unfinished(), 0);
    assert!(node.system.directory().is_empty());
}

#[test]
fn a_runtime_that_is_dropped_leaves_nobody_waiting() {
    let (started, has_started) = mpsc::channel();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let (node, never, reader) = runtime.block_on(async {
        let node = Node::new(cpus(2));
        let (never, reader) = node
            .enter(async {
                let never = after::remote(Gate::default());
                let reader = report_failure::remote(&never, started.clone());
                let more: Vec<_> = (0..10_000).map(|_| after::remote(Gate::default())).collect();
                drop(more);
                (never, reader)
            })
            .await;
        (node, never, reader)
    });
    assert_eq!(has_started.recv().unwrap(), "started");
    drop(runtime);
    assert_eq!(has_started.recv().unwrap(), "failed");
    assert!(never.is_ready() && reader.is_ready());
    assert_eq!(node.scheduler.unfinished(), 0);
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused_with_a_sentence() {
    let node = Node::new(cpus(1));
    let try_new =
        |config| Scheduler::try_new(node.system.clone(), Arc::clone(&node.store), config).map(drop);
    let error = try_new(SchedulerConfig::default().num_cpus(-1.0)).unwrap_err();
    assert_eq!(error.to_string(), "the amount of resource `cpu` is not usable");
    let error = try_new(SchedulerConfig::default().queued_max(0)).unwrap_err();
    assert_eq!(error, ConfigError::Zero { setting: "queued_max" });
}

#[tokio::test]
#[should_panic(expected = "no node here")]
async fn submitting_outside_a_node_panics_with_what_to_do() {
    drop(answer::remote());
}

#[test]
fn a_functions_hash_changes_with_its_signature() {
    let (a, b) = (FunctionEntry::of::<answer::Function>(), FunctionEntry::of::<hold::Function>());
    assert_ne!(a.hash, b.hash);
    assert!(a.to_string().starts_with("resources::answer v1 fn() -> u64 "), "{a}");
    assert_eq!(answer::Function::VERSION, 1);
}
