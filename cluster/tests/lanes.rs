//! Lanes over real sockets: order, resumption after connections that break at random, back-pressure, loss.
//!
//! A test that only sends and receives would pass with a plain socket.
//! So the way between the two nodes leads through a relay that breaks every connection after a number of bytes drawn
//! from a seed, while both ends send as fast as they can.
//!
//! Invariant: every message sent arrives exactly once and in order, or comes back as lost.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::Arc;
use std::time::Duration;

use mobula_cluster::admission::rules::Presence;
use mobula_cluster::admission::{Admission, AdmissionMode};
use mobula_cluster::identity::Identity;
use mobula_cluster::lanes::{AddressBook, Inbound, Lanes, Origin};
use mobula_cluster::transport::libp2p::{Endpoint, EndpointConfig};
use mobula_cluster::transport::{Arrival, Transport};
use mobula_proto::association::{LossCause, Lost, Receipt, Settings};
use mobula_proto::error::SendError;
use mobula_proto::id::{Incarnation, NodeId};
use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Bounds a failure; nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Book(Mutex<Vec<(NodeId, String)>>);

impl AddressBook for Book {
    fn addresses(&self, node: NodeId) -> Vec<String> {
        let known = self.0.lock();
        known.iter().filter(|(known, _)| *known == node).map(|(_, a)| a.clone()).collect()
    }
}

/// Hands everything to the test; keeps receipts back if told to.
struct Upper {
    messages: mpsc::UnboundedSender<Vec<u8>>,
    lost: mpsc::UnboundedSender<Lost>,
    kept: Mutex<Option<Vec<Receipt>>>,
}

impl Inbound for Upper {
    fn message(&self, _: Origin, _: u8, payload: &[u8], receipt: Receipt) -> Option<Receipt> {
        let _ended = self.messages.send(payload.to_vec());
        match &mut *self.kept.lock() {
            Some(kept) => {
                kept.push(receipt);
                None
            }
            None => Some(receipt),
        }
    }

    fn lost(&self, _: NodeId, lost: Lost) {
        let _ended = self.lost.send(lost);
    }
}

struct Node {
    endpoint: Endpoint,
    lanes: Lanes,
    book: Arc<Book>,
    upper: Arc<Upper>,
    messages: mpsc::UnboundedReceiver<Vec<u8>>,
    lost: mpsc::UnboundedReceiver<Lost>,
}

async fn start(settings: Settings) -> Node {
    let identity = Identity::generate();
    let presence = Presence { incarnation: Incarnation(7), ..Presence::default() };
    let admission = Admission::new(identity.public(), "c", AdmissionMode::Open, presence).unwrap();
    let config = EndpointConfig {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        ..EndpointConfig::default()
    };
    let (endpoint, mut arrivals) =
        Endpoint::start(&identity, Arc::new(admission), config).await.unwrap();
    let book = Arc::new(Book::default());
    let (messages_in, messages) = mpsc::unbounded_channel();
    let (lost_in, lost) = mpsc::unbounded_channel();
    let upper = Arc::new(Upper { messages: messages_in, lost: lost_in, kept: Mutex::new(None) });
    let lanes = Lanes::new(
        Arc::new(endpoint.clone()),
        Arc::clone(&book) as _,
        Arc::clone(&upper) as _,
        settings,
    );
    let accepting = lanes.clone();
    tokio::spawn(async move {
        while let Some(arrival) = arrivals.recv().await {
            if let Arrival::Link(link) = arrival {
                accepting.accept(link);
            }
        }
    });
    Node { endpoint, lanes, book, upper, messages, lost }
}

/// Two nodes that know each other's addresses as given.
async fn pair(settings: Settings) -> (Node, Node) {
    let (one, two) = (start(settings).await, start(settings).await);
    knows(&one, &two, two.endpoint.addresses()[0].clone());
    knows(&two, &one, one.endpoint.addresses()[0].clone());
    (one, two)
}

fn knows(one: &Node, other: &Node, address: String) {
    *one.book.0.lock() = vec![(other.endpoint.node(), address)];
}

/// Forwards connections to `to` and breaks each after a number of bytes drawn from `seed`.
async fn breaking_relay(to: String, seed: u64, bytes: std::ops::Range<usize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let mut rng = SmallRng::seed_from_u64(seed);
        while let Ok((inbound, _)) = listener.accept().await {
            let limit = rng.random_range(bytes.clone());
            let to = to.clone();
            tokio::spawn(async move {
                let outbound = TcpStream::connect(to).await.unwrap();
                let (mut from_a, mut to_a) = inbound.into_split();
                let (mut from_b, mut to_b) = outbound.into_split();
                // The first direction that used up its bytes takes the connection down in both.
                tokio::select! {
                    () = forward(&mut from_a, &mut to_b, limit) => {}
                    () = forward(&mut from_b, &mut to_a, limit) => {}
                }
            });
        }
    });
    address
}

async fn forward(
    from: &mut tokio::net::tcp::OwnedReadHalf,
    to: &mut tokio::net::tcp::OwnedWriteHalf,
    mut limit: usize,
) {
    let mut portion = vec![0; 4096];
    while limit > 0 {
        let end = portion.len().min(limit);
        let Ok(count @ 1..) = from.read(&mut portion[..end]).await else { return };
        limit -= count;
        if to.write_all(&portion[..count]).await.is_err() {
            return;
        }
    }
}

fn numbered(number: u64, rng: &mut SmallRng) -> Vec<u8> {
    let mut message = vec![0; 8 + rng.random_range(0..200)];
    message[..8].copy_from_slice(&number.to_le_bytes());
    message
}

async fn in_order(messages: &mut mpsc::UnboundedReceiver<Vec<u8>>, total: u64, seed: u64) {
    for expected in 0..total {
        let message = tokio::time::timeout(PATIENCE, messages.recv());
        let message =
            message.await.unwrap_or_else(|_| panic!("seed {seed}: {expected} is missing"));
        let number = u64::from_le_bytes(message.unwrap()[..8].try_into().unwrap());
        assert_eq!(number, expected, "seed {seed}");
    }
    assert!(messages.try_recv().is_err(), "seed {seed}: a duplicate at the end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_cut_at_random_lose_and_duplicate_nothing() {
    const TOTAL: u64 = 20_000;
    let seed = rand::random();
    let (mut one, mut two) = pair(Settings::default()).await;
    let cut_after = 20_000..300_000;
    let to_two = breaking_relay(two.endpoint.addresses()[0].clone(), seed, cut_after.clone()).await;
    let to_one = breaking_relay(one.endpoint.addresses()[0].clone(), seed + 1, cut_after).await;
    knows(&one, &two, to_two);
    knows(&two, &one, to_one);
    let sending = |from: &Node, to: &Node, seed| {
        let sender = from.lanes.sender(to.endpoint.node(), 2).unwrap();
        tokio::spawn(async move {
            let mut rng = SmallRng::seed_from_u64(seed);
            for number in 0..TOTAL {
                sender.send_waiting(&numbered(number, &mut rng)).await.unwrap();
            }
        })
    };
    let there = sending(&one, &two, seed);
    let back = sending(&two, &one, seed);
    tokio::join!(
        in_order(&mut two.messages, TOTAL, seed),
        in_order(&mut one.messages, TOTAL, seed)
    );
    there.await.unwrap();
    back.await.unwrap();
    assert!(one.lost.try_recv().is_err() && two.lost.try_recv().is_err(), "seed {seed}: lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ends_may_send_first_at_once() {
    for round in 0..10 {
        let (mut one, mut two) = pair(Settings::default()).await;
        let there = one.lanes.sender(two.endpoint.node(), 1).unwrap();
        let back = two.lanes.sender(one.endpoint.node(), 1).unwrap();
        for number in 0..100_u64 {
            there.send(&number.to_le_bytes()).unwrap();
            back.send(&number.to_le_bytes()).unwrap();
        }
        tokio::join!(
            in_order(&mut two.messages, 100, round),
            in_order(&mut one.messages, 100, round)
        );
        one.lanes.close_all();
        two.lanes.close_all();
    }
}

#[tokio::test]
async fn a_receiver_that_does_not_take_slows_the_sender_down() {
    let settings = Settings { resend_max_bytes: 100_000, ..Settings::default() };
    let (one, mut two) = pair(settings).await;
    *two.upper.kept.lock() = Some(Vec::new());
    let sender = one.lanes.sender(two.endpoint.node(), 1).unwrap();
    let message = [1; 1000];
    let mut sent = 0;
    // Credit for 1024 messages, and a buffer of a hundred: then it must say so.
    let full = loop {
        match sender.send(&message) {
            Ok(()) => sent += 1,
            Err(error) => {
                let held = sent - two.messages.len().min(sent);
                if matches!(error, SendError::Full { .. }) && two.messages.len() >= 1024 {
                    break error;
                }
                assert!(held <= 1200, "more than credit and buffer: {held}");
                tokio::task::yield_now().await;
            }
        }
    };
    assert!(matches!(full, SendError::Full { lane: 1, .. }));
    let arrived = two.messages.len();
    assert!(arrived <= 1025, "beyond the credit: {arrived}");
    let kept = two.upper.kept.lock().take().unwrap();
    for receipt in kept {
        two.lanes.taken(one.endpoint.node(), receipt);
    }
    tokio::time::timeout(PATIENCE, sender.send_waiting(&message)).await.unwrap().unwrap();
    while tokio::time::timeout(PATIENCE, two.messages.recv()).await.unwrap().is_some() {
        if two.messages.is_empty() && sender.buffered_bytes() == 0 {
            break;
        }
    }
}

#[tokio::test]
async fn messages_to_nowhere_come_back() {
    let settings = Settings { resend_max_age: Duration::from_millis(300), ..Settings::default() };
    let mut one = start(settings).await;
    let nobody = Identity::generate().node();
    let sender = one.lanes.sender(nobody, 1).unwrap();
    sender.send(b"hello?").unwrap();
    let lost = tokio::time::timeout(PATIENCE, one.lost.recv()).await.unwrap().unwrap();
    assert_eq!((lost.cause, lost.count()), (LossCause::Disconnected, 1));
    one.lanes.close(nobody);
    assert!(matches!(sender.send(b"hello?"), Err(SendError::Closed { .. })));
    assert!(matches!(one.lanes.sender(nobody, 99), Err(SendError::NoLane { lane: 99 })));
}

#[tokio::test]
async fn a_node_that_is_down_returns_what_it_never_got() {
    let (mut one, mut two) = pair(Settings::default()).await;
    let sender = one.lanes.sender(two.endpoint.node(), 1).unwrap();
    sender.send(&0_u64.to_le_bytes()).unwrap();
    in_order(&mut two.messages, 1, 0).await;
    two.lanes.close_all();
    two.endpoint.shutdown();
    knows(&one, &two, "127.0.0.1:9".to_owned());
    sender.send(b"late").unwrap();
    one.lanes.close(two.endpoint.node());
    let mut count = 0;
    while let Ok(lost) = one.lost.try_recv() {
        count += lost.count();
    }
    assert!(count >= 1, "the late one came back");
}
