//! Rows A of what users rely on: actors, the order of their calls, and their ends.

#![expect(clippy::unwrap_used, reason = "what fails in a body fails its test")]

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use mobula::prelude::*;
use mobula::{AsHandle, testkit};
use tokio::sync::Semaphore;

type Runs = Arc<AtomicUsize>;

/// Held by an actor's state: when it is the test's alone again, the state is gone.
type Belonging = Arc<()>;

struct Counter {
    count: u64,
    _belonging: Belonging,
}

#[mobula::actor]
impl Counter {
    pub fn new(runs: Runs, belonging: Belonging) -> Self {
        runs.fetch_add(1, Ordering::SeqCst);
        Self { count: 0, _belonging: belonging }
    }

    pub fn add(&mut self, by: u64) -> u64 {
        self.count += by;
        self.count
    }

    pub fn refuse(&mut self) -> Result<u64, String> {
        self.count += 1;
        Err("not today".to_owned())
    }

    pub fn crash(&mut self) {
        panic!("crashed");
    }
}

fn counter() -> ActorRef<Counter> {
    Counter::remote(Runs::default(), Belonging::default())
}

fn is_listed(node: &Node, actor: &impl AsHandle) -> bool {
    let id = actor.as_handle().id();
    node.actors().iter().any(|listing| listing.id == id)
}

#[mobula::test]
async fn a1_state_is_kept_across_calls_and_each_instance_has_its_own() {
    let (one, two) = (counter(), counter());
    for expected in 1..=10 {
        assert_eq!(one.add(1).await.unwrap(), expected);
    }
    assert_eq!(two.add(5).await.unwrap(), 5);
    assert_eq!(one.add(0).await.unwrap(), 10);
    assert_ne!(one, two);
}

/// Notes who called, and whether calls overlapped.
#[derive(Default)]
struct Log {
    entries: Vec<(u64, u64)>,
    busy: AtomicUsize,
}

#[mobula::actor]
impl Log {
    pub fn new() -> Self {
        Self::default()
    }

    pub async fn note(&mut self, caller: u64, step: u64) {
        assert_eq!(self.busy.fetch_add(1, Ordering::SeqCst), 0, "two calls at once");
        tokio::task::yield_now().await;
        self.entries.push((caller, step));
        self.busy.fetch_sub(1, Ordering::SeqCst);
    }

    pub fn entries(&self) -> Vec<(u64, u64)> {
        self.entries.clone()
    }
}

#[mobula::task(num_cpus = 0)]
async fn after(delay: Duration, value: u64) -> u64 {
    tokio::time::sleep(delay).await;
    value
}

#[mobula::test]
async fn a2_calls_of_one_caller_run_one_at_a_time_in_order_even_if_arguments_come_in_another() {
    let log = Log::remote();
    // The later the call, the sooner its argument.
    let calls: Vec<ObjectRef<()>> = (0..20)
        .map(|step| {
            let argument = after::remote(ms(100 - 5 * step), step);
            if step % 3 == 0 { log.note(0, step).remote() } else { log.note(0, argument).remote() }
        })
        .collect();
    mobula::get(&calls).await.unwrap();
    let expected: Vec<(u64, u64)> = (0..20).map(|step| (0, step)).collect();
    assert_eq!(log.entries().await.unwrap(), expected);

    // Whatever the form of the call: a tell with a late argument, then an ask.
    log.note(1, after::remote(secs(1), 0)).tell().await.unwrap();
    log.note(1, 1).await.unwrap();
    assert_eq!(log.entries().await.unwrap()[20..], [(1, 0), (1, 1)]);
}

#[mobula::test]
async fn a3_order_holds_for_each_of_five_callers_who_interleave_freely(node: Node) {
    let log = Log::options().mailbox(Mailbox::bounded(8)).remote();
    let callers = (0..5).map(|caller| {
        let log = log.clone();
        tokio::spawn(node.enter(async move {
            for step in 0..100 {
                log.note(caller, step).tell().await.unwrap();
            }
        }))
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    let entries = log.entries().await.unwrap();
    for caller in 0..5 {
        let steps = entries.iter().filter(|entry| entry.0 == caller).map(|entry| entry.1);
        assert!(steps.eq(0..100), "caller {caller}");
    }
    let turns = entries.windows(2).filter(|pair| pair[0].0 != pair[1].0).count();
    assert!(turns > 4, "nobody had to wait until another was done, but there were {turns} turns");
}

#[mobula::test]
async fn a4_a_caller_stuck_on_an_unready_argument_does_not_hold_up_another(node: Node) {
    let log = Log::remote();
    let stuck = log.note(1, after::remote(secs(3_600), 0)).remote();
    let behind_it = log.note(1, 1).remote();
    node.enter(async { log.note(2, 0).timeout(secs(1)).await }).await.unwrap();
    assert!(!stuck.is_ready() && !behind_it.is_ready());
    behind_it.get().await.unwrap();
    assert_eq!(log.entries().await.unwrap(), [(2, 0), (1, 0), (1, 1)]);
}

#[mobula::task]
async fn add_in_a_task(counter: ActorRef<Counter>, by: u64) -> u64 {
    counter.add(by).await.unwrap()
}

struct Messenger;

#[mobula::actor]
impl Messenger {
    pub fn new() -> Self {
        Self
    }

    pub async fn add(&mut self, counter: ActorRef<Counter>, by: u64) -> u64 {
        counter.add(by).await.unwrap()
    }

    pub fn hand_back(&mut self, counter: ActorRef<Counter>) -> ActorRef<Counter> {
        counter
    }
}

#[mobula::test]
async fn a5_handles_can_be_passed_stored_encoded_and_closed_over_and_reach_one_instance(
    node: Node,
) {
    let counter = counter();
    assert_eq!(*add_in_a_task::remote(counter.clone(), 1).get().await.unwrap(), 1);
    let messenger = Messenger::remote();
    assert_eq!(messenger.add(counter.clone(), 1).await.unwrap(), 2);
    assert_eq!(messenger.hand_back(counter.clone()).await.unwrap().add(1).await.unwrap(), 3);

    let stored = mobula::put(vec![counter.clone()]).await.unwrap();
    assert_eq!(stored.get().await.unwrap()[0].add(1).await.unwrap(), 4);
    let plain = mobula::put(counter.clone()).await.unwrap();
    assert_eq!(*add_in_a_task::remote(&plain, 1).get().await.unwrap(), 5);

    let encoded = serde_json::to_string(&counter).unwrap();
    let decoded: ActorRef<Counter> = serde_json::from_str(&encoded).unwrap();
    assert_eq!(decoded, counter);
    assert_eq!(decoded.add(1).await.unwrap(), 6);

    let closed_over = counter.clone();
    let spawned = tokio::spawn(node.enter(async move { closed_over.add(1).await.unwrap() }));
    assert_eq!(spawned.await.unwrap(), 7);
    assert_eq!(counter.add(0).await.unwrap(), 7);
}

#[mobula::task(num_cpus = 0)]
async fn add_behind(gate: Arc<Semaphore>, counter: ActorRef<Counter>) -> u64 {
    gate.acquire().await.unwrap().forget();
    counter.add(1).await.unwrap()
}

#[mobula::test]
async fn a6_an_actor_ends_with_its_last_handle_after_what_is_pending(node: Node) {
    let belonging = Belonging::default();
    let spawn = || Counter::remote(Runs::default(), Arc::clone(&belonging));
    // A temporary handle: the call is still answered.
    let answer = spawn().add(3).remote();
    assert_eq!(*answer.get().await.unwrap(), 3);
    assert_eq!(spawn().add(4).await.unwrap(), 4);

    let actor = spawn();
    let handle = actor.as_handle();
    let copy = actor.clone();
    let pending: Vec<ObjectRef<u64>> = (0..10).map(|_| actor.add(1).remote()).collect();
    drop(actor);
    testkit::advance(secs(1)).await;
    assert!(handle.is_alive(), "a copy is left");
    drop(copy);
    assert!(matches!(testkit::ends(&handle).await, ExitReason::Normal));
    assert_eq!(*pending[9].get().await.unwrap(), 10);

    // A handle in a queued task keeps it alive, and goes with the task.
    let gate = Arc::new(Semaphore::new(0));
    let actor = spawn();
    let handle = actor.as_handle();
    let queued = add_behind::remote(Arc::clone(&gate), actor);
    testkit::advance(secs(3_600)).await;
    assert!(handle.is_alive());
    gate.add_permits(1);
    assert_eq!(*queued.get().await.unwrap(), 1);
    assert!(matches!(testkit::ends(&handle).await, ExitReason::Normal));
    assert!(!is_listed(&node, &handle));

    // And so does one inside an object.
    let actor = spawn();
    let handle = actor.as_handle();
    let object = mobula::put(vec![actor]).await.unwrap();
    testkit::advance(secs(1)).await;
    assert!(handle.is_alive());
    drop(object);
    assert!(matches!(testkit::ends(&handle).await, ExitReason::Normal));
    assert_eq!(Arc::strong_count(&belonging), 1, "the states are gone");
}

#[mobula::test]
async fn a7_a_restartable_actor_that_went_out_of_scope_is_not_restarted(node: Node) {
    let (runs, belonging) = (Runs::default(), Belonging::default());
    let spawn =
        || Counter::options().max_restarts(5).remote(Arc::clone(&runs), Arc::clone(&belonging));
    let actor = spawn();
    assert_eq!(actor.add(1).await.unwrap(), 1);
    let handle = actor.as_handle();
    drop(actor);
    assert!(matches!(testkit::ends(&handle).await, ExitReason::Normal));
    testkit::advance(secs(3_600)).await;
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    assert!(!is_listed(&node, &handle));
    assert_eq!(Arc::strong_count(&belonging), 1, "its resources came back");

    // Not even when the last thing it did was to crash.
    let actor = spawn();
    actor.ready().await.unwrap();
    let handle = actor.as_handle();
    actor.crash().tell().await.unwrap();
    drop(actor);
    testkit::ends(&handle).await;
    testkit::advance(secs(3_600)).await;
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    assert!(!is_listed(&node, &handle));
    assert_eq!(Arc::strong_count(&belonging), 1);
}

struct Broken;

#[mobula::actor]
impl Broken {
    pub async fn new(path: String) -> io::Result<Self> {
        tokio::task::yield_now().await;
        Err(io::Error::other(format!("no such ledger: {path}")))
    }

    pub fn read(&self) -> u64 {
        0
    }
}

#[mobula::test]
async fn a9_an_error_in_the_constructor_fails_all_calls_with_cause_and_actor_id() {
    let broken = Broken::remote("books".to_owned());
    let id = broken.id().to_string();
    let (early, early_object) = (broken.read().await.unwrap_err(), broken.read().remote());
    let late = broken.read().await.unwrap_err();
    for error in [&early, &late] {
        let text = error.to_string();
        assert!(text.contains("no such ledger: books") && text.contains(&id), "{text}");
        assert!(matches!(error.exit_reason(), Some(ExitReason::StartFailed(_))));
    }
    let error = early_object.get().await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("no such ledger: books") && text.contains(&id), "{text}");
    assert!(matches!(error.task(), Some(TaskError::ActorDied { .. })));
    let reason = broken.ready().await.unwrap_err();
    assert!(reason.to_string().contains("no such ledger: books"), "{reason}");
}

#[mobula::test]
async fn a10_a_methods_error_does_not_end_the_actor() {
    let counter = counter();
    let error = counter.refuse().await.unwrap_err();
    assert_eq!(error.refusal(), Some(&"not today".to_owned()));
    let error = counter.refuse().remote().get().await.unwrap_err();
    assert!(error.to_string().contains("not today"), "{error}");
    assert_eq!(counter.add(1).await.unwrap(), 3, "the state is that of before");
}

/// Blocks a thread in each call until the test lets it go.
struct Crew {
    arrived: Mutex<mpsc::Sender<usize>>,
    leave: Mutex<mpsc::Receiver<()>>,
    now: AtomicUsize,
}

#[mobula::actor(max_concurrency = 3)]
impl Crew {
    pub fn new(arrived: mpsc::Sender<usize>, leave: mpsc::Receiver<()>) -> Self {
        Self { arrived: Mutex::new(arrived), leave: Mutex::new(leave), now: AtomicUsize::new(0) }
    }

    pub fn work(&self, id: u64) -> u64 {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.arrived.lock().unwrap().send(now).unwrap();
        self.leave.lock().unwrap().recv().unwrap();
        self.now.fetch_sub(1, Ordering::SeqCst);
        id
    }
}

#[test]
fn a11_max_concurrency_runs_up_to_n_calls_at_once_in_threads_and_never_more() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let node = Node::builder().start().await.unwrap();
        node.enter(async {
            let (arrived, arrivals) = mpsc::channel();
            let (leave, leaves) = mpsc::channel();
            let crew = Crew::remote(arrived, leaves);
            let calls: Vec<ObjectRef<u64>> = (0..9).map(|id| crew.work(id).remote()).collect();
            let mut seen = tokio::task::spawn_blocking(move || {
                // Three come without anybody leaving; then each that leaves makes room for one.
                let mut seen: Vec<usize> = (0..3).map(|_| arrivals.recv().unwrap()).collect();
                assert!(arrivals.try_recv().is_err(), "a fourth call runs");
                for _ in 3..9 {
                    leave.send(()).unwrap();
                    seen.push(arrivals.recv().unwrap());
                }
                (0..3).for_each(|_| leave.send(()).unwrap());
                seen
            })
            .await
            .unwrap();
            let ids: Vec<u64> = mobula::get(&calls).await.unwrap().iter().map(|id| **id).collect();
            assert_eq!(ids, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
            assert_eq!(seen.len(), 9);
            seen.sort_unstable();
            assert_eq!((seen[0], seen[8]), (1, 3), "at most three at once: {seen:?}");
        })
        .await;
        node.shutdown().await;
    });
}

/// Notes its life in a list of the test's.
struct Witness {
    notes: Notes,
}

type Notes = Arc<Mutex<Vec<&'static str>>>;

#[mobula::actor]
impl Witness {
    pub fn new(notes: Notes) -> Self {
        notes.lock().unwrap().push("new");
        Self { notes }
    }

    pub fn ping(&self) {}

    pub fn leave(&mut self, ctx: &mut Context<Self>) -> String {
        ctx.exit_for_good();
        "bye".to_owned()
    }

    pub async fn wait(&mut self) {
        std::future::pending::<()>().await;
    }

    fn stopping(&mut self) {
        self.notes.lock().unwrap().push("stopping");
    }
}

fn notes(notes: &Notes) -> Vec<&'static str> {
    notes.lock().unwrap().clone()
}

#[mobula::test]
async fn a16_an_actor_that_exits_runs_its_hook_and_is_never_restarted() {
    let seen = Notes::default();
    let witness = Witness::options().max_restarts(3).remote(Arc::clone(&seen));
    let leaving = witness.leave().remote();
    let pending = witness.ping().remote();
    assert_eq!(*leaving.get().await.unwrap(), "bye", "the call itself is answered");
    let error = pending.get().await.unwrap_err();
    assert!(matches!(error.task(), Some(TaskError::ActorDied { .. })), "{error}");
    let later = witness.ping().await.unwrap_err();
    assert!(later.is_safe_to_retry() && later.exit_reason().is_some(), "{later}");
    testkit::advance(secs(3_600)).await;
    assert!(!witness.is_alive());
    assert_eq!(notes(&seen), ["new", "stopping"]);
}

#[mobula::test]
async fn a17_kill_runs_no_hook_and_answers_running_and_queued_calls_with_killed() {
    let seen = Notes::default();
    let witness = Witness::options().max_restarts(3).remote(Arc::clone(&seen));
    let (running, queued) = (witness.wait().remote(), witness.ping().remote());
    testkit::advance(ms(1)).await;
    assert!(matches!(witness.kill().await, Ok(ExitReason::Killed)));
    let late = witness.ping().remote();
    for call in [&running, &queued, &late] {
        let error = call.get().await.unwrap_err();
        let killed = ExitReason::Killed;
        assert!(
            matches!(error.task(), Some(TaskError::ActorDied { reason: ExitReason::Killed, .. })),
            "{error}"
        );
        assert!(error.to_string().contains(&killed.to_string()), "{error}");
    }
    testkit::advance(secs(3_600)).await;
    assert_eq!(notes(&seen), ["new"], "neither the hook nor another start");
}

#[mobula::test]
async fn a18_a_kill_that_allows_a_restart_counts_as_a_crash() {
    let seen = Notes::default();
    let witness = Witness::options().max_restarts(1).remote(Arc::clone(&seen));
    witness.ping().await.unwrap();
    let running = witness.wait().remote();
    testkit::advance(ms(1)).await;
    witness.kill().restart();
    assert!(running.get().await.unwrap_err().to_string().contains("killed"));
    witness.ping().await.unwrap();
    assert_eq!(notes(&seen), ["new", "new"]);
    // The budget is used up.
    witness.kill().restart();
    assert!(matches!(testkit::ends(&witness).await, ExitReason::Killed));
    witness.ping().await.unwrap_err();
    assert_eq!(notes(&seen), ["new", "new"]);
}

struct SlowStart;

#[mobula::actor]
impl SlowStart {
    pub async fn new(belonging: Belonging, gate: Arc<Semaphore>) -> Self {
        let (_belonging, _mine) = (belonging, gate.acquire().await.unwrap());
        Self
    }

    pub fn ping(&self) {}
}

#[mobula::test]
async fn a20_killing_an_actor_in_its_constructor_leaks_nothing(node: Node) {
    let (citizens, names) = (node.status().citizens, mobula::list_named_actors());
    let (belonging, gate) = (Belonging::default(), Arc::new(Semaphore::new(0)));
    for restarts in [0, 3] {
        let starting = SlowStart::options()
            .name("slow")
            .max_restarts(restarts)
            .remote(Arc::clone(&belonging), Arc::clone(&gate));
        let call = starting.ping().remote();
        testkit::advance(secs(1)).await;
        assert!(!call.is_ready() && Arc::strong_count(&belonging) > 1);
        starting.kill().await.unwrap();
        assert!(call.get().await.unwrap_err().to_string().contains("killed"));
        assert_eq!(Arc::strong_count(&belonging), 1, "what the constructor held is free");
        assert_eq!(node.status().citizens, citizens);
        assert_eq!(mobula::list_named_actors(), names);
        drop((starting, call));
    }
    assert_eq!(node.store().usage().objects, 0);
    assert_eq!(node.status().unfinished_tasks, 0);
}
