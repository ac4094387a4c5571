//! A node that listens nowhere, behind a relay: it takes part like any other. Only with the feature `relay`.
#![cfg(feature = "relay")]
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
    reason = "a test's actors are public for the macro's sake alone, and a test may fail by a panic"
)]

use std::time::Duration;

use mobula::prelude::*;
use mobula::{ClusterConfig, NodeId, Placement, RelayLimits};

/// Far more than anything here takes: a bound on failure, not a measure.
const LIMIT: Duration = Duration::from_secs(60);

async fn node(join: &[String], change: impl FnOnce(&mut ClusterConfig)) -> Node {
    let mut config = ClusterConfig::listen("127.0.0.1:0".parse().unwrap());
    config.join = join.to_vec();
    config.secret = Some("a secret of the test's own".to_owned());
    change(&mut config);
    Node::builder().num_cpus(1.0).cluster(config).start().await.unwrap()
}

const fn on(node: NodeId) -> Placement {
    Placement::OnNode { node, or_elsewhere: false }
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
    pub async fn length(&mut self, bytes: ObjectRef<Vec<u8>>) -> usize {
        bytes.get().await.unwrap().len()
    }
    pub async fn make(&mut self, count: u64) -> ObjectRef<Vec<u64>> {
        mobula::put((0..count).collect::<Vec<u64>>()).await.unwrap()
    }
}

#[mobula::task]
fn node_of_the_task() -> Option<NodeId> {
    mobula::task::current().unwrap().node()
}

/// All that one node can want of another.
async fn works_with(from: &Node, to: &Node) {
    let there = to.id().unwrap();
    let working = from.enter(async {
        let counter = Counter::options().on(on(there)).remote(1);
        assert_eq!(counter.add(1).await.unwrap(), 2);
        for _ in 0..1000 {
            counter.add(1).tell().await.unwrap();
        }
        assert_eq!(counter.add(0).await.unwrap(), 1002);
        let large = mobula::put(vec![7_u8; 3_000_000]).await.unwrap();
        assert_eq!(counter.length(&large).await.unwrap(), 3_000_000);
        let made = counter.make(500_000).await.unwrap();
        assert_eq!(made.get().await.unwrap().len(), 500_000);
        let ran = node_of_the_task::options().on(on(there)).remote().get().await.unwrap();
        assert_eq!(*ran, Some(there));
    });
    tokio::time::timeout(LIMIT, working).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn actors_tasks_and_objects_reach_nodes_behind_a_relay_and_back() {
    let relay = node(&[], |config| config.relay_server = Some(RelayLimits::default())).await;
    let addresses = relay.addresses();
    let third = node(&addresses, |_| {}).await;
    let hide = |config: &mut ClusterConfig| {
        config.dial_only = true;
        config.relays = addresses.clone();
    };
    let hidden = node(&third.addresses(), hide).await;
    assert!(hidden.addresses()[0].contains("/p2p-circuit/"), "{:?}", hidden.addresses());
    // Joined by an address that leads through the relay.
    let other = node(&hidden.addresses(), hide).await;
    let nodes = [&relay, &third, &hidden, &other];
    for one in nodes {
        one.wait_for_nodes(nodes.len(), LIMIT).await.unwrap();
    }
    works_with(&third, &hidden).await;
    works_with(&hidden, &third).await;
    // Neither of these can dial the other.
    works_with(&hidden, &other).await;
    works_with(&other, &hidden).await;
    let status = third.cluster_status().await;
    assert_eq!(status.answers.len(), nodes.len(), "{status:?}");
    for node in nodes {
        node.shutdown().await;
    }
}
