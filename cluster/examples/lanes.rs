//! The floor under remote actors: what one lane and one bulk connection carry between two processes on loopback.
//!
//! `cargo run --release -p mobula-cluster --example lanes` starts itself a second time as the far end and prints one line
//! a figure; with `--features quic` and the argument `quic` the same over QUIC. Nothing here runs in CI's verdict.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::exit,
    reason = "a measuring program: it prints, and stops at the first surprise"
)]

use std::io::{BufRead as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use mobula_cluster::admission::rules::{Presence, Purpose};
use mobula_cluster::admission::{Admission, AdmissionMode};
use mobula_cluster::bulk::{Bulk, Content, Source};
use mobula_cluster::identity::Identity;
use mobula_cluster::lanes::{AddressBook, Inbound, LaneSender, Lanes, Origin};
use mobula_cluster::transport::libp2p::{Endpoint, EndpointConfig};
use mobula_cluster::transport::{Arrival, Transport};
use mobula_proto::association::{Lost, Receipt, Settings};
use mobula_proto::id::{Incarnation, NodeId};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

const MESSAGE_BYTES: usize = 100;
const ECHO: u8 = 1;
const COUNT: u8 = 2;
const REPORT: u8 = 3;

struct Book(Mutex<(NodeId, Vec<String>)>);

impl AddressBook for Book {
    fn addresses(&self, node: NodeId) -> Vec<String> {
        let known = self.0.lock();
        if known.0 == node { known.1.clone() } else { Vec::new() }
    }
}

/// Answers echoes at once, counts the others, and tells its caller when an answer came.
#[derive(Default)]
struct End {
    lanes: Mutex<Option<Lanes>>,
    back: Mutex<Option<LaneSender>>,
    counted: AtomicU64,
    answers: AtomicU64,
    answered: Notify,
}

impl Inbound for End {
    fn message(&self, from: Origin, lane: u8, payload: &[u8], receipt: Receipt) -> Option<Receipt> {
        let mut back = self.back.lock();
        let back = back.get_or_insert_with(|| {
            let lanes = self.lanes.lock();
            lanes.as_ref().unwrap().sender(from.node, lane).unwrap()
        });
        match payload[0] {
            ECHO => back.send(&[&[0], &payload[1..]].concat()).unwrap(),
            COUNT => {
                self.counted.fetch_add(1, Ordering::Relaxed);
            }
            REPORT => {
                let counted = self.counted.load(Ordering::Relaxed);
                back.send(&[&[0], &counted.to_le_bytes()[..]].concat()).unwrap();
            }
            _ => {
                self.answers.fetch_add(1, Ordering::Release);
                self.answered.notify_one();
            }
        }
        Some(receipt)
    }

    fn lost(&self, peer: NodeId, lost: Lost) {
        eprintln!("lost {} messages to {peer}: {:?}", lost.count(), lost.cause);
    }
}

const OBJECT_BYTES: usize = 1 << 30;

/// One object, zeros all through, made when first asked for.
struct Zeros(std::sync::OnceLock<Bytes>);

impl Source for Zeros {
    fn open(&self, _: Origin, _: Bytes) -> BoxFuture<'_, Option<Arc<dyn Content>>> {
        let object = self.0.get_or_init(|| vec![1; OBJECT_BYTES].into()).clone();
        Box::pin(std::future::ready(Some(Arc::new(object) as Arc<dyn Content>)))
    }
}

struct Node {
    endpoint: Endpoint,
    lanes: Lanes,
    bulk: Bulk,
    end: Arc<End>,
    book: Arc<Book>,
}

async fn start() -> Node {
    let identity = Identity::generate();
    let presence = Presence { incarnation: Incarnation(1), ..Presence::default() };
    let admission =
        Admission::new(identity.public(), "bench", AdmissionMode::Open, presence).unwrap();
    let config = EndpointConfig {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        quic: std::env::args().any(|arg| arg == "quic"),
        ..EndpointConfig::default()
    };
    let (endpoint, mut arrivals) =
        Endpoint::start(&identity, Arc::new(admission), config).await.unwrap();
    let book = Arc::new(Book(Mutex::new((NodeId(0), Vec::new()))));
    let end = Arc::new(End::default());
    let lanes = Lanes::new(
        Arc::new(endpoint.clone()),
        Arc::clone(&book) as _,
        Arc::clone(&end) as _,
        Settings::default(),
    );
    *end.lanes.lock() = Some(lanes.clone());
    let source = Arc::new(Zeros(std::sync::OnceLock::new()));
    let bulk = Bulk::new(Arc::new(endpoint.clone()), Arc::clone(&book) as _, source);
    let (accepting, serving) = (lanes.clone(), bulk.clone());
    tokio::spawn(async move {
        while let Some(arrival) = arrivals.recv().await {
            if let Arrival::Link(link) = arrival {
                match link.purpose {
                    Purpose::Bulk => serving.accept(link),
                    _ => accepting.accept(link),
                }
            }
        }
    });
    Node { endpoint, lanes, bulk, end, book }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn far_end() {
    runtime().block_on(async {
        let node = start().await;
        println!("{} {}", node.endpoint.node().0, node.endpoint.addresses()[0]);
        std::io::stdout().flush().unwrap();
        let closed = tokio::task::spawn_blocking(|| std::io::stdin().lines().next());
        drop(closed.await);
        node.lanes.close_all();
        std::process::exit(0);
    });
}

fn spawn_far_end() -> (Child, NodeId, String) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg("far")
        .args(std::env::args().skip(1))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let (node, address) = line.trim().split_once(' ').unwrap();
    (child, NodeId(node.parse().unwrap()), address.to_owned())
}

fn main() {
    if std::env::args().nth(1).as_deref() == Some("far") {
        return far_end();
    }
    let (mut child, node, address) = spawn_far_end();
    runtime().block_on(async {
        let here = start().await;
        *here.book.0.lock() = (node, vec![address]);
        let sender = here.lanes.sender(node, 1).unwrap();
        let begun = Instant::now();
        ask(&here.end, &sender).await;
        println!("first message there and back: {:?}", begun.elapsed());
        round_trips(&here.end, &sender).await;
        in_flight(&here.end, &sender).await;
        one_way(&here.end, &sender).await;
        let beside = here.bulk.clone();
        let warm = fetch(beside.clone(), node, "warm").await;
        println!("bulk, first 1 GiB (pages made meanwhile): {warm:.2} GB/s");
        let alone = fetch(beside.clone(), node, "alone").await;
        println!("bulk, 1 GiB: {alone:.2} GB/s");
        let fetching = tokio::spawn(fetch(beside, node, "beside"));
        round_trips(&here.end, &sender).await;
        println!("... beside bulk (done before the end: {})", fetching.is_finished());
        println!("bulk beside round trips: {:.2} GB/s", fetching.await.unwrap());
    });
    child.kill().unwrap();
    child.wait().unwrap();
}

async fn ask(end: &End, sender: &LaneSender) {
    let before = end.answers.load(Ordering::Acquire);
    let mut message = [0; MESSAGE_BYTES];
    message[0] = ECHO;
    sender.send(&message).unwrap();
    while end.answers.load(Ordering::Acquire) == before {
        end.answered.notified().await;
    }
}

async fn round_trips(end: &End, sender: &LaneSender) {
    const COUNT: usize = 10_000;
    let mut times = Vec::new();
    for _ in 0..COUNT {
        let begun = Instant::now();
        ask(end, sender).await;
        times.push(begun.elapsed());
    }
    times.sort();
    println!("round trip: p50 {:?}, p99 {:?}", times[COUNT / 2], times[COUNT * 99 / 100]);
}

async fn in_flight(end: &End, sender: &LaneSender) {
    const TOTAL: u64 = 500_000;
    let mut message = [0; MESSAGE_BYTES];
    message[0] = ECHO;
    let first = end.answers.load(Ordering::Acquire);
    let begun = Instant::now();
    let mut sent = 0;
    loop {
        let answered = end.answers.load(Ordering::Acquire) - first;
        if answered == TOTAL {
            break;
        }
        if sent < TOTAL && sent < answered + 64 {
            while sent < TOTAL && sent < answered + 64 {
                sender.send(&message).unwrap();
                sent += 1;
            }
        } else {
            end.answered.notified().await;
        }
    }
    rate("64 in flight", TOTAL, begun.elapsed());
}

#[expect(clippy::cast_precision_loss, reason = "printed with three digits")]
async fn fetch(bulk: Bulk, node: NodeId, key: &'static str) -> f64 {
    let begun = Instant::now();
    let mut transfer = bulk.fetch(node, key.into(), None).await.unwrap();
    let mut bytes = 0;
    while let Some(chunk) = transfer.next().await {
        bytes += chunk.unwrap().len();
    }
    assert_eq!(bytes, OBJECT_BYTES);
    bytes as f64 / begun.elapsed().as_secs_f64() / 1e9
}

async fn one_way(end: &End, sender: &LaneSender) {
    const TOTAL: u64 = 5_000_000;
    let mut message = [0; MESSAGE_BYTES];
    message[0] = COUNT;
    let begun = Instant::now();
    for _ in 0..TOTAL {
        sender.send_waiting(&message).await.unwrap();
    }
    let before = end.answers.load(Ordering::Acquire);
    sender.send_waiting(&[REPORT]).await.unwrap();
    while end.answers.load(Ordering::Acquire) == before {
        end.answered.notified().await;
    }
    rate("one way", TOTAL, begun.elapsed());
}

#[expect(clippy::cast_precision_loss, reason = "printed with three digits")]
fn rate(name: &str, count: u64, elapsed: Duration) {
    println!("{name}: {:.0} k/s", count as f64 / elapsed.as_secs_f64() / 1e3);
}
