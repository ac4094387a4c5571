//! A node that is drained finishes or moves what it has, and leaves: nobody sees it as down, and nothing fails.
#![allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::unwrap_used,
    clippy::use_self,
    reason = "a test's actors are public for the macro's sake alone, and a test may fail by a panic"
)]

use std::time::Duration;

use mobula::prelude::*;
use mobula::{Drained, NodeId, Placement};

#[path = "fixture/nodes.rs"]
mod fixture;

use fixture::{LIMIT, stop};

async fn nodes(count: usize) -> Vec<Node> {
    fixture::nodes(count, |_| Node::builder().num_cpus(2.0)).await
}

const fn on(node: NodeId) -> Placement {
    Placement::OnNode { node, or_elsewhere: false }
}

fn status_of(seen_by: &Node, node: NodeId) -> String {
    seen_by.nodes().into_iter().find(|row| row.node == node).unwrap().status
}

#[mobula::task]
fn work(number: u64) -> u64 {
    let mut sum = number;
    for round in 0..2_000_000_u64 {
        sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(round));
    }
    // So that nobody may leave the work out.
    if sum == u64::MAX { 0 } else { number }
}

#[mobula::task]
fn whereabouts() -> String {
    Node::current().unwrap().id().unwrap().to_string()
}

#[mobula::task]
async fn forever() -> u64 {
    std::future::pending().await
}

pub struct Keeper {
    seen: u64,
    watcher: ActorRef<Watcher>,
}

#[mobula::actor]
impl Keeper {
    pub fn new(watcher: ActorRef<Watcher>) -> Self {
        Self { seen: 0, watcher }
    }
    pub fn note(&mut self) {
        self.seen += 1;
    }
    pub async fn make(&mut self, count: usize) -> ObjectRef<Vec<u64>> {
        mobula::put((0..count as u64).collect::<Vec<u64>>()).await.unwrap()
    }
    async fn stopping(&mut self, _reason: ExitReason) {
        self.watcher.ended(self.seen).await.unwrap();
    }
}

#[derive(Default)]
pub struct Watcher {
    ends: Vec<u64>,
    reasons: Vec<String>,
}

#[mobula::actor]
impl Watcher {
    pub fn new() -> Self {
        Self::default()
    }
    pub fn watch(&mut self, ctx: &mut Context<Self>, keeper: ActorRef<Keeper>) {
        ctx.watch(&keeper);
    }
    pub fn ended(&mut self, seen: u64) {
        self.ends.push(seen);
    }
    pub fn heard(&self) -> (Vec<u64>, Vec<String>) {
        (self.ends.clone(), self.reasons.clone())
    }
    fn down(&mut self, _monitor: MonitorRef, reason: ExitReason) {
        self.reasons.push(reason.to_string());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f30_a_node_that_is_drained_in_a_burst_fails_no_task_and_is_down_for_nobody() {
    let mut nodes = nodes(3).await;
    let drained = nodes.remove(1);
    let gone = drained.id().unwrap();
    let driver = nodes[0].clone();
    let burst = driver.enter(async {
        let tasks: Vec<ObjectRef<u64>> = (0..240).map(work::remote).collect();
        // Those that must run there and nowhere else are finished there.
        let bound: Vec<ObjectRef<u64>> =
            (1000..1010).map(|number| work::options().on(on(gone)).remote(number)).collect();
        // The burst has reached the node.
        let there = whereabouts::options().on(on(gone)).remote();
        assert_eq!(*there.get().await.unwrap(), gone.to_string());
        let drain = tokio::spawn({
            let drained = drained.clone();
            async move { drained.drain(LIMIT).await }
        });
        for (number, done) in (0..).zip(mobula::get(&tasks).await.unwrap()) {
            assert_eq!(*done, number);
        }
        for (number, done) in (1000..).zip(mobula::get(&bound).await.unwrap()) {
            assert_eq!(*done, number);
        }
        assert_eq!(drain.await.unwrap(), Drained::default());
    });
    tokio::time::timeout(LIMIT, burst).await.unwrap();
    for node in &nodes {
        tokio::time::timeout(LIMIT, node.node_gone(gone)).await.unwrap();
        assert_eq!(status_of(node, gone), "left");
    }
    // What is left goes on.
    let still = driver.enter(async { *work::remote(7).get().await.unwrap() }).await;
    assert_eq!(still, 7);
    stop(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f30_actors_stop_after_their_mailbox_and_objects_find_a_new_keeper() {
    let nodes = nodes(3).await;
    let gone = nodes[2].id().unwrap();
    let told = nodes[0].enter(async {
        let watcher = Watcher::remote();
        let keeper = Keeper::options().on(on(gone)).remote(watcher.clone());
        watcher.watch(keeper.clone()).await.unwrap();
        let small = keeper.make(3).await.unwrap();
        let large = keeper.make(500_000).await.unwrap();
        for _ in 0..100 {
            keeper.note().tell().await.unwrap();
        }
        // Behind those on the way there: all of them have arrived.
        drop(keeper.make(0).await.unwrap());
        assert_eq!(nodes[2].drain(LIMIT).await, Drained::default());
        nodes[0].node_gone(gone).await;
        // Nobody had asked for the values before their node went.
        assert_eq!(*small.get().await.unwrap(), [0, 1, 2]);
        assert_eq!(large.get().await.unwrap().len(), 500_000);
        assert!(matches!(keeper.closed().await, ExitReason::Shutdown));
        watcher.heard().await.unwrap()
    });
    let (ends, reasons) = tokio::time::timeout(LIMIT, told).await.unwrap();
    assert_eq!(ends, [100]);
    assert_eq!(reasons, [ExitReason::Shutdown.to_string()]);
    assert_eq!(status_of(&nodes[0], gone), "left");
    for node in &nodes[..2] {
        node.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_end_is_counted_when_the_limit_is_over() {
    let nodes = nodes(2).await;
    let stuck = nodes[1].enter(async { forever::remote() }).await;
    let left = nodes[1].drain(Duration::from_millis(50)).await;
    assert_eq!((left.tasks, left.attempts, left.objects), (1, 0, 0));
    drop(stuck);
    nodes[0].node_gone(nodes[1].id().unwrap()).await;
    nodes[0].shutdown().await;
}
