//! Nodes that listen nowhere, behind relays: real sockets on loopback. Only with the feature `relay`.
//!
//! Two nodes that listen nowhere cannot have a socket between them, so that whatever one hears of the other came through
//! a relay.

#![cfg(feature = "relay")]
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::io::{AsyncReadExt as _, AsyncWriteExt as _};
use mobula_cluster::admission::rules::{Presence, Purpose};
use mobula_cluster::admission::{Admission, AdmissionMode};
use mobula_cluster::bulk::{Content, Source};
use mobula_cluster::error::{ConfigError, OpenError, StartError};
use mobula_cluster::handle::{Cluster, ClusterConfig, Upper};
use mobula_cluster::identity::Identity;
use mobula_cluster::lanes::{Inbound, Origin};
use mobula_cluster::transport::libp2p::{Endpoint, EndpointConfig, RelayLimits};
use mobula_cluster::transport::{Arrival, Link, Target, Transport};
use mobula_cluster::view::View;
use mobula_proto::association::{Lost, Receipt};
use mobula_proto::id::{Incarnation, NodeId};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::time::timeout;

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

struct Shelf;

impl Source for Shelf {
    fn open(&self, _: Origin, key: Bytes) -> BoxFuture<'_, Option<Arc<dyn Content>>> {
        let content: Option<Arc<dyn Content>> =
            if key == "here" { Some(Arc::new(content())) } else { None };
        Box::pin(std::future::ready(content))
    }
}

fn content() -> Bytes {
    (0..3_000_000_u32).map(|index| (index % 251) as u8).collect()
}

/// A whole node and what it hears.
struct Whole {
    cluster: Cluster,
    heard: mpsc::UnboundedReceiver<(NodeId, Vec<u8>)>,
}

async fn whole(change: impl FnOnce(&mut EndpointConfig)) -> Whole {
    let (heard_in, heard) = mpsc::unbounded_channel();
    let upper = Upper { inbound: Arc::new(Ear(heard_in)), source: Arc::new(Shelf) };
    let listen = "127.0.0.1:0".parse().unwrap();
    let mut config = ClusterConfig::new("c", AdmissionMode::Secret(SECRET.into()), listen);
    change(&mut config.endpoint);
    Whole { cluster: Cluster::start(config, upper).await.unwrap(), heard }
}

async fn relay(limits: RelayLimits) -> Whole {
    whole(|endpoint| endpoint.relay_server = Some(limits)).await
}

/// One that listens nowhere.
async fn behind(relays: &[String]) -> Whole {
    whole(|endpoint| {
        endpoint.listen = Vec::new();
        endpoint.relays = relays.to_vec();
    })
    .await
}

/// Waits until the node's view is as wanted.
async fn sees(node: &Whole, what: &str, wanted: impl Fn(&View) -> bool) {
    let mut events = node.cluster.events();
    let waiting = async {
        while !wanted(&node.cluster.view()) {
            match events.recv().await {
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => panic!("ended before: {what}"),
            }
        }
    };
    timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

async fn all_see_all(nodes: &[&Whole]) {
    for node in nodes {
        sees(node, "all", |view| view.live_count() == nodes.len()).await;
    }
}

async fn joins(node: &Whole, addresses: &[String]) {
    node.cluster.join(addresses, PATIENCE).await.unwrap();
}

/// Sends a message and waits until it is there.
async fn says(from: &Whole, to: &mut Whole, what: &str) {
    let sender = from.cluster.lanes().sender(to.cluster.node(), 1).unwrap();
    sender.send(what.as_bytes()).unwrap();
    let heard = timeout(PATIENCE, to.heard.recv()).await.unwrap().unwrap();
    assert_eq!(heard, (from.cluster.node(), what.as_bytes().to_vec()));
}

async fn fetches(from: &Whole, by: &Whole) {
    let fetching = async {
        let fetched = by.cluster.bulk().fetch(from.cluster.node(), "here".into(), None).await;
        let mut transfer = fetched.unwrap();
        let mut all = Vec::new();
        while let Some(chunk) = transfer.next().await {
            all.extend_from_slice(&chunk.unwrap());
        }
        assert!(all == content(), "what arrives is what was asked for");
    };
    timeout(PATIENCE, fetching).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_listen_nowhere_are_members_like_others() {
    let relay = relay(RelayLimits::default()).await;
    let mut third = whole(|_| {}).await;
    joins(&third, &relay.cluster.addresses()).await;
    let (mut one, mut other) =
        (behind(&relay.cluster.addresses()).await, behind(&relay.cluster.addresses()).await);
    let [circuit] = &one.cluster.addresses()[..] else { panic!("not behind one relay") };
    assert!(circuit.starts_with(&relay.cluster.addresses()[0]), "{circuit}");
    joins(&one, &third.cluster.addresses()).await;
    // By the address of one that nobody can dial.
    joins(&other, std::slice::from_ref(circuit)).await;
    all_see_all(&[&relay, &third, &one, &other]).await;
    let record = third.cluster.view().get(one.cluster.node()).unwrap().clone();
    assert_eq!(&record.details.addresses, std::slice::from_ref(circuit));

    says(&third, &mut one, "from outside").await;
    says(&one, &mut third, "and back").await;
    says(&one, &mut other, "through the relay").await;
    says(&other, &mut one, "and back").await;
    fetches(&one, &third).await;
    fetches(&third, &one).await;
    fetches(&one, &other).await;
    fetches(&other, &one).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_relay_is_lost_is_reached_by_its_next_one() {
    let (first, second) =
        (relay(RelayLimits::default()).await, relay(RelayLimits::default()).await);
    joins(&second, &first.cluster.addresses()).await;
    let relays = [first.cluster.addresses(), second.cluster.addresses()].concat();
    let (mut one, mut other) = (behind(&relays).await, behind(&relays).await);
    joins(&one, &relays).await;
    joins(&other, &relays).await;
    all_see_all(&[&first, &second, &one, &other]).await;
    let (name, other_name) = (one.cluster.node(), other.cluster.node());
    let addresses = |view: &View, node| view.get(node).unwrap().details.addresses.clone();
    let is_behind_both = |view: &View, node| addresses(view, node).len() == 2;
    sees(&one, "both relays of the other", |view| is_behind_both(view, other_name)).await;
    sees(&other, "both relays of the one", |view| is_behind_both(view, name)).await;
    says(&one, &mut other, "before").await;

    let gone = first.cluster.node();
    drop(first);
    for node in [&one, &other, &second] {
        sees(node, "the relay is down", |view| view.live_count() == 3).await;
        assert!(view_lacks(node, gone));
    }
    let left = second.cluster.addresses()[0].clone();
    sees(&second, "one relay each", |view| {
        [name, other_name].iter().all(|node| {
            let addresses = addresses(view, *node);
            addresses.len() == 1 && addresses[0].starts_with(&left)
        })
    })
    .await;
    says(&one, &mut other, "after").await;
    says(&other, &mut one, "and back").await;
    fetches(&one, &other).await;
}

fn view_lacks(node: &Whole, gone: NodeId) -> bool {
    !node.cluster.view().live().any(|record| record.node == gone)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_circuit_that_reaches_its_limit_costs_no_message() {
    const MESSAGES: u32 = 4_000;
    let limits = RelayLimits { circuit_bytes: 1_000_000, ..RelayLimits::default() };
    let relay = relay(limits).await;
    let relays = relay.cluster.addresses();
    let (one, mut other) = (behind(&relays).await, behind(&relays).await);
    joins(&one, &relays).await;
    joins(&other, &relays).await;
    all_see_all(&[&relay, &one, &other]).await;
    let sender = one.cluster.lanes().sender(other.cluster.node(), 1).unwrap();
    let sending = async {
        for number in 0..MESSAGES {
            let mut message = vec![7; 1_000];
            message[..4].copy_from_slice(&number.to_le_bytes());
            sender.send_waiting(&message).await.unwrap();
        }
    };
    let hearing = async {
        for number in 0..MESSAGES {
            let (from, message) = other.heard.recv().await.unwrap();
            assert_eq!((from, &message[..4]), (one.cluster.node(), &number.to_le_bytes()[..]));
        }
    };
    timeout(PATIENCE, async { tokio::join!(sending, hearing) }).await.unwrap();
}

async fn endpoint(
    secret: &[u8],
    change: impl FnOnce(&mut EndpointConfig),
) -> (Endpoint, mpsc::Receiver<Arrival>) {
    let identity = Identity::generate();
    let presence = Presence { incarnation: Incarnation(1), ..Presence::default() };
    let mode = AdmissionMode::Secret(secret.into());
    let admission = Admission::new(identity.public(), "c", mode, presence).unwrap();
    let mut config = EndpointConfig {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        ..EndpointConfig::default()
    };
    change(&mut config);
    Endpoint::start(&identity, Arc::new(admission), config).await.unwrap()
}

async fn relaying(limits: RelayLimits) -> Endpoint {
    endpoint(SECRET, |config| config.relay_server = Some(limits)).await.0
}

async fn open(from: &Endpoint, to: &Endpoint, purpose: Purpose) -> Result<Link, OpenError> {
    let target = Target { node: Some(to.node()), addresses: to.addresses() };
    timeout(PATIENCE, from.open(target, purpose)).await.unwrap()
}

/// The next arrival that is wanted; others are dropped.
async fn arrives<T>(
    arrivals: &mut mpsc::Receiver<Arrival>,
    wanted: impl Fn(Arrival) -> Option<T>,
) -> T {
    let waiting = async {
        loop {
            if let Some(found) = wanted(arrivals.recv().await.unwrap()) {
                return found;
            }
        }
    };
    timeout(PATIENCE, waiting).await.unwrap()
}

fn link(purpose: Purpose) -> impl Fn(Arrival) -> Option<Link> {
    move |arrival| match arrival {
        Arrival::Link(link) if link.purpose == purpose => Some(link),
        _ => None,
    }
}

const PURPOSES: [Purpose; 3] = [Purpose::Control, Purpose::Messages { lane: 2 }, Purpose::Bulk];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_hole_can_be_punched_the_relay_is_not_needed_any_more() {
    let relay = relaying(RelayLimits::default()).await;
    let relays = relay.addresses();
    let listening = |config: &mut EndpointConfig| config.relays = relays.clone();
    let (one, mut at_one) = endpoint(SECRET, listening).await;
    let (other, mut at_other) = endpoint(SECRET, listening).await;
    assert!(one.addresses()[0].starts_with(&relays[0]), "listens, but says so to nobody");

    let mut control = open(&one, &other, Purpose::Control).await.unwrap();
    assert_eq!(control.node(), other.node());
    let direct = |arrival| match arrival {
        Arrival::Direct { node } => Some(node),
        _ => None,
    };
    assert_eq!(arrives(&mut at_one, direct).await, other.node());
    // Either may come first.
    let (mut accepted, mut with) = (None, None);
    while accepted.is_none() || with.is_none() {
        match timeout(PATIENCE, at_other.recv()).await.unwrap().unwrap() {
            Arrival::Link(link) => accepted = Some(link),
            Arrival::Direct { node } => with = Some(node),
            _ => {}
        }
    }
    let mut accepted = accepted.unwrap();
    assert_eq!((accepted.node(), with), (one.node(), Some(one.node())));
    // Both ends of what ran through the relay learn that it ended.
    for through_the_relay in [&mut control, &mut accepted] {
        let mut nothing = [0];
        let reading = through_the_relay.stream.read(&mut nothing);
        let ended = timeout(PATIENCE, reading).await.unwrap();
        assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    }

    drop(relay);
    for purpose in PURPOSES {
        let mut there = open(&one, &other, purpose).await.unwrap();
        let mut here = arrives(&mut at_other, link(purpose)).await;
        assert_eq!((here.node(), there.node()), (one.node(), other.node()));
        there.stream.write_all(b"directly").await.unwrap();
        there.stream.flush().await.unwrap();
        let mut heard = [0; 8];
        timeout(PATIENCE, here.stream.read_exact(&mut heard)).await.unwrap().unwrap();
        assert_eq!(&heard, b"directly");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_link_through_a_relay_ends_by_itself() {
    let relay = relaying(RelayLimits::default()).await;
    let hidden = |config: &mut EndpointConfig| {
        config.listen = Vec::new();
        config.relays = relay.addresses();
    };
    let (one, _) = endpoint(SECRET, hidden).await;
    let (other, mut at_other) = endpoint(SECRET, hidden).await;
    let mut pairs = Vec::new();
    for purpose in PURPOSES {
        let there = open(&one, &other, purpose).await.unwrap();
        pairs.push((there, arrives(&mut at_other, link(purpose)).await));
    }
    // What is not read fills its own circuit and no other.
    let (bulk, unread) = pairs.pop().unwrap();
    let filling = tokio::spawn(async move {
        let mut bulk = bulk;
        while bulk.stream.write_all(&[7; 65_536]).await.is_ok() {}
    });
    for (there, here) in &mut pairs {
        there.stream.write_all(b"heard").await.unwrap();
        there.stream.flush().await.unwrap();
        let mut heard = [0; 5];
        timeout(PATIENCE, here.stream.read_exact(&mut heard)).await.unwrap().unwrap();
    }
    // The end of one is the end of no other.
    drop(unread);
    timeout(PATIENCE, filling).await.unwrap().unwrap();
    for (there, here) in &mut pairs {
        here.stream.write_all(b"still").await.unwrap();
        here.stream.flush().await.unwrap();
        let mut heard = [0; 5];
        timeout(PATIENCE, there.stream.read_exact(&mut heard)).await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_who_serves_is_a_relay_and_only_for_its_cluster() {
    let relay = relaying(RelayLimits::default()).await;
    let (plain, _) = endpoint(SECRET, |_| {}).await;
    let behind = |at: &Endpoint| {
        let relays = at.addresses();
        |config: &mut EndpointConfig| {
            config.listen = Vec::new();
            config.relays = relays;
        }
    };
    let (member, _) = endpoint(SECRET, behind(&relay)).await;
    assert_eq!(member.addresses().len(), 1);
    let (unserved, _) = endpoint(SECRET, behind(&plain)).await;
    assert_eq!(unserved.addresses(), [""; 0]);
    let (stranger, _) = endpoint(b"another secret..", behind(&relay)).await;
    assert_eq!(stranger.addresses(), [""; 0]);
    // Nor does a relay lead a stranger to a member.
    let refused = open(&stranger, &member, Purpose::Control).await;
    assert!(matches!(refused, Err(OpenError::Unreachable(_))), "{refused:?}");
    let refused = open(&stranger, &member, Purpose::Bulk).await;
    assert!(matches!(refused, Err(OpenError::Unreachable(_))), "{refused:?}");
    let refused = open(&member, &unserved, Purpose::Bulk).await;
    assert!(matches!(refused, Err(OpenError::NoAddress)), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_is_gone_is_no_proof_that_the_node_behind_it_is() {
    let relay = relaying(RelayLimits::default()).await;
    let relays = relay.addresses();
    let (hidden, _) = endpoint(SECRET, |config| {
        config.listen = Vec::new();
        config.relays = relays;
    })
    .await;
    let target = Target { node: Some(hidden.node()), addresses: hidden.addresses() };
    drop(relay);
    let (other, _) = endpoint(SECRET, |_| {}).await;
    for purpose in PURPOSES {
        let failed = timeout(PATIENCE, other.open(target.clone(), purpose)).await.unwrap();
        assert!(matches!(failed, Err(OpenError::Unreachable(_))), "{failed:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_without_room_refuses_until_there_is_some() {
    let relay = relaying(RelayLimits { reservations: 1, ..RelayLimits::default() }).await;
    let behind = |config: &mut EndpointConfig| {
        config.listen = Vec::new();
        config.relays = relay.addresses();
    };
    let (first, _) = endpoint(SECRET, behind).await;
    assert_eq!(first.addresses().len(), 1);
    let (second, mut at_second) = endpoint(SECRET, behind).await;
    assert_eq!(second.addresses(), [""; 0]);
    drop(first);
    arrives(&mut at_second, |arrival| matches!(arrival, Arrival::Moved).then_some(())).await;
    assert_eq!(second.addresses().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_has_so_many_circuits_and_no_more() {
    let relay = relaying(RelayLimits { circuits_per_node: 2, ..RelayLimits::default() }).await;
    let behind = |config: &mut EndpointConfig| {
        config.listen = Vec::new();
        config.relays = relay.addresses();
    };
    let (one, _) = endpoint(SECRET, behind).await;
    let (other, _at_other) = endpoint(SECRET, behind).await;
    let _first = open(&one, &other, Purpose::Bulk).await.unwrap();
    let _second = open(&one, &other, Purpose::Bulk).await.unwrap();
    let third = open(&one, &other, Purpose::Bulk).await;
    assert!(matches!(third, Err(OpenError::Unreachable(_))), "{third:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_carries_circuits_is_not_let_go() {
    let relay = relaying(RelayLimits::default()).await;
    let behind = |config: &mut EndpointConfig| {
        config.listen = Vec::new();
        config.relays = relay.addresses();
    };
    let (one, _) = endpoint(SECRET, behind).await;
    let (other, mut at_other) = endpoint(SECRET, behind).await;
    let mut there = open(&one, &other, Purpose::Bulk).await.unwrap();
    let mut here = arrives(&mut at_other, link(Purpose::Bulk)).await;
    // As the membership does with those whom it need not watch.
    one.release(relay.node());
    other.release(relay.node());
    relay.release(one.node());
    relay.release(other.node());
    // Answered after those.
    let _again = open(&other, &one, Purpose::Bulk).await.unwrap();
    there.stream.write_all(b"still").await.unwrap();
    there.stream.flush().await.unwrap();
    let mut heard = [0; 5];
    timeout(PATIENCE, here.stream.read_exact(&mut heard)).await.unwrap().unwrap();
    // One that is taken for gone is.
    one.give_up(relay.node());
    let saying = async {
        while there.stream.write_all(b"in vain").await.is_ok() {
            let _broken = there.stream.flush().await;
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, saying).await.unwrap();
}

#[tokio::test]
async fn an_open_node_has_relays_on_loopback_alone() {
    let identity = Identity::generate();
    let mode = AdmissionMode::Open;
    let admission = Admission::new(identity.public(), "c", mode, Presence::default()).unwrap();
    let config = EndpointConfig {
        relays: vec!["relay.example.org:7000".to_owned()],
        ..EndpointConfig::default()
    };
    let refused = Endpoint::start(&identity, Arc::new(admission), config).await;
    let Err(StartError::Config(ConfigError::OpenBeyondLoopback { address })) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(address, "relay.example.org:7000");
}
