//! Behaviour T24: many threads of one program use tasks and objects at once. On a real clock, which
//! nothing here looks at.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, inside a task too")]

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use mobula_store::{get, put, wait};
use mobula_tasks::SchedulerConfig;

#[path = "support/node.rs"]
mod node;
use node::Node;

task! {
    fn increment(x: u64) -> u64 { x + 1 }
    fn nested(x: u64) -> u64 { *increment::remote(increment_later::remote(x)).get().blocking().unwrap() }
}

task! {
    async fn increment_later(x: u64) -> u64 { tokio::task::yield_now().await; x + 1 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn t24_many_threads_submit_get_put_and_wait_at_once() {
    let node = Node::new(SchedulerConfig::default().num_cpus(2.0));
    let done = Arc::new(AtomicUsize::new(0));
    let mut threads = tokio::task::JoinSet::new();
    for thread in 0..10u64 {
        let done = Arc::clone(&done);
        threads.spawn(node.enter(async move {
            for step in 0..25 {
                let stored = put(thread * step).await.unwrap();
                let refs =
                    vec![increment::remote(&stored), increment_later::remote(&stored), stored];
                let (ready, rest) = wait(refs.clone()).num_returns(3).await.unwrap();
                assert_eq!((ready.len(), rest.len()), (3, 0));
                let sum: u64 = get(&refs).await.unwrap().iter().map(|value| **value).sum();
                assert_eq!(sum, 3 * thread * step + 2);
                done.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    while let Some(ended) = threads.join_next().await {
        ended.unwrap();
    }
    assert_eq!(done.load(Ordering::Relaxed), 250);
    assert!(node.is_idle());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t12_nested_tasks_finish_on_a_real_node_too() {
    for cpus in [1.0, 2.0, 3.5] {
        let node = Node::new(SchedulerConfig::default().num_cpus(cpus));
        node.enter(async {
            let refs: Vec<_> = (0..1000).map(nested::remote).collect();
            for (n, value) in get(&refs).await.unwrap().into_iter().enumerate() {
                assert_eq!(*value, n as u64 + 2);
            }
        })
        .await;
        assert!(node.is_idle());
    }
}
