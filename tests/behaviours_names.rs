//! Rows N of what users rely on: named and detached actors.

#![expect(clippy::unwrap_used, reason = "what fails in a body fails its test")]

use std::collections::HashSet;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use mobula::prelude::*;
use mobula::{AsHandle, LookupError, SpawnError, testkit};

type Runs = Arc<AtomicUsize>;

struct Counter {
    count: u64,
}

#[mobula::actor]
impl Counter {
    pub fn new(runs: Runs) -> Self {
        runs.fetch_add(1, Ordering::SeqCst);
        Self { count: 0 }
    }

    pub fn add(&mut self, by: u64) -> u64 {
        self.count += by;
        self.count
    }

    pub fn crash(&mut self) {
        panic!("crashed");
    }

    pub fn leave(&mut self, ctx: &mut Context<Self>) {
        ctx.exit_for_good();
    }
}

fn named(name: &str) -> ActorRef<Counter> {
    Counter::options().name(name).try_remote(Runs::default()).unwrap()
}

async fn find(name: &str) -> Result<ActorRef<Counter>, LookupError> {
    mobula::actor::<Counter>(name).await
}

/// The names in the default namespace.
fn names() -> Vec<String> {
    let all = mobula::list_named_actors().into_iter();
    all.filter(|name| name.namespace == mobula::DEFAULT_NAMESPACE).map(|name| name.name).collect()
}

#[mobula::task]
async fn add_by_name(name: String) -> u64 {
    let counter = find(&name).await.unwrap();
    counter.add(1).await.unwrap()
}

#[mobula::task]
async fn spawn_detached(name: String) -> String {
    let counter = Counter::options().name(name).detached().remote(Runs::default());
    counter.add(10).await.unwrap();
    counter.id().to_string()
}

struct Visitor;

#[mobula::actor]
impl Visitor {
    pub fn new() -> Self {
        Self
    }

    pub async fn add(&self, name: String) -> u64 {
        let counter = find(&name).await.unwrap();
        counter.add(1).await.unwrap()
    }

    pub fn spawn_detached(&self, name: String) -> String {
        let counter = Counter::options().name(name).detached().remote(Runs::default());
        counter.id().to_string()
    }
}

#[mobula::test]
async fn n1_a_named_actor_is_found_from_drivers_tasks_and_actors(node: Node) {
    let counter = named("clicks");
    assert_eq!(counter.name().as_deref(), Some("clicks"));
    assert_eq!(find("clicks").await.unwrap(), counter);
    assert_eq!(*add_by_name::remote("clicks".to_owned()).get().await.unwrap(), 1);
    assert_eq!(Visitor::remote().add("clicks".to_owned()).await.unwrap(), 2);
    let other_driver = node.enter(async { find("clicks").await.unwrap().add(1).await.unwrap() });
    assert_eq!(tokio::spawn(other_driver).await.unwrap(), 3);
}

#[mobula::test]
async fn n2_a_second_actor_under_a_living_name_is_an_error() {
    let (counter, runs) = (named("clicks"), Runs::default());
    let second = || Counter::options().name("clicks");
    let error = second().try_remote(Arc::clone(&runs)).unwrap_err();
    assert!(error.to_string().contains("already taken"), "{error}");
    assert!(
        matches!(&error, SpawnError::NameTaken { name, holder } if name == "clicks" && *holder == counter.id())
    );
    // Without `try_` the calls say so.
    let refused = second().remote(Arc::clone(&runs)).add(1).await.unwrap_err();
    assert!(refused.to_string().contains("already taken"), "{refused}");
    assert_eq!(runs.load(Ordering::SeqCst), 0, "nothing was started");
    assert_eq!(find("clicks").await.unwrap(), counter);
}

#[mobula::test]
async fn n3_an_unknown_empty_or_blank_name_is_an_error() {
    let _counter = named("clicks");
    let unknown = find("cliks").await.unwrap_err();
    assert!(matches!(&unknown, LookupError::NoSuchName(name) if name == "cliks"), "{unknown}");
    for blank in ["", " ", "\t\n"] {
        let error = find(blank).await.unwrap_err();
        assert!(matches!(error, LookupError::BlankName), "{error}");
        let error = Counter::options().name(blank).try_remote(Runs::default()).unwrap_err();
        assert!(matches!(error, SpawnError::BlankName), "{error}");
    }
    let other_type = mobula::actor::<Visitor>("clicks").await.unwrap_err();
    assert!(matches!(other_type, LookupError::WrongType { .. }), "{other_type}");
}

#[mobula::test]
async fn n4_names_are_per_namespace_and_an_explicit_one_reaches_over() {
    let here = named("clicks");
    let spawn = |namespace: &str| {
        Counter::options().namespace(namespace).name("clicks").try_remote(Runs::default())
    };
    let there = spawn("shop").unwrap();
    assert_ne!(here, there);
    assert!(matches!(spawn("shop"), Err(SpawnError::NameTaken { .. })));
    assert_eq!(find("clicks").await.unwrap(), here);
    assert_eq!(mobula::actor_in::<Counter>("shop", "clicks").await.unwrap(), there);
    let elsewhere = mobula::actor_in::<Counter>("bar", "clicks").await;
    assert!(matches!(elsewhere, Err(LookupError::NoSuchName(_))));
    there.kill().await.unwrap();
    assert_eq!(find("clicks").await.unwrap(), here, "the other namespace did not notice");
}

#[mobula::test]
async fn n6_a_named_actor_that_is_not_detached_ends_with_its_handles_and_frees_its_name() {
    let counter = named("clicks");
    let handle = counter.as_handle();
    let found = find("clicks").await.unwrap();
    drop(counter);
    testkit::advance(secs(3_600)).await;
    assert_eq!(found.add(1).await.unwrap(), 1, "a handle that was found counts");
    drop(found);
    assert!(matches!(testkit::ends(&handle).await, ExitReason::Normal));
    assert!(find("clicks").await.is_err());
    assert_eq!(named("clicks").add(1).await.unwrap(), 1);
}

/// Detached, and creates others.
struct Founder {
    children: Vec<ActorRef<Counter>>,
}

#[mobula::actor]
impl Founder {
    pub fn new() -> Self {
        Self { children: Vec::new() }
    }

    pub async fn found(&mut self) -> u64 {
        self.children.push(Counter::remote(Runs::default()));
        let by_task = *add_by_name::remote("clicks".to_owned()).get().await.unwrap();
        by_task + self.children[0].add(5).await.unwrap()
    }
}

#[mobula::task]
async fn spawn_founder() {
    drop(Founder::options().name("founder").detached().remote());
}

#[mobula::test]
async fn n7_a_detached_actor_survives_its_creator_and_can_create_tasks_and_actors(node: Node) {
    // Created by a task, by an actor that is killed, and by a driver that leaves.
    let by_task = spawn_detached::remote("by task".to_owned()).get().await.unwrap();
    let visitor = Visitor::remote();
    let by_actor = visitor.spawn_detached("by actor".to_owned()).await.unwrap();
    visitor.kill().await.unwrap();
    let driver = node.enter(async {
        let counter = Counter::options().name("by driver").detached().remote(Runs::default());
        counter.id().to_string()
    });
    let by_driver = tokio::spawn(driver).await.unwrap();
    spawn_founder::remote().get().await.unwrap();
    testkit::advance(secs(3_600)).await;
    for (name, id) in [("by task", &*by_task), ("by actor", &by_actor), ("by driver", &by_driver)] {
        let counter = find(name).await.unwrap();
        assert_eq!(counter.id().to_string(), *id);
        let before = if name == "by task" { 10 } else { 0 };
        assert_eq!(counter.add(1).await.unwrap(), before + 1, "{name}");
    }
    let _clicks = named("clicks");
    let founder = mobula::actor::<Founder>("founder").await.unwrap();
    assert_eq!(founder.found().await.unwrap(), 6);
}

#[mobula::test]
async fn n8_a_detached_actor_ends_only_by_kill_exit_or_failure_beyond_its_budget() {
    let detached = |restarts| Counter::options().detached().max_restarts(restarts);
    // Without a name, too; a weak reference keeps nothing alive.
    let counter = detached(0).remote(Runs::default());
    let weak = counter.downgrade();
    counter.add(1).await.unwrap();
    drop(counter);
    testkit::advance(secs(3_600)).await;
    let counter = weak.upgrade().unwrap();
    assert_eq!(counter.add(1).await.unwrap(), 2);
    counter.kill().await.unwrap();
    assert!(!counter.is_alive());

    let exits = detached(3).remote(Runs::default());
    exits.leave().await.unwrap();
    assert!(matches!(testkit::ends(&exits).await, ExitReason::Normal));

    let (runs, weak) = {
        let runs = Runs::default();
        let fails = detached(2).remote(Arc::clone(&runs));
        fails.ready().await.unwrap();
        (runs, fails.downgrade())
    };
    for starts in 1..=3 {
        let fails = weak.upgrade().unwrap();
        fails.add(1).await.unwrap();
        assert_eq!(runs.load(Ordering::SeqCst), starts);
        fails.crash().await.unwrap_err();
        drop(fails);
        testkit::advance(secs(60)).await;
    }
    assert!(weak.upgrade().is_none(), "two restarts, three crashes");
}

#[mobula::test]
async fn n9_after_a_kill_or_crash_the_name_can_be_used_again_at_once() {
    let first = named("clicks");
    first.add(7).await.unwrap();
    first.kill().await.unwrap();
    let second = named("clicks");
    assert_eq!(second.add(1).await.unwrap(), 1);
    second.crash().await.unwrap_err();
    testkit::ends(&second).await;
    let third = named("clicks");
    assert_eq!(third.add(1).await.unwrap(), 1);
    third.stop().await.unwrap();
    assert_eq!(named("clicks").add(1).await.unwrap(), 1);
}

#[mobula::test]
async fn n10_a_killed_name_is_not_found_and_a_restarted_one_is_the_same_actor() {
    let runs = Runs::default();
    let counter = Counter::options().name("clicks").max_restarts(1).remote(Arc::clone(&runs));
    counter.add(5).await.unwrap();
    counter.kill().restart();
    testkit::advance(ms(1)).await;
    assert_eq!(runs.load(Ordering::SeqCst), 1, "still waiting to be restarted");
    let found = find("clicks").await.unwrap();
    assert_eq!(found, counter);
    assert_eq!(found.add(1).await.unwrap(), 1, "usable, and fresh");
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    counter.kill().await.unwrap();
    let error = find("clicks").await.unwrap_err();
    assert!(matches!(error, LookupError::NoSuchName(_)), "{error}");
    assert_eq!(runs.load(Ordering::SeqCst), 2);
}

#[mobula::test]
async fn n11_get_if_exists_creates_or_returns_the_existing_one_and_needs_a_name() {
    let runs = Runs::default();
    let get = || Counter::options().name("clicks").get_if_exists().try_remote(Arc::clone(&runs));
    let first = get().unwrap();
    assert_eq!(first.add(1).await.unwrap(), 1);
    let second = get().unwrap();
    assert_eq!(second.id(), first.id());
    assert_eq!(second.add(1).await.unwrap(), 2);
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    first.kill().await.unwrap();
    let third = get().unwrap();
    assert_ne!(third.id(), first.id());
    assert_eq!(third.add(1).await.unwrap(), 1);

    let nameless = Counter::options().get_if_exists().try_remote(Runs::default());
    assert!(matches!(nameless, Err(SpawnError::BlankName)));
    let wrong = Visitor::options().name("clicks").get_if_exists().try_remote();
    assert!(matches!(wrong, Err(SpawnError::WrongType { .. })));
}

#[test]
fn n12_a_hundred_get_if_exists_from_ten_threads_run_exactly_one_constructor() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    let node = runtime.block_on(Node::builder().start()).unwrap();
    let (runs, start) = (Runs::default(), Barrier::new(10));
    // Kept until all threads are done: the first may not end before the last has asked.
    let actors: Vec<ActorRef<Counter>> = thread::scope(|scope| {
        let get = || {
            let (node, runs, start) = (&node, &runs, &start);
            scope.spawn(move || {
                start.wait();
                let get = |_| {
                    let options = Counter::options().name("clicks").get_if_exists();
                    options.try_remote(Arc::clone(runs)).unwrap()
                };
                node.enter_sync(|| (0..10).map(get).collect::<Vec<_>>())
            })
        };
        let threads: Vec<_> = (0..10).map(|_| get()).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let ids: HashSet<_> = actors.iter().map(ActorRef::id).collect();
    assert_eq!((actors.len(), ids.len()), (100, 1));
    runtime.block_on(async {
        for actor in &actors {
            actor.add(1).await.unwrap();
        }
        assert_eq!(actors[0].add(0).await.unwrap(), 100);
        node.shutdown().await;
    });
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[mobula::test]
async fn n15_the_list_of_named_actors_has_the_living_only() {
    assert!(names().is_empty());
    let (b, a) = (named("b"), named("a"));
    let _unnamed = Counter::remote(Runs::default());
    let other = Counter::options().namespace("shop").name("c").remote(Runs::default());
    assert_eq!(names(), ["a", "b"]);
    let all = mobula::list_named_actors();
    assert!(all.iter().any(|name| (name.namespace.as_str(), name.name.as_str()) == ("shop", "c")));
    a.kill().await.unwrap();
    assert_eq!(names(), ["b"]);
    b.crash().await.unwrap_err();
    testkit::ends(&b).await;
    assert!(names().is_empty());
    let handle = other.as_handle();
    drop(other);
    testkit::ends(&handle).await;
    assert!(mobula::list_named_actors().iter().all(|name| name.namespace != "shop"));
}
