//! Objects whose keeper dies, and calls to actors that do.

use mobula::GetError;
use mobula::prelude::*;

use super::town::{LARGE, LIMIT, Shelf, Town, forever, length, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o10_when_the_owner_dies_gets_fail_with_its_name_and_copies_go() {
    for size in [2, 5] {
        let mut town = Town::new(size).await;
        let last = size - 1;
        let first = town.at(0).node.clone();
        let (read, unread, pending, shelves) = first
            .enter(async {
                let there = Shelf::options().on(town.at(last).only()).remote();
                let read = there.put(LARGE).await.unwrap();
                let unread = there.put(LARGE).await.unwrap();
                let pending = there.begin().await.unwrap();
                assert_eq!(read.get().await.unwrap().len(), LARGE);
                let mut shelves = Vec::new();
                for place in 1..last {
                    let shelf = Shelf::options().on(town.at(place).only()).remote();
                    shelf.keep(vec![read.clone()]).await.unwrap();
                    assert_eq!(shelf.read_kept().await.unwrap(), LARGE);
                    shelves.push(shelf);
                }
                (read, unread, pending, shelves)
            })
            .await;
        // One is waiting already.
        let waiting = pending.clone();
        let waiting = tokio::spawn(async move { waiting.get().await });
        let gone = town.at(last).id();
        town.lose(last).await;
        let waiting = tokio::time::timeout(LIMIT, waiting).await.unwrap().unwrap();
        let mut errors = vec![waiting.unwrap_err()];
        for object in [&unread, &pending] {
            let got = tokio::time::timeout(LIMIT, object.get()).await.unwrap();
            errors.push(got.unwrap_err());
        }
        for error in &errors {
            assert!(matches!(error, GetError::OwnerDied { .. }), "{error:?}");
            assert!(error.to_string().contains(&gone.to_string()), "{error}");
        }
        // Every copy goes, and then all are told the same.
        until(|| town.houses().all(|house| house.objects().1 == 0)).await;
        assert!(matches!(read.get().await.unwrap_err(), GetError::OwnerDied { .. }));
        for shelf in &shelves {
            let error = first.enter(async { shelf.read_kept().await }).await.unwrap_err();
            assert!(error.to_string().contains("went with its owner"), "{error}");
        }
        town.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f17_what_waits_for_an_argument_whose_owner_dies_ends_with_an_error() {
    let mut town = Town::new(3).await;
    let first = town.at(0).node.clone();
    let (task, actor) = first
        .enter(async {
            let there = Shelf::options().on(town.at(2).only()).remote();
            let pending = there.begin().await.unwrap();
            let task = length::options().on(town.at(1).only()).remote(&pending);
            let actor = Late::options().on(town.at(1).only()).remote(pending.clone());
            (task, actor)
        })
        .await;
    let call = first.enter(async { actor.length().remote() }).await;
    town.lose(2).await;
    let error = tokio::time::timeout(LIMIT, task.get()).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("went with its owner"), "{error}");
    let error = tokio::time::timeout(LIMIT, call.get()).await.unwrap().unwrap_err();
    assert!(error.task().is_some(), "{error:?}");
    let later = first.enter(async { actor.length().await }).await;
    assert!(later.is_err());
    town.end().await;
}

/// An actor that needs an object to begin with.
pub struct Late(usize);

#[mobula::actor]
impl Late {
    pub async fn new(bytes: ObjectRef<Vec<u8>>) -> Result<Self, GetError> {
        Ok(Self(bytes.get().await?.len()))
    }
    pub fn length(&self) -> usize {
        self.0
    }
}

#[mobula::task]
fn burst(why: String) -> Vec<u8> {
    panic!("{why}")
}

/// Waits for objects on its own node.
pub struct Waiter;

#[mobula::actor]
impl Waiter {
    pub fn new() -> Self {
        Self
    }
    /// How many are ready of those that will be, and what a get of the first of them says.
    pub async fn wait(
        &mut self,
        objects: Vec<ObjectRef<Vec<u8>>>,
        count: usize,
    ) -> (usize, String) {
        let (ready, _rest) = mobula::wait(objects).num_returns(count).await.unwrap();
        let got = ready[0].get().await;
        (ready.len(), got.map_or_else(|error| error.to_string(), |_| "a value".to_owned()))
    }
    pub async fn wait_for_numbers(&mut self, objects: Vec<ObjectRef<u64>>) -> (usize, String) {
        let count = objects.len();
        let (ready, _rest) = mobula::wait(objects).num_returns(count).await.unwrap();
        let got = ready[0].get().await;
        (ready.len(), got.map_or_else(|error| error.to_string(), |_| "a value".to_owned()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w8_a_failed_task_counts_as_ready_on_whatever_node_one_waits() {
    for size in [2, 5] {
        let town = Town::new(size).await;
        let first = town.at(0).node.clone();
        first
            .enter(async {
                let failed = burst::options().on(town.at(1).only()).remote("on purpose".to_owned());
                let endless = forever::options().on(town.at(1).only()).remote();
                let list = vec![failed.clone(), endless.clone()];
                let (ready, rest) = mobula::wait(list.clone()).await.unwrap();
                assert_eq!(
                    (&ready[..], &rest[..]),
                    (&[failed.clone()][..], &[endless.clone()][..])
                );
                assert!(failed.get().await.unwrap_err().to_string().contains("on purpose"));
                for house in town.houses() {
                    let waiter = Waiter::options().on(house.only()).remote();
                    let (count, said) = waiter.wait(list.clone(), 1).await.unwrap();
                    assert_eq!(count, 1);
                    assert!(said.contains("on purpose"), "{said}");
                }
                endless.cancel();
            })
            .await;
        town.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn w9_calls_to_actors_that_died_count_as_ready_on_whatever_node_one_waits() {
    for size in [2, 5] {
        let mut town = Town::new(size + 1).await;
        let first = town.at(0).node.clone();
        let (killed, lost, waiters) = first
            .enter(async {
                let killed = Shelf::options().on(town.at(1).only()).remote();
                let lost = Shelf::options().on(town.at(size).only()).remote();
                killed.ready().await.unwrap();
                lost.ready().await.unwrap();
                let mut waiters = Vec::new();
                for place in 0..size {
                    let waiter = Waiter::options().on(town.at(place).only()).remote();
                    waiter.ready().await.unwrap();
                    waiters.push(waiter);
                }
                (killed, lost, waiters)
            })
            .await;
        let calls: Vec<ObjectRef<u64>> =
            first.enter(async { vec![killed.answer().remote(), lost.answer().remote()] }).await;
        let mut waits = Vec::new();
        for waiter in &waiters {
            waits.push(first.enter_sync(|| {
                let (waiter, calls, first) = (waiter.clone(), calls.clone(), first.clone());
                tokio::spawn(async move {
                    first.enter(async { waiter.wait_for_numbers(calls).await }).await
                })
            }));
        }
        first.enter(async { killed.kill().await.unwrap() }).await;
        town.lose(size).await;
        for wait in waits {
            let said = tokio::time::timeout(LIMIT, wait).await.unwrap().unwrap();
            let (count, said) = said.unwrap();
            assert_eq!(count, 2);
            assert_ne!(said, "a value");
        }
        drop(calls);
        town.end().await;
    }
}
