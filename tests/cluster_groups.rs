//! Placement groups on two and on five nodes.
#![allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test may fail by a panic"
)]

use std::collections::BTreeSet;
use std::time::Duration;

use mobula::prelude::*;
use mobula::{Bundle, GroupStrategy, NodeId, PlacementGroup, TaskError};
use tokio::sync::Semaphore;

#[path = "fixture/nodes.rs"]
mod fixture;
#[path = "fixture/until.rs"]
mod until;

use fixture::{LIMIT, stop};
use until::until;

async fn nodes(count: usize) -> Vec<Node> {
    fixture::nodes(count, |_| Node::builder().num_cpus(2.0)).await
}

fn free_cpus(nodes: &[Node]) -> f64 {
    let free = |node: &Node| node.resources()[0].free.as_f64();
    nodes.iter().map(free).sum()
}

fn group(cpus: &[f64], strategy: GroupStrategy) -> PlacementGroup {
    mobula::placement_group(cpus.iter().map(|cpus| Bundle::cpus(*cpus)), strategy)
}

/// A group that is formed, and its nodes.
async fn formed(cpus: &[f64], strategy: GroupStrategy) -> (PlacementGroup, Vec<NodeId>) {
    let group = group(cpus, strategy);
    assert!(group.wait(LIMIT).await, "{group:?}");
    let places = group.nodes().into_iter().map(Option::unwrap).collect();
    (group, places)
}

fn distinct(places: &[NodeId]) -> usize {
    places.iter().collect::<BTreeSet<_>>().len()
}

fn here() -> NodeId {
    Node::current().unwrap().id().unwrap()
}

static GATE: Semaphore = Semaphore::const_new(0);

#[mobula::task]
fn whereabouts() -> NodeId {
    here()
}

#[mobula::task]
async fn hold() -> NodeId {
    GATE.acquire().await.unwrap().forget();
    here()
}

#[mobula::task]
async fn forever() -> u64 {
    std::future::pending().await
}

struct Resident;

#[mobula::actor]
impl Resident {
    pub fn new() -> Self {
        Self
    }

    pub fn place(&self) -> NodeId {
        here()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r9_on_two_nodes_each_strategy_keeps_its_word_or_waits() {
    let mut nodes = nodes(2).await;
    let first = nodes[0].clone();
    let addresses = first.addresses();
    let (tall, wide) = first
        .enter(async {
            for strategy in [GroupStrategy::Pack, GroupStrategy::StrictPack] {
                let (group, places) = formed(&[1.0, 1.0], strategy).await;
                assert_eq!(distinct(&places), 1, "{strategy:?}");
                group.remove().await;
            }
            for strategy in [GroupStrategy::Spread, GroupStrategy::StrictSpread] {
                let (group, places) = formed(&[1.0, 1.0], strategy).await;
                assert_eq!(distinct(&places), 2, "{strategy:?}");
                group.remove().await;
            }
            // Too much for one node: PACK takes two, STRICT_PACK waits. Three on two: SPREAD does, STRICT_SPREAD waits.
            let (few, places) = formed(&[2.0, 1.0], GroupStrategy::Pack).await;
            assert_eq!(distinct(&places), 2);
            few.remove().await;
            let tall = group(&[2.0, 1.0], GroupStrategy::StrictPack);
            let wide = group(&[1.0, 1.0, 1.0], GroupStrategy::StrictSpread);
            let (most, places) = formed(&[1.0, 1.0, 1.0], GroupStrategy::Spread).await;
            assert_eq!(distinct(&places), 2);
            assert!(tall.nodes().is_empty() && wide.nodes().is_empty());
            most.remove().await;
            (tall, wide)
        })
        .await;
    // A node that has room for both.
    let third = fixture::node(Node::builder().num_cpus(4.0), &addresses).await;
    assert!(tall.wait(LIMIT).await && wide.wait(LIMIT).await);
    assert!(tall.nodes().iter().all(|place| *place == third.id()));
    let places: Vec<NodeId> = wide.nodes().into_iter().flatten().collect();
    assert_eq!(distinct(&places), 3);
    nodes.push(third);
    stop(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r9_on_five_nodes_strict_spread_uses_each_and_pack_few() {
    let nodes = nodes(5).await;
    nodes[2]
        .enter(async {
            let (wide, places) = formed(&[1.0; 5], GroupStrategy::StrictSpread).await;
            assert_eq!(distinct(&places), 5);
            let (packed, places) = formed(&[1.0, 1.0, 1.0], GroupStrategy::Pack).await;
            assert!(distinct(&places) <= 3);
            wide.remove().await;
            packed.remove().await;
        })
        .await;
    until("all is free again", || (free_cpus(&nodes) - 10.0).abs() < 1e-9).await;
    stop(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r10_a_group_is_all_or_nothing_and_ready_is_a_reference() {
    let nodes = nodes(2).await;
    nodes[0]
        .enter(async {
            let impossible = group(&[2.0, 2.0, 1.0], GroupStrategy::Pack);
            let rival = group(&[2.0, 2.0], GroupStrategy::Spread);
            assert!(rival.wait(LIMIT).await);
            assert_eq!(free_cpus(&nodes), 0.0);
            assert!(!impossible.wait(Duration::ZERO).await);
            // With all its CPUs in use it is still ready, and its reference is one like others.
            let held: Vec<_> =
                (0..4).map(|n| hold::options().in_group(&rival).bundle(n % 2).remote()).collect();
            let ready: ObjectRef<()> = rival.ready();
            ready.get().await.unwrap();
            assert!(rival.wait(LIMIT).await);
            GATE.add_permits(4);
            for one in held {
                one.get().await.unwrap();
            }
            rival.remove().await;
            // What can never be whole holds nothing.
            until("nobody holds anything", || (free_cpus(&nodes) - 4.0).abs() < 1e-9).await;
            let another = group(&[2.0, 2.0], GroupStrategy::StrictSpread);
            assert!(another.wait(LIMIT).await);
            impossible.remove().await;
            another.remove().await;
            let senseless = mobula::placement_group([Bundle::cpus(-1.0)], GroupStrategy::Pack);
            let error = senseless.ready().get().await.unwrap_err();
            assert!(matches!(error, GetError::Task(TaskError::Invalid { .. })), "{error:?}");
        })
        .await;
    stop(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r11_tasks_and_actors_run_in_the_bundle_they_name_or_in_any() {
    let nodes = nodes(2).await;
    nodes[0]
        .enter(async {
            let (group, places) = formed(&[1.0, 1.0], GroupStrategy::StrictSpread).await;
            for _ in 0..3 {
                for (index, place) in places.iter().enumerate() {
                    let index = u32::try_from(index).unwrap();
                    let task = whereabouts::options().in_group(&group).bundle(index).remote();
                    assert_eq!(*task.get().await.unwrap(), *place);
                    let actor = Resident::options().in_group(&group).bundle(index).remote();
                    assert_eq!(actor.place().await.unwrap(), *place);
                }
            }
            let any: Vec<_> =
                (0..6).map(|_| whereabouts::options().in_group(&group).remote()).collect();
            for one in any {
                assert!(places.contains(&*one.get().await.unwrap()));
            }
            let wrong = whereabouts::options().in_group(&group).bundle(2).remote();
            let error = wrong.get().await.unwrap_err().to_string();
            assert!(error.contains("2 bundles"), "{error}");
            let large = whereabouts::options().in_group(&group).num_cpus(2.0).remote();
            let error = large.get().await.unwrap_err().to_string();
            assert!(error.contains("no such bundle"), "{error}");
            group.remove().await;
            // Submitted before there is room, it runs when there is.
            let (rest, _) = formed(&[2.0, 2.0], GroupStrategy::StrictSpread).await;
            let late = self::group(&[2.0], GroupStrategy::Pack);
            let early = whereabouts::options().in_group(&late).bundle(0).remote();
            rest.remove().await;
            let place = tokio::time::timeout(LIMIT, early.get()).await.unwrap().unwrap();
            // The task may be over before this node has heard that the group is formed.
            tokio::time::timeout(LIMIT, late.ready().get()).await.unwrap().unwrap();
            assert_eq!(late.nodes(), [Some(*place)]);
            late.remove().await;
        })
        .await;
    stop(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r13_removing_a_group_ends_what_is_in_it_and_returns_its_resources() {
    for count in [2, 5] {
        let nodes = nodes(count).await;
        let bundles = vec![2.0; count];
        nodes[0]
            .enter(async {
                let (group, _) = formed(&bundles, GroupStrategy::StrictSpread).await;
                let indices = 0..u32::try_from(count).unwrap();
                let tasks: Vec<_> = indices
                    .clone()
                    .map(|index| forever::options().in_group(&group).bundle(index).remote())
                    .collect();
                let actors: Vec<_> = indices
                    .map(|index| Resident::options().in_group(&group).bundle(index).remote())
                    .collect();
                for actor in &actors {
                    actor.place().await.unwrap();
                }
                until("each node has a task", || {
                    nodes.iter().all(|node| node.status().unfinished_tasks > 0)
                })
                .await;
                assert_eq!(free_cpus(&nodes), 0.0);
                group.remove().await;
                group.remove().await;
                for task in tasks {
                    let error = tokio::time::timeout(LIMIT, task.get()).await.unwrap().unwrap_err();
                    assert!(
                        matches!(error, GetError::Task(TaskError::Cancelled { .. })),
                        "{error:?}"
                    );
                }
                for actor in actors {
                    assert!(actor.place().await.is_err());
                }
                let all = 2.0 * nodes.len() as f64;
                until("all is free again", || (free_cpus(&nodes) - all).abs() < 1e-9).await;
                assert!(group.nodes().is_empty());
                let late = whereabouts::options().in_group(&group).remote();
                let error = late.get().await.unwrap_err().to_string();
                assert!(error.contains("removed"), "{error}");
                // Pending ones are given up.
                let pending = self::group(&[64.0], GroupStrategy::Pack);
                let waits = whereabouts::options().in_group(&pending).remote();
                pending.remove().await;
                assert!(pending.ready().get().await.is_err() && waits.get().await.is_err());
                pending.remove().await;
            })
            .await;
        stop(&nodes).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_goes_with_the_node_that_asked_for_it() {
    let nodes = nodes(2).await;
    let group =
        nodes[1].enter(async { formed(&[2.0, 2.0], GroupStrategy::StrictSpread).await.0 }).await;
    assert_eq!(free_cpus(&nodes[..1]), 0.0);
    let gone = nodes[1].id().unwrap();
    nodes[1].shutdown().await;
    nodes[0].node_gone(gone).await;
    until("its bundle is given back", || (free_cpus(&nodes[..1]) - 2.0).abs() < 1e-9).await;
    drop(group);
    nodes[0].shutdown().await;
}
