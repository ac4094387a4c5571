//! Tasks that run on other nodes of the cluster.
#![allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test may fail by a panic"
)]

use std::sync::mpsc;

use mobula::prelude::*;
use mobula::{NodeId, Placement, TaskError};

#[path = "fixture/nodes.rs"]
mod fixture;

use fixture::{LIMIT, stop};

async fn nodes(count: usize) -> Vec<Node> {
    fixture::nodes(count, |_| Node::builder().num_cpus(2.0)).await
}

const fn on(node: NodeId) -> Placement {
    Placement::OnNode { node, or_elsewhere: false }
}

#[mobula::task]
fn double(number: u64) -> u64 {
    number * 2
}

#[mobula::task]
fn whereabouts() -> String {
    Node::current().unwrap().id().unwrap().to_string()
}

#[mobula::task]
fn node_of_the_task() -> Option<NodeId> {
    mobula::task::current().unwrap().node()
}

#[mobula::task]
fn zeros(count: usize) -> Vec<u8> {
    vec![0; count]
}

#[mobula::task]
fn length(bytes: Vec<u8>) -> usize {
    bytes.len()
}

#[mobula::task]
fn refuse(why: String) -> Result<u64, String> {
    Err(why)
}

#[mobula::task]
fn burst() -> u64 {
    panic!("burst on purpose")
}

#[mobula::task]
async fn forever() -> u64 {
    std::future::pending().await
}

#[mobula::task]
fn work(number: u64) -> (u64, String) {
    let mut sum = number;
    for round in 0..2_000_000_u64 {
        sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(round));
    }
    let here = Node::current().unwrap().id().unwrap();
    // So that nobody may leave the work out.
    (if sum == u64::MAX { 0 } else { number }, here.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r7_a_task_runs_where_it_was_placed_and_its_result_is_here() {
    let nodes = nodes(2).await;
    let there = nodes[1].id().unwrap();
    nodes[0]
        .enter(async {
            let place = whereabouts::options().on(on(there)).remote();
            assert_eq!(*place.get().await.unwrap(), there.to_string());
            for node in [nodes[0].id().unwrap(), there] {
                let said = node_of_the_task::options().on(on(node)).remote();
                assert_eq!(*said.get().await.unwrap(), Some(node), "what the task says itself");
            }
            let doubled = double::options().on(on(there)).remote(21);
            assert_eq!(*doubled.get().await.unwrap(), 42);
        })
        .await;
    stop(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r7_what_must_run_here_waits_here_however_free_the_others_are() {
    let nodes = nodes(2).await;
    let here = nodes[0].id().unwrap();
    nodes[0]
        .enter(async {
            let tasks: Vec<_> =
                (0..40).map(|number| work::options().on(on(here)).remote(number)).collect();
            for (number, done) in (0..).zip(mobula::get(&tasks).await.unwrap()) {
                assert_eq!(*done, (number, here.to_string()));
            }
        })
        .await;
    stop(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t4_a_chain_of_dependent_tasks_goes_over_nodes() {
    let nodes = nodes(3).await;
    let (one, other) = (nodes[1].id().unwrap(), nodes[2].id().unwrap());
    nodes[0]
        .enter(async {
            let mut number = mobula::put(1_u64).await.unwrap();
            for step in 0..10 {
                let node = if step % 2 == 0 { one } else { other };
                number = double::options().on(on(node)).remote(&number);
            }
            assert_eq!(*number.get().await.unwrap(), 1024);
            // Large ones, too.
            let bytes = zeros::options().on(on(one)).remote(5_000_000);
            let length = length::options().on(on(other)).remote(&bytes);
            assert_eq!(*length.get().await.unwrap(), 5_000_000);
        })
        .await;
    stop(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_on_another_node_say_what_they_would_say_here() {
    let nodes = nodes(2).await;
    let there = nodes[1].id().unwrap();
    nodes[0]
        .enter(async {
            let refused = refuse::options().on(on(there)).remote("no".to_owned());
            let error = refused.get().await.unwrap_err().to_string();
            assert!(error.contains("no"), "{error}");
            let burst = burst::options().on(on(there)).remote();
            let error = burst.get().await.unwrap_err().to_string();
            assert!(error.contains("burst on purpose"), "{error}");
            let nowhere = Placement::Labelled {
                name: "zone".into(),
                value: "moon".into(),
                or_elsewhere: false,
            };
            let error =
                double::options().on(nowhere).remote(1).get().await.unwrap_err().to_string();
            assert!(error.contains("moon"), "{error}");
        })
        .await;
    stop(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c2_a_cancelled_task_ends_on_the_node_where_it_runs() {
    let nodes = nodes(2).await;
    let there = nodes[1].id().unwrap();
    nodes[0]
        .enter(async {
            let endless = forever::options().on(on(there)).remote();
            while nodes[1].status().unfinished_tasks == 0 {
                tokio::task::yield_now().await;
            }
            endless.cancel();
            assert!(endless.get().await.is_err());
            let ended = async {
                while nodes[1].status().unfinished_tasks > 0 {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(LIMIT, ended).await.unwrap();
        })
        .await;
    stop(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_much_for_one_node_is_done_by_all() {
    let nodes = nodes(3).await;
    nodes[0]
        .enter(async {
            let results: Vec<ObjectRef<(u64, String)>> = (0..600).map(work::remote).collect();
            let mut places = std::collections::BTreeSet::new();
            for (number, result) in results.iter().enumerate() {
                let result = result.get().await.unwrap();
                assert_eq!(result.0, number as u64);
                places.insert(result.1.clone());
            }
            assert_eq!(places.len(), 3, "{places:?}");
        })
        .await;
    stop(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f4_a_task_whose_node_is_lost_is_retried_or_says_so() {
    let first = fixture::node(Node::builder().num_cpus(2.0), &[]).await;
    let addresses = first.addresses();
    // A node on a runtime of its own, which ends without a word.
    let (tell, hear) = mpsc::channel();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.spawn(async move {
        let second = fixture::node(Node::builder().num_cpus(2.0), &addresses).await;
        tell.send(second.clone()).unwrap();
        std::future::pending::<()>().await;
    });
    let second = tokio::task::spawn_blocking(move || hear.recv().unwrap()).await.unwrap();
    first.wait_for_nodes(2, LIMIT).await.unwrap();
    let there = second.id().unwrap();
    first
        .enter(async {
            let soft = Placement::OnNode { node: there, or_elsewhere: true };
            let lost = forever::options().on(on(there)).remote();
            let moved = work::options().on(soft).max_retries(3);
            let moved: ObjectRef<(u64, String)> = moved.remote(7);
            while second.status().unfinished_tasks == 0 {
                tokio::task::yield_now().await;
            }
            drop(second);
            runtime.shutdown_background();
            let error = tokio::time::timeout(LIMIT, lost.get()).await.unwrap().unwrap_err();
            assert!(
                matches!(&error, GetError::Task(TaskError::Lost { node: Some(_), .. })),
                "{error:?}"
            );
            let result = tokio::time::timeout(LIMIT, moved.get()).await.unwrap().unwrap();
            assert_eq!(result.0, 7);
        })
        .await;
    first.shutdown().await;
}
