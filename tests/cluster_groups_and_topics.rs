//! Process groups, routers, names and topics: on one node, and over several that meet on loopback.
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

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mobula::prelude::*;
use mobula::{
    Group, GroupError, Home, LookupError, NodeBuilder, NodeId, Placement, RouteError, Routing,
    Topic, TopicError,
};

#[path = "fixture/nodes.rs"]
mod fixture;

use fixture::{LIMIT, stop};

fn of_one_cpu() -> NodeBuilder {
    Node::builder().num_cpus(1.0)
}

async fn alone() -> Node {
    of_one_cpu().start().await.unwrap()
}

async fn nodes(count: usize) -> Vec<Node> {
    fixture::nodes(count, |_| of_one_cpu()).await
}

async fn soon<F: IntoFuture>(future: F) -> F::Output {
    tokio::time::timeout(LIMIT, future.into_future()).await.expect("it never happened")
}

const fn on(node: NodeId) -> Placement {
    Placement::OnNode { node, or_elsewhere: false }
}

#[derive(Message, Serialize, Deserialize)]
#[message(reply = String)]
struct Where;

#[derive(Message, Serialize, Deserialize)]
struct Count;

pub struct Worker {
    counted: u64,
}

#[mobula::actor]
impl Worker {
    pub fn new() -> Self {
        Self { counted: 0 }
    }
    pub fn counted(&mut self) -> u64 {
        self.counted
    }
    pub async fn busy(&mut self, until: ObjectRef<u64>) -> u64 {
        *until.get().await.unwrap()
    }
}

#[mobula::handler]
impl Handler<Where> for Worker {
    async fn handle(&mut self, _: Where, ctx: &mut Context<Self>) -> String {
        let node = Node::current().and_then(|node| node.id());
        format!("{:?} {}", node, ctx.id())
    }
}

#[mobula::handler]
impl Handler<Count> for Worker {
    async fn handle(&mut self, _: Count, _: &mut Context<Self>) {
        self.counted += 1;
    }
}

pub struct Other;

#[mobula::actor]
impl Other {
    pub fn new() -> Self {
        Self
    }
    pub fn nothing(&mut self) {}
}

/// The group as each node sees it.
fn groups(nodes: &[Node], name: &str) -> Vec<Group<Worker>> {
    nodes.iter().map(|node| node.enter_sync(|| mobula::group(name))).collect()
}

/// One worker on each node, in the group, and known to all.
async fn staffed(nodes: &[Node], name: &str) -> (Vec<ActorRef<Worker>>, Vec<Group<Worker>>) {
    let mut workers = Vec::new();
    for node in nodes {
        let worker = node.enter_sync(Worker::remote);
        let joined = node.enter(async { mobula::group(name).join(&worker).await });
        assert_eq!(joined.await, Ok(true));
        workers.push(worker);
    }
    let groups = groups(nodes, name);
    for group in &groups {
        soon(group.wait_until(|members| members.len() == nodes.len())).await;
    }
    (workers, groups)
}

#[tokio::test]
async fn a_node_alone_has_groups_whose_members_leave_or_end() {
    let node = alone().await;
    node.enter(async {
        let group = mobula::group::<Worker>("workers");
        assert!(group.is_empty() && group.members().is_empty());
        let (one, other) = (Worker::remote(), Worker::remote());
        assert_eq!(group.join(&one).await, Ok(true));
        assert_eq!(group.join(&one).await, Ok(false), "once is enough");
        assert_eq!(group.join(&other).await, Ok(true));
        assert_eq!(group.members(), [one.clone(), other.clone()]);
        // Groups of another name or another type are other groups.
        assert!(mobula::group::<Worker>("others").is_empty());
        assert!(mobula::group::<Other>("workers").is_empty());

        assert_eq!(group.leave(&one).await, Ok(true));
        assert_eq!(group.leave(&one).await, Ok(false));
        assert_eq!(group.members(), std::slice::from_ref(&other));
        other.kill().await.unwrap();
        soon(group.wait_until(<[Home]>::is_empty)).await;
        assert_eq!(group.join(&other).await, Err(GroupError::ActorGone));
    })
    .await;
    node.shutdown().await;
}

#[tokio::test]
async fn a_membership_keeps_no_actor_alive() {
    let node = alone().await;
    node.enter(async {
        let group = mobula::group::<Worker>("workers");
        let worker = Worker::remote();
        group.join(&worker).await.unwrap();
        drop(worker);
        soon(group.wait_until(<[Home]>::is_empty)).await;
    })
    .await;
    node.shutdown().await;
}

#[tokio::test]
async fn groups_have_limits_that_say_what_they_are() {
    let node = alone().await;
    node.enter(async {
        let worker = Worker::remote();
        for name in ["", "  ", &"x".repeat(129)] {
            let error = mobula::group(name).join(&worker).await.unwrap_err();
            assert!(matches!(error, GroupError::Name { max_bytes: 128, .. }), "{error}");
        }
        for number in 0..16_384 {
            mobula::group(&number.to_string()).join(&worker).await.unwrap();
        }
        let error = mobula::group("one more").join(&worker).await.unwrap_err();
        assert_eq!(error, GroupError::TooMany { max: 16_384 });
        mobula::group("7").leave(&worker).await.unwrap();
        mobula::group("one more").join(&worker).await.unwrap();
    })
    .await;
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_are_known_on_all_nodes_and_the_dead_are_not() {
    let nodes = nodes(3).await;
    let (workers, groups) = staffed(&nodes, "workers").await;
    let same: BTreeSet<Vec<Home>> = groups.iter().map(|group| group.homes().to_vec()).collect();
    assert_eq!(same.len(), 1, "all see the same members, in the same order");
    // Each member answers, from each node.
    for (node, group) in nodes.iter().zip(&groups) {
        node.enter(async {
            let mut places = BTreeSet::new();
            for member in group.members() {
                places.insert(soon(member.ask(Where)).await.unwrap());
            }
            assert_eq!(places.len(), 3);
        })
        .await;
    }
    // One ends, one leaves, and everybody hears of it.
    nodes[2].enter(workers[2].kill().into_future()).await.unwrap();
    let left = nodes[1].enter(async { groups[1].leave(&workers[1]).await });
    assert_eq!(left.await, Ok(true));
    for group in &groups {
        soon(group.wait_until(|members| members.len() == 1)).await;
    }
    stop(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_comes_late_learns_of_all_members_and_a_lost_one_takes_its_own_along() {
    let mut nodes = nodes(2).await;
    let (mut workers, _) = staffed(&nodes, "workers").await;
    let late = fixture::node(of_one_cpu(), &nodes[0].addresses()).await;
    late.wait_for_nodes(3, LIMIT).await.unwrap();
    let group = late.enter_sync(|| mobula::group::<Worker>("workers"));
    soon(group.wait_until(|members| members.len() == 2)).await;
    // The first node goes, and its member with it.
    let first = nodes.remove(0);
    let gone = first.id().unwrap();
    drop(workers.remove(0));
    first.shutdown().await;
    let left = soon(group.wait_until(|members| members.len() == 1)).await;
    assert!(left.iter().all(|home| home.node != gone));
    nodes.push(late);
    stop(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_actor_of_another_node_joins_and_leaves_where_it_lives() {
    let nodes = nodes(2).await;
    let there = nodes[1].id().unwrap();
    nodes[0]
        .enter(async {
            let group = mobula::group::<Worker>("workers");
            // Asked before it has even started.
            let worker = Worker::options().on(on(there)).remote();
            assert_eq!(soon(group.join(&worker)).await, Ok(true));
            assert_eq!(soon(group.join(&worker)).await, Ok(false));
            let homes = soon(group.wait_until(|members| members.len() == 1)).await;
            assert_eq!(homes[0].node, there);
            assert_eq!(group.members(), std::slice::from_ref(&worker), "the same reference");
            let error = soon(mobula::group("").join(&worker)).await.unwrap_err();
            assert!(matches!(error, GroupError::Name { .. }), "a limit there is told here");
            assert_eq!(soon(group.leave(&worker)).await, Ok(true));
            soon(group.wait_until(<[Home]>::is_empty)).await;
        })
        .await;
    stop(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_router_takes_turns_over_nodes_and_skips_the_dead() {
    let nodes = nodes(3).await;
    let (workers, groups) = staffed(&nodes, "workers").await;
    nodes[0]
        .enter(async {
            let router = groups[0].router(Routing::RoundRobin);
            let mut turns = BTreeMap::<String, u32>::new();
            for _ in 0..30 {
                *turns.entry(soon(router.ask(Where)).await.unwrap()).or_default() += 1;
            }
            assert_eq!(turns.into_values().collect::<Vec<_>>(), [10, 10, 10]);
            for _ in 0..30 {
                soon(router.tell(Count)).await.unwrap();
            }
            for member in groups[0].members() {
                assert_eq!(soon(member.counted()).await.unwrap(), 10);
            }
            // It may be in the roll for a moment: no message is lost for that.
            workers[1].kill().await.unwrap();
            for _ in 0..30 {
                soon(router.ask(Where)).await.unwrap();
            }
            for worker in &workers {
                let _ = worker.kill().await;
            }
            soon(groups[0].wait_until(<[Home]>::is_empty)).await;
            let error = soon(router.ask(Where)).await.unwrap_err();
            assert!(error.to_string().contains("group `workers` has no living member"));
            assert!(matches!(error, RouteError::NoMember { .. }));
        })
        .await;
    stop(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_goes_to_one_member_from_every_node() {
    let nodes = nodes(3).await;
    let (workers, groups) = staffed(&nodes, "workers").await;
    let mut choices = Vec::new();
    for (node, group) in nodes.iter().zip(&groups) {
        let chosen = node.enter(async {
            let router = group.router(Routing::ConsistentHash);
            let mut chosen = Vec::new();
            for key in 0..40_u32 {
                chosen.push(soon(router.ask_for(&key, Where)).await.unwrap());
            }
            let own = soon(router.ask(Where)).await.unwrap();
            assert_eq!(own, soon(router.ask(Where)).await.unwrap(), "a sender is a key, too");
            chosen
        });
        choices.push(chosen.await);
    }
    assert!(choices.iter().all(|chosen| *chosen == choices[0]), "all nodes choose alike");
    assert_eq!(choices[0].iter().collect::<BTreeSet<_>>().len(), 3, "and all members are chosen");
    // Keys of those that stay do not move.
    nodes[0]
        .enter(async {
            let gone = soon(workers[0].ask(Where)).await.unwrap();
            workers[0].kill().await.unwrap();
            soon(groups[0].wait_until(|members| members.len() == 2)).await;
            let router = groups[0].router(Routing::ConsistentHash);
            for (key, before) in choices[0].iter().enumerate() {
                let key = u32::try_from(key).unwrap();
                let now = soon(router.ask_for(&key, Where)).await.unwrap();
                assert!(now == *before || *before == gone);
            }
        })
        .await;
    stop(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shortest_mailbox_is_found_here_and_elsewhere() {
    let nodes = nodes(2).await;
    let (workers, groups) = staffed(&nodes, "workers").await;
    nodes[0]
        .enter(async {
            let router = groups[0].router(Routing::LeastMailbox);
            let own = soon(workers[0].ask(Where)).await.unwrap();
            // With nothing to do here there is nothing to ask.
            assert_eq!(soon(router.ask(Where)).await.unwrap(), own);
            // The worker here waits for an object that is not there yet, and others wait for it.
            let (ready, when) = tokio::sync::oneshot::channel();
            let made = late::remote(Gate::keep(when));
            let first = workers[0].busy(&made).remote();
            let rest: Vec<_> = (0..5).map(|_| workers[0].busy(&made).remote()).collect();
            // The one elsewhere is idle, so that it is chosen.
            for _ in 0..5 {
                assert_ne!(soon(router.ask(Where)).await.unwrap(), own);
            }
            ready.send(()).unwrap();
            assert_eq!(*soon(first.get()).await.unwrap(), 7);
            drop(rest);
        })
        .await;
    stop(&nodes).await;
}

/// What a task of this process waits for.
type Gate = Arc<std::sync::Mutex<Option<tokio::sync::oneshot::Receiver<()>>>>;

trait Keep {
    fn keep(when: tokio::sync::oneshot::Receiver<()>) -> Self;
}

impl Keep for Gate {
    fn keep(when: tokio::sync::oneshot::Receiver<()>) -> Self {
        Self::new(std::sync::Mutex::new(Some(when)))
    }
}

#[mobula::task]
async fn late(gate: Gate) -> u64 {
    let when = gate.lock().unwrap().take();
    when.unwrap().await.unwrap();
    7
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_actor_is_found_by_its_name_from_any_node() {
    let nodes = nodes(3).await;
    let there = nodes[2].id().unwrap();
    let named = nodes[2].enter_sync(|| Worker::options().name("clerk").remote());
    nodes[2].enter(named.ready()).await.unwrap();
    // At once, whether the others have heard of it or not.
    nodes[0]
        .enter(async {
            let clerk = soon(mobula::actor::<Worker>("clerk")).await.unwrap();
            assert!(soon(clerk.ask(Where)).await.unwrap().contains(&there.to_string()));
            let error = soon(mobula::actor::<Other>("clerk")).await.unwrap_err();
            assert!(matches!(error, LookupError::WrongType { .. }), "{error}");
            let error = soon(mobula::actor::<Worker>("nobody")).await.unwrap_err();
            assert!(matches!(error, LookupError::NoSuchName(_)), "{error}");
        })
        .await;
    // This node's own comes first.
    let own = nodes[1].enter_sync(|| Worker::options().name("clerk").remote());
    let found = nodes[1].enter(async { mobula::actor::<Worker>("clerk").await.unwrap() });
    assert_eq!(found.await, own);
    // Whoever has ended is not found, even where others have not heard of it.
    nodes[1].enter(own.kill().into_future()).await.unwrap();
    nodes[2].enter(named.kill().into_future()).await.unwrap();
    for node in &nodes {
        let found = node.enter(soon(async { mobula::actor::<Worker>("clerk").await }));
        assert!(matches!(found.await, Err(LookupError::NoSuchName(_))));
    }
    stop(&nodes).await;
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Message)]
struct Price {
    of: String,
    cents: u64,
}

/// As a later build knows it.
#[derive(Serialize, Deserialize)]
struct NewerPrice {
    of: String,
    cents: u64,
    #[serde(default)]
    currency: Option<String>,
}

fn price(cents: u64) -> Price {
    Price { of: "tea".to_owned(), cents }
}

/// Publishes until everybody has heard; who listens to what is gossip, so that the first ones may come too early.
async fn publish_until<T>(topic: &Topic<Price>, value: Price, heard: impl Future<Output = T>) -> T {
    let publishing = async {
        let mut pause = tokio::time::interval(Duration::from_millis(50));
        loop {
            pause.tick().await;
            topic.publish(&value).unwrap();
        }
    };
    soon(async {
        tokio::select! { heard = heard => heard, () = publishing => unreachable!() }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_reaches_its_subscribers_on_all_nodes() {
    let nodes = nodes(3).await;
    let topic = |node: &Node| node.enter_sync(|| mobula::topic::<Price>("prices"));
    let mut feeds: Vec<_> = nodes.iter().map(|node| topic(node).subscribe().unwrap()).collect();
    let mut other = nodes[1].enter_sync(|| mobula::topic::<Price>("other").subscribe().unwrap());
    let heard = async {
        for feed in &mut feeds {
            assert_eq!(feed.recv().await, Some(price(250)));
        }
    };
    publish_until(&topic(&nodes[0]), price(250), heard).await;
    // From another node, and to another topic nothing.
    let heard = async { while feeds[0].recv().await != Some(price(99)) {} };
    publish_until(&topic(&nodes[2]), price(99), heard).await;
    let heard = async { other.recv().await };
    let own = nodes[1].enter_sync(|| mobula::topic::<Price>("other"));
    assert_eq!(publish_until(&own, price(1), heard).await, Some(price(1)));
    stop(&nodes).await;
}

pub struct Watcher {
    seen: Vec<u64>,
}

#[mobula::actor]
impl Watcher {
    pub fn new() -> Self {
        Self { seen: Vec::new() }
    }
    pub async fn started(&mut self, ctx: &mut Context<Self>) -> Result<(), TopicError> {
        ctx.attach(mobula::topic::<Price>("prices").subscribe()?);
        Ok(())
    }
    pub fn seen(&mut self) -> Vec<u64> {
        self.seen.clone()
    }
}

impl Handler<Price> for Watcher {
    async fn handle(&mut self, price: Price, _: &mut Context<Self>) {
        self.seen.push(price.cents);
    }
}

#[tokio::test]
async fn an_actor_hears_a_topic_as_messages_on_a_node_alone() {
    let node = alone().await;
    node.enter(async {
        let prices = mobula::topic::<Price>("prices");
        prices.publish(&price(1)).unwrap();
        let watcher = Watcher::remote();
        watcher.ready().await.unwrap();
        for cents in 2..5 {
            prices.publish(&price(cents)).unwrap();
        }
        let seen = async {
            loop {
                let seen = watcher.seen().await.unwrap();
                if seen.len() == 3 {
                    return seen;
                }
            }
        };
        assert_eq!(soon(seen).await, [2, 3, 4], "from its start on, in order");
    })
    .await;
    node.shutdown().await;
}

#[tokio::test]
async fn a_slow_subscriber_counts_what_it_missed_and_an_unreadable_value_is_left_out() {
    for node in [alone().await, fixture::node(of_one_cpu(), &[]).await] {
        node.enter(async {
            let prices = mobula::topic::<Price>("prices");
            let mut feed = prices.subscribe().unwrap();
            for cents in 0..300 {
                prices.publish(&price(cents)).unwrap();
            }
            assert_eq!(soon(feed.recv()).await, Some(price(44)));
            assert_eq!(feed.missed(), 44);
            while soon(feed.recv()).await != Some(price(299)) {}

            mobula::topic::<u64>("prices").publish(&7).unwrap();
            let currency = Some("EUR".to_owned());
            let newer = NewerPrice { of: "tea".to_owned(), cents: 1, currency };
            mobula::topic("prices").publish(&newer).unwrap();
            assert_eq!(soon(feed.recv()).await, Some(price(1)), "a field more does not matter");
            assert_eq!(feed.unreadable(), 1);
        })
        .await;
        node.shutdown().await;
    }
}

#[tokio::test]
async fn topics_have_the_same_limits_with_and_without_others() {
    for node in [alone().await, fixture::node(of_one_cpu(), &[]).await] {
        node.enter(async {
            let blobs = mobula::topic::<Vec<u32>>("blobs");
            let error = blobs.publish(&vec![u32::MAX; 20_000]).unwrap_err();
            assert!(matches!(error, TopicError::TooLarge { max_bytes: 64_512, .. }), "{error}");
            let long = "x".repeat(127);
            let error = mobula::topic::<u64>(&long).subscribe().unwrap_err();
            assert_eq!(error, TopicError::Name { length: 127, max_bytes: 126 });
            let feeds: Vec<_> = (0..98)
                .map(|number| mobula::topic::<u64>(&number.to_string()).subscribe().unwrap())
                .collect();
            let error = mobula::topic::<u64>("98").subscribe().unwrap_err();
            assert_eq!(error, TopicError::TooMany { max: 98 });
            drop(feeds);
            mobula::topic::<u64>("98").subscribe().unwrap();
        })
        .await;
        node.shutdown().await;
    }
}
