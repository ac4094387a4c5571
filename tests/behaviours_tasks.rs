//! Rows T of what users rely on: tasks and the graphs that calls of them build.
//!
//! Tests drive bodies by gates instead of time: a task that must not have run yet waits for a permit that only the
//! test gives.

#![expect(clippy::unwrap_used, reason = "what fails in a body fails its test")]

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use mobula::prelude::*;
use mobula::testkit;
use tokio::sync::Semaphore;

type Runs = Arc<AtomicUsize>;

/// Opened by `add_permits`, once for each body that waits.
type Gate = Arc<Semaphore>;

fn closed_gate() -> Gate {
    Arc::new(Semaphore::new(0))
}

#[mobula::task(num_cpus = 0)]
async fn behind(gate: Gate, value: u64) -> u64 {
    gate.acquire().await.unwrap().forget();
    value
}

#[mobula::task]
fn increment(x: u64) -> u64 {
    x + 1
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Nothing,
    Point(i8, i16, i32, i64, i128),
    Named { label: String, weight: Option<f64> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Nested {
    flag: bool,
    letter: char,
    bytes: Vec<u8>,
    by_name: BTreeMap<String, Vec<Shape>>,
    tuple: (u8, (u16, [u32; 3]), usize),
    result: Result<u64, String>,
    deep: Option<Box<Self>>,
}

#[mobula::task]
fn same(value: Nested) -> Nested {
    value
}

#[mobula::task]
fn nothing() {}

#[mobula::task]
fn where_am_i() -> String {
    format!("{:?}", thread::current().id())
}

#[mobula::test]
async fn t1_a_call_returns_a_reference_at_once_and_get_gives_the_value_unchanged() {
    let gate = closed_gate();
    let early = behind::remote(Arc::clone(&gate), 7);
    assert!(!early.is_ready(), "the reference was there before the body was done");
    gate.add_permits(1);
    assert_eq!(*early.get().await.unwrap(), 7);

    let inner = Nested {
        flag: true,
        letter: 'ß',
        bytes: (0..=255).collect(),
        by_name: BTreeMap::from([
            (String::new(), Vec::new()),
            (
                "shapes".to_owned(),
                vec![
                    Shape::Nothing,
                    Shape::Point(i8::MIN, i16::MAX, i32::MIN, i64::MAX, i128::MIN),
                    Shape::Named { label: "λ".to_owned(), weight: Some(-0.1) },
                    Shape::Named { label: String::new(), weight: None },
                ],
            ),
        ]),
        tuple: (u8::MAX, (0, [1, 2, u32::MAX]), usize::MAX),
        result: Err("kept".to_owned()),
        deep: None,
    };
    let value = Nested { result: Ok(u64::MAX), deep: Some(Box::new(inner.clone())), ..inner };
    assert_eq!(*same::remote(value.clone()).get().await.unwrap(), value);
    nothing::remote().get().await.unwrap();

    let elsewhere = where_am_i::remote().get().await.unwrap();
    assert_ne!(*elsewhere, where_am_i(), "the body runs elsewhere; the plain function runs here");
}

#[mobula::task(num_cpus = 0)]
async fn nested_is_ready(nested: Vec<ObjectRef<u64>>) -> bool {
    nested[0].is_ready()
}

#[mobula::task]
fn open_nested(nested: Vec<ObjectRef<u64>>) -> u64 {
    *nested[0].get().blocking().unwrap()
}

#[mobula::test]
async fn t2_a_reference_argument_is_resolved_and_a_nested_one_arrives_as_a_reference() {
    let gate = closed_gate();
    let pending = behind::remote(Arc::clone(&gate), 4);
    // Nested, it does not hold up the body, which finds it unready.
    assert!(!*nested_is_ready::remote(vec![pending.clone()]).get().await.unwrap());
    let opened = open_nested::remote(vec![pending.clone()]);
    let resolved = increment::remote(&pending);
    assert!(!resolved.is_ready() && !opened.is_ready());
    gate.add_permits(1);
    assert_eq!(*resolved.get().await.unwrap(), 5, "the body saw the value");
    assert_eq!(*opened.get().await.unwrap(), 4, "the body fetched it");
}

#[mobula::task]
fn make(size: usize) -> Vec<u8> {
    vec![3; size]
}

#[mobula::task]
fn length(bytes: Arc<Vec<u8>>) -> usize {
    bytes.len()
}

#[mobula::task]
fn nested_length(nested: Vec<ObjectRef<Vec<u8>>>) -> usize {
    nested[0].get().blocking().unwrap().len()
}

struct Worker;

#[mobula::actor]
impl Worker {
    pub fn new() -> Self {
        Self
    }

    pub fn make(&mut self, size: usize) -> Vec<u8> {
        vec![3; size]
    }

    pub fn length(&mut self, bytes: Arc<Vec<u8>>) -> usize {
        bytes.len()
    }

    pub async fn nested_length(&mut self, nested: Vec<ObjectRef<Vec<u8>>>) -> usize {
        nested[0].get().await.unwrap().len()
    }
}

#[mobula::test]
async fn t3_every_producer_feeds_every_consumer_small_and_large_plain_and_nested() {
    let (producer, consumer) = (Worker::remote(), Worker::remote());
    let mut combinations = 0;
    for from_actor in [false, true] {
        for size in [10, 1_000_000] {
            let produce = || {
                if from_actor { producer.make(size).remote() } else { make::remote(size) }
            };
            let lengths = [
                length::remote(produce()),
                nested_length::remote(vec![produce()]),
                consumer.length(produce()).remote(),
                consumer.nested_length(vec![produce()]).remote(),
            ];
            for length in &lengths {
                assert_eq!(*length.get().await.unwrap(), size, "from an actor: {from_actor}");
                combinations += 1;
            }
        }
    }
    assert_eq!(combinations, 16);
}

#[mobula::task]
fn count_and_increment(runs: Runs, x: u64) -> u64 {
    runs.fetch_add(1, Ordering::Relaxed);
    x + 1
}

#[mobula::test]
async fn t4_chain_of_dependent_tasks_gives_100() {
    let (gate, runs) = (closed_gate(), Runs::default());
    let mut link = behind::remote(Arc::clone(&gate), 0);
    for _ in 0..100 {
        link = count_and_increment::remote(Arc::clone(&runs), &link);
    }
    // Others run to their end meanwhile, but not one of the chain.
    assert_eq!(*increment::remote(1).get().await.unwrap(), 2);
    testkit::advance(secs(60)).await;
    assert_eq!(runs.load(Ordering::Relaxed), 0, "a link ran before its argument existed");
    gate.add_permits(1);
    assert_eq!(*link.get().await.unwrap(), 100);
    assert_eq!(runs.load(Ordering::Relaxed), 100);
}

#[mobula::task]
fn join(a: String, b: Arc<String>, c: String, d: String) -> String {
    format!("{a}{b}{c}{d}")
}

#[mobula::task(num_cpus = 0)]
async fn text_behind(gate: Gate) -> String {
    gate.acquire().await.unwrap().forget();
    "ab".to_owned()
}

#[mobula::test]
async fn t5_the_same_reference_is_resolved_to_equal_values_in_every_position() {
    let gate = closed_gate();
    let text = text_behind::remote(Arc::clone(&gate));
    let joined = join::remote(&text, &text, text.clone(), &text);
    gate.add_permits(1);
    assert_eq!(*joined.get().await.unwrap(), "abababab");
    let again = join::remote(&text, &text, &text, text.clone());
    assert_eq!(*again.get().await.unwrap(), "abababab", "resolved already, too");
}

#[mobula::task]
fn sum_of_children(count: u64) -> u64 {
    let children: Vec<ObjectRef<u64>> = (0..count).map(increment::remote).collect();
    let (ready, rest) = mobula::wait(children).num_returns(1).blocking().unwrap();
    let all: Vec<ObjectRef<u64>> = ready.into_iter().chain(rest).collect();
    mobula::get(&all).blocking().unwrap().iter().map(|value| **value).sum()
}

#[mobula::task]
async fn hand_out(x: u64) -> ObjectRef<u64> {
    increment::remote(x)
}

#[mobula::task]
fn descend(levels: u32) -> u32 {
    if levels == 0 { 0 } else { 1 + *descend::remote(levels - 1).get().blocking().unwrap() }
}

#[mobula::task]
async fn descend_later(levels: u32) -> u32 {
    if levels == 0 { 0 } else { 1 + *descend_later::remote(levels - 1).get().await.unwrap() }
}

#[mobula::test]
async fn t7_tasks_submit_tasks_wait_on_them_and_return_references_at_any_depth() {
    assert_eq!(*sum_of_children::remote(10).get().await.unwrap(), 55);
    let outer = hand_out::remote(1).get().await.unwrap();
    assert_eq!(*outer.get().await.unwrap(), 2);
    assert_eq!(*descend::remote(40).get().await.unwrap(), 40);
    assert_eq!(*descend_later::remote(400).get().await.unwrap(), 400);
}

#[derive(Debug, thiserror::Error)]
#[error("nothing to split in {0:?}")]
struct Unsplittable(String);

#[mobula::task(num_returns = 3)]
fn split(text: String) -> Result<(String, usize, Vec<String>), Unsplittable> {
    match text.split_once(' ') {
        Some((head, tail)) => Ok((head.to_owned(), text.len(), vec![tail.to_owned()])),
        None => Err(Unsplittable(text)),
    }
}

#[mobula::task]
fn double_length(length: usize) -> usize {
    length * 2
}

#[mobula::test]
async fn t8_several_results_are_independent_references_that_fail_with_the_same_error(node: Node) {
    let (head, length, tails) = split::remote("ab c".to_owned());
    let doubled = double_length::remote(&length);
    drop(length);
    assert_eq!(*doubled.get().await.unwrap(), 8, "one of the results fed a task of its own");
    assert_eq!(*head.get().await.unwrap(), "ab");
    drop(head);
    assert_eq!(*tails.get().await.unwrap(), ["c"], "and each outlives the others");
    drop((doubled, tails));
    assert_eq!(node.store().usage().objects, 0);

    let (head, length, tails) = split::remote("abc".to_owned());
    let errors = [
        head.get().await.unwrap_err(),
        length.get().await.unwrap_err(),
        tails.get().await.unwrap_err(),
    ];
    for error in &errors {
        assert_eq!(error.user::<Unsplittable>().unwrap().0, "abc");
        assert_eq!(error.to_string(), errors[0].to_string());
    }
}

#[mobula::test]
async fn t9_functions_of_one_name_keep_their_bodies_and_are_never_mixed() {
    let gate = closed_gate();
    // Calls of the first are still waiting when the second is declared and called.
    let (old, old_named) = {
        #[mobula::task(name = "answer", version = 1)]
        fn answer(x: u64) -> u64 {
            x + 1_000
        }
        let behind_gate = |i| answer::remote(behind::remote(Arc::clone(&gate), i));
        ((0..50).map(behind_gate).collect::<Vec<_>>(), answer(0))
    };
    #[mobula::task(name = "answer", version = 2)]
    fn answer(x: u64) -> u64 {
        x + 2_000
    }
    let new: Vec<ObjectRef<u64>> =
        (0..50).map(|i| answer::remote(behind::remote(Arc::clone(&gate), i))).collect();
    gate.add_permits(100);
    for (i, (old, new)) in (0..).zip(old.iter().zip(&new)) {
        assert_eq!(*old.get().await.unwrap(), 1_000 + i);
        assert_eq!(*new.get().await.unwrap(), 2_000 + i);
    }
    assert_eq!((old_named, answer(0)), (1_000, 2_000));
    let versions: Vec<u32> = mobula::functions()
        .iter()
        .filter(|entry| entry.name == "answer")
        .map(|entry| entry.version)
        .collect();
    assert_eq!(versions, [1, 2]);
}

/// How many bodies run at once, now and at most.
#[derive(Default)]
struct Gauge {
    now: AtomicUsize,
    peak: AtomicUsize,
}

impl Gauge {
    fn enter(&self) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.peak.fetch_max(now, Ordering::SeqCst);
    }

    fn leave(&self) {
        self.now.fetch_sub(1, Ordering::SeqCst);
    }
}

#[mobula::task]
fn h(gauge: Arc<Gauge>, x: u64) -> u64 {
    gauge.enter();
    thread::yield_now();
    gauge.leave();
    x + 1
}

#[mobula::task]
fn g(gauge: Arc<Gauge>, x: u64) -> u64 {
    gauge.enter();
    let child = h::remote(Arc::clone(&gauge), x);
    gauge.leave();
    *child.get().blocking().unwrap() + 1
}

#[mobula::task]
async fn f(gauge: Arc<Gauge>, x: u64) -> u64 {
    gauge.enter();
    let child = g::remote(Arc::clone(&gauge), x);
    gauge.leave();
    let (ready, _) = mobula::wait(vec![child]).await.unwrap();
    *ready[0].get().await.unwrap() + 1
}

#[test]
fn t12_a_blocked_task_gives_its_cpu_back_so_that_nested_tasks_on_one_cpu_finish() {
    testkit::run_with(Node::builder().num_cpus(1.0), |_node| async {
        let gauge = Arc::new(Gauge::default());
        let all: Vec<ObjectRef<u64>> =
            (0..1_000).map(|x| f::remote(Arc::clone(&gauge), x)).collect();
        let values = mobula::get(&all).await.unwrap();
        assert!((0..).zip(values).all(|(x, value)| *value == x + 3));
        assert_eq!(gauge.peak.load(Ordering::SeqCst), 1, "one CPU, so one body at a time");
    });
}

/// Submits its own successor and ends, for as long as nobody has `heard`.
#[mobula::task]
fn rumour(heard: Arc<AtomicBool>, hops: Arc<AtomicUsize>) {
    if !heard.load(Ordering::SeqCst) && hops.fetch_add(1, Ordering::SeqCst) < 10_000 {
        drop(rumour::remote(heard, hops));
    }
}

#[mobula::task]
fn hear(heard: Arc<AtomicBool>) {
    heard.store(true, Ordering::SeqCst);
}

#[test]
fn t12_a_chain_of_ever_deeper_tasks_does_not_keep_the_others_waiting() {
    for cpus in [0.5, 1.0] {
        testkit::run_with(Node::builder().num_cpus(1.0), |_node| async move {
            let (heard, hops) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
            let spread = rumour::remote(Arc::clone(&heard), Arc::clone(&hops));
            let listeners: Vec<_> =
                (0..3).map(|_| hear::options().num_cpus(cpus).remote(Arc::clone(&heard))).collect();
            mobula::get(&listeners).await.unwrap();
            spread.get().await.unwrap();
            let hops = hops.load(Ordering::SeqCst);
            assert!(hops < 1_000, "{hops} rumours went before those who listened");
        });
    }
}

struct Tally(u64);

#[mobula::actor]
impl Tally {
    pub fn new() -> Self {
        Self(0)
    }

    pub fn add(&mut self, by: u64) -> u64 {
        self.0 += by;
        self.0
    }
}

#[test]
fn t24_ten_threads_submit_get_put_wait_and_call_at_once() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    let node = runtime.block_on(Node::builder().num_cpus(2.0).start()).unwrap();
    let tally = node.enter_sync(Tally::remote);
    let start = std::sync::Barrier::new(10);
    let totals: Vec<HashSet<u64>> = thread::scope(|scope| {
        let work = |id: u64| {
            let (node, tally, start) = (&node, &tally, &start);
            let handle = runtime.handle();
            scope.spawn(move || {
                start.wait();
                handle.block_on(node.enter(async {
                    let mut totals = HashSet::new();
                    for i in 0..25 {
                        let number = id * 100 + i;
                        let object = mobula::put(number).await.unwrap();
                        let next = increment::remote(&object);
                        assert_eq!(*next.get().await.unwrap(), number + 1);
                        let pair = vec![increment::remote(&next), object];
                        let (ready, rest) = mobula::wait(pair).num_returns(2).await.unwrap();
                        assert!(rest.is_empty());
                        let values = mobula::get(&ready).await.unwrap();
                        assert_eq!((*values[0], *values[1]), (number + 2, number));
                        let by_call = tally.add(1).await.unwrap();
                        let by_object = tally.add(1).remote();
                        assert!(totals.insert(by_call));
                        assert!(totals.insert(*by_object.get().await.unwrap()));
                    }
                    totals
                }))
            })
        };
        let threads: Vec<_> = (0..10).map(work).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let all: HashSet<u64> = totals.iter().flatten().copied().collect();
    assert_eq!(all, (1..=500).collect(), "each of 10 x 25 x 2 calls was counted once");
    runtime.block_on(async {
        drop(tally);
        node.shutdown().await;
        assert_eq!(node.store().usage().objects, 0);
    });
}
