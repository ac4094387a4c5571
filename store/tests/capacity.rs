//! The budget of bytes: refusal, waiting for room, and order.

use std::{
    future::Future,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::Duration,
};

use mobula_store::{GetError, Store, StoreConfig, StoreError, TaskError, free};

fn store(capacity_bytes: u64) -> Store {
    Store::new(StoreConfig::default().capacity_bytes(capacity_bytes))
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test(start_paused = true)]
async fn a_value_larger_than_the_store_is_refused_at_once() {
    let store = store(100);
    let error = store.put(vec![0_u8; 101]).await.unwrap_err();
    assert_eq!(error, StoreError::StoreFull { bytes: 101, used_bytes: 0, capacity_bytes: 100 });
    assert!(store.put(vec![0_u8; 100]).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn try_now_is_refused_while_there_is_no_room() {
    let store = store(100);
    let first = store.put(vec![0_u8; 60]).try_now().unwrap();
    let error = store.put(vec![0_u8; 60]).try_now().unwrap_err();
    assert!(matches!(error, StoreError::StoreFull { bytes: 60, used_bytes: 60, .. }));
    drop(first);
    assert!(store.put(vec![0_u8; 60]).try_now().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_put_waits_until_there_is_room_again() {
    let store = store(100);
    let first = store.put(vec![0_u8; 60]).await.unwrap();
    let second = tokio::spawn(store.put(vec![1_u8; 60]));
    tokio::task::yield_now().await;
    assert_eq!(store.usage().waiting_puts, 1);
    free(&first);
    let second = second.await.unwrap().unwrap();
    assert_eq!(second.get().await.unwrap()[0], 1);
    assert_eq!(store.usage().bytes, 60);
}

#[tokio::test(start_paused = true)]
async fn puts_are_admitted_in_order_of_arrival() {
    let store = store(100);
    let first = store.put(vec![0_u8; 100]).await.unwrap();
    let mut large = Box::pin(store.put(vec![0_u8; 90]));
    let mut small = Box::pin(store.put(vec![0_u8; 5]));
    assert!(poll_once(large.as_mut()).is_pending() && poll_once(small.as_mut()).is_pending());
    assert!(store.put(0_u8).try_now().is_err(), "the queue has priority");
    drop(first);
    let (_large, _small) = (large.await.unwrap(), small.await.unwrap());
    assert_eq!(store.usage().bytes, 95);
}

#[tokio::test(start_paused = true)]
async fn a_put_that_is_dropped_makes_way() {
    let store = store(100);
    let first = store.put(vec![0_u8; 60]).await.unwrap();
    let mut large = Box::pin(store.put(vec![0_u8; 90]));
    let mut small = pin!(store.put(vec![0_u8; 30]));
    assert!(poll_once(large.as_mut()).is_pending() && poll_once(small.as_mut()).is_pending());
    drop(large);
    assert!(poll_once(small.as_mut()).is_ready());

    let mut admitted = Box::pin(store.put(vec![0_u8; 90]));
    assert!(poll_once(admitted.as_mut()).is_pending());
    drop(first);
    drop(admitted);
    assert_eq!((store.usage().bytes, store.usage().waiting_puts), (0, 0), "admitted, never taken");
}

#[tokio::test(start_paused = true)]
async fn a_put_with_a_timeout_gives_up_in_time() {
    let store = store(100);
    let _first = store.put(vec![0_u8; 60]).await.unwrap();
    let late = store.put(vec![0_u8; 60]).timeout(Duration::from_secs(1)).await;
    assert!(matches!(late, Err(StoreError::StoreFull { .. })));
    assert_eq!(store.usage().waiting_puts, 0);
}

#[test]
fn a_blocking_put_waits_on_its_thread() {
    let store = store(100);
    let first = store.put(vec![0_u8; 60]).try_now().unwrap();
    let second = {
        let store = store.clone();
        std::thread::spawn(move || store.put(vec![0_u8; 60]).blocking())
    };
    drop(first);
    assert!(second.join().unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn results_of_tasks_overdraw_but_never_exceed_the_whole_store() {
    let store = store(100);
    let first = store.put(vec![0_u8; 60]).await.unwrap();
    let (result, sealer) = store.create_pending::<Vec<u8>>();
    sealer.seal(Ok(vec![0; 60]));
    assert_eq!((result.get().await.unwrap().len(), store.usage().bytes), (60, 120));
    assert!(store.put(0_u8).try_now().is_err());
    drop(first);
    assert!(store.put(0_u8).try_now().is_ok());

    let (too_large, sealer) = store.create_pending::<Vec<u8>>();
    sealer.seal(Ok(vec![0; 101]));
    let error = too_large.get().await.unwrap_err();
    assert!(matches!(error, GetError::Task(TaskError::StoreFull { bytes: 101, .. })), "{error}");
}
