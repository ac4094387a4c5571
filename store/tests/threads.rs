//! Row T24, the store's part: everything at once from many threads, and nothing left over.

#![expect(clippy::expect_used, reason = "helpers of tests may fail like tests")]

use std::{sync::Arc, thread};

use mobula_store::{ObjectRef, Store, StoreConfig, get, wait};

/// Calls `work` on several threads and waits for all of them.
fn on_threads(count: usize, work: impl Fn(usize) + Send + Sync + 'static) {
    let work = Arc::new(work);
    let threads: Vec<_> = (0..count)
        .map(|number| {
            let work = Arc::clone(&work);
            thread::spawn(move || work(number))
        })
        .collect();
    for thread in threads {
        thread.join().expect("no thread panics");
    }
}

#[test]
fn t24_put_get_and_wait_from_many_threads_at_once() {
    let store = Store::new(StoreConfig::default().capacity_bytes(4096));
    let shared = store.clone();
    on_threads(10, move |number| {
        for round in 0..25 {
            let mine: Vec<ObjectRef<Vec<u8>>> = (0..4)
                .map(|_| shared.put(vec![7; 10 * number + round]).blocking().expect("room comes"))
                .collect();
            let (ready, rest) = wait(mine).num_returns(2).blocking().expect("a right list");
            let values = get(&ready).blocking().expect("values");
            assert!(values.iter().all(|value| value.len() == 10 * number + round));
            assert_eq!(rest.len(), 2);
        }
    });
    assert_eq!((store.usage().objects, store.usage().bytes), (0, 0));
}

#[test]
fn one_thread_seals_while_others_get_wait_clone_and_drop() {
    let store = Store::new(StoreConfig::default());
    for _ in 0..50 {
        let (objects, sealers): (Vec<_>, Vec<_>) =
            (0..64).map(|_| store.create_pending::<usize>()).unzip();
        let sealing = thread::spawn(move || {
            for (number, sealer) in sealers.into_iter().enumerate() {
                sealer.seal(Ok(number));
            }
        });
        on_threads(3, move |number| {
            let mut rest = objects.clone();
            let mut seen = Vec::new();
            while !rest.is_empty() {
                let (ready, left) = wait(rest).blocking().expect("a right list");
                seen.extend(get(&ready).blocking().expect("values").iter().map(|value| **value));
                rest = left;
            }
            assert_eq!(seen, (0..64).collect::<Vec<_>>(), "in order of sealing, thread {number}");
            let sum: usize = get(&objects).blocking().expect("values").iter().map(|v| **v).sum();
            assert_eq!(sum, 63 * 64 / 2);
        });
        sealing.join().expect("no thread panics");
        assert_eq!((store.usage().objects, store.usage().bytes), (0, 0));
    }
}

#[test]
fn the_last_reference_may_go_while_the_result_comes() {
    let store = Store::new(StoreConfig::default());
    for _ in 0..2000 {
        let (object, sealer) = store.create_pending::<Vec<u8>>();
        let dropping = thread::spawn(move || drop(object));
        sealer.seal(Ok(vec![0; 100]));
        dropping.join().expect("no thread panics");
        assert_eq!((store.usage().objects, store.usage().bytes), (0, 0));
    }
}
