//! A node as a whole: it is a value, so two of them live in one process and do not notice each other.

use mobula::prelude::*;

struct Counter {
    count: u64,
}

#[mobula::actor]
impl Counter {
    pub fn new(start: u64) -> Self {
        Self { count: start }
    }
    pub fn add(&mut self, by: u64) -> u64 {
        self.count += by;
        self.count
    }
}

#[mobula::task]
fn double(x: u64) -> u64 {
    2 * x
}

async fn add_by_name(by: u64) -> Option<u64> {
    mobula::actor::<Counter>("clicks").await.ok()?.add(by).await.ok()
}

#[tokio::test]
async fn two_nodes_live_in_one_process() {
    let start = || Node::builder().num_cpus(1.0).start();
    let (left, right) = (start().await.unwrap(), start().await.unwrap());

    // Names and tasks are each node's own.
    let clicks = |start| async move { Counter::options().name("clicks").remote(start) };
    let in_left = left.enter(clicks(10)).await;
    let in_right = right.enter(clicks(20)).await;
    assert_eq!(left.enter(add_by_name(1)).await, Some(11));
    assert_eq!(right.enter(add_by_name(1)).await, Some(21));
    let doubled = right.enter(async { double::remote(4).get().await }).await.unwrap();
    assert_eq!(*doubled, 8);

    // So are objects.
    let object = left.enter(async { mobula::put(vec![7_u8; 100]).await }).await.unwrap();
    assert_eq!((left.objects().len(), right.objects().len()), (1, 0));
    drop(object);

    // A reference knows its node, wherever it is used.
    assert_eq!(right.enter(in_left.add(1).into_future()).await.unwrap(), 12);

    // The end of one is not the other's.
    left.shutdown().await;
    assert!(!in_left.is_alive());
    assert_eq!(right.enter(add_by_name(1)).await, Some(22));
    assert!(in_right.is_alive());
    right.shutdown().await;
}
