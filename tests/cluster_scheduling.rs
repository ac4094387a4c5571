//! Where things run when there are several nodes: by load, by resources, by wish.
#![allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test may fail by a panic"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use mobula::prelude::*;
use mobula::{NodeBuilder, NodeId, Placement, TaskError};
use tokio::sync::Semaphore;

#[path = "fixture/nodes.rs"]
mod fixture;
#[path = "fixture/until.rs"]
mod until;

use fixture::{LIMIT, stop};
use until::until;

/// No resources but CPUs.
const NONE: &[(&str, f64)] = &[];

fn builder((cpus, resources): (f64, &[(&str, f64)])) -> NodeBuilder {
    let builder = Node::builder().num_cpus(cpus);
    resources.iter().fold(builder, |builder, (name, amount)| builder.resource(*name, *amount))
}

async fn nodes(plans: &[(f64, &[(&str, f64)])]) -> Vec<Node> {
    fixture::nodes(plans.len(), |number| builder(plans[number])).await
}

fn free(node: &Node, resource: &str) -> f64 {
    let resources = node.resources();
    resources.iter().find(|one| one.resource == resource).unwrap().free.as_f64()
}

fn name(node: &Node) -> String {
    node.id().unwrap().to_string()
}

fn here() -> String {
    name(&Node::current().unwrap())
}

const fn on(node: NodeId) -> Placement {
    Placement::OnNode { node, or_elsewhere: false }
}

const fn rather(node: NodeId) -> Placement {
    Placement::OnNode { node, or_elsewhere: true }
}

/// Opened by the tests, each its own.
static GATES: [Semaphore; 6] = [const { Semaphore::const_new(0) }; 6];
/// How many have come to each gate.
static CAME: [AtomicUsize; 6] = [const { AtomicUsize::new(0) }; 6];

#[mobula::task]
fn whereabouts() -> String {
    here()
}

#[mobula::task]
fn block(size: usize) -> Vec<u8> {
    vec![7; size]
}

#[mobula::task]
async fn block_behind(gate: usize, size: usize) -> Vec<u8> {
    CAME[gate].fetch_add(1, Ordering::SeqCst);
    GATES[gate].acquire().await.unwrap().forget();
    vec![7; size]
}

/// Submits a task with what another node keeps.
#[mobula::task]
async fn weigh_theirs(one: ObjectRef<Vec<u8>>) -> (String, usize) {
    (*weigh::remote(&one, Vec::new()).get().await.unwrap()).clone()
}

/// Where it ran, and what it was given.
#[mobula::task]
fn weigh(one: Vec<u8>, other: Vec<u8>) -> (String, usize) {
    (here(), one.len() + other.len())
}

#[mobula::task]
async fn hold(gate: usize) -> String {
    CAME[gate].fetch_add(1, Ordering::SeqCst);
    GATES[gate].acquire().await.unwrap().forget();
    here()
}

#[mobula::task]
async fn nested(node: NodeId) -> (String, String) {
    let child = whereabouts::options().on(on(node)).remote();
    (here(), (*child.get().await.unwrap()).clone())
}

struct Resident {
    keeps: Option<ObjectRef<Vec<u8>>>,
}

#[mobula::actor]
impl Resident {
    pub fn new() -> Self {
        Self { keeps: None }
    }

    pub fn place(&self) -> String {
        here()
    }

    pub async fn weigh_theirs(&self, one: ObjectRef<Vec<u8>>) -> (String, usize) {
        (*weigh::remote(&one, Vec::new()).get().await.unwrap()).clone()
    }

    pub async fn make(&mut self, count: usize) -> ObjectRef<Vec<u8>> {
        let object = mobula::put(vec![7; count]).await.unwrap();
        self.keeps = Some(object.clone());
        object
    }
}

async fn places_of(actors: &[ActorRef<Resident>]) -> BTreeMap<String, usize> {
    let mut places = BTreeMap::new();
    for actor in actors {
        *places.entry(actor.place().await.unwrap()).or_default() += 1;
    }
    places
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a25_thirty_actors_over_three_equal_nodes_give_each_at_least_five() {
    let nodes = nodes(&[(2.0, NONE); 3]).await;
    nodes[0]
        .enter(async {
            for placement in [Placement::LeastLoaded, Placement::Spread] {
                let actors: Vec<_> =
                    (0..30).map(|_| Resident::options().on(placement.clone()).remote()).collect();
                let places = places_of(&actors).await;
                assert_eq!(places.len(), 3, "{places:?}");
                assert!(places.values().all(|count| *count >= 5), "{placement:?}: {places:?}");
            }
        })
        .await;
    stop(&nodes).await;
}

/// Halves of CPUs in use, and the most there ever were.
struct Gauge {
    now: AtomicI64,
    most: AtomicI64,
}

static GAUGES: [Gauge; 3] =
    [const { Gauge { now: AtomicI64::new(0), most: AtomicI64::new(0) } }; 3];

#[mobula::task]
async fn measured(halves: i64, names: Vec<String>) {
    let here = here();
    let gauge = &GAUGES[names.iter().position(|name| *name == here).unwrap()];
    let now = gauge.now.fetch_add(halves, Ordering::SeqCst) + halves;
    gauge.most.fetch_max(now, Ordering::SeqCst);
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    gauge.now.fetch_sub(halves, Ordering::SeqCst);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r1_what_runs_on_a_node_never_exceeds_it_whoever_sent_it() {
    let nodes = nodes(&[(2.0, &[]), (1.0, &[]), (1.5, &[])]).await;
    let names: Vec<String> = nodes.iter().map(name).collect();
    let submissions = nodes.iter().map(|node| {
        let names = names.clone();
        node.enter(async move {
            let mut results = Vec::new();
            for number in 0..60 {
                let halves = if number % 3 == 0 { 2 } else { 1 };
                let cpus = if halves == 2 { 1.0 } else { 0.5 };
                let options = measured::options().num_cpus(cpus);
                let options = if number % 2 == 0 { options.on(Placement::Spread) } else { options };
                results.push(options.remote(halves, names.clone()));
            }
            for result in results {
                result.get().await.unwrap();
            }
        })
    });
    futures_util::future::join_all(submissions).await;
    for (gauge, halves) in GAUGES.iter().zip([4, 2, 3]) {
        let most = gauge.most.load(Ordering::SeqCst);
        assert!((1..=halves).contains(&most), "{most} halves of {halves}");
        assert_eq!(gauge.now.load(Ordering::SeqCst), 0);
    }
    for node in &nodes {
        until("everything is given back", || {
            node.resources().iter().all(|one| one.free == one.total)
        })
        .await;
    }
    stop(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r2_custom_resources_steer_and_what_no_node_has_waits_for_one_that_does() {
    let mut nodes = nodes(&[(2.0, &[]), (2.0, &[("gpu", 1.0)])]).await;
    let first = nodes[0].clone();
    let addresses = first.addresses();
    let (later, gpu_node, first_name) = first
        .enter(async {
            let on_gpu: Vec<_> =
                (0..8).map(|_| whereabouts::options().resource("gpu", 1.0).remote()).collect();
            let waits = whereabouts::options().resource("tpu", 1.0).remote();
            let grows = whereabouts::options().resource("licence", 2.0).remote();
            for result in on_gpu {
                assert_eq!(*result.get().await.unwrap(), name(&nodes[1]));
            }
            let (ready, _) = mobula::wait(vec![waits.clone(), grows.clone()])
                .timeout(Duration::ZERO)
                .await
                .unwrap();
            assert!(ready.is_empty(), "nobody has a tpu");
            nodes[1].add_resource("licence", 2.0).unwrap();
            assert_eq!(*grows.get().await.unwrap(), name(&nodes[1]));
            (waits, name(&nodes[1]), name(&nodes[0]))
        })
        .await;
    let third = fixture::node(builder((1.0, &[("tpu", 1.0)])), &addresses).await;
    let place = tokio::time::timeout(LIMIT, later.get()).await.unwrap().unwrap();
    assert_eq!(*place, name(&third));
    assert!(*place != gpu_node && *place != first_name);
    nodes.push(third);
    stop(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r2_an_actor_goes_where_there_is_what_it_is_to_hold_and_holds_it_there() {
    let nodes = nodes(&[(2.0, &[]), (2.0, &[("gpu", 1.0)])]).await;
    let first = nodes[0].clone();
    first
        .enter(async {
            let wants = || Resident::options().resource("gpu", 1.0);
            let (one, two) = (wants().remote(), wants().on(Placement::LeastLoaded).remote());
            assert_eq!(one.place().await.unwrap(), name(&nodes[1]));
            assert_eq!(free(&nodes[1], "gpu"), 0.0);
            let place = two.place().remote();
            let (ready, _) =
                mobula::wait(vec![place.clone()]).timeout(Duration::ZERO).await.unwrap();
            assert!(ready.is_empty(), "there is one device");
            one.kill().await.unwrap();
            assert_eq!(*place.get().await.unwrap(), name(&nodes[1]));
            two.kill().await.unwrap();
        })
        .await;
    until("the device is given back", || free(&nodes[1], "gpu") > 0.5).await;
    stop(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r3_nodes_without_cpus_run_what_asks_for_none_and_get_no_default_actors() {
    let mut nodes = nodes(&[(0.0, &[]), (0.0, &[])]).await;
    let first = nodes[0].clone();
    let waits = first
        .enter(async {
            let there = nodes[1].id().unwrap();
            let free_of_charge = whereabouts::options().num_cpus(0.0).on(on(there)).remote();
            assert_eq!(*free_of_charge.get().await.unwrap(), name(&nodes[1]));
            let homeless = Resident::options().on(Placement::LeastLoaded).remote();
            let error = homeless.place().await.unwrap_err().to_string();
            assert!(error.contains("cpu"), "{error}");
            let named = Resident::options().on(on(there)).remote();
            assert_eq!(named.place().await.unwrap(), name(&nodes[1]));
            whereabouts::remote()
        })
        .await;
    nodes.push(fixture::node(builder((1.0, &[])), &first.addresses()).await);
    let place = tokio::time::timeout(LIMIT, waits.get()).await.unwrap().unwrap();
    assert_eq!(*place, name(&nodes[2]), "the only one with a CPU");
    first.wait_for_nodes(3, LIMIT).await.unwrap();
    first
        .enter(async {
            let housed = Resident::options().on(Placement::LeastLoaded).remote();
            assert_eq!(housed.place().await.unwrap(), name(&nodes[2]));
        })
        .await;
    stop(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r4_a_task_that_waits_on_another_node_lends_its_cpu_there_and_keeps_the_rest() {
    let nodes = nodes(&[(1.0, &[]), (1.0, &[("licence", 1.0)])]).await;
    let there = nodes[1].id().unwrap();
    nodes[0]
        .enter(async {
            let parents: Vec<_> = (0..4)
                .map(|_| nested::options().resource("licence", 1.0).on(on(there)).remote(there))
                .collect();
            for parent in parents {
                let (own, child) = &*parent.get().await.unwrap();
                assert_eq!((own, child), (&name(&nodes[1]), &name(&nodes[1])));
            }
        })
        .await;
    for resource in ["cpu", "licence"] {
        until("all of it is free again", || (free(&nodes[1], resource) - 1.0).abs() < 1e-9).await;
    }
    stop(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r7_affinity_that_cannot_be_met_fails_if_hard_and_falls_back_if_soft() {
    let nodes = nodes(&[(1.0, &[("disk", 1.0)]), (1.0, &[])]).await;
    let (there, nowhere) = (nodes[1].id().unwrap(), NodeId(17));
    nodes[0]
        .enter(async {
            for options in [
                whereabouts::options().on(on(nowhere)),
                whereabouts::options().resource("disk", 1.0).on(on(there)),
            ] {
                let error = options.remote().get().await.unwrap_err();
                let infeasible = matches!(error, GetError::Task(TaskError::Infeasible { .. }));
                assert!(infeasible, "{error:?}");
            }
            let anywhere = whereabouts::options().on(rather(nowhere)).remote();
            anywhere.get().await.unwrap();
            let able = whereabouts::options().resource("disk", 1.0).on(rather(there)).remote();
            assert_eq!(*able.get().await.unwrap(), name(&nodes[0]));
            let wished = whereabouts::options().on(rather(there)).remote();
            assert_eq!(*wished.get().await.unwrap(), name(&nodes[1]));
        })
        .await;
    stop(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_runs_where_its_largest_arguments_are_if_they_are_worth_the_way() {
    const MIB: usize = 1 << 20;
    // Room enough that what was just placed is not in the way.
    let nodes = nodes(&[(8.0, NONE); 3]).await;
    nodes[0]
        .enter(async {
            let made = |index: usize, size| {
                block::options().on(on(nodes[index].id().unwrap())).remote(size)
            };
            // Its place is known when it has been made.
            let (large, larger, small) = (made(1, 2 * MIB), made(2, 4 * MIB), made(1, MIB / 2));
            let own = made(0, 3 * MIB);
            for (one, other, home, bytes) in [
                (&large, &larger, 2, 6 * MIB),
                (&large, &small, 1, 2 * MIB + MIB / 2),
                // 2 MiB there and 3 MiB here.
                (&large, &own, 0, 5 * MIB),
            ] {
                let ran = weigh::remote(one, other).get().await.unwrap();
                assert_eq!(*ran, (name(&nodes[home]), bytes));
            }
            // Too little to be worth the way; fresh, since the last one has come here.
            let little = made(2, MIB / 2);
            let ran = weigh::remote(&little, &own).get().await.unwrap();
            assert_eq!(*ran, (name(&nodes[0]), 3 * MIB + MIB / 2));
        })
        .await;
    stop(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_is_drawn_to_large_arguments_that_another_node_keeps() {
    const MIB: usize = 1 << 20;
    let nodes = nodes(&[(8.0, NONE); 3]).await;
    let (second, third) = (nodes[1].id().unwrap(), nodes[2].id().unwrap());
    let is_here = |node: &Node, object: &ObjectRef<Vec<u8>>| {
        node.store().whereabouts(object.id()).is_some_and(|place| place.is_here)
    };
    nodes[0]
        .enter(async {
            let made = |size| block::options().on(on(second)).remote(size);
            let borrower = Resident::options().on(on(third)).remote();
            // By an actor that was given a reference, by a task that was, and before there is a value.
            let (large, larger) = (made(2 * MIB), made(4 * MIB));
            let weighed = borrower.weigh_theirs(large.clone()).await.unwrap();
            assert_eq!(weighed, (name(&nodes[1]), 2 * MIB));
            let weighed = weigh_theirs::options().on(on(third)).remote(&larger);
            assert_eq!(*weighed.get().await.unwrap(), (name(&nodes[1]), 4 * MIB));
            let pending = block_behind::options().on(on(second)).remote(5, 3 * MIB);
            let weighed = borrower.weigh_theirs(pending.clone()).remote();
            until("it is being made", || CAME[5].load(Ordering::SeqCst) == 1).await;
            GATES[5].add_permits(1);
            assert_eq!(*weighed.get().await.unwrap(), (name(&nodes[1]), 3 * MIB));
            for object in [&large, &larger, &pending] {
                assert!(is_here(&nodes[1], object));
                assert!(!is_here(&nodes[0], object) && !is_here(&nodes[2], object));
            }
            // What is asked for again is known.
            let weighed = borrower.weigh_theirs(large.clone()).await.unwrap();
            assert_eq!(weighed, (name(&nodes[1]), 2 * MIB));
            // Too little to be worth the way.
            let little = made(MIB / 2);
            let weighed = borrower.weigh_theirs(little.clone()).await.unwrap();
            assert_eq!(weighed, (name(&nodes[2]), MIB / 2));
        })
        .await;
    stop(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r8_spread_takes_turns_default_stays_until_it_is_full_and_near_follows_the_bytes() {
    let nodes = nodes(&[(2.0, NONE); 3]).await;
    nodes[0]
        .enter(async {
            // Where the bytes are, before anything else fills a node.
            let keeper = Resident::options().on(on(nodes[2].id().unwrap())).remote();
            let object = keeper.make(3_000_000).await.unwrap();
            let near = Placement::Near(Arc::new(object.clone()));
            let beside = whereabouts::options().on(near).remote();
            assert_eq!(*beside.get().await.unwrap(), name(&nodes[2]));
            let mut places = Vec::new();
            for _ in 0..6 {
                let one = whereabouts::options().on(Placement::Spread).remote();
                places.push((*one.get().await.unwrap()).clone());
            }
            assert!(places.windows(2).all(|two| two[0] != two[1]), "{places:?}");
            assert_eq!(places.iter().collect::<BTreeSet<_>>().len(), 3, "{places:?}");
            for _ in 0..6 {
                assert_eq!(*whereabouts::remote().get().await.unwrap(), name(&nodes[0]));
            }
            // Beyond what this node has, the others are used.
            let held: Vec<_> = (0..6).map(|_| hold::remote(0)).collect();
            // CPUs may be reserved for a task that is still on its way: they must all have come.
            until("all six run", || CAME[0].load(Ordering::SeqCst) == 6).await;
            GATES[0].add_permits(6);
            let mut counts = BTreeMap::<String, usize>::new();
            for one in held {
                *counts.entry((*one.get().await.unwrap()).clone()).or_default() += 1;
            }
            assert!(counts.len() == 3 && counts.values().all(|count| *count == 2), "{counts:?}");
        })
        .await;
    stop(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_here_goes_to_a_node_that_becomes_idle() {
    let nodes = nodes(&[(1.0, &[]), (1.0, &[])]).await;
    let there = nodes[1].id().unwrap();
    nodes[0]
        .enter(async {
            let (busy_here, busy_there) = (
                hold::options().on(on(nodes[0].id().unwrap())).remote(1),
                hold::options().on(on(there)).remote(2),
            );
            until("both are busy", || nodes.iter().all(|node| free(node, "cpu") == 0.0)).await;
            let waiting: Vec<_> = (0..20).map(|_| whereabouts::remote()).collect();
            GATES[2].add_permits(1);
            assert_eq!(*busy_there.get().await.unwrap(), name(&nodes[1]));
            for one in waiting {
                let place = tokio::time::timeout(LIMIT, one.get()).await.unwrap().unwrap();
                assert_eq!(*place, name(&nodes[1]), "this node is busy all the while");
            }
            GATES[1].add_permits(1);
            busy_here.get().await.unwrap();
        })
        .await;
    stop(&nodes).await;
}

/// The busy node is not looking for room: it does so for tasks without a wish, and these would rather stay. So what moves was
/// taken by the idle one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_becomes_idle_takes_what_waits_elsewhere_and_leaves_the_last() {
    const COUNT: usize = 20;
    let nodes = nodes(&[(1.0, &[]), (1.0, &[])]).await;
    let (here, there) = (nodes[0].id().unwrap(), nodes[1].id().unwrap());
    nodes[0]
        .enter(async {
            let busy_here = hold::options().on(on(here)).remote(3);
            let busy_there = hold::options().on(on(there)).remote(4);
            until("both are busy", || nodes.iter().all(|node| free(node, "cpu") == 0.0)).await;
            let waiting: Vec<_> =
                (0..COUNT).map(|_| whereabouts::options().on(rather(here)).remote()).collect();
            GATES[4].add_permits(1);
            assert_eq!(*busy_there.get().await.unwrap(), name(&nodes[1]));
            // The older half stays each time, so the first is left at last.
            let taken = mobula::wait(waiting.clone()).num_returns(COUNT - 1).timeout(LIMIT);
            let (taken, left) = taken.await.unwrap();
            assert_eq!((taken.len(), left.len()), (COUNT - 1, 1), "nobody took them");
            assert_eq!(left[0], waiting[0]);
            for one in taken {
                assert_eq!(*one.get().await.unwrap(), name(&nodes[1]));
            }
            GATES[3].add_permits(1);
            busy_here.get().await.unwrap();
            assert_eq!(*left[0].get().await.unwrap(), name(&nodes[0]));
        })
        .await;
    stop(&nodes).await;
}
