//! Rows about nodes that are lost: F16, F17, F30.

use std::collections::BTreeMap;

use mobula::prelude::*;
use mobula::{NodeId, Placement};

use crate::cast::{Counter, Doomed, LIMIT, Log, SIZES, forever, id, nodes, on, stop};

#[mobula::task(max_retries = 3)]
async fn add_and_fall_once(counter: ActorRef<Counter>, fallen: ActorRef<Counter>) -> u64 {
    let count = counter.add(1).await.unwrap();
    assert!(fallen.add(1).await.unwrap() > 1, "on purpose, the first time");
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f16_a_restarted_caller_and_a_retried_task_call_on_without_clashes() {
    for size in SIZES {
        let nodes = nodes(size).await;
        nodes[0]
            .enter(async {
                let callee = Counter::options().on(on(id(&nodes[1]))).remote(0);
                let caller =
                    Counter::options().max_restarts(3).on(on(id(&nodes[size - 1]))).remote(0);
                for expected in 1..=3 {
                    assert_eq!(caller.add_to(callee.clone(), 1).await.unwrap(), expected);
                }
                assert!(caller.fall().await.is_err());
                assert_eq!(caller.add_to(callee.clone(), 1).await.unwrap(), 4, "3 -> 4");
                // A task that is repeated, on another node than the callee's.
                let fallen = Counter::remote(0);
                let place = on(id(&nodes[size - 1]));
                let retried = add_and_fall_once::options().on(place);
                let retried = retried.remote(callee.clone(), fallen);
                let count = tokio::time::timeout(LIMIT, retried.get()).await.expect("in time");
                assert_eq!(*count.unwrap(), 6, "each attempt counted once");
                assert_eq!(callee.add(0).await.unwrap(), 6);
            })
            .await;
        stop(nodes).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f17_an_owner_that_dies_before_an_argument_is_ready_fails_the_calls_and_none_hangs() {
    let nodes = nodes(2).await;
    let doomed = Doomed::join(nodes[0].addresses()).await;
    for node in nodes.iter() {
        node.wait_for_nodes(3, LIMIT).await.unwrap();
    }
    doomed.node.wait_for_nodes(3, LIMIT).await.unwrap();
    let (survivor, owner) = (id(&nodes[1]), id(&doomed.node));
    nodes[0]
        .enter(async {
            let parent = Counter::options().on(on(owner)).remote(0);
            // A child whose argument is not ready, and one that runs already.
            let late = parent.spawn_late(survivor).await.unwrap();
            let child = parent.spawn_there(survivor).await.unwrap();
            assert_eq!(child.add(1).await.unwrap(), 8);
            let asked = late.value().remote();
            // And a call to an actor of the survivor's whose argument is never ready.
            let log = Log::narrow(survivor);
            let unready = doomed.node.enter(async { forever::remote() }).await;
            let bytes = doomed.node.enter_sync(|| rmp_serde::to_vec_named(&unready).unwrap());
            let argument: ObjectRef<u64> =
                nodes[0].enter_sync(|| rmp_serde::from_slice(&bytes).unwrap());
            let stuck = log.note(1, &argument).remote();
            nodes[0].enter(async { log.note(2, 2).timeout(LIMIT).await.unwrap() }).await;
            doomed.die();
            drop(unready);
            for answer in [
                tokio::time::timeout(LIMIT, asked.get()).await.expect("no hang").is_err(),
                tokio::time::timeout(LIMIT, stuck.get()).await.expect("no hang").is_err(),
            ] {
                assert!(answer, "what can never be is an error");
            }
            nodes[0]
                .enter(async {
                    assert_eq!(log.entries().await.unwrap(), [(2, 2)], "the callee lives on");
                })
                .await;
            // The child that runs lives on as long as its handle does; its creator can be asked no more.
            assert_eq!(child.add(1).await.unwrap(), 9);
            let error = parent.add(1).timeout(LIMIT).await;
            assert!(error.is_err());
        })
        .await;
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f30_a_killed_node_is_down_once_and_one_that_left_is_no_error() {
    let mut nodes = nodes(3).await;
    let doomed = Doomed::join(nodes[0].addresses()).await;
    for node in nodes.iter() {
        node.wait_for_nodes(4, LIMIT).await.unwrap();
    }
    let status = |node: &Node, of: NodeId| {
        let rows: BTreeMap<NodeId, String> =
            node.nodes().into_iter().map(|row| (row.node, row.status)).collect();
        rows.get(&of).cloned().unwrap_or_default()
    };
    let killed = doomed.die();
    for node in nodes.iter() {
        tokio::time::timeout(LIMIT, node.node_gone(killed)).await.expect("seen by all");
        assert_eq!(status(node, killed), "down");
    }
    let leaving = nodes.remove(1);
    let left = id(&leaving);
    let counter = nodes[0].enter(async { Counter::options().on(on(left)).remote(5) }).await;
    nodes[0].enter(async { counter.ready().await.unwrap() }).await;
    leaving.shutdown().await;
    for node in nodes.iter() {
        tokio::time::timeout(LIMIT, node.node_gone(left)).await.expect("seen by all");
        assert_eq!(status(node, left), "left", "no failure");
        assert_eq!(status(node, killed), "down", "said once, it stays");
    }
    nodes[0]
        .enter(async {
            // What was placed elsewhere goes on.
            let soft = Placement::OnNode { node: left, or_elsewhere: true };
            assert_eq!(Counter::options().on(soft).remote(1).add(1).await.unwrap(), 2);
        })
        .await;
    stop(nodes).await;
}
