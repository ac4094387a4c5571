//! Rows R of what users rely on: CPUs and other resources.

#![expect(clippy::unwrap_used, reason = "what fails in a body fails its test")]

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use mobula::prelude::*;
use mobula::testkit;
use tokio::sync::Semaphore;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};

type Gate = Arc<Semaphore>;

/// What is in use at once, in ten-thousandths, and the most that ever was.
#[derive(Default)]
struct Gauge {
    now: AtomicI64,
    peak: AtomicI64,
}

impl Gauge {
    fn peak(&self) -> i64 {
        self.peak.load(Ordering::SeqCst)
    }
}

/// In use until dropped.
struct InUse(Arc<Gauge>, i64);

impl InUse {
    fn new(gauge: Arc<Gauge>, units: i64) -> Self {
        let now = gauge.now.fetch_add(units, Ordering::SeqCst) + units;
        gauge.peak.fetch_max(now, Ordering::SeqCst);
        Self(gauge, units)
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.now.fetch_sub(self.1, Ordering::SeqCst);
    }
}

#[mobula::task]
fn compute(gauge: Arc<Gauge>, units: i64) {
    let _in_use = InUse::new(gauge, units);
    std::thread::yield_now();
}

#[mobula::task]
async fn wait_a_while(gauge: Arc<Gauge>, units: i64) {
    let _in_use = InUse::new(gauge, units);
    tokio::time::sleep(ms(10)).await;
}

/// The most that twenty tasks of so many units each had in use at once.
async fn peak_of_tasks_with(units: i64) -> i64 {
    let gauge = Arc::new(Gauge::default());
    let amount = f64::from(u32::try_from(units).unwrap()) / 10_000.0;
    let options = || wait_a_while::options().num_cpus(amount);
    let tasks: Vec<_> = (0..20).map(|_| options().remote(Arc::clone(&gauge), units)).collect();
    mobula::get(&tasks).await.unwrap();
    gauge.peak()
}

#[mobula::task]
async fn hold(gate: Gate) -> u64 {
    gate.acquire().await.unwrap().forget();
    1
}

#[mobula::task]
fn answer() -> u64 {
    42
}

/// What is free of a resource.
fn free(node: &Node, resource: &str) -> String {
    let all = node.resources();
    let found = all.iter().find(|amount| amount.resource == resource);
    found.map(|amount| amount.free.to_string()).unwrap()
}

#[test]
fn r1_running_tasks_never_exceed_the_node_in_fractions_down_to_a_ten_thousandth() {
    let node = Node::builder().num_cpus(2.0).resource("gpu", 2.0).resource("disk", 0.0003);
    testkit::run_with(node, |node| async move {
        let (cpus, disk) = (Arc::new(Gauge::default()), Arc::new(Gauge::default()));
        let mut tasks = Vec::new();
        for i in 0..60 {
            let units = [20_000, 10_000, 3_333, 5_001, 1][i % 5];
            let amount = f64::from(u32::try_from(units).unwrap()) / 10_000.0;
            let gauge = Arc::clone(&cpus);
            tasks.push(if i % 2 == 0 {
                compute::options().num_cpus(amount).remote(gauge, units)
            } else {
                wait_a_while::options().num_cpus(amount).remote(gauge, units)
            });
            let tiny = wait_a_while::options().num_cpus(0.0).resource("disk", 0.0001);
            tasks.push(tiny.remote(Arc::clone(&disk), 1));
        }
        mobula::get(&tasks).await.unwrap();
        assert_eq!(cpus.peak(), 20_000, "what one task had alone, and never more");
        let peaks = (peak_of_tasks_with(3_333).await, peak_of_tasks_with(5_001).await);
        assert_eq!(peaks, (6 * 3_333, 3 * 5_001), "as many at once as fit, and not one more");
        assert_eq!(disk.peak(), 3, "three at once, not more, and not one by one");
        assert_eq!(
            (free(&node, "cpu"), free(&node, "disk")),
            ("2".to_owned(), "0.0003".to_owned())
        );

        for share in [0.5, 1.0, 2.0] {
            let task = answer::options().resource("gpu", share).remote();
            assert_eq!(*task.get().await.unwrap(), 42);
        }
        for wrong in [
            answer::options().resource("gpu", 1.5).remote(),
            answer::options().num_cpus(0.00001).remote(),
            answer::options().num_cpus(-1.0).remote(),
        ] {
            let error = wrong.get().await.unwrap_err();
            assert!(matches!(error.task(), Some(TaskError::Invalid { .. })), "{error}");
        }
    });
}

/// Keeps the texts of warnings.
#[derive(Clone, Debug, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    fn about(&self, text: &str) -> usize {
        let all = self.0.lock().unwrap();
        all.iter().filter(|warning| warning.contains(text)).count()
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        self.0.lock().unwrap().push(text.0);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, _: &Field, value: &dyn fmt::Debug) {
        self.0.push_str(&format!("{value:?} "));
    }
}

#[mobula::test]
async fn r2_demand_that_no_node_can_meet_stays_pending_and_runs_when_there_is_more(node: Node) {
    let warnings = Warnings::default();
    let listening = tracing::subscriber::set_default(warnings.clone());
    let waiting = answer::options().resource("unicorn", 1.0).remote();
    let another = answer::options().resource("unicorn", 1.0).remote();
    drop(listening);
    assert_eq!(warnings.about("unicorn"), 1, "said once: {warnings:?}");
    let many = answer::options().num_cpus(3.0).remote();
    // Others are not held up by them.
    assert_eq!(*answer::remote().get().await.unwrap(), 42);
    testkit::advance(secs(3_600)).await;
    assert!(!waiting.is_ready() && !many.is_ready(), "pending is not an error");
    let actors = node.actors();
    let pending: Vec<_> =
        actors.iter().filter(|citizen| citizen.type_name.ends_with("answer")).collect();
    assert_eq!(pending.len(), 3);
    let why: Vec<String> = pending
        .iter()
        .filter_map(|citizen| node.system().directory().get(citizen.id)?.why())
        .collect();
    assert!(why.iter().any(|why| why.contains("unicorn")), "{why:?}");
    node.add_resource("unicorn", 1.0).unwrap();
    assert_eq!(*waiting.get().await.unwrap(), 42);
    assert_eq!(*another.get().await.unwrap(), 42);
    assert!(!many.is_ready());
    node.add_resource("cpu", 1.0).unwrap();
    assert_eq!(*many.get().await.unwrap(), 42);
    assert_eq!((free(&node, "unicorn"), free(&node, "cpu")), ("1".to_owned(), "3".to_owned()));
}

struct Greeter;

#[mobula::actor]
impl Greeter {
    pub fn new() -> Self {
        Self
    }

    pub fn greet(&self) -> String {
        "hello".to_owned()
    }
}

#[test]
fn r3_tasks_without_cpus_and_actors_run_on_a_node_without_cpus() {
    testkit::run_with(Node::builder().num_cpus(0.0), |node| async move {
        assert_eq!(*answer::options().num_cpus(0.0).remote().get().await.unwrap(), 42);
        let gate = Arc::new(Semaphore::new(0));
        let many: Vec<ObjectRef<u64>> =
            (0..100).map(|_| hold::options().num_cpus(0.0).remote(Arc::clone(&gate))).collect();
        assert_eq!(Greeter::remote().greet().await.unwrap(), "hello");
        gate.add_permits(100);
        assert_eq!(mobula::get(&many).await.unwrap().len(), 100);
        // One that wants a CPU waits for the first.
        let wants_one = answer::remote();
        testkit::advance(secs(60)).await;
        assert!(!wants_one.is_ready());
        node.add_resource("cpu", 1.0).unwrap();
        assert_eq!(*wants_one.get().await.unwrap(), 42);
    });
}
