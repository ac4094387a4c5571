//! Whole nodes: over real sockets on loopback, and over the network in memory under virtual time.
//!
//! The core of the membership has its own simulator; here it meets sockets, tasks and a clock.
//! Nothing waits for a while to pass: each test waits for the event it is about.
//!
//! Invariant: what one node does is seen by all others as the right event.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::Arc;
use std::time::Duration;

use mobula_cluster::admission::certificate::{Authority, Capabilities, Role, UnixTime};
use mobula_cluster::admission::rules::{Presence, Refusal};
use mobula_cluster::admission::{Admission, AdmissionMode, CaMode};
use mobula_cluster::bulk::NoSource;
use mobula_cluster::error::{JoinError, ProbeError, TopicError};
use mobula_cluster::handle::{Cluster, ClusterConfig, Options, Upper};
use mobula_cluster::identity::Identity;
use mobula_cluster::lanes::{Inbound, Origin};
use mobula_cluster::transport::memory::Network;
use mobula_cluster::transport::{Arrival, Transport};
use mobula_proto::association::{Lost, Receipt};
use mobula_proto::id::{Incarnation, NodeId};
use mobula_proto::membership::MembershipEvent;
use tokio::sync::{broadcast, mpsc};

const SECRET: &[u8] = b"sixteen bytes ok";
/// Bounds a failure; nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(60);

struct Ear(mpsc::UnboundedSender<(NodeId, Vec<u8>)>);

impl Inbound for Ear {
    fn message(&self, from: Origin, _: u8, payload: &[u8], receipt: Receipt) -> Option<Receipt> {
        let _ended = self.0.send((from.node, payload.to_vec()));
        Some(receipt)
    }

    fn lost(&self, _: NodeId, _: Lost) {}
}

fn upper() -> (Upper, mpsc::UnboundedReceiver<(NodeId, Vec<u8>)>) {
    let (heard_in, heard) = mpsc::unbounded_channel();
    (Upper { inbound: Arc::new(Ear(heard_in)), source: Arc::new(NoSource) }, heard)
}

async fn start() -> Cluster {
    let listen = "127.0.0.1:0".parse().unwrap();
    let config = ClusterConfig::new("c", AdmissionMode::Secret(SECRET.into()), listen);
    Cluster::start(config, upper().0).await.unwrap()
}

fn in_memory(network: &Network, seed: u8) -> Cluster {
    let identity = Identity::from_seed(&[seed; 32]).unwrap();
    let incarnation = Incarnation::starting_at(u64::from(seed), 0);
    let presence = Presence { incarnation, ..Presence::default() };
    let mode = AdmissionMode::Secret(SECRET.into());
    let admission = Admission::new(identity.public(), "c", mode, presence).unwrap();
    let (endpoint, arrivals) = network.endpoint(&identity, Arc::new(admission));
    let options = Options { seed: Some(seed.into()), ..Options::default() };
    Cluster::over(Arc::new(endpoint), arrivals, options, upper().0).unwrap()
}

async fn until(
    events: &mut broadcast::Receiver<MembershipEvent>,
    what: &str,
    mut wanted: impl FnMut(&MembershipEvent) -> bool,
) {
    let waiting = async {
        loop {
            match events.recv().await {
                Ok(event) if wanted(&event) => return,
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => panic!("ended before: {what}"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// Waits until each of `nodes` sees all of them.
async fn all_see_all(nodes: &[Cluster]) {
    for node in nodes {
        let mut events = node.events();
        while node.view().live_count() < nodes.len() {
            until(&mut events, "a member more", |event| {
                matches!(event, MembershipEvent::Joined(_) | MembershipEvent::JoinCompleted { .. })
            })
            .await;
        }
    }
}

async fn sees_down(events: &mut broadcast::Receiver<MembershipEvent>, gone: NodeId) {
    until(
        events,
        "down",
        |event| matches!(event, MembershipEvent::Down { node, .. } if *node == gone),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_join_and_the_first_one_dropped_is_seen_down() {
    let nodes = [start().await, start().await, start().await];
    for node in &nodes[1..] {
        node.join(&nodes[0].addresses(), PATIENCE).await.unwrap();
    }
    all_see_all(&nodes).await;
    let [first, second, third] = nodes;
    let mut heard = [second.events(), third.events()];
    let gone = first.node();
    drop(first);
    for events in &mut heard {
        sees_down(events, gone).await;
    }
    assert_eq!(second.view().live_count(), 2);
    second.lanes().sender(third.node(), 1).unwrap().send(b"still here").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_leaves_is_seen_leaving_and_never_suspected() {
    let nodes = [start().await, start().await, start().await];
    for node in &nodes[1..] {
        node.join(&nodes[0].addresses(), PATIENCE).await.unwrap();
    }
    all_see_all(&nodes).await;
    let mut heard = [nodes[0].events(), nodes[2].events()];
    let gone = nodes[1].node();
    nodes[1].leave().await;
    for events in &mut heard {
        until(events, "left", |event| match event {
            MembershipEvent::Left(node) => *node == gone,
            MembershipEvent::Suspected(node) | MembershipEvent::Down { node, .. } => {
                assert_ne!(*node, gone, "it said farewell");
                false
            }
            _ => false,
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joining_says_why_it_cannot() {
    let node = start().await;
    let stranger = ClusterConfig::new(
        "c",
        AdmissionMode::Secret(b"another secret!!".to_vec()),
        "127.0.0.1:0".parse().unwrap(),
    );
    let stranger = Cluster::start(stranger, upper().0).await.unwrap();
    let refused = stranger.join(&node.addresses(), PATIENCE).await;
    assert!(matches!(refused, Err(JoinError::NotAdmitted { .. })), "{refused:?}");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nowhere = vec![closed.local_addr().unwrap().to_string()];
    drop(closed);
    let nobody = node.join(&nowhere, Duration::from_millis(200)).await;
    assert!(matches!(nobody, Err(JoinError::NobodyThere { .. })), "{nobody:?}");
    // A seed that is down does not hinder.
    let second = start().await;
    let seeds = [nowhere, node.addresses()].concat();
    second.join(&seeds, PATIENCE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_reach_every_subscriber_and_have_limits() {
    let nodes = [start().await, start().await];
    nodes[1].join(&nodes[0].addresses(), PATIENCE).await.unwrap();
    let mut here = nodes[0].subscribe("prices").unwrap();
    let mut there = nodes[1].subscribe("prices").unwrap();
    let publishing = async {
        let mut pause = tokio::time::interval(Duration::from_millis(50));
        loop {
            // Who subscribes to what is gossip, too: the first ones may come too early.
            pause.tick().await;
            nodes[0].publish("prices", "7".into()).unwrap();
        }
    };
    let hearing = async { tokio::join!(here.recv(), there.recv()) };
    let heard = tokio::time::timeout(PATIENCE, async {
        tokio::select! { heard = hearing => heard, () = publishing => unreachable!() }
    });
    let (own, far) = heard.await.unwrap();
    assert_eq!(own.unwrap().from, nodes[0].node());
    assert_eq!(far.unwrap().payload, "7");
    let large = nodes[0].publish("prices", vec![0; 64 * 1024].into());
    assert!(matches!(large, Err(TopicError::TooLarge { .. })));
    assert!(matches!(nodes[0].subscribe(&"x".repeat(200)), Err(TopicError::Name { .. })));
    let many: Vec<_> = (0..97).map(|n| nodes[0].subscribe(&n.to_string()).unwrap()).collect();
    assert!(matches!(nodes[0].subscribe("98"), Err(TopicError::TooMany { .. })));
    drop(many);
    nodes[0].subscribe("98").unwrap();
}

/// The date where certificates end: as virtual time goes on, from the second in which the process looked first.
fn date() -> UnixTime {
    thread_local! {
        static BEGUN: tokio::time::Instant = tokio::time::Instant::now();
    }
    UnixTime(100 + BEGUN.with(tokio::time::Instant::elapsed).as_secs())
}

fn certified(network: &Network, seed: u8, expires: u64) -> Cluster {
    let authority = Authority::new("c", Identity::from_seed(&[99; 32]).unwrap());
    let identity = Identity::from_seed(&[seed; 32]).unwrap();
    let terms = (Role::Member, Capabilities::ALL);
    let signed = authority.certify(identity.public(), terms, UnixTime(1), UnixTime(expires));
    let mode = AdmissionMode::Ca(Box::new(CaMode {
        authority: authority.public(),
        certificate: Some(signed),
        token: None,
        issuer: None,
    }));
    let incarnation = Incarnation::starting_at(u64::from(seed), 0);
    let presence = Presence { incarnation, ..Presence::default() };
    let admission =
        Admission::with_clock(identity.public(), "c".into(), mode, presence, date).unwrap();
    let (endpoint, arrivals) = network.endpoint(&identity, Arc::new(admission));
    let options = Options { seed: Some(seed.into()), ..Options::default() };
    Cluster::over(Arc::new(endpoint), arrivals, options, upper().0).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_node_whose_certificate_ends_is_closed_and_seen_down() {
    let network = Network::new(6);
    let nodes =
        [certified(&network, 1, 900), certified(&network, 2, 900), certified(&network, 3, 130)];
    for node in &nodes[1..] {
        node.join(&nodes[0].addresses(), PATIENCE).await.unwrap();
    }
    all_see_all(&nodes).await;
    let mut heard: Vec<_> = nodes[..2].iter().map(Cluster::events).collect();
    for events in &mut heard {
        sees_down(events, nodes[2].node()).await;
    }
    let back = nodes[2].join(&nodes[0].addresses(), PATIENCE).await;
    let Err(JoinError::NotAdmitted { source, .. }) = back else { panic!("{back:?}") };
    assert_eq!(source.refusal(), Some(&Refusal::Expired));
}

async fn cluster_in_memory(network: &Network, count: u8) -> Vec<Cluster> {
    let nodes: Vec<_> = (1..=count).map(|seed| in_memory(network, seed)).collect();
    for node in &nodes[1..] {
        node.join(&nodes[0].addresses(), PATIENCE).await.unwrap();
    }
    all_see_all(&nodes).await;
    nodes
}

/// What multicast DNS finds comes to the driver as this; the multicast itself depends on the machine.
#[tokio::test(start_paused = true)]
async fn who_is_discovered_is_joined_and_a_member_is_not_dialed_again() {
    let network = Network::new(6);
    let (first, second) = (in_memory(&network, 1), in_memory(&network, 2));
    let identity = Identity::from_seed(&[3; 32]).unwrap();
    let presence = Presence { incarnation: Incarnation::starting_at(3, 0), ..Presence::default() };
    let mode = AdmissionMode::Secret(SECRET.into());
    let admission = Admission::new(identity.public(), "c", mode, presence).unwrap();
    let (endpoint, mut arrivals) = network.endpoint(&identity, Arc::new(admission));
    let (found, both) = mpsc::channel(16);
    let passing = found.clone();
    tokio::spawn(async move {
        while let Some(arrival) = arrivals.recv().await {
            let _ended = passing.send(arrival).await;
        }
    });
    let third = Cluster::over(Arc::new(endpoint), both, Options::default(), upper().0).unwrap();
    third.meet_discovered();
    // Nobody there, itself, two who know nothing of each other, and one of them again.
    let addresses =
        ["memory:77".to_owned(), third.addresses().remove(0), first.addresses().remove(0)];
    let again = [second.addresses().remove(0), first.addresses().remove(0)];
    for address in addresses.into_iter().chain(again) {
        found.send(Arrival::Discovered { address }).await.unwrap();
    }
    all_see_all(&[first, second, third.clone()]).await;
    let nobody = third.join_discovered(Duration::from_secs(1)).await;
    assert!(matches!(nobody, Err(JoinError::Closed)), "others are met already");
}

#[tokio::test(start_paused = true)]
async fn a_killed_node_is_known_to_all_within_a_moment_of_virtual_time() {
    let network = Network::new(3);
    let nodes = cluster_in_memory(&network, 7).await;
    let mut heard: Vec<_> = nodes[1..].iter().map(Cluster::events).collect();
    // A few heartbeats, in steps short enough that no node believes it was stopped: who was never heard is not accused.
    for _ in 0..40 {
        tokio::time::advance(Duration::from_millis(50)).await;
    }
    let begun = tokio::time::Instant::now();
    network.kill(nodes[0].node());
    for events in &mut heard {
        sees_down(events, nodes[0].node()).await;
    }
    // Virtual time: a property of the protocol, not of the machine.
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_partition_is_seen_on_both_sides_and_heals() {
    let network = Network::new(4);
    let nodes = cluster_in_memory(&network, 5).await;
    let (small, large) = nodes.split_at(2);
    let mut small_events: Vec<_> = small.iter().map(Cluster::events).collect();
    let mut large_events: Vec<_> = large.iter().map(Cluster::events).collect();
    for one in small {
        for other in large {
            network.cut(one.node(), other.node());
            network.cut(other.node(), one.node());
        }
    }
    for (events, others) in [(&mut small_events, large), (&mut large_events, small)] {
        for events in events {
            let mut waiting: Vec<_> = others.iter().map(Cluster::node).collect();
            until(events, "all others down", |event| {
                if let MembershipEvent::Down { node, .. } = event {
                    waiting.retain(|other| other != node);
                }
                waiting.is_empty()
            })
            .await;
        }
    }
    for one in small {
        for other in large {
            network.heal(one.node(), other.node());
        }
    }
    let healed = async {
        for node in &nodes {
            let mut events = node.events();
            while node.view().live_count() < nodes.len() {
                let _event = events.recv().await;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(120), healed).await.expect("healed");
}

#[tokio::test(start_paused = true)]
async fn lanes_survive_resets_and_short_cuts_in_memory() {
    let network = Network::new(5);
    let (one_upper, _) = upper();
    let (two_upper, mut heard) = upper();
    let start = |seed: u8, upper| {
        let identity = Identity::from_seed(&[seed; 32]).unwrap();
        let presence = Presence { incarnation: Incarnation(1), ..Presence::default() };
        let mode = AdmissionMode::Open;
        let admission = Admission::new(identity.public(), "c", mode, presence).unwrap();
        let (endpoint, arrivals) = network.endpoint(&identity, Arc::new(admission));
        assert_eq!(endpoint.addresses().len(), 1);
        Cluster::over(Arc::new(endpoint), arrivals, Options::default(), upper).unwrap()
    };
    let (one, two) = (start(1, one_upper), start(2, two_upper));
    two.join(&one.addresses(), PATIENCE).await.unwrap();
    all_see_all(&[one.clone(), two.clone()]).await;
    let sender = one.lanes().sender(two.node(), 1).unwrap();
    for number in 0..1_000_u32 {
        sender.send_waiting(&number.to_le_bytes()).await.unwrap();
        match number % 100 {
            30 => network.reset(one.node(), two.node()),
            60 => network.cut(one.node(), two.node()),
            65 => network.heal(one.node(), two.node()),
            _ => {}
        }
    }
    for expected in 0..1_000_u32 {
        let (from, payload) =
            tokio::time::timeout(PATIENCE, heard.recv()).await.expect("in time").unwrap();
        assert_eq!((from, payload), (one.node(), expected.to_le_bytes().to_vec()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_comes_back_from_a_neighbour_and_from_nobody_else() {
    let (one, two) = (start().await, start().await);
    one.join(&two.addresses(), PATIENCE).await.unwrap();
    one.round_trip(two.node()).await.unwrap();
    two.round_trip(one.node()).await.unwrap();
    let stranger = NodeId(7);
    let refused = one.round_trip(stranger).await.unwrap_err();
    assert_eq!(refused, ProbeError::NoNeighbour { node: stranger });
    one.leave().await;
    assert_eq!(one.round_trip(two.node()).await.unwrap_err(), ProbeError::Closed);
}
