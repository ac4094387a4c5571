//! Rows W1 to W8, W10 and W11 of the behaviours: getting and waiting, with sealers as producers.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use mobula_store::{
    GetError, ObjectId, ObjectRef, Sealer, Store, StoreConfig, TaskError, WaitError, free, get,
    wait,
};
use tokio::time::{Instant, advance, sleep};

fn store() -> Store {
    Store::new(StoreConfig::default())
}

fn pending(store: &Store, count: usize) -> (Vec<ObjectRef<usize>>, Vec<Option<Sealer<usize>>>) {
    (0..count)
        .map(|_| {
            let (object, sealer) = store.create_pending();
            (object, Some(sealer))
        })
        .unzip()
}

fn seal(sealers: &mut [Option<Sealer<usize>>], places: &[usize]) {
    for &place in places {
        sealers[place].take().unwrap().seal(Ok(place));
    }
}

fn failure() -> TaskError {
    TaskError::user_error("task a1", std::io::Error::other("the disk is gone"))
}

fn ids<T>(objects: &[ObjectRef<T>]) -> Vec<ObjectId> {
    objects.iter().map(ObjectRef::id).collect()
}

fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn w1_get_of_a_list_keeps_its_order_and_allows_duplicates() {
    let store = store();
    let (objects, mut sealers) = pending(&store, 3);
    let twice: Vec<_> = [2, 0, 1, 0].map(|place| objects[place].clone()).into();
    let got = tokio::spawn(async move { get(&twice).await });
    tokio::task::yield_now().await;
    seal(&mut sealers, &[1, 2, 0]);
    let values: Vec<usize> = got.await.unwrap().unwrap().iter().map(|value| **value).collect();
    assert_eq!(values, [2, 0, 1, 0]);
    assert!(get::<usize>(&[]).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn w2_get_with_timeout_fails_in_time_and_a_later_get_succeeds() {
    let store = store();
    let (objects, mut sealers) = pending(&store, 1);
    let before = Instant::now();
    let late = objects[0].get().timeout(SECOND).await.unwrap_err();
    assert!(
        matches!(late, GetError::Timeout { object, after: SECOND } if object == objects[0].id())
    );
    assert!(late.is_timeout());
    assert_eq!(before.elapsed().as_secs(), 1);
    let late = get(&objects).timeout(SECOND).await.unwrap_err();
    assert!(late.is_timeout());

    seal(&mut sealers, &[0]);
    assert_eq!(*objects[0].get().timeout(SECOND).await.unwrap(), 0);
    assert_eq!(objects[0].counts().local, 1, "gets have let go");
}

#[tokio::test(start_paused = true)]
async fn w2_a_value_that_comes_in_time_is_returned_early() {
    let store = store();
    let (object, sealer) = store.create_pending::<u8>();
    let before = Instant::now();
    let producer = async {
        sleep(SECOND / 4).await;
        sealer.seal(Ok(7));
    };
    let (got, ()) = tokio::join!(object.get().timeout(SECOND), producer);
    assert_eq!(*got.unwrap(), 7);
    assert!(before.elapsed() < SECOND / 2);
}

#[tokio::test(start_paused = true)]
async fn w2_a_timeout_of_zero_looks_without_waiting() {
    let store = store();
    let (objects, mut sealers) = pending(&store, 1);
    let mut look = pin!(objects[0].get().timeout(Duration::ZERO));
    assert!(matches!(poll_once(look.as_mut()), Poll::Ready(Err(GetError::Timeout { .. }))));
    seal(&mut sealers, &[0]);
    assert!(matches!(poll_once(pin!(get(&objects).timeout(Duration::ZERO))), Poll::Ready(Ok(_))));
}

#[tokio::test(start_paused = true)]
async fn w3_get_of_a_list_fails_at_the_first_failure_without_waiting_for_slower_ones() {
    let store = store();
    let (objects, mut sealers) = pending(&store, 3);
    let mut all = pin!(get(&objects));
    assert!(poll_once(all.as_mut()).is_pending());
    sealers[2].take().unwrap().fail(failure());
    let error = all.await.unwrap_err();
    assert!(error.to_string().contains("the disk is gone"), "{error}");
    assert!(error.user::<std::io::Error>().is_some());
    assert!(get(&objects).await.is_err(), "nor does a get that comes later wait");
    assert!(!objects[0].is_ready());
}

#[tokio::test(start_paused = true)]
async fn w3_of_several_failures_the_first_in_time_is_reported() {
    let store = store();
    let (objects, mut sealers) = pending(&store, 3);
    for place in [1, 0] {
        let error = std::io::Error::other(format!("failure of {place}"));
        sealers[place].take().unwrap().fail(TaskError::user_error("t", error));
    }
    let error = get(&objects).await.unwrap_err();
    assert!(error.to_string().contains("failure of 1"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn w3_a_failure_elsewhere_does_not_hide_one_in_the_list() {
    let store = store();
    let (objects, mut sealers) = pending(&store, 4);
    let mut all = pin!(get(&objects));
    assert!(poll_once(all.as_mut()).is_pending());
    // The next get takes the board over from a longer list.
    let late = get(&objects).timeout(SECOND).await.unwrap_err();
    assert!(late.is_timeout());
    let mut part = pin!(get(&objects[..2]));
    assert!(poll_once(part.as_mut()).is_pending());
    sealers[3].take().unwrap().fail(failure());
    assert!(poll_once(part.as_mut()).is_pending(), "not one of these");
    sealers[1].take().unwrap().fail(failure());
    assert!(poll_once(part.as_mut()).is_ready());
    assert!(poll_once(all.as_mut()).is_ready());
}

#[tokio::test(start_paused = true)]
async fn w4_wait_default_returns_exactly_one_even_if_more_are_ready() {
    let store = store();
    let (objects, mut sealers) = pending(&store, 5);
    seal(&mut sealers, &[3, 1, 4]);
    let (ready, rest) = wait(objects.clone()).await.unwrap();
    assert_eq!(ready, [objects[3].clone()], "the oldest ready one");
    assert_eq!(ids(&rest), ids(&[0, 1, 2, 4].map(|place| objects[place].clone())));
}

#[tokio::test(start_paused = true)]
async fn w4_a_loop_of_wait_serves_in_order_of_readiness() {
    let store = store();
    let (mut rest, mut sealers) = pending(&store, 6);
    seal(&mut sealers, &[5, 0, 3, 1, 4, 2]);
    let mut served = Vec::new();
    while !rest.is_empty() {
        let (ready, left) = wait(rest).await.unwrap();
        served.extend(get(&ready).await.unwrap().iter().map(|value| **value));
        rest = left;
    }
    assert_eq!(served, [5, 0, 3, 1, 4, 2]);
}

#[tokio::test(start_paused = true)]
async fn w5_wait_for_k_blocks_till_k_are_ready_and_keeps_input_order() {
    let store = store();
    let (objects, mut sealers) = pending(&store, 5);
    let mut three = pin!(wait(objects.clone()).num_returns(3));
    assert!(poll_once(three.as_mut()).is_pending());
    seal(&mut sealers, &[4, 1]);
    assert!(poll_once(three.as_mut()).is_pending());
    seal(&mut sealers, &[3, 0]);
    let (ready, rest) = three.await.unwrap();
    assert_eq!(ids(&ready), ids(&[1, 3, 4].map(|place| objects[place].clone())));
    assert_eq!(ids(&rest), ids(&[0, 2].map(|place| objects[place].clone())));
}

#[tokio::test(start_paused = true)]
async fn w5_num_returns_of_zero_or_more_than_there_are_is_an_error() {
    let store = store();
    let (objects, _sealers) = pending(&store, 2);
    for num_returns in [0, 3] {
        let error = wait(objects.clone()).num_returns(num_returns).await.unwrap_err();
        assert_eq!(error, WaitError::NumReturns { num_returns, len: 2 });
    }
}

#[tokio::test(start_paused = true)]
async fn w6_wait_with_timeout_returns_what_is_ready_then() {
    let store = store();
    let (objects, mut sealers) = pending(&store, 4);
    seal(&mut sealers, &[2]);
    let before = Instant::now();
    let (ready, rest) = wait(objects.clone()).num_returns(3).timeout(SECOND).await.unwrap();
    assert_eq!((ids(&ready), rest.len()), (vec![objects[2].id()], 3));
    assert_eq!(before.elapsed().as_secs(), 1);

    let (ready, rest) = wait(rest).timeout(SECOND).await.unwrap();
    assert_eq!((ready.len(), rest.len()), (0, 3));
}

#[tokio::test(start_paused = true)]
async fn w6_wait_with_timeout_zero_polls() {
    let store = store();
    let (objects, mut sealers) = pending(&store, 3);
    let look = || wait(objects.clone()).num_returns(2).timeout(Duration::ZERO);
    assert_eq!(poll_ready(look()).0, 0);
    seal(&mut sealers, &[1]);
    assert_eq!(poll_ready(look()).0, 1);
    seal(&mut sealers, &[2]);
    assert_eq!(poll_ready(look()), (2, 1));
}

fn poll_ready(wait: mobula_store::Wait<usize>) -> (usize, usize) {
    match poll_once(pin!(wait)) {
        Poll::Ready(split) => split.map(|(ready, rest)| (ready.len(), rest.len())).unwrap(),
        Poll::Pending => panic!("a poll does not wait"),
    }
}

#[tokio::test(start_paused = true)]
async fn w6_a_wait_after_one_that_gave_up_hears_of_the_same_objects() {
    let store = store();
    let (objects, mut sealers) = pending(&store, 4);
    for _ in 0..3 {
        let (ready, _) = wait(objects.clone()).timeout(SECOND).await.unwrap();
        assert!(ready.is_empty());
        assert!(get(&objects).timeout(SECOND).await.unwrap_err().is_timeout());
    }
    let part = wait(objects[..2].to_vec());
    let (part, all) = (tokio::spawn(part), tokio::spawn(wait(objects.clone()).num_returns(2)));
    tokio::task::yield_now().await;
    seal(&mut sealers, &[3, 1]);
    assert_eq!(ids(&part.await.unwrap().unwrap().0), [objects[1].id()]);
    assert_eq!(all.await.unwrap().unwrap().0.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn w7_wait_for_nothing_returns_two_empty_lists() {
    let (ready, rest) = wait(Vec::<ObjectRef<u8>>::new()).await.unwrap();
    assert!(ready.is_empty() && rest.is_empty());
}

#[tokio::test(start_paused = true)]
async fn w7_duplicates_are_an_error() {
    let store = store();
    let (mut objects, _sealers) = pending(&store, 3);
    objects.push(objects[1].clone());
    let error = wait(objects.clone()).await.unwrap_err();
    assert_eq!(error, WaitError::Duplicate { object: objects[1].id() });
}

#[tokio::test(start_paused = true)]
async fn w8_a_failed_task_counts_as_ready_and_its_error_shows_in_get() {
    let store = store();
    let (objects, mut sealers) = pending(&store, 2);
    let mut one = pin!(wait(objects.clone()));
    assert!(poll_once(one.as_mut()).is_pending());
    sealers[1].take().unwrap().fail(failure());
    let (ready, _) = one.await.unwrap();
    assert_eq!(ids(&ready), [objects[1].id()]);
    assert!(matches!(ready[0].get().await, Err(GetError::Task(TaskError::UserError { .. }))));
}

#[tokio::test(start_paused = true)]
async fn w8_a_producer_that_vanishes_counts_as_ready() {
    let store = store();
    let (object, sealer) = store.create_pending::<u8>();
    let got = tokio::spawn(object.get());
    tokio::task::yield_now().await;
    drop(sealer);
    assert!(matches!(got.await.unwrap(), Err(GetError::Task(TaskError::Lost { .. }))));
    assert_eq!(wait(vec![object]).await.unwrap().0.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn w10_two_tasks_on_the_same_pending_object_both_return() {
    let store = store();
    let (object, sealer) = store.create_pending::<String>();
    let gets: Vec<_> = (0..3).map(|_| tokio::spawn(object.get())).collect();
    let waits: Vec<_> =
        (0..3).map(|_| tokio::spawn(wait(vec![object.clone()]).into_future())).collect();
    tokio::task::yield_now().await;
    sealer.seal(Ok("x".to_owned()));
    for got in gets {
        assert_eq!(*got.await.unwrap().unwrap(), "x");
    }
    for waited in waits {
        assert_eq!(waited.await.unwrap().unwrap().0.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn w11_awaiting_a_reference_gives_the_value_or_the_error_again_and_again() {
    let store = store();
    let (object, sealer) = store.create_pending::<u8>();
    let (lost, failing) = store.create_pending::<u8>();
    sealer.seal(Ok(3));
    failing.fail(failure());
    for _ in 0..2 {
        assert_eq!(*(&object).await.unwrap(), 3);
        assert!((&lost).await.is_err());
    }
    assert_eq!(*object.await.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn w11_cancelling_one_await_leaves_task_and_other_awaits_alone() {
    let store = store();
    let (object, sealer) = store.create_pending::<u8>();
    let staying = tokio::spawn(object.get());
    for _ in 0..100 {
        let mut leaving = Box::pin(object.get());
        assert!(poll_once(leaving.as_mut()).is_pending());
        let objects = [object.clone()];
        let mut leaving_list = Box::pin(get(&objects));
        assert!(poll_once(leaving_list.as_mut()).is_pending());
    }
    advance(SECOND).await;
    assert_eq!(object.counts().local, 2, "this one and the one in the get that stays");
    sealer.seal(Ok(4));
    assert_eq!(*staying.await.unwrap().unwrap(), 4);
    assert_eq!(*object.get().await.unwrap(), 4);
}

#[tokio::test(start_paused = true)]
async fn freeing_a_pending_object_ends_all_waiting_and_refuses_the_late_result() {
    let store = store();
    let (object, sealer) = store.create_pending::<Vec<u8>>();
    let got = tokio::spawn(object.get());
    tokio::task::yield_now().await;
    free(&object);
    assert!(matches!(got.await.unwrap(), Err(GetError::Freed { .. })));
    sealer.seal(Ok(vec![1; 100]));
    assert_eq!(store.usage().bytes, 0);
    assert!(matches!(object.get().await, Err(GetError::Freed { .. })));
}

#[test]
fn blocking_waits_on_a_thread_of_its_own() {
    let store = store();
    let (objects, mut sealers) = pending(&store, 3);
    let (first, all, some) = (objects[0].clone(), objects.clone(), objects.clone());
    let first = std::thread::spawn(move || first.get().blocking());
    let all = std::thread::spawn(move || get(&all).timeout(60 * SECOND).blocking());
    let some = std::thread::spawn(move || wait(some).num_returns(2).blocking());
    seal(&mut sealers, &[1, 2, 0]);
    assert_eq!(*first.join().unwrap().unwrap(), 0);
    let all: Vec<Arc<usize>> = all.join().unwrap().unwrap();
    assert_eq!(all, [0, 1, 2].map(Arc::new));
    let (ready, _) = some.join().unwrap().unwrap();
    assert_eq!(ready.len(), 2);
}

#[test]
fn blocking_with_a_timeout_returns_in_time() {
    let store = store();
    let (objects, _sealers) = pending(&store, 2);
    let soon = Duration::from_millis(1);
    assert!(objects[0].get().timeout(soon).blocking().unwrap_err().is_timeout());
    let (ready, rest) = wait(objects).timeout(soon).blocking().unwrap();
    assert_eq!((ready.len(), rest.len()), (0, 2));
}
