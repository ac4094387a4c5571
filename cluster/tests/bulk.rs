//! Bulk transfers over the network in memory: whole, in part, over broken links, and never twice at once.
//!
//! Invariant: what arrives is what was asked for, however often the connection broke.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use mobula_cluster::admission::rules::Presence;
use mobula_cluster::admission::{Admission, AdmissionMode};
use mobula_cluster::bulk::{Bulk, CHUNK_BYTES, Content, NoSource, Source};
use mobula_cluster::error::BulkError;
use mobula_cluster::identity::Identity;
use mobula_cluster::lanes::{AddressBook, Origin};
use mobula_cluster::transport::memory::{MemoryEndpoint, Network};
use mobula_cluster::transport::{Arrival, Transport};
use mobula_proto::id::NodeId;

struct One(Bytes);

impl Source for One {
    fn open(&self, _: Origin, key: Bytes) -> BoxFuture<'_, Option<Arc<dyn Content>>> {
        let content: Option<Arc<dyn Content>> =
            if key == "here" { Some(Arc::new(self.0.clone())) } else { None };
        Box::pin(std::future::ready(content))
    }
}

struct Book(Vec<(NodeId, Vec<String>)>);

impl AddressBook for Book {
    fn addresses(&self, node: NodeId) -> Vec<String> {
        self.0.iter().find(|(known, _)| *known == node).map(|(_, a)| a.clone()).unwrap_or_default()
    }
}

fn bytes(length: usize) -> Bytes {
    (0..length).map(|index| (index % 251) as u8).collect()
}

fn endpoint(network: &Network, seed: u8) -> (MemoryEndpoint, tokio::sync::mpsc::Receiver<Arrival>) {
    let identity = Identity::from_seed(&[seed; 32]).unwrap();
    let mode = AdmissionMode::Open;
    let admission = Admission::new(identity.public(), "c", mode, Presence::default()).unwrap();
    network.endpoint(&identity, Arc::new(admission))
}

/// One that serves `content` under the key "here", and one that fetches.
fn pair(network: &Network, content: Bytes) -> (NodeId, NodeId, Bulk) {
    let (serving, mut arrivals) = endpoint(network, 1);
    let (fetching, _) = endpoint(network, 2);
    let book = || Arc::new(Book(vec![(serving.node(), serving.addresses())]));
    let names = (serving.node(), fetching.node());
    let server = Bulk::new(Arc::new(serving.clone()), book(), Arc::new(One(content)));
    let client = Bulk::new(Arc::new(fetching), book(), Arc::new(NoSource));
    tokio::spawn(async move {
        while let Some(arrival) = arrivals.recv().await {
            if let Arrival::Link(link) = arrival {
                server.accept(link);
            }
        }
    });
    (names.0, names.1, client)
}

async fn collect(transfer: &mut mobula_cluster::bulk::Transfer) -> Result<Vec<u8>, BulkError> {
    let mut all = Vec::new();
    while let Some(chunk) = transfer.next().await {
        all.extend_from_slice(&chunk?);
    }
    Ok(all)
}

#[tokio::test(start_paused = true)]
async fn whole_and_part_arrive_as_they_are() {
    let content = bytes(3 * CHUNK_BYTES as usize + 17);
    let (server, _, client) = pair(&Network::new(1), content.clone());
    let mut whole = client.fetch(server, "here".into(), None).await.unwrap();
    assert_eq!(whole.size_bytes(), content.len() as u64);
    assert_eq!(collect(&mut whole).await.unwrap(), content);
    drop(whole);
    for range in [5..5, 0..1, 100..300_000, content.len() as u64 - 1..content.len() as u64] {
        let mut part = client.fetch(server, "here".into(), Some(range.clone())).await.unwrap();
        let expected = &content[range.start as usize..range.end as usize];
        assert_eq!(collect(&mut part).await.unwrap(), expected, "{range:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_said_at_once() {
    let (server, _, client) = pair(&Network::new(1), bytes(10));
    let absent = client.fetch(server, "elsewhere".into(), None).await;
    assert!(matches!(absent, Err(BulkError::Absent)));
    let beyond = client.fetch(server, "here".into(), Some(5..11)).await;
    assert!(matches!(beyond, Err(BulkError::Range { size_bytes: 10, .. })));
    let nobody = client.fetch(NodeId(5), "here".into(), None).await;
    assert!(matches!(nobody, Err(BulkError::Open(_))));
}

#[tokio::test(start_paused = true)]
async fn a_broken_transfer_goes_on_where_it_was() {
    let content = bytes(20 * CHUNK_BYTES as usize);
    let network = Network::new(7);
    let (server, fetcher, client) = pair(&network, content.clone());
    let mut transfer = client.fetch(server, "here".into(), None).await.unwrap();
    let mut all = Vec::new();
    while let Some(chunk) = transfer.next().await {
        all.extend_from_slice(&chunk.unwrap());
        if all.len() % (3 * CHUNK_BYTES as usize) == 0 {
            network.reset(server, fetcher);
        }
    }
    assert!(all == content, "{} of {} bytes", all.len(), content.len());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_dies_ends_the_transfer_with_its_offset() {
    let network = Network::new(7);
    let (server, _, client) = pair(&network, bytes(20 * CHUNK_BYTES as usize));
    let mut transfer = client.fetch(server, "here".into(), None).await.unwrap();
    transfer.next().await.unwrap().unwrap();
    network.kill(server);
    assert!(collect(&mut transfer).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn one_transfer_of_a_key_runs_at_a_time() {
    let network = Network::new(1);
    let (server, _, client) = pair(&network, bytes(20 * CHUNK_BYTES as usize));
    let first = client.fetch(server, "here".into(), None).await.unwrap();
    let second = client.fetch(server, "here".into(), None).await;
    assert!(matches!(second, Err(BulkError::Running)));
    drop(first);
    tokio::time::advance(Duration::from_millis(1)).await;
    let mut third = client.fetch(server, "here".into(), None).await.unwrap();
    assert!(collect(&mut third).await.is_ok());
}
