//! mobula's lanes and bulk connections alone: what remains of a remote call when nobody calls.
//!
//! The frames are those of `tcp.rs`; the lane encrypts, numbers, acknowledges and resumes them as it does for actors.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

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

use super::tcp::{ADD, COUNT, NOTE, frame, read_tally, take};
use crate::cluster::caller::{Caller, Tally};
use crate::cluster::ground::serve_at;
use crate::cluster::measure::sum_below;
use crate::error::BenchError;

const LANE: u8 = 0;
/// What an answer begins with.
const ANSWER: u8 = 0;

/// The one peer.
#[derive(Default)]
struct Book(Mutex<Option<(NodeId, String)>>);

impl AddressBook for Book {
    fn addresses(&self, node: NodeId) -> Vec<String> {
        let known = self.0.lock();
        known.iter().filter(|(known, _)| *known == node).map(|(_, at)| at.clone()).collect()
    }
}

/// Counts what comes and answers; counts answers and keeps the last.
#[derive(Default)]
struct End {
    lanes: OnceLock<Lanes>,
    back: OnceLock<LaneSender>,
    tally: Mutex<(Tally, Vec<u8>)>,
    answers: AtomicU64,
    last: Mutex<Vec<u8>>,
    answered: Notify,
}

impl End {
    fn back(&self, node: NodeId) -> Option<&LaneSender> {
        if let Some(back) = self.back.get() {
            return Some(back);
        }
        let sender = self.lanes.get()?.sender(node, LANE).ok()?;
        Some(self.back.get_or_init(|| sender))
    }
}

impl Inbound for End {
    fn message(&self, from: Origin, _: u8, payload: &[u8], receipt: Receipt) -> Option<Receipt> {
        if payload[0] == ANSWER {
            payload[1..].clone_into(&mut self.last.lock());
            self.answers.fetch_add(1, Ordering::Release);
            self.answered.notify_one();
            return Some(receipt);
        }
        let mut counting = self.tally.lock();
        let (tally, answer) = &mut *counting;
        answer.clear();
        answer.push(ANSWER);
        take(tally, payload, answer);
        // A full lane would be seen as an answer that never comes.
        if answer.len() > 1 {
            let _ = self.back(from.node).map(|back| back.send(answer));
        }
        Some(receipt)
    }

    fn lost(&self, _: NodeId, _: Lost) {}
}

/// As many bytes as the key says.
struct Ones(OnceLock<Bytes>);

impl Source for Ones {
    fn open(&self, _: Origin, key: Bytes) -> BoxFuture<'_, Option<Arc<dyn Content>>> {
        let wanted = key.first_chunk().copied().map_or(0, u64::from_le_bytes);
        let make = || vec![1; usize::try_from(wanted).unwrap_or(0)].into();
        let object = self.0.get_or_init(make).clone();
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

async fn start() -> Result<Node, BenchError> {
    let text = |error: &dyn std::fmt::Display| BenchError::refused("start")(error.to_string());
    let identity = Identity::generate();
    let presence = Presence { incarnation: Incarnation(1), ..Presence::default() };
    let mode = AdmissionMode::Secret(super::mobula::SECRET.as_bytes().to_vec());
    let admission = Admission::new(identity.public(), "peers", mode, presence);
    let admission = Arc::new(admission.map_err(|error| text(&error))?);
    let listen = vec![std::net::SocketAddr::from(([127, 0, 0, 1], 0))];
    let config = EndpointConfig { listen, ..EndpointConfig::default() };
    let endpoint = Endpoint::start(&identity, admission, config).await;
    let (endpoint, mut arrivals) = endpoint.map_err(|error| text(&error))?;
    let (book, end) = (Arc::new(Book::default()), Arc::new(End::default()));
    let transport = Arc::new(endpoint.clone());
    let names = Arc::clone(&book) as Arc<dyn AddressBook>;
    let inbound = Arc::clone(&end) as Arc<dyn Inbound>;
    let lanes =
        Lanes::new(Arc::clone(&transport) as _, Arc::clone(&names), inbound, Settings::default());
    // Just made: it is empty.
    let _ = end.lanes.set(lanes.clone());
    let bulk = Bulk::new(transport, names, Arc::new(Ones(OnceLock::new())));
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
    Ok(Node { endpoint, lanes, bulk, end, book })
}

/// Counts for whoever connects.
pub(crate) async fn far() -> Result<(), BenchError> {
    let node = start().await?;
    let address = node.endpoint.addresses().first().cloned().unwrap_or_default();
    serve_at(&format!("{}@{address}", node.endpoint.node().0)).await
}

/// One lane to the far side.
#[derive(Clone)]
pub(crate) struct Lane {
    node: Arc<Node>,
    far: NodeId,
    sender: LaneSender,
}

/// A lane to the far side.
pub(crate) async fn call(address: String) -> Result<Lane, BenchError> {
    let unreadable = || BenchError::refused("connect")(format!("`{address}` is no address"));
    let (name, at) = address.split_once('@').ok_or_else(unreadable)?;
    let far = NodeId(name.parse().map_err(|_no_number| unreadable())?);
    let node = start().await?;
    *node.book.0.lock() = Some((far, at.to_owned()));
    let sender = node.lanes.sender(far, LANE).map_err(refused)?;
    Ok(Lane { node: Arc::new(node), far, sender })
}

fn refused(error: impl std::fmt::Display) -> BenchError {
    BenchError::refused("send")(error.to_string())
}

impl Lane {
    async fn answer(&self, verb: u8, number: u64) -> Result<Vec<u8>, BenchError> {
        let end = &self.node.end;
        let before = end.answers.load(Ordering::Acquire);
        self.sender.send_waiting(&frame(verb, number)).await.map_err(refused)?;
        while end.answers.load(Ordering::Acquire) == before {
            end.answered.notified().await;
        }
        Ok(end.last.lock().clone())
    }
}

impl Caller for Lane {
    async fn ask(&self, number: u64) -> Result<u64, BenchError> {
        let answer = self.answer(ADD, number).await?;
        Ok(answer.first_chunk().copied().map_or(0, u64::from_le_bytes))
    }

    async fn tell(&self, number: u64) -> Result<(), BenchError> {
        self.sender.send_waiting(&frame(NOTE, number)).await.map_err(refused)
    }

    async fn tally(&self) -> Result<Tally, BenchError> {
        Ok(read_tally(&self.answer(COUNT, 0).await?))
    }

    /// One task that sends as many questions as there were answers.
    async fn ask_many(&self, count: u64, window: u64) -> Result<u64, BenchError> {
        let count = count / window * window;
        let end = &self.node.end;
        let first = end.answers.load(Ordering::Acquire);
        let mut asked = 0;
        loop {
            let answered = end.answers.load(Ordering::Acquire) - first;
            if answered == count {
                return Ok(sum_below(count));
            }
            if asked < count.min(answered + window) {
                self.sender.send_waiting(&frame(ADD, asked)).await.map_err(refused)?;
                asked += 1;
            } else {
                end.answered.notified().await;
            }
        }
    }

    /// Fetched over a bulk connection and let go, chunk by chunk; the second time, for the far side makes the bytes when
    /// they are first asked for.
    async fn fetch(&self, bytes: u64) -> Result<Duration, BenchError> {
        self.transfer(bytes).await?;
        let begun = Instant::now();
        self.transfer(bytes).await?;
        Ok(begun.elapsed())
    }
}

impl Lane {
    async fn transfer(&self, bytes: u64) -> Result<(), BenchError> {
        let key = Bytes::copy_from_slice(&bytes.to_le_bytes());
        let fetched = self.node.bulk.fetch(self.far, key, None).await;
        let mut transfer = fetched.map_err(refused)?;
        let mut got = 0;
        while let Some(chunk) = transfer.next().await {
            got += chunk.map_err(refused)?.len() as u64;
        }
        crate::cluster::measure::verify(bytes, got)
    }
}
