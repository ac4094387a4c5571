//! Nodes of one process that meet over real sockets on loopback.
#![allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::expect_used,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::new_without_default,
    clippy::unwrap_used,
    clippy::use_self,
    reason = "a test's actors are public for the macro's sake alone, and a test may fail by a panic"
)]

use mobula::Placement;
use mobula::prelude::*;

#[path = "fixture/nodes.rs"]
mod fixture;

use fixture::{LIMIT, stop};

async fn nodes(count: usize) -> Vec<Node> {
    fixture::nodes(count, |_| Node::builder().num_cpus(1.0)).await
}

pub struct Counter(u64);

#[mobula::actor]
impl Counter {
    pub fn new(start: u64) -> Self {
        Self(start)
    }
    pub fn add(&mut self, by: u64) -> u64 {
        self.0 += by;
        self.0
    }
    pub async fn sum(&mut self, numbers: ObjectRef<Vec<u64>>) -> u64 {
        numbers.get().await.unwrap().iter().sum()
    }
    pub async fn length(&mut self, bytes: ObjectRef<Vec<u8>>) -> usize {
        bytes.get().await.unwrap().len()
    }
    pub async fn make(&mut self, count: u64) -> ObjectRef<Vec<u64>> {
        mobula::put((0..count).collect::<Vec<u64>>()).await.unwrap()
    }
    pub async fn ask_other(&mut self, other: ActorRef<Counter>) -> u64 {
        other.add(1).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_actor_is_spawned_on_another_node_asked_told_and_passed_on() {
    let nodes = nodes(3).await;
    let there = nodes[1].id().unwrap();
    let further = nodes[2].id().unwrap();
    nodes[0]
        .enter(async {
            let on = |node| Placement::OnNode { node, or_elsewhere: false };
            let counter = Counter::options().on(on(there)).remote(1);
            assert_eq!(counter.add(1).await.unwrap(), 2);
            for _ in 0..1000 {
                counter.add(1).tell().await.unwrap();
            }
            assert_eq!(counter.add(0).await.unwrap(), 1002);
            let asker = Counter::options().on(on(further)).remote(1);
            assert_eq!(asker.ask_other(counter.clone()).await.unwrap(), 1003);
            counter.kill().await.unwrap();
            assert!(counter.add(1).await.unwrap_err().is_safe_to_retry());
        })
        .await;
    let status = nodes[2].cluster_status().await;
    assert_eq!(status.answers.len(), 3, "{status:?}");
    stop(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_are_read_where_their_references_arrive() {
    let nodes = nodes(2).await;
    let there = nodes[1].id().unwrap();
    nodes[0]
        .enter(async {
            let on = Placement::OnNode { node: there, or_elsewhere: false };
            let reader = Counter::options().on(on).remote(0);
            let small = mobula::put(vec![1_u64, 2, 3]).await.unwrap();
            // As a value it is resolved here; as a reference it is read there.
            assert_eq!(reader.sum(&small).await.unwrap(), 6);
            let large = mobula::put(vec![7_u8; 20_000_000]).await.unwrap();
            assert_eq!(reader.length(&large).await.unwrap(), 20_000_000);
            let made = reader.make(1000).await.unwrap();
            assert_eq!(made.get().await.unwrap().len(), 1000);
        })
        .await;
    stop(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_node_may_be_the_first_to_go() {
    let mut nodes = nodes(4).await;
    let first = nodes.remove(0);
    let gone = first.id().unwrap();
    let counter = first.enter(async { Counter::remote(7) }).await;
    drop(counter);
    first.shutdown().await;
    drop(first);
    for node in &nodes {
        tokio::time::timeout(LIMIT, node.node_gone(gone)).await.unwrap();
    }
    let there = nodes[2].id().unwrap();
    nodes[0]
        .enter(async {
            let on = Placement::OnNode { node: there, or_elsewhere: false };
            assert_eq!(Counter::options().on(on).remote(1).add(1).await.unwrap(), 2);
        })
        .await;
    stop(&nodes).await;
}
