//! Waiting for objects of other nodes: as for one's own, from any thread, and never for ever.

#![expect(clippy::expect_used, reason = "helpers of tests may fail like tests")]

#[path = "exchange/cluster.rs"]
#[expect(dead_code, reason = "the other tests use the rest")]
mod cluster;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use cluster::{Cluster, id};
use mobula_actor_core::{Arg, IntoArg};
use mobula_store::{GetError, ObjectRef, get, wait};

/// Delivers what is said until it is dropped.
struct Pump {
    over: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Pump {
    fn of(cluster: &Arc<Cluster>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (cluster, done) = (Arc::clone(cluster), Arc::clone(&over));
        let thread = thread::spawn(move || {
            while !done.load(Ordering::Relaxed) {
                cluster.deliver();
                thread::yield_now();
            }
            cluster.deliver();
        });
        Self { over, thread: Some(thread) }
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the pump does not fail");
        }
    }
}

#[test]
fn o20_get_of_many_wait_and_arguments_make_remote_objects_local() {
    let cluster = Arc::new(Cluster::new(2));
    let objects: Vec<ObjectRef<u64>> =
        (0..20).map(|number| cluster.store(1).put(number).try_now().unwrap()).collect();
    let borrowed: Vec<ObjectRef<u64>> = cluster.send(1, 2, &objects);
    let pump = Pump::of(&cluster);
    let (ready, rest) = wait(borrowed.clone()).num_returns(20).blocking().unwrap();
    assert_eq!((ready.len(), rest.len()), (20, 0));
    let values = get(&borrowed).blocking().unwrap();
    assert!((0..20).eq(values.iter().map(|value| **value)));
    drop(pump);
    assert_eq!(cluster.objects(2), (20, 160), "copies of all");

    let again = cluster.send(1, 2, &objects[3]);
    let mut argument: Arg<u64> = again.into_arg();
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    while argument.poll_ready(&mut cx).is_pending() {
        cluster.deliver();
    }
    assert_eq!(argument.take(), Some(3));
}

#[test]
fn t24_many_threads_pass_references_back_and_forth_and_nothing_is_left() {
    let cluster = Arc::new(Cluster::new(3));
    let pump = Pump::of(&cluster);
    let threads: Vec<_> = (0..4_u64)
        .map(|number| {
            let cluster = Arc::clone(&cluster);
            thread::spawn(move || {
                for round in 0..200_u64 {
                    let (from, to) = (1 + (number + round) % 3, 1 + (number + round + 1) % 3);
                    let third = 1 + (number + round + 2) % 3;
                    let inner = cluster.store(from).put(round).blocking().expect("room");
                    let outer = cluster.store(from).put(vec![inner]).blocking().expect("room");
                    let there = cluster.send(from, to, &outer);
                    if round % 2 == 0 {
                        drop(outer);
                    }
                    let on = cluster.send(to, third, &there);
                    drop(there);
                    let list = on.get().blocking().expect("it is kept while it travels");
                    let back = cluster.send(third, from, &list[0]);
                    drop((on, list));
                    assert_eq!(*back.get().blocking().expect("kept, too"), round);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no thread panics");
    }
    drop(pump);
    cluster.pass(Duration::from_secs(30));
    for node in 1..=3 {
        assert_eq!(cluster.objects(node), (0, 0), "node {node}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_get_of_a_silent_node_ends_with_its_timeout_and_can_be_repeated() {
    let cluster = Cluster::new(2);
    let object = cluster.store(1).put(7_u64).await.unwrap();
    let borrowed = cluster.send(1, 2, &object);
    let late = borrowed.get().timeout(Duration::from_secs(3)).await.unwrap_err();
    assert!(late.is_timeout(), "{late}");
    cluster.deliver();
    assert_eq!(*borrowed.get().timeout(Duration::from_secs(3)).await.unwrap(), 7);
    let second = cluster.store(1).put(8_u64).await.unwrap();
    let second = cluster.send(1, 2, &second);
    cluster.kill(1);
    assert!(matches!(second.get().await, Err(GetError::OwnerDied { owner, .. }) if owner == id(1)));
}
