//! How values get from node to node: once per pair, many small ones, and to whoever waits.

use std::sync::Arc;

use mobula::prelude::*;

use super::town::{LARGE, LIMIT, Shelf, Town, length, make, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o14_an_object_comes_to_a_node_once_however_many_tasks_and_actors_need_it() {
    for size in [2, 5] {
        let town = Town::new(size).await;
        let first = town.at(0).node.clone();
        first
            .enter(async {
                let object = mobula::put(vec![7_u8; 4 * LARGE]).await.unwrap();
                let (mut tasks, mut calls) = (Vec::new(), Vec::new());
                let mut shelves = Vec::new();
                for house in town.houses().skip(1) {
                    for _ in 0..10 {
                        tasks.push(length::options().on(house.only()).remote(&object));
                        let shelf = Shelf::options().on(house.only()).remote();
                        calls.push(shelf.read(vec![object.clone()]).remote());
                        shelves.push(shelf);
                    }
                }
                for length in tasks.iter().chain(&calls) {
                    let length = tokio::time::timeout(LIMIT, length.get()).await.unwrap();
                    assert_eq!(*length.unwrap(), 4 * LARGE);
                }
                for house in town.houses().skip(1) {
                    let pulled = house.node.store().usage().pulled;
                    // Those that came after the first had all let go of it fetch it again, if there were any.
                    assert_eq!(pulled, 1, "node {}", house.id());
                }
                assert_eq!(town.at(0).node.store().usage().pulled, 0);
            })
            .await;
        town.is_empty().await;
        town.end().await;
    }
}

/// Puts many small objects, and reads those of others.
pub struct Trader(Vec<ObjectRef<Vec<u64>>>);

#[mobula::actor]
impl Trader {
    pub fn new() -> Self {
        Self(Vec::new())
    }
    pub async fn stock(&mut self, count: u64) -> Vec<ObjectRef<Vec<u64>>> {
        self.0.clear();
        for number in 0..count {
            self.0.push(mobula::put(vec![number; 10]).await.unwrap());
        }
        self.0.clone()
    }
    pub async fn sum(&mut self, goods: Vec<ObjectRef<Vec<u64>>>) -> u64 {
        let values = mobula::get(&goods).await.unwrap();
        values.iter().map(|value| value.iter().sum::<u64>()).sum()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o16_a_thousand_small_objects_of_each_of_five_nodes_are_pulled_by_all_others_four_times() {
    const COUNT: u64 = 1_000;
    let town = Town::new(5).await;
    let first = town.at(0).node.clone();
    first
        .enter(async {
            let traders: Vec<_> =
                town.houses().map(|house| Trader::options().on(house.only()).remote()).collect();
            let expected = 10 * COUNT * (COUNT - 1) / 2;
            for _round in 0..4 {
                for (at, trader) in traders.iter().enumerate() {
                    let goods = trader.stock(COUNT).await.unwrap();
                    let buyers = traders.iter().enumerate().filter(|(other, _)| *other != at);
                    let sums: Vec<ObjectRef<u64>> =
                        buyers.map(|(_, buyer)| buyer.sum(goods.clone()).remote()).collect();
                    for sum in &sums {
                        let sum = tokio::time::timeout(LIMIT, sum.get()).await.unwrap();
                        assert_eq!(*sum.unwrap(), expected);
                    }
                }
            }
        })
        .await;
    town.is_empty().await;
    town.end().await;
}

/// Makes an object local by waiting for it.
pub struct Fetcher(Vec<ObjectRef<Vec<u8>>>);

#[mobula::actor]
impl Fetcher {
    pub fn new() -> Self {
        Self(Vec::new())
    }
    pub async fn wait(&mut self, objects: Vec<ObjectRef<Vec<u8>>>) -> usize {
        let count = objects.len();
        let (ready, _rest) = mobula::wait(objects).num_returns(count).await.unwrap();
        self.0 = ready;
        self.0.len()
    }
    pub async fn get(&mut self, objects: Vec<ObjectRef<Vec<u8>>>) -> usize {
        let values: Vec<Arc<Vec<u8>>> = mobula::get(&objects).await.unwrap();
        self.0 = objects;
        values.iter().map(|value| value.len()).sum()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o20_wait_and_get_make_a_remote_object_local() {
    for size in [2, 5] {
        let town = Town::new(size).await;
        let first = town.at(0).node.clone();
        let is_at = |place: usize, id| {
            let place = town.at(place).node.store().whereabouts(id);
            place.is_some_and(|place| place.is_here)
        };
        first
            .enter(async {
                for (at, house) in town.houses().enumerate().skip(1) {
                    let put = mobula::put(vec![7_u8; LARGE]).await.unwrap();
                    let waiter = Fetcher::options().on(house.only()).remote();
                    assert!(!is_at(at, put.id()));
                    assert_eq!(waiter.wait(vec![put.clone()]).await.unwrap(), 1);
                    assert!(is_at(at, put.id()));
                    let getter = Fetcher::options().on(house.only()).remote();
                    let put = mobula::put(vec![7_u8; LARGE]).await.unwrap();
                    assert_eq!(getter.get(vec![put.clone()]).await.unwrap(), LARGE);
                    assert!(is_at(at, put.id()));

                    // What was made there stays there until somebody here waits for it.
                    let made = make::options().on(house.only());
                    let made = made.remote(format!("o20 {size} {at}"), LARGE);
                    town.at(0).made_elsewhere(made.id()).await;
                    let (ready, _rest) = mobula::wait(vec![made.clone()]).await.unwrap();
                    assert_eq!(ready.len(), 1);
                    assert!(is_at(0, made.id()));
                }
            })
            .await;
        town.is_empty().await;
        town.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o20_what_is_waited_for_without_fetching_stays_where_it_was_made() {
    for size in [2, 5] {
        let town = Town::new(size).await;
        let first = town.at(0).node.clone();
        first
            .enter(async {
                let mut rest: Vec<ObjectRef<Vec<u8>>> = Vec::new();
                for (at, house) in town.houses().enumerate() {
                    for number in 0..3 {
                        let name = format!("left {size} {at} {number}");
                        rest.push(make::options().on(house.only()).remote(name, LARGE));
                    }
                }
                let all = rest.clone();
                // Waited for before most of them are made, one after the other, each once.
                let mut seen = Vec::new();
                while !rest.is_empty() {
                    let (ready, later) = mobula::wait(rest).fetch_local(false).await.unwrap();
                    assert_eq!(ready.len(), 1);
                    seen.extend(ready);
                    rest = later;
                }
                assert_eq!(seen.len(), all.len());
                let store = town.at(0).node.store();
                assert_eq!(store.usage().pulled, 0, "none has come here");
                let is_here = |one: &ObjectRef<Vec<u8>>| {
                    store.whereabouts(one.id()).is_some_and(|place| place.is_here)
                };
                assert!(all[..3].iter().all(is_here) && !all[3..].iter().any(is_here));
                // Both kinds of wait for one object, at one time.
                let late = make::options().on(town.at(1).only()).remote(format!("late {size}"), 9);
                let (one, other) = tokio::join!(
                    mobula::wait(vec![late.clone()]).fetch_local(false),
                    mobula::wait(vec![late.clone()]),
                );
                assert_eq!((one.unwrap().0.len(), other.unwrap().0.len()), (1, 1));
                assert!(is_here(&late));
                let fetched = mobula::wait(all.clone()).num_returns(all.len()).await.unwrap();
                assert!(fetched.0.len() == all.len() && all.iter().all(is_here));
            })
            .await;
        town.is_empty().await;
        town.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_argument_goes_from_where_it_was_made_to_where_it_is_needed() {
    let town = Town::new(3).await;
    let first = town.at(0).node.clone();
    first
        .enter(async {
            let made = make::options().on(town.at(1).only()).remote("straight".to_owned(), LARGE);
            let length = length::options().on(town.at(2).only()).remote(&made);
            assert_eq!(*length.get().await.unwrap(), LARGE);
            let place = town.at(0).node.store().whereabouts(made.id()).unwrap();
            assert!(!place.is_here, "it did not pass by way of whoever submitted the tasks");
            assert_eq!(town.at(2).node.store().usage().pulled, 1);
            assert_eq!(made.get().await.unwrap().len(), LARGE);
        })
        .await;
    until(|| town.houses().all(|house| house.objects() == (0, 0))).await;
    town.end().await;
}
