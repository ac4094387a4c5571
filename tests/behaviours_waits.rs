//! Rows W of what users rely on: get and wait.
//!
//! Time is virtual, so that "without waiting for slower ones" is exact: a slow task takes an hour, and the clock says
//! whether anybody waited for it.

#![expect(clippy::unwrap_used, reason = "what fails in a body fails its test")]

use std::sync::atomic::{AtomicUsize, Ordering};

use mobula::prelude::*;
use mobula::{WaitError, testkit};
use tokio::sync::Semaphore;
use tokio::time::Instant;

const HOUR: Duration = secs(3_600);

#[mobula::task(num_cpus = 0)]
async fn after(delay: Duration, value: u64) -> u64 {
    tokio::time::sleep(delay).await;
    value
}

#[mobula::task(num_cpus = 0)]
async fn fail_after(delay: Duration, text: String) -> Result<u64, String> {
    tokio::time::sleep(delay).await;
    Err(text)
}

async fn put_all(values: impl IntoIterator<Item = u64>) -> Vec<ObjectRef<u64>> {
    let mut objects = Vec::new();
    for value in values {
        objects.push(mobula::put(value).await.unwrap());
    }
    objects
}

/// The places in `all` of the objects in `some`.
fn places(some: &[ObjectRef<u64>], all: &[ObjectRef<u64>]) -> Vec<usize> {
    let place = |object| all.iter().position(|other| other == object).unwrap();
    some.iter().map(place).collect()
}

#[mobula::test]
async fn w1_get_of_a_list_keeps_its_order_and_allows_duplicates() {
    let late = after::remote(secs(2), 1);
    let soon = after::remote(secs(1), 2);
    let there = mobula::put(3).await.unwrap();
    let list = [&late, &soon, &there, &soon, &late].map(Clone::clone);
    let values: Vec<u64> = mobula::get(&list).await.unwrap().iter().map(|value| **value).collect();
    assert_eq!(values, [1, 2, 3, 2, 1]);
    assert!(mobula::get::<u64>(&[]).await.unwrap().is_empty());
}

#[mobula::test]
async fn w2_a_get_with_a_timeout_fails_in_time_and_a_later_one_succeeds() {
    let start = Instant::now();
    let slow = after::remote(HOUR, 5);
    let error = slow.get().timeout(secs(10)).await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert!(error.to_string().contains(&slow.id().to_string()), "{error}");
    assert_eq!(start.elapsed().as_secs(), 10);
    let both = [mobula::put(1).await.unwrap(), slow.clone()];
    assert!(mobula::get(&both).timeout(secs(10)).await.unwrap_err().is_timeout());
    // The task went on.
    assert_eq!(*slow.get().await.unwrap(), 5);
    assert_eq!(start.elapsed().as_secs(), 3_600);

    let quick = after::remote(secs(1), 6);
    assert_eq!(*quick.get().timeout(HOUR).await.unwrap(), 6);
    assert_eq!(start.elapsed().as_secs(), 3_601, "ready earlier, returned earlier");
}

#[mobula::test]
async fn w3_get_of_a_list_fails_as_soon_as_any_element_has_failed() {
    let start = Instant::now();
    let list = [
        after::remote(HOUR, 1),
        fail_after::remote(secs(20), "second".to_owned()),
        fail_after::remote(secs(10), "first".to_owned()),
        after::remote(ms(1), 2),
    ];
    let error = mobula::get(&list).await.unwrap_err();
    assert!(error.to_string().contains("first"), "{error}");
    assert_eq!(start.elapsed().as_secs(), 10);
    // One that has failed already counts at once.
    mobula::get(&list).await.unwrap_err();
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[mobula::test]
async fn w4_wait_returns_exactly_one_the_oldest_ready_so_that_a_loop_is_first_come_first_served() {
    // Ready in an order that is neither that of the list nor its reverse.
    let delays = [50, 20, 90, 10, 70, 30, 100, 60, 40, 80];
    let list: Vec<ObjectRef<u64>> = delays.map(|delay| after::remote(ms(delay), delay)).into();
    testkit::advance(secs(1)).await;
    assert!(list.iter().all(ObjectRef::is_ready));
    let mut served = Vec::new();
    let mut pending = list.clone();
    while !pending.is_empty() {
        let before = pending.len();
        let (ready, rest) = mobula::wait(pending).await.unwrap();
        assert_eq!((ready.len(), rest.len()), (1, before - 1));
        served.push(*ready[0].get().await.unwrap());
        pending = rest;
    }
    assert_eq!(served, [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]);
}

#[mobula::test]
async fn w5_wait_for_k_blocks_till_k_are_ready_and_gives_both_lists_in_input_order() {
    let start = Instant::now();
    let delays = [50, 20, 90, 10, 70, 30];
    let list: Vec<ObjectRef<u64>> = delays.map(|delay| after::remote(secs(delay), delay)).into();
    let (ready, rest) = mobula::wait(list.clone()).num_returns(3).await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 30);
    assert_eq!(places(&ready, &list), [1, 3, 5]);
    assert_eq!(places(&rest, &list), [0, 2, 4]);

    // More than k are ready: the oldest k, still in input order.
    testkit::advance(HOUR).await;
    let (ready, rest) = mobula::wait(list.clone()).num_returns(4).await.unwrap();
    assert_eq!(places(&ready, &list), [0, 1, 3, 5]);
    assert_eq!(places(&rest, &list), [2, 4]);
    let (ready, rest) = mobula::wait(list.clone()).num_returns(6).await.unwrap();
    assert_eq!((ready, rest.len()), (list.clone(), 0));

    for wrong in [0, 7] {
        let error = mobula::wait(list.clone()).num_returns(wrong).await.unwrap_err();
        assert_eq!(error, WaitError::NumReturns { num_returns: wrong, len: 6 });
    }
}

#[mobula::test]
async fn w6_wait_with_a_timeout_returns_what_is_ready_then_and_zero_polls() {
    let start = Instant::now();
    let list = vec![after::remote(HOUR, 1), after::remote(secs(5), 2), after::remote(HOUR, 3)];
    let poll = |list: &[ObjectRef<u64>]| mobula::wait(list.to_vec()).timeout(Duration::ZERO);
    let (ready, rest) = poll(&list).await.unwrap();
    assert_eq!((ready.len(), &rest), (0, &list));
    let (ready, rest) = mobula::wait(list.clone()).num_returns(2).timeout(secs(10)).await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 10);
    assert_eq!((places(&ready, &list), places(&rest, &list)), (vec![1], vec![0, 2]));
    let (ready, rest) = poll(&list).await.unwrap();
    assert_eq!((places(&ready, &list), rest.len()), (vec![1], 2));
    assert_eq!(start.elapsed().as_secs(), 10, "a poll takes no time");
}

#[mobula::test]
async fn w7_wait_for_nothing_gives_two_empty_lists_and_duplicates_are_an_error() {
    let (ready, rest) = mobula::wait(Vec::<ObjectRef<u64>>::new()).await.unwrap();
    assert!(ready.is_empty() && rest.is_empty());
    let mut list = put_all(0..3).await;
    list.push(list[1].clone());
    let error = mobula::wait(list.clone()).await.unwrap_err();
    assert_eq!(error, WaitError::Duplicate { object: list[1].id() });
}

#[mobula::test]
async fn w8_a_failed_task_counts_as_ready_and_its_error_shows_only_in_get() {
    let failing = fail_after::remote(secs(1), "lost".to_owned());
    let list = vec![after::remote(HOUR, 1), failing];
    let (ready, rest) = mobula::wait(list.clone()).await.unwrap();
    assert_eq!((places(&ready, &list), places(&rest, &list)), (vec![1], vec![0]));
    let error = ready[0].get().await.unwrap_err();
    assert!(error.to_string().contains("lost"), "{error}");
}

struct Mute;

#[mobula::actor]
impl Mute {
    pub fn new() -> Self {
        Self
    }

    pub async fn never(&mut self) -> u64 {
        std::future::pending().await
    }
}

#[mobula::task(num_cpus = 0)]
async fn wait_for_all(list: Vec<ObjectRef<u64>>) -> usize {
    let count = list.len();
    mobula::wait(list).num_returns(count).timeout(HOUR).await.unwrap().0.len()
}

#[mobula::test]
async fn w9_calls_to_actors_that_died_count_as_ready_whoever_waits() {
    let mute = Mute::remote();
    let (running, queued) = (mute.never().remote(), mute.never().remote());
    let waiting = wait_for_all::remote(vec![running.clone(), queued.clone()]);
    testkit::advance(secs(1)).await;
    assert!(!running.is_ready() && !waiting.is_ready());
    let start = Instant::now();
    mute.kill().await.unwrap();
    let late = mute.never().remote();
    let list = vec![running, queued, late];
    let (ready, _) = mobula::wait(list.clone()).num_returns(3).timeout(HOUR).await.unwrap();
    assert_eq!(ready.len(), 3);
    assert_eq!(*waiting.get().await.unwrap(), 2, "a task that waited before");
    assert_eq!(*wait_for_all::remote(list.clone()).get().await.unwrap(), 3, "and one after");
    assert_eq!(start.elapsed(), Duration::ZERO);
    for call in &list {
        let error = call.get().await.unwrap_err();
        assert!(matches!(error.task(), Some(TaskError::ActorDied { .. })), "{error}");
    }
}

type Count = Arc<AtomicUsize>;

#[mobula::task(num_cpus = 0)]
async fn behind(gate: Arc<Semaphore>) -> u64 {
    gate.acquire().await.unwrap().forget();
    4
}

#[mobula::task]
async fn get_it(here: Count, nested: Vec<ObjectRef<u64>>) -> u64 {
    here.fetch_add(1, Ordering::SeqCst);
    *nested[0].get().await.unwrap()
}

#[mobula::task]
fn wait_for_it(here: Count, nested: Vec<ObjectRef<u64>>) -> u64 {
    here.fetch_add(1, Ordering::SeqCst);
    let (ready, _) = mobula::wait(nested).blocking().unwrap();
    *ready[0].get().blocking().unwrap()
}

#[mobula::test]
async fn w10_tasks_that_wait_for_and_get_the_same_pending_object_all_return() {
    let gate = Arc::new(Semaphore::new(0));
    let here = Count::default();
    let pending = behind::remote(Arc::clone(&gate));
    let arguments = || (Arc::clone(&here), vec![pending.clone()]);
    let by_get = || {
        let (here, nested) = arguments();
        get_it::remote(here, nested)
    };
    let by_wait = || {
        let (here, nested) = arguments();
        wait_for_it::remote(here, nested)
    };
    let readers = [by_get(), by_get(), by_wait(), by_wait()];
    // Not before all of them run.
    while here.load(Ordering::SeqCst) < readers.len() {
        tokio::task::yield_now().await;
    }
    gate.add_permits(1);
    for reader in &readers {
        assert_eq!(*reader.get().await.unwrap(), 4);
    }
}

#[mobula::test]
async fn w11_awaiting_a_reference_twice_gives_the_same_and_dropping_one_await_changes_nothing() {
    let slow = after::remote(secs(10), 7);
    let dropped = tokio::time::timeout(secs(1), slow.clone().into_future()).await;
    assert!(dropped.is_err(), "given up");
    let other = slow.clone();
    let aborted = tokio::spawn(async move { other.await.map(|value| *value) });
    tokio::task::yield_now().await;
    aborted.abort();
    assert!(aborted.await.unwrap_err().is_cancelled());
    assert_eq!(*(&slow).await.unwrap(), 7, "the task was not cancelled");
    assert_eq!(*(&slow).await.unwrap(), 7, "and can be awaited again");

    let failing = fail_after::remote(secs(1), "no".to_owned());
    let first = (&failing).await.unwrap_err().to_string();
    assert!(first.contains("no"), "{first}");
    assert_eq!((&failing).await.unwrap_err().to_string(), first);
}
