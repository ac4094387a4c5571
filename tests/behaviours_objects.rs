//! Rows O of what users rely on: objects, who keeps them, and when they go.
//!
//! Every test that drops something looks at the store's own books: an object that nobody needs must be gone at once,
//! and its bytes with it.

#![expect(clippy::unwrap_used, reason = "what fails in a body fails its test")]

use mobula::prelude::*;
use mobula::{StoreError, testkit};
use tokio::sync::Semaphore;

type Gate = Arc<Semaphore>;

fn closed_gate() -> Gate {
    Arc::new(Semaphore::new(0))
}

/// Objects in the store; without objects it uses no room.
fn objects(node: &Node) -> usize {
    let usage = node.store().usage();
    assert!(usage.objects > 0 || usage.bytes == 0, "{usage:?}");
    usage.objects
}

/// Where the value lies: equal addresses are one copy.
#[mobula::task]
fn address_of(bytes: Arc<Vec<u8>>) -> usize {
    bytes.as_ptr().addr()
}

#[mobula::task]
fn overwrite(mut bytes: Vec<u8>) -> u8 {
    bytes.fill(9);
    bytes[0]
}

#[mobula::task(num_cpus = 0)]
async fn length_behind(gate: Gate, bytes: Arc<Vec<u8>>) -> usize {
    gate.acquire().await.unwrap().forget();
    bytes.len()
}

#[mobula::test]
async fn o1_get_of_put_equals_the_value_which_is_immutable_and_never_copied() {
    let text = mobula::put(("a".to_owned(), vec![Some(1.5), None])).await.unwrap();
    assert_eq!(*text.get().await.unwrap(), ("a".to_owned(), vec![Some(1.5), None]));

    let large = vec![7_u8; 1 << 20];
    let original = large.as_ptr().addr();
    let object = mobula::put(large).await.unwrap();
    let (one, two) = (object.get().await.unwrap(), object.get().await.unwrap());
    assert!(Arc::ptr_eq(&one, &two));
    assert_eq!(one.as_ptr().addr(), original, "put and get moved no byte");
    assert_eq!(*address_of::remote(&object).get().await.unwrap(), original);
    // A body that owns its argument changes a copy of its own.
    assert_eq!(*overwrite::remote(&object).get().await.unwrap(), 9);
    assert!(one.iter().all(|byte| *byte == 7));
}

#[mobula::test]
async fn o3_put_of_a_reference_is_an_error_that_names_the_object(node: Node) {
    let object = mobula::put(1_u8).await.unwrap();
    let error = mobula::put(object.clone()).await.unwrap_err();
    assert!(
        matches!(error, StoreError::IsReference { object: id } if id == object.id()),
        "{error}"
    );
    let in_a_task = put_it::remote(object.clone()).get().await.unwrap();
    assert!(in_a_task.contains(&object.id().to_string()), "{in_a_task}");
    drop(object);
    assert_eq!(objects(&node), 0, "nothing was stored");
}

#[mobula::task]
fn put_it(object: ObjectRef<u8>) -> String {
    mobula::put(object).blocking().unwrap_err().to_string()
}

#[derive(Default)]
struct Keeper(Vec<ObjectRef<Vec<u8>>>);

#[mobula::actor]
impl Keeper {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn keep(&mut self, object: ObjectRef<Vec<u8>>) {
        self.0.push(object);
    }

    pub fn drop_one(&mut self) {
        self.0.pop();
    }
}

#[mobula::test]
async fn o4_an_object_lives_while_somebody_needs_it_and_its_room_comes_back(node: Node) {
    // A local reference, and a copy of it.
    let object = mobula::put(vec![1_u8; 5_000]).await.unwrap();
    assert!(node.store().usage().bytes >= 5_000);
    let copy = object.clone();
    drop(object);
    assert_eq!(objects(&node), 1);

    // A pending task. Once it runs, the value is in the hands of its body alone.
    let gate = closed_gate();
    let other = length_behind::remote(Arc::clone(&gate), Arc::new(vec![0; 3]));
    let sum = measure_both::remote(copy, &other);
    testkit::advance(secs(1)).await;
    assert_eq!(objects(&node), 3, "the argument, the other one and the result to come");
    assert!(node.store().usage().bytes >= 5_000);
    gate.add_permits(1);
    assert_eq!(*sum.get().await.unwrap(), 5_003);
    drop(other);
    assert_eq!(objects(&node), 1, "the result");
    drop(sum);
    assert_eq!(objects(&node), 0);

    // Inside another live object.
    let inner = mobula::put(vec![2_u8; 10]).await.unwrap();
    let outer = mobula::put(vec![inner]).await.unwrap();
    assert_eq!(objects(&node), 2);
    drop(outer);
    assert_eq!(objects(&node), 0);

    // With an actor, which needs as many drops as it has copies.
    let keeper = Keeper::remote();
    let object = mobula::put(vec![3_u8; 10]).await.unwrap();
    keeper.keep(&object).await.unwrap();
    keeper.keep(object).await.unwrap();
    keeper.drop_one().await.unwrap();
    assert_eq!(objects(&node), 1);
    keeper.drop_one().await.unwrap();
    assert_eq!(objects(&node), 0);

    // An actor's end drops what it kept.
    keeper.keep(mobula::put(vec![4_u8; 10]).await.unwrap()).await.unwrap();
    assert_eq!(objects(&node), 1);
    keeper.kill().await.unwrap();
    assert_eq!(objects(&node), 0);
}

/// (local, submitted)
fn counts<T>(object: &ObjectRef<T>) -> (u32, u32) {
    let counts = object.counts();
    (counts.local, counts.submitted)
}

#[mobula::task(num_cpus = 0)]
async fn fail_behind(gate: Gate, bytes: Arc<Vec<u8>>) -> Result<usize, String> {
    gate.acquire().await.unwrap().forget();
    Err(format!("{} bytes", bytes.len()))
}

#[mobula::task(num_cpus = 0)]
async fn panic_behind(gate: Gate, bytes: Arc<Vec<u8>>) -> usize {
    gate.acquire().await.unwrap().forget();
    panic!("{} bytes", bytes.len())
}

#[mobula::task(num_cpus = 0)]
async fn hold_behind(gate: Gate, nested: Vec<ObjectRef<Vec<u8>>>) -> usize {
    gate.acquire().await.unwrap().forget();
    nested.len()
}

#[mobula::test]
async fn o5_counts_follow_copies_submission_completion_and_failure_exactly() {
    let object = mobula::put(vec![0_u8; 10]).await.unwrap();
    assert_eq!(counts(&object), (1, 0));
    let copies = vec![object.clone(); 3];
    assert_eq!(counts(&object), (4, 0));
    drop(copies);
    assert_eq!(counts(&object), (1, 0));

    let gate = closed_gate();
    let done = length_behind::remote(Arc::clone(&gate), &object);
    assert_eq!(counts(&object), (1, 1));
    let failed = fail_behind::remote(Arc::clone(&gate), &object);
    assert_eq!(counts(&object), (1, 2));
    let nested = hold_behind::remote(Arc::clone(&gate), vec![object.clone(), object.clone()]);
    assert_eq!(counts(&object), (3, 2), "nested ones are references, not arguments");
    gate.add_permits(3);
    done.get().await.unwrap();
    failed.get().await.unwrap_err();
    nested.get().await.unwrap();
    assert_eq!(counts(&object), (1, 0));

    let outer = mobula::put((1, vec![object.clone()])).await.unwrap();
    assert_eq!(counts(&object), (2, 0));
    drop(outer);
    assert_eq!(counts(&object), (1, 0));
}

#[mobula::test]
async fn o6_a_tasks_failure_also_releases_its_arguments(node: Node) {
    let object = mobula::put(vec![0_u8; 100]).await.unwrap();
    let gate = closed_gate();
    let failed = fail_behind::remote(Arc::clone(&gate), &object);
    let panicked = panic_behind::remote(Arc::clone(&gate), &object);
    // This one has two arguments, of which the other fails: its body never runs.
    let starved = measure_both::remote(&object, &failed);
    let cancelled = length_behind::remote(closed_gate(), &object);
    assert_eq!(counts(&object), (1, 4));
    gate.add_permits(2);
    failed.get().await.unwrap_err();
    panicked.get().await.unwrap_err();
    starved.get().await.unwrap_err();
    assert!(cancelled.cancel());
    assert!(cancelled.get().await.unwrap_err().task().unwrap().is_cancelled());
    testkit::advance(ms(1)).await;
    assert_eq!(counts(&object), (1, 0));
    drop((object, failed, panicked, starved, cancelled));
    assert_eq!(objects(&node), 0);
}

#[mobula::task]
fn measure_both(bytes: Arc<Vec<u8>>, length: usize) -> usize {
    bytes.len() + length
}

#[derive(Serialize, Deserialize)]
struct Crate {
    label: String,
    inside: Option<ObjectRef<Self>>,
    goods: Vec<ObjectRef<Vec<u8>>>,
}

#[mobula::test]
async fn o9_an_object_pins_the_objects_inside_it_to_any_depth(node: Node) {
    let goods = mobula::put(vec![1_u8, 2, 3]).await.unwrap();
    let first = Crate { label: "0".to_owned(), inside: None, goods: vec![goods] };
    let mut outermost = mobula::put(first).await.unwrap();
    for level in 1..=50 {
        let next = Crate { label: level.to_string(), inside: Some(outermost), goods: Vec::new() };
        outermost = mobula::put(next).await.unwrap();
    }
    assert_eq!(objects(&node), 52);

    // Down to the middle; then the outer ones go and the inner ones stay.
    let mut middle = outermost.clone();
    for _ in 0..25 {
        let inside = middle.get().await.unwrap().inside.clone();
        middle = inside.unwrap();
    }
    drop(outermost);
    assert_eq!(objects(&node), 27, "crates 0 to 25 and the goods");
    assert_eq!(middle.get().await.unwrap().label, "25");

    let mut innermost = middle;
    while let Some(inside) = { innermost.get().await.unwrap().inside.clone() } {
        innermost = inside;
    }
    let goods = innermost.get().await.unwrap().goods[0].clone();
    drop(innermost);
    assert_eq!(objects(&node), 1);
    assert_eq!(*goods.get().await.unwrap(), [1, 2, 3]);
    drop(goods);
    assert_eq!(objects(&node), 0);
}
