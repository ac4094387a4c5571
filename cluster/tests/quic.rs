//! Links over QUIC: real datagrams on loopback. Only with the feature `quic`.

#![cfg(feature = "quic")]
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::io::{AsyncReadExt as _, AsyncWriteExt as _};
use mobula_cluster::admission::rules::{Presence, Purpose};
use mobula_cluster::admission::{Admission, AdmissionMode};
use mobula_cluster::error::OpenError;
use mobula_cluster::identity::Identity;
use mobula_cluster::transport::libp2p::{Endpoint, EndpointConfig};
use mobula_cluster::transport::{Arrival, Target, Transport};
use mobula_proto::id::Incarnation;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

/// Bounds a failure; nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(60);

async fn endpoint(secret: &[u8], quic: bool) -> (Endpoint, mpsc::Receiver<Arrival>) {
    let identity = Identity::generate();
    let presence = Presence { incarnation: Incarnation(1), ..Presence::default() };
    let mode = AdmissionMode::Secret(secret.into());
    let admission = Admission::new(identity.public(), "c", mode, presence).unwrap();
    let config = EndpointConfig {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        quic,
        ..EndpointConfig::default()
    };
    Endpoint::start(&identity, Arc::new(admission), config).await.unwrap()
}

/// An address that leads to `to` by datagrams alone: nobody listens there for TCP.
async fn by_datagrams_alone(to: &str) -> String {
    let to: SocketAddr = to.parse().unwrap();
    let outside = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let inside = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = outside.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (mut there, mut back) = (vec![0; 65_536], vec![0; 65_536]);
        let mut dialer = None;
        loop {
            tokio::select! {
                Ok((size, from)) = outside.recv_from(&mut there) => {
                    dialer = Some(from);
                    inside.send_to(&there[..size], to).await.unwrap();
                }
                Ok((size, _)) = inside.recv_from(&mut back) => {
                    outside.send_to(&back[..size], dialer.unwrap()).await.unwrap();
                }
            }
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_of_messages_is_made_over_datagrams_alone() {
    let (one, _) = endpoint(b"sixteen bytes ok", true).await;
    let (other, mut arrivals) = endpoint(b"sixteen bytes ok", true).await;
    let address = by_datagrams_alone(&other.addresses()[0]).await;
    let target = Target { node: Some(other.node()), addresses: vec![address] };
    let purpose = Purpose::Messages { lane: 1 };
    let opening = tokio::time::timeout(PATIENCE, one.open(target, purpose));
    let mut there = opening.await.unwrap().unwrap();
    assert_eq!(there.node(), other.node());
    let arrival = tokio::time::timeout(PATIENCE, arrivals.recv()).await.unwrap().unwrap();
    let Arrival::Link(mut here) = arrival else { panic!("not a link: {arrival:?}") };
    assert_eq!((here.node(), here.purpose), (one.node(), purpose));

    let said: Vec<u8> = (0..1_000_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    let saying = async {
        there.stream.write_all(&said).await.unwrap();
        there.stream.flush().await.unwrap();
    };
    let mut heard = vec![0; said.len()];
    let hearing = here.stream.read_exact(&mut heard);
    let (_, read) =
        tokio::time::timeout(PATIENCE, async { tokio::join!(saying, hearing) }).await.unwrap();
    read.unwrap();
    assert!(heard == said, "what was said arrives, in order");
    // The end of one end is seen at the other.
    drop(there);
    let ended = tokio::time::timeout(PATIENCE, here.stream.read(&mut [0; 1])).await.unwrap();
    assert!(matches!(ended, Ok(0) | Err(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_is_refused_over_quic_too() {
    let (one, _) = endpoint(b"another secret..", true).await;
    let (other, _) = endpoint(b"sixteen bytes ok", true).await;
    let target = Target { node: Some(other.node()), addresses: other.addresses() };
    let opening = tokio::time::timeout(PATIENCE, one.open(target, Purpose::Bulk));
    let refused = opening.await.unwrap();
    assert!(matches!(refused, Err(OpenError::NotAdmitted(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_quic_is_reached_by_tcp() {
    let (one, _) = endpoint(b"sixteen bytes ok", true).await;
    let (other, mut arrivals) = endpoint(b"sixteen bytes ok", false).await;
    let target = Target { node: Some(other.node()), addresses: other.addresses() };
    let opening = tokio::time::timeout(PATIENCE, one.open(target, Purpose::Bulk));
    assert_eq!(opening.await.unwrap().unwrap().node(), other.node());
    let arrival = tokio::time::timeout(PATIENCE, arrivals.recv()).await.unwrap();
    assert!(matches!(arrival, Some(Arrival::Link(_))));
}
