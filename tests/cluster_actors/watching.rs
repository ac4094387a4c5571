//! Monitors and links across nodes, and the row about one restart for many who notice: F15.

use mobula::ExitReason;
use mobula::prelude::*;

use crate::cast::{Counter, Doomed, LIMIT, SIZES, Watcher, id, nodes, on, stop};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f15_many_nodes_that_notice_one_dead_actor_have_it_restarted_once() {
    for size in SIZES {
        let nodes = nodes(size).await;
        nodes[0]
            .enter(async {
                let home = &nodes[1];
                let counter = Counter::options().max_restarts(1).on(on(id(home))).remote(10);
                counter.ready().await.unwrap();
                let callers: Vec<_> = nodes
                    .iter()
                    .map(|node| Counter::options().on(on(id(node))).remote(0))
                    .collect();
                // Every node has a hold, a watcher, and a call in flight when it falls.
                let mut watchers = Vec::new();
                for (node, caller) in nodes.iter().zip(&callers) {
                    caller.add_to(counter.clone(), 1).await.unwrap();
                    let watcher = Watcher::options().on(on(id(node))).remote();
                    watcher.watch(counter.clone()).await.unwrap();
                    watchers.push(watcher);
                }
                assert!(counter.fall().await.is_err());
                for watcher in &watchers {
                    let downs = Watcher::heard(watcher, 1).await;
                    assert_eq!(downs.len(), 1, "{downs:?}");
                }
                // One restart was allowed: one more would have been its end.
                for caller in &callers {
                    caller.add_to(counter.clone(), 1).await.unwrap();
                }
                assert_eq!(counter.add(0).await.unwrap(), 10 + nodes.len() as u64);
                let rows = home.actors();
                let row = rows.iter().find(|row| row.type_name == "Counter" && row.generation == 2);
                assert!(row.is_some(), "generation 2: {rows:?}");
                assert!(counter.fall().await.is_err());
                assert!(matches!(counter.closed().await, ExitReason::Panic(_)));
            })
            .await;
        stop(nodes).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_that_allows_a_restart_is_none_for_good_on_another_node_either() {
    let nodes = nodes(2).await;
    nodes[0]
        .enter(async {
            let counter = Counter::options().max_restarts(1).on(on(id(&nodes[1]))).remote(10);
            assert_eq!(counter.add(5).await.unwrap(), 15);
            counter.kill().restart();
            // What finds it between two generations is handed back, to be sent again.
            let again = async {
                loop {
                    match counter.add(1).await {
                        Ok(count) => break count,
                        Err(error) => assert!(error.to_string().contains("send again"), "{error}"),
                    }
                }
            };
            assert_eq!(tokio::time::timeout(LIMIT, again).await.unwrap(), 11, "made anew");
            assert!(matches!(counter.kill().await.unwrap(), ExitReason::Killed));
            assert!(counter.add(1).await.is_err());
        })
        .await;
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn monitors_fire_once_and_links_end_both_sides_when_a_node_is_lost() {
    let nodes = nodes(2).await;
    let doomed = Doomed::join(nodes[0].addresses()).await;
    for node in nodes.iter() {
        node.wait_for_nodes(3, LIMIT).await.unwrap();
    }
    let there = id(&doomed.node);
    nodes[0]
        .enter(async {
            let far = Counter::options().on(on(there)).remote(1);
            far.ready().await.unwrap();
            let mut watchers = Vec::new();
            let mut linked = Vec::new();
            for node in nodes.iter() {
                let watcher = Watcher::options().on(on(id(node))).remote();
                watcher.watch(far.clone()).await.unwrap();
                watchers.push(watcher);
                let rope = Watcher::options().on(on(id(node))).remote();
                rope.link(far.clone()).await.unwrap();
                linked.push(rope);
            }
            let pending = far.hang().remote();
            let gone = doomed.die();
            for watcher in &watchers {
                let downs = Watcher::heard(watcher, 1).await;
                assert!(downs[0].contains("lost with node"), "{downs:?}");
            }
            for rope in &linked {
                let end = tokio::time::timeout(LIMIT, rope.closed()).await.expect("it ends");
                assert!(matches!(end, ExitReason::Linked { .. }), "{end}");
            }
            let answer = tokio::time::timeout(LIMIT, pending.get()).await.expect("an answer");
            assert!(answer.is_err());
            for node in nodes.iter() {
                tokio::time::timeout(LIMIT, node.node_gone(gone)).await.unwrap();
            }
            for watcher in &watchers {
                let downs = watcher.downs().await.unwrap();
                assert_eq!(downs.len(), 1, "once, the membership's word included: {downs:?}");
            }
        })
        .await;
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_actor_dies_by_a_link_to_one_on_another_node_and_a_watcher_hears_why() {
    for size in SIZES {
        let nodes = nodes(size).await;
        nodes[0]
            .enter(async {
                let home = on(id(&nodes[1]));
                let counter = Counter::options().on(home).remote(1);
                let rope = Watcher::options().on(on(id(&nodes[size - 1]))).remote();
                rope.link(counter.clone()).await.unwrap();
                let watcher = Watcher::remote();
                watcher.watch(counter.clone()).await.unwrap();
                rope.kill().await.unwrap();
                let end = tokio::time::timeout(LIMIT, counter.closed()).await.expect("it ends");
                assert!(matches!(end, ExitReason::Linked { .. }), "{end}");
                assert_eq!(Watcher::heard(&watcher, 1).await.len(), 1);
            })
            .await;
        stop(nodes).await;
    }
}
