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
use std::sync::mpsc;
use std::time::Duration;

use mobula::prelude::*;
use mobula::{Bundle, GroupStrategy, NodeId, Placement, PlacementGroup, SpawnError, TaskError};
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

    pub async fn places_of(&self, group: PlacementGroup) -> Places {
        places_of(&group).await
    }
}

const fn on(node: NodeId) -> Placement {
    Placement::OnNode { node, or_elsewhere: false }
}

/// A handle of `from` as it arrives at `to`.
fn carry(from: &Node, to: &Node, group: &PlacementGroup) -> PlacementGroup {
    let bytes = from.enter_sync(|| rmp_serde::to_vec_named(group).unwrap());
    to.enter_sync(|| rmp_serde::from_slice(&bytes).unwrap())
}

/// Who used a group, and where things ran that it put there: tasks and actors by bundle, and any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Places {
    user: NodeId,
    tasks: Vec<NodeId>,
    actors: Vec<NodeId>,
    any_tasks: BTreeSet<NodeId>,
    any_actor: NodeId,
    known: Vec<Option<NodeId>>,
}

async fn places_of(group: &PlacementGroup) -> Places {
    assert!(group.wait(LIMIT).await, "{group:?}");
    group.ready().get().await.unwrap();
    let indices = 0..u32::try_from(group.bundle_count()).unwrap();
    let mut places = Places {
        user: here(),
        tasks: Vec::new(),
        actors: Vec::new(),
        any_tasks: BTreeSet::new(),
        any_actor: Resident::options().in_group(group).remote().place().await.unwrap(),
        known: group.nodes(),
    };
    for index in indices.clone() {
        let task = whereabouts::options().in_group(group).bundle(index).remote();
        places.tasks.push(*task.get().await.unwrap());
        let actor = Resident::options().in_group(group).bundle(index).remote();
        places.actors.push(actor.place().await.unwrap());
    }
    let any: Vec<_> = indices.map(|_| whereabouts::options().in_group(group).remote()).collect();
    for one in any {
        places.any_tasks.insert(*one.get().await.unwrap());
    }
    places
}

/// What the user of a group finds whose bundles are at `places`, one on each node.
fn assert_found(found: &Places, user: NodeId, places: &[NodeId]) {
    assert_eq!(found.user, user);
    assert_eq!(found.tasks, places);
    assert_eq!(found.actors, places);
    assert_eq!(found.any_tasks, places.iter().copied().collect::<BTreeSet<_>>(), "in turn");
    assert!(places.contains(&found.any_actor));
    assert_eq!(found.known, places.iter().copied().map(Some).collect::<Vec<_>>());
}

#[mobula::task]
async fn use_group(group: PlacementGroup) -> Places {
    places_of(&group).await
}

/// A handle among other things.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Plan {
    name: String,
    groups: Vec<PlacementGroup>,
}

#[mobula::task]
async fn use_plan(plan: Plan) -> Places {
    assert_eq!(plan.name, "the plan");
    places_of(&plan.groups[0]).await
}

#[mobula::task]
async fn use_object(object: ObjectRef<Plan>) -> Places {
    let plan = object.get().await.unwrap();
    places_of(&plan.groups[0]).await
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
                group.remove().await.unwrap();
            }
            for strategy in [GroupStrategy::Spread, GroupStrategy::StrictSpread] {
                let (group, places) = formed(&[1.0, 1.0], strategy).await;
                assert_eq!(distinct(&places), 2, "{strategy:?}");
                group.remove().await.unwrap();
            }
            // Too much for one node: PACK takes two, STRICT_PACK waits. Three on two: SPREAD does, STRICT_SPREAD waits.
            let (few, places) = formed(&[2.0, 1.0], GroupStrategy::Pack).await;
            assert_eq!(distinct(&places), 2);
            few.remove().await.unwrap();
            let tall = group(&[2.0, 1.0], GroupStrategy::StrictPack);
            let wide = group(&[1.0, 1.0, 1.0], GroupStrategy::StrictSpread);
            let (most, places) = formed(&[1.0, 1.0, 1.0], GroupStrategy::Spread).await;
            assert_eq!(distinct(&places), 2);
            assert!(tall.nodes().is_empty() && wide.nodes().is_empty());
            most.remove().await.unwrap();
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
            wide.remove().await.unwrap();
            packed.remove().await.unwrap();
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
            rival.remove().await.unwrap();
            // What can never be whole holds nothing.
            until("nobody holds anything", || (free_cpus(&nodes) - 4.0).abs() < 1e-9).await;
            let another = group(&[2.0, 2.0], GroupStrategy::StrictSpread);
            assert!(another.wait(LIMIT).await);
            impossible.remove().await.unwrap();
            another.remove().await.unwrap();
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
            group.remove().await.unwrap();
            // Submitted before there is room, it runs when there is.
            let (rest, _) = formed(&[2.0, 2.0], GroupStrategy::StrictSpread).await;
            let late = self::group(&[2.0], GroupStrategy::Pack);
            let early = whereabouts::options().in_group(&late).bundle(0).remote();
            rest.remove().await.unwrap();
            let place = tokio::time::timeout(LIMIT, early.get()).await.unwrap().unwrap();
            // The task may be over before this node has heard that the group is formed.
            tokio::time::timeout(LIMIT, late.ready().get()).await.unwrap().unwrap();
            assert_eq!(late.nodes(), [Some(*place)]);
            late.remove().await.unwrap();
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
                group.remove().await.unwrap();
                group.remove().await.unwrap();
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
                pending.remove().await.unwrap();
                assert!(pending.ready().get().await.is_err() && waits.get().await.is_err());
                pending.remove().await.unwrap();
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r11_a_group_is_used_from_every_node_that_its_handle_comes_to() {
    for count in [2, 5] {
        let nodes = nodes(count).await;
        let bundles = vec![1.0; count];
        nodes[0]
            .enter(async {
                let (group, places) = formed(&bundles, GroupStrategy::StrictSpread).await;
                for node in &nodes {
                    let there = node.id().unwrap();
                    let used = use_group::options().on(on(there)).remote(group.clone());
                    assert_found(&used.get().await.unwrap(), there, &places);
                    let actor = Resident::options().on(on(there)).remote();
                    assert_found(&actor.places_of(group.clone()).await.unwrap(), there, &places);
                }
                group.remove().await.unwrap();
            })
            .await;
        stop(&nodes).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handle_inside_an_object_is_one_on_the_node_that_gets_the_object() {
    let nodes = nodes(2).await;
    let there = nodes[1].id().unwrap();
    nodes[0]
        .enter(async {
            let (group, places) = formed(&[1.0, 1.0], GroupStrategy::StrictSpread).await;
            let plan = Plan { name: "the plan".to_owned(), groups: vec![group.clone()] };
            let object = mobula::put(plan).await.unwrap();
            drop(group);
            let resolved = use_plan::options().on(on(there)).remote(&object);
            assert_found(&resolved.get().await.unwrap(), there, &places);
            let by_reference = use_object::options().on(on(there)).remote(object.clone());
            assert_found(&by_reference.get().await.unwrap(), there, &places);
            let kept = object.get().await.unwrap();
            assert_found(&places_of(&kept.groups[0]).await, here(), &places);
            kept.groups[0].remove().await.unwrap();
        })
        .await;
    until("all is free again", || (free_cpus(&nodes) - 4.0).abs() < 1e-9).await;
    stop(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_node_puts_into_a_group_that_is_not_formed_waits_for_it() {
    let nodes = nodes(2).await;
    let (rest, late) = nodes[0]
        .enter(async {
            let (rest, _) = formed(&[2.0, 2.0], GroupStrategy::StrictSpread).await;
            (rest, group(&[2.0, 2.0], GroupStrategy::StrictSpread))
        })
        .await;
    let there = carry(&nodes[0], &nodes[1], &late);
    let (early, refused, unused) = nodes[1]
        .enter(async {
            assert!(!there.wait(Duration::ZERO).await && there.nodes().is_empty());
            let early: Vec<_> = (0..2)
                .map(|index| whereabouts::options().in_group(&there).bundle(index).remote())
                .collect();
            let refused = Resident::options().in_group(&there).bundle(0).remote();
            let error = refused.place().await.unwrap_err().to_string();
            assert!(error.contains("not formed yet"), "{error}");
            (early, refused, carry(&nodes[0], &nodes[1], &late))
        })
        .await;
    rest.remove().await.unwrap();
    nodes[1]
        .enter(async {
            let mut ran = Vec::new();
            for one in early {
                let place = tokio::time::timeout(LIMIT, one.get()).await.unwrap().unwrap();
                ran.push(Some(*place));
            }
            assert!(unused.wait(LIMIT).await && there.wait(LIMIT).await);
            assert_eq!(there.nodes(), ran);
            assert!(!refused.is_alive());
            let actor = Resident::options().in_group(&there).bundle(0).remote();
            assert_eq!(Some(actor.place().await.unwrap()), ran[0]);
        })
        .await;
    assert_eq!(late.nodes(), there.nodes());
    there.remove().await.unwrap();
    stop(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_actor_that_another_node_puts_into_a_group_it_knows_nothing_of_asks_the_owner() {
    let nodes = nodes(2).await;
    let (early, group, places) = nodes[0]
        .enter(async {
            let group = group(&[1.0, 1.0], GroupStrategy::StrictSpread);
            let early = carry(&nodes[0], &nodes[1], &group);
            assert!(group.wait(LIMIT).await);
            let places: Vec<NodeId> = group.nodes().into_iter().map(Option::unwrap).collect();
            (early, group, places)
        })
        .await;
    assert!(early.nodes().is_empty(), "it was made before the group was formed");
    let owner = nodes[0].id().unwrap();
    let at_owner = places.iter().position(|place| *place == owner).unwrap();
    nodes[1]
        .enter(async {
            let index = u32::try_from(at_owner).unwrap();
            let actor = Resident::options().in_group(&early).bundle(index).remote();
            assert_eq!(actor.place().await.unwrap(), owner);
            let own = Resident::options().in_group(&early).bundle(1 - index).remote();
            assert_eq!(own.place().await.unwrap(), here());
        })
        .await;
    group.remove().await.unwrap();
    stop(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r13_a_group_is_removed_from_a_node_that_did_not_ask_for_it() {
    for count in [2, 5] {
        let nodes = nodes(count).await;
        let last = &nodes[count - 1];
        let bundles = vec![2.0; count];
        let group =
            nodes[0].enter(async { formed(&bundles, GroupStrategy::StrictSpread).await.0 }).await;
        let there = carry(&nodes[0], last, &group);
        let indices = 0..u32::try_from(count).unwrap();
        let inside = |group: &PlacementGroup| {
            let tasks = indices.clone();
            let tasks =
                tasks.map(|index| forever::options().in_group(group).bundle(index).remote());
            let actors = indices.clone();
            let actors =
                actors.map(|index| Resident::options().in_group(group).bundle(index).remote());
            (tasks.collect::<Vec<_>>(), actors.collect::<Vec<_>>())
        };
        let (tasks, actors) = nodes[0].enter_sync(|| inside(&group));
        let (more_tasks, more_actors) = last.enter_sync(|| inside(&there));
        last.enter(async {
            for actor in &more_actors {
                actor.place().await.unwrap();
            }
        })
        .await;
        nodes[0]
            .enter(async {
                for actor in &actors {
                    actor.place().await.unwrap();
                }
            })
            .await;
        until("each node has a task", || {
            nodes.iter().all(|node| node.status().unfinished_tasks > 0)
        })
        .await;
        assert_eq!(free_cpus(&nodes), 0.0);
        last.enter(async {
            there.remove().await.unwrap();
            there.remove().await.unwrap();
            let error = whereabouts::options().in_group(&there).remote().get().await.unwrap_err();
            assert!(matches!(error, GetError::Task(TaskError::GroupGone { .. })), "{error:?}");
            assert!(error.to_string().contains("removed"), "{error}");
            assert!(there.ready().get().await.is_err() && there.nodes().is_empty());
        })
        .await;
        for task in tasks.into_iter().chain(more_tasks) {
            let error = tokio::time::timeout(LIMIT, task.get()).await.unwrap().unwrap_err();
            assert!(matches!(error, GetError::Task(TaskError::Cancelled { .. })), "{error:?}");
        }
        for actor in actors.into_iter().chain(more_actors) {
            assert!(actor.place().await.is_err());
        }
        let all = 2.0 * nodes.len() as f64;
        until("all is free again", || (free_cpus(&nodes) - all).abs() < 1e-9).await;
        group.remove().await.unwrap();
        assert!(group.nodes().is_empty());
        // A pending one is given up, and what waits for it there.
        let pending = nodes[0].enter_sync(|| self::group(&[64.0], GroupStrategy::Pack));
        let there = carry(&nodes[0], last, &pending);
        last.enter(async {
            let waits = whereabouts::options().in_group(&there).remote();
            there.remove().await.unwrap();
            assert!(waits.get().await.is_err() && there.ready().get().await.is_err());
        })
        .await;
        assert!(pending.ready().get().await.is_err());
        stop(&nodes).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handle_that_outlives_its_group_says_so_where_it_is_used() {
    let nodes = nodes(2).await;
    let group =
        nodes[0].enter(async { formed(&[1.0, 1.0], GroupStrategy::StrictSpread).await.0 }).await;
    let (first, second) =
        (carry(&nodes[0], &nodes[1], &group), carry(&nodes[0], &nodes[1], &group));
    assert_eq!(first.nodes(), group.nodes(), "it came along");
    group.remove().await.unwrap();
    nodes[1]
        .enter(async {
            // By hearsay it stands. Whoever goes there is refused, and then the owner is asked.
            for index in [0, 1, 0] {
                let late = whereabouts::options().in_group(&first).bundle(index).remote();
                let error = tokio::time::timeout(LIMIT, late.get()).await.unwrap().unwrap_err();
                assert!(matches!(error, GetError::Task(TaskError::GroupGone { .. })), "{error:?}");
                assert!(error.to_string().contains("was removed"), "{error}");
            }
            second.remove().await.unwrap();
            let late = Resident::options().in_group(&second).remote();
            let error = late.place().await.unwrap_err().to_string();
            assert!(error.contains("was removed"), "{error}");
        })
        .await;
    stop(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_is_gone_for_all_when_its_owner_is_lost() {
    let mut nodes = nodes(2).await;
    let addresses = nodes[0].addresses();
    // The owner, on a runtime of its own, which ends without a word.
    let (tell, hear) = mpsc::channel();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.spawn(async move {
        let owner = fixture::node(Node::builder().num_cpus(0.0), &addresses).await;
        owner.wait_for_nodes(3, LIMIT).await.unwrap();
        let group = owner.enter(async { formed(&[2.0, 2.0], GroupStrategy::StrictSpread).await.0 });
        let group = group.await;
        let pending = owner.enter_sync(|| self::group(&[64.0], GroupStrategy::Pack));
        tell.send((owner, group, pending)).unwrap();
        std::future::pending::<()>().await;
    });
    let (owner, group, pending) =
        tokio::task::spawn_blocking(move || hear.recv().unwrap()).await.unwrap();
    for one in &nodes {
        one.wait_for_nodes(3, LIMIT).await.unwrap();
    }
    let user = nodes.remove(1);
    let there = carry(&owner, &user, &group);
    let waited_for = carry(&owner, &user, &pending);
    user.enter(async {
        let running: Vec<_> = (0..2)
            .map(|index| forever::options().in_group(&there).bundle(index).remote())
            .collect();
        let actor = Resident::options().in_group(&there).bundle(0).remote();
        actor.place().await.unwrap();
        until("both run", || {
            nodes[0].status().unfinished_tasks > 0 && user.status().unfinished_tasks > 1
        })
        .await;
        let waiting = whereabouts::options().in_group(&waited_for).remote();
        let (gone, ready) = (owner.id().unwrap(), waited_for.ready());
        drop((owner, group, pending));
        runtime.shutdown_background();
        for task in running {
            let error = tokio::time::timeout(LIMIT, task.get()).await.unwrap().unwrap_err();
            assert!(matches!(error, GetError::Task(TaskError::GroupGone { .. })), "{error:?}");
            assert!(error.to_string().contains(&gone.to_string()), "{error}");
        }
        let error = tokio::time::timeout(LIMIT, waiting.get()).await.unwrap().unwrap_err();
        assert!(matches!(error, GetError::Task(TaskError::GroupGone { .. })), "{error:?}");
        let error = tokio::time::timeout(LIMIT, ready.get()).await.unwrap().unwrap_err();
        assert!(matches!(error, GetError::Task(TaskError::GroupGone { .. })), "{error:?}");
        let late = whereabouts::options().in_group(&there).remote();
        let error = late.get().await.unwrap_err();
        assert!(matches!(error, GetError::Task(TaskError::GroupGone { .. })), "{error:?}");
        let late = Resident::options().in_group(&there).try_remote();
        assert!(matches!(late, Err(SpawnError::GroupGone { .. })), "{late:?}");
        assert!(actor.place().await.is_err());
        there.remove().await.unwrap();
        assert!(!there.wait(LIMIT).await);
    })
    .await;
    until("its bundles are given back", || {
        (free_cpus(&nodes) + free_cpus(std::slice::from_ref(&user)) - 4.0).abs() < 1e-9
    })
    .await;
    nodes.push(user);
    stop(&nodes).await;
}
