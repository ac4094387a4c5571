//! The whole node, end to end, in a few lines.

#![allow(
    clippy::unwrap_used,
    clippy::must_use_candidate,
    clippy::missing_panics_doc,
    missing_docs,
    missing_debug_implementations,
    reason = "tests"
)]

use mobula::prelude::*;

#[mobula::task]
fn square(x: u64) -> u64 {
    x * x
}

#[mobula::task]
async fn sum(x: u64, y: u64) -> u64 {
    x + y
}

pub struct Counter {
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
    pub fn boom(&mut self) {
        panic!("boom");
    }
}

#[mobula::test]
async fn tasks_actors_and_objects_meet() {
    let four = square::remote(2);
    let twenty = sum::remote(&four, square::remote(&four));
    let counter = Counter::remote(0);
    assert_eq!(counter.add(&twenty).await.unwrap(), 20);
    assert_eq!(*counter.add(1).remote().get().await.unwrap(), 21);
}

#[mobula::test]
async fn an_actor_with_restarts_comes_back_fresh() {
    let counter = Counter::options().name("clicks").max_restarts(1).remote(5);
    counter.add(1).await.unwrap();
    counter.boom().await.unwrap_err();
    assert_eq!(counter.add(1).await.unwrap(), 6);
    let again = mobula::actor::<Counter>("clicks").await.unwrap();
    assert_eq!(again, counter);
    counter.boom().await.unwrap_err();
    let gone = counter.add(1).await.unwrap_err();
    assert!(gone.to_string().contains("boom"), "{gone}");
}
