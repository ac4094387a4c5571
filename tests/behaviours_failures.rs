//! Rows F of what users rely on: failures, retries, restarts.
//!
//! What Ray calls the crash of a worker is here a panic, or a kill that allows a restart.

#![expect(clippy::unwrap_used, reason = "what fails in a body fails its test")]

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use mobula::prelude::*;
use mobula::testkit;
use tokio::sync::Semaphore;

type Runs = Arc<AtomicU32>;

/// Counts a run, and says which it is; the first is 1.
fn begin(runs: &Runs) -> u32 {
    runs.fetch_add(1, Ordering::SeqCst) + 1
}

fn count(runs: &Runs) -> u32 {
    runs.load(Ordering::SeqCst)
}

#[derive(Debug, thiserror::Error)]
#[error("cannot read line {line}")]
struct BadLine {
    line: u32,
    source: std::num::ParseIntError,
}

#[mobula::task]
fn parse(text: String) -> Result<u64, BadLine> {
    text.parse().map_err(|source| BadLine { line: 3, source })
}

#[mobula::task]
fn double(runs: Runs, x: u64) -> u64 {
    begin(&runs);
    x * 2
}

#[mobula::test]
async fn f1_a_users_error_is_a_task_error_and_the_users_own_type_with_its_trace_in_the_text() {
    let failed = parse::options().name("reader").remote("x1".to_owned());
    let error = failed.get().await.unwrap_err();
    assert!(matches!(error.task(), Some(TaskError::UserError { .. })));
    let own: &BadLine = error.user().unwrap();
    assert_eq!(own.line, 3);
    let text = error.to_string();
    for part in ["reader", "cannot read line 3", "invalid digit"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(error.user::<std::fmt::Error>().is_none());
    assert_eq!(*parse::remote("12".to_owned()).get().await.unwrap(), 12);
}

#[mobula::test]
async fn f2_a_task_given_a_failed_reference_does_not_run_and_names_the_original_cause() {
    let runs = Runs::default();
    let failed = parse::options().name("reader").remote("x".to_owned());
    let mut last = failed.clone();
    for _ in 0..5 {
        last = double::remote(Arc::clone(&runs), &last);
    }
    let error = last.get().await.unwrap_err();
    assert_eq!(count(&runs), 0);
    assert!(matches!(error.task(), Some(TaskError::DependencyFailed { .. })));
    let text = error.to_string();
    assert!(text.contains("double") && text.contains("reader"), "{text}");
    assert!(text.contains("cannot read line 3"), "{text}");
    assert_eq!(error.user::<BadLine>().unwrap().line, 3);
    // One that had failed before it was given, and a call of an actor.
    let after = double::remote(Arc::clone(&runs), &failed).get().await.unwrap_err();
    assert!(after.to_string().contains("cannot read line 3"), "{after}");
    let actor = Flaky::remote(Runs::default());
    let call = actor.echo(failed).await.unwrap_err();
    assert!(call.is_safe_to_retry() && call.to_string().contains("cannot read line 3"), "{call}");
    assert_eq!(count(&runs), 0);
}

#[mobula::task]
fn fail_until(good: u32, runs: Runs) -> Result<u32, String> {
    match begin(&runs) {
        run if run >= good => Ok(run),
        run => Err(format!("run {run} was not good")),
    }
}

#[mobula::task]
fn panic_until(good: u32, runs: Runs) -> u32 {
    let run = begin(&runs);
    assert!(run >= good, "run {run} broke");
    run
}

#[mobula::test]
async fn f3_user_errors_are_retried_only_on_request_and_up_to_max_retries() {
    let runs = Runs::default();
    let default = fail_until::options().max_retries(3).remote(2, Arc::clone(&runs));
    assert!(default.get().await.unwrap_err().to_string().contains("run 1 was not good"));
    assert_eq!(count(&runs), 1);

    for (good, retries, expected) in [(3, 2, Ok(3)), (4, 2, Err(3))] {
        let runs = Runs::default();
        let options = fail_until::options().max_retries(retries).retry_errors();
        let result = options.remote(good, Arc::clone(&runs)).get().await;
        match expected {
            Ok(run) => assert_eq!(*result.unwrap(), run),
            Err(last) => {
                let text = result.unwrap_err().to_string();
                assert!(text.contains(&format!("run {last} was not good")), "{text}");
            }
        }
        assert_eq!(count(&runs), 3, "max_retries + 1 in all");
    }

    // Some errors only.
    let picks = |text: &'static str| {
        fail_until::options().max_retries(9).retry_if(move |error| error.to_string().contains(text))
    };
    let runs = Runs::default();
    assert!(picks("run 1").remote(3, Arc::clone(&runs)).get().await.is_err());
    assert_eq!(count(&runs), 2, "run 2 failed with another error");
    let runs = Runs::default();
    assert_eq!(*picks("not good").remote(5, Arc::clone(&runs)).get().await.unwrap(), 5);

    // A panic stands for a crash, which is retried without asking for it.
    let runs = Runs::default();
    let crashing = panic_until::options().max_retries(3).remote(4, Arc::clone(&runs));
    assert_eq!(*crashing.get().await.unwrap(), 4);
}

/// Crashes and fails on demand; its state dies with it, what it notes does not.
struct Flaky {
    starts: Runs,
    count: u64,
}

#[mobula::actor]
impl Flaky {
    pub fn new(starts: Runs) -> Self {
        begin(&starts);
        Self { starts, count: 0 }
    }

    pub fn echo(&self, x: u64) -> u64 {
        x
    }

    pub fn add(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    pub fn crash(&mut self) {
        panic!("crashed in start {}", count(&self.starts));
    }

    pub async fn crash_behind(&mut self, gate: Gate) {
        gate.acquire().await.unwrap().forget();
        panic!("crashed behind the gate");
    }

    pub fn crash_until(&mut self, good: u32, runs: Runs) -> u32 {
        let run = begin(&runs);
        assert!(run >= good, "run {run} broke");
        run
    }

    pub fn stop_by_itself(&mut self, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

type Gate = Arc<Semaphore>;

#[mobula::test]
async fn f5_a_default_actor_is_not_restarted_and_calls_in_flight_and_later_fail() {
    let starts = Runs::default();
    let flaky = Flaky::remote(Arc::clone(&starts));
    let gate = Gate::new(Semaphore::new(0));
    let running = flaky.crash_behind(Arc::clone(&gate)).remote();
    let queued: Vec<ObjectRef<u64>> = (0..3).map(|_| flaky.add().remote()).collect();
    testkit::advance(ms(1)).await;
    gate.add_permits(1);
    let error = running.get().await.unwrap_err();
    assert!(error.to_string().contains("crashed behind the gate"), "{error}");
    let late = flaky.add().remote();
    for call in queued.iter().chain([&late]) {
        let error = call.get().await.unwrap_err();
        assert!(matches!(error.task(), Some(TaskError::ActorDied { .. })), "{error}");
        assert!(error.to_string().contains("crashed behind the gate"), "{error}");
    }
    testkit::advance(secs(3_600)).await;
    assert_eq!(count(&starts), 1);
}

#[mobula::test]
async fn f6_max_restarts_runs_the_constructor_again_n_times_and_then_all_calls_fail() {
    let starts = Runs::default();
    let flaky = Flaky::options().max_restarts(3).remote(Arc::clone(&starts));
    for start in 1..=4 {
        assert_eq!(flaky.add().await.unwrap(), 1, "the state is lost");
        assert_eq!(flaky.add().await.unwrap(), 2);
        assert_eq!(count(&starts), start);
        let error = flaky.crash().await.unwrap_err();
        assert!(error.to_string().contains(&format!("crashed in start {start}")), "{error}");
    }
    for _ in 0..3 {
        let error = flaky.add().await.unwrap_err();
        assert!(error.to_string().contains("crashed in start 4"), "{error}");
    }
    testkit::advance(secs(3_600)).await;
    assert!(!flaky.is_alive());
    assert_eq!(count(&starts), 4);
}

#[mobula::test]
async fn f7_calls_in_flight_over_a_restart_fail_without_retries_and_later_ones_see_fresh_state() {
    let starts = Runs::default();
    let flaky = Flaky::options().max_restarts(1).remote(Arc::clone(&starts));
    flaky.add().await.unwrap();
    let gate = Gate::new(Semaphore::new(0));
    let running = flaky.crash_behind(Arc::clone(&gate)).remote();
    let queued: Vec<ObjectRef<u64>> = (0..10).map(|_| flaky.add().remote()).collect();
    testkit::advance(ms(1)).await;
    gate.add_permits(1);
    running.get().await.unwrap_err();
    for call in &queued {
        let error = call.get().await.unwrap_err();
        assert!(matches!(error.task(), Some(TaskError::ActorDied { .. })), "{error}");
    }
    // Sent while it is restarting or after: the same.
    for expected in 1..=5 {
        assert_eq!(flaky.add().await.unwrap(), expected);
    }
    assert_eq!(count(&starts), 2);
}

type Steps = Arc<Mutex<Vec<u64>>>;

/// Notes steps in a list that outlives it.
struct Walker {
    steps: Steps,
}

#[mobula::actor(max_task_retries = u32::MAX)]
impl Walker {
    pub fn new(steps: Steps) -> Self {
        Self { steps }
    }

    pub async fn step(&mut self, number: u64) -> u64 {
        self.steps.lock().unwrap().push(number);
        tokio::time::sleep(ms(10)).await;
        number
    }
}

#[mobula::test]
async fn f8_of_a_hundred_retried_calls_none_fails_across_a_crash_and_their_order_is_kept() {
    let steps = Steps::default();
    let walker = Walker::options().max_restarts(2).remote(Arc::clone(&steps));
    let calls: Vec<ObjectRef<u64>> = (0..100).map(|number| walker.step(number).remote()).collect();
    for (crash, at) in [(1, 105), (2, 505)] {
        testkit::advance(ms(at)).await;
        let done = calls.iter().filter(|call| call.is_ready()).count();
        assert!((1..100).contains(&done), "crash {crash} comes midway, after {done}");
        walker.kill().restart();
    }
    let values = mobula::get(&calls).await.unwrap();
    assert!(values.iter().map(|value| **value).eq(0..100));
    let mut seen = steps.lock().unwrap().clone();
    assert_eq!(seen.len(), 102, "the two that were running ran twice");
    assert!(seen.is_sorted(), "in order before and after: {seen:?}");
    seen.dedup();
    assert_eq!(seen, (0..100).collect::<Vec<_>>());
}

#[mobula::task(num_cpus = 0)]
async fn after(delay: Duration, number: u64) -> u64 {
    tokio::time::sleep(delay).await;
    number
}

#[mobula::test]
async fn f8_retried_calls_whose_arguments_come_late_keep_their_place_across_a_crash() {
    let steps = Steps::default();
    let walker = Walker::options().max_restarts(3).remote(Arc::clone(&steps));
    // Each argument comes 10 ms after that of the call behind it, all within the time of the crashes.
    let calls: Vec<ObjectRef<u64>> = (0..20)
        .map(|number| match number % 2 {
            0 => walker.step(after::remote(ms(10 * (20 - number)), number)).remote(),
            _ => walker.step(number).remote(),
        })
        .collect();
    for _ in 0..3 {
        testkit::advance(ms(85)).await;
        walker.kill().restart();
    }
    let values = mobula::get(&calls).await.unwrap();
    assert!(values.iter().map(|value| **value).eq(0..20));
    let mut seen = steps.lock().unwrap().clone();
    assert!(seen.is_sorted(), "in order before and after: {seen:?}");
    seen.dedup();
    assert_eq!(seen, (0..20).collect::<Vec<_>>());
}

/// Refuses and crashes, with retries by class, by method and by call.
struct Moody;

#[mobula::actor(max_task_retries = 2)]
impl Moody {
    pub fn new() -> Self {
        Self
    }

    /// By the class: 2 retries, of crashes.
    pub fn crash_until(&mut self, good: u32, runs: Runs) -> u32 {
        let run = begin(&runs);
        assert!(run >= good, "run {run} broke");
        run
    }

    /// By the class: not of errors.
    pub fn fail_plainly(&mut self, good: u32, runs: Runs) -> Result<u32, String> {
        run_until(good, &runs)
    }

    #[method(max_retries = 5, retry_errors)]
    pub fn fail_until(&mut self, good: u32, runs: Runs) -> Result<u32, String> {
        run_until(good, &runs)
    }
}

fn run_until(good: u32, runs: &Runs) -> Result<u32, String> {
    let run = begin(runs);
    if run >= good { Ok(run) } else { Err(format!("run {run} was not good")) }
}

#[mobula::test]
async fn f9_retries_are_set_by_class_method_and_call_and_the_nearer_one_wins() {
    let moody = Moody::options().max_restarts(100).remote();
    // The class: two retries.
    for (good, ran, succeeds) in [(3, 3, true), (4, 3, false)] {
        let runs = Runs::default();
        let result = moody.crash_until(good, Arc::clone(&runs)).await;
        assert_eq!((count(&runs), result.is_ok()), (ran, succeeds));
    }
    let runs = Runs::default();
    assert!(moody.fail_plainly(2, Arc::clone(&runs)).await.is_err());
    assert_eq!(count(&runs), 1, "errors are not retried by default");
    // The method: five. Failing five times it succeeds in run 6; failing six times it fails after run 6.
    for (good, succeeds) in [(6, true), (7, false)] {
        let runs = Runs::default();
        let result = moody.fail_until(good, Arc::clone(&runs)).await;
        assert_eq!((count(&runs), result.is_ok()), (6, succeeds));
        let runs = Runs::default();
        let result = moody.fail_until(good, Arc::clone(&runs)).remote().get().await;
        assert_eq!((count(&runs), result.is_ok()), (6, succeeds));
    }
    // The call beats both.
    let runs = Runs::default();
    assert_eq!(moody.fail_until(8, Arc::clone(&runs)).max_retries(7).await.unwrap(), 8);
    for retries in [0, 1] {
        let runs = Runs::default();
        let call = moody.fail_until(8, Arc::clone(&runs)).max_retries(retries);
        let error = call.await.unwrap_err();
        assert_eq!(error.refusal(), Some(&format!("run {} was not good", retries + 1)));
        assert_eq!(count(&runs), retries + 1);
        let runs = Runs::default();
        moody.crash_until(9, Arc::clone(&runs)).max_retries(retries).await.unwrap_err();
        assert_eq!(count(&runs), retries + 1);
    }
    let runs = Runs::default();
    let asked = moody.fail_plainly(4, Arc::clone(&runs)).max_retries(3).retry_errors();
    assert_eq!(asked.await.unwrap(), 4);
}

#[mobula::test]
async fn f10_enough_retries_but_too_few_restarts_end_in_actor_died() {
    let (starts, runs) = (Runs::default(), Runs::default());
    let flaky = Flaky::options().max_restarts(2).remote(Arc::clone(&starts));
    let call = flaky.crash_until(100, Arc::clone(&runs)).max_retries(50).remote();
    let queued = flaky.add().max_retries(50).remote();
    for call in [call.get().await.map(|_| ()), queued.get().await.map(|_| ())] {
        let error = call.unwrap_err();
        assert!(matches!(error.task(), Some(TaskError::ActorDied { .. })), "{error}");
        assert!(error.to_string().contains("run 3 broke"), "{error}");
    }
    assert_eq!((count(&runs), count(&starts)), (3, 3));
}

#[mobula::test]
async fn f11_a_crashed_actor_is_restarted_even_if_nobody_calls_it() {
    let starts = Runs::default();
    let flaky = Flaky::options().max_restarts(5).remote(Arc::clone(&starts));
    flaky.crash().await.unwrap_err();
    testkit::advance(secs(60)).await;
    assert_eq!(count(&starts), 2);
    flaky.kill().restart();
    testkit::advance(secs(60)).await;
    assert_eq!(count(&starts), 3);
}

#[mobula::test]
async fn f12_a_graceful_stop_neither_triggers_nor_uses_up_a_restart(node: Node) {
    let starts = Runs::default();
    for by_itself in [false, true] {
        let flaky = Flaky::options().max_restarts(5).remote(Arc::clone(&starts));
        let waiting = flaky.add().remote();
        if by_itself {
            flaky.stop_by_itself().await.unwrap();
        } else {
            drop(flaky.stop());
        }
        assert!(!testkit::ends(&flaky).await.is_abnormal());
        assert_eq!(*waiting.get().await.unwrap(), 1, "what waited was handled first");
        flaky.add().await.unwrap_err();
    }
    testkit::advance(secs(3_600)).await;
    assert_eq!(count(&starts), 2, "one start each");

    // A supervised child that ends well is not restarted either, and its budget stays whole for crashes.
    let starts = Runs::default();
    let make = {
        let starts = Arc::clone(&starts);
        move || Flaky::new(Arc::clone(&starts))
    };
    let child = ChildSpec::new("flaky", make).transient();
    let supervisor = Supervisor::one_for_one().intensity(0, secs(10)).child(child).spawn();
    supervisor.ready().await.unwrap();
    testkit::advance(ms(1)).await;
    let actors = node.actors();
    let listed = actors.iter().find(|listing| listing.type_name == "Flaky").unwrap();
    let handle = node.system().directory().actor(listed.id).unwrap();
    handle.request_stop(ExitReason::Shutdown);
    testkit::ends(&handle).await;
    testkit::advance(secs(60)).await;
    assert_eq!(count(&starts), 1);
    assert!(supervisor.is_alive(), "with an intensity of 0 any restart would have ended it");
}
