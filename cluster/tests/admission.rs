//! Nothing is served to a peer that has not proved membership, over real sockets on loopback.
//!
//! A refusal that only the rules know would be worth little if some protocol answered before it; so these tests knock
//! at a real port, with the wrong proofs, with none, and as a plain libp2p node.
//!
//! Invariant: each refusal names its reason at the dialing end.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::io::{AsyncReadExt as _, AsyncWriteExt as _};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, identify, noise, ping, tcp, yamux};
use mobula_cluster::admission::certificate::{
    Authority, Capabilities, Certificate, Role, Signed, UnixTime,
};
use mobula_cluster::admission::ledger::Issuer;
use mobula_cluster::admission::rules::{PROTOCOL_VERSION, Presence, Purpose, Refusal};
use mobula_cluster::admission::{Admission, AdmissionMode, CaMode};
use mobula_cluster::error::{ConfigError, OpenError, StartError};
use mobula_cluster::identity::{Identity, PublicKey};
use mobula_cluster::transport::libp2p::{Endpoint, EndpointConfig};
use mobula_cluster::transport::{Arrival, Target, Transport};
use mobula_proto::wire::codec;
use tokio::sync::mpsc;

const SECRET: &[u8] = b"sixteen bytes ok";
const PURPOSES: [Purpose; 3] = [Purpose::Control, Purpose::Messages { lane: 1 }, Purpose::Bulk];
/// Bounds a failure; nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(20);

struct Node {
    endpoint: Endpoint,
    arrivals: mpsc::Receiver<Arrival>,
}

fn now() -> UnixTime {
    UnixTime(1_000)
}

async fn start_as(identity: &Identity, cluster: &str, mode: AdmissionMode) -> Node {
    let presence = Presence { hello: vec![7; 100_000], ..Presence::default() };
    let admission =
        Admission::with_clock(identity.public(), cluster.into(), mode, presence, now).unwrap();
    let config = EndpointConfig {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        ..EndpointConfig::default()
    };
    let (endpoint, arrivals) =
        Endpoint::start(identity, Arc::new(admission), config).await.unwrap();
    Node { endpoint, arrivals }
}

async fn start(cluster: &str, mode: AdmissionMode) -> Node {
    start_as(&Identity::generate(), cluster, mode).await
}

fn secret() -> AdmissionMode {
    AdmissionMode::Secret(SECRET.into())
}

fn to(node: &Node) -> Target {
    Target { node: Some(node.endpoint.node()), addresses: node.endpoint.addresses() }
}

async fn refusal(from: &Node, to_node: &Node, purpose: Purpose) -> Refusal {
    let opening = from.endpoint.open(to(to_node), purpose);
    match tokio::time::timeout(PATIENCE, opening).await.expect("an answer in time") {
        Err(OpenError::NotAdmitted(error)) => error.refusal().expect("a refusal").clone(),
        other => panic!("{purpose:?}: {other:?}"),
    }
}

#[tokio::test]
async fn members_reach_each_other_on_all_three_kinds_of_links() {
    let (one, mut two) = (start("c", secret()).await, start("c", secret()).await);
    for purpose in PURPOSES {
        let mut link = one.endpoint.open(to(&two), purpose).await.unwrap();
        assert_eq!(link.node(), two.endpoint.node());
        link.stream.write_all(b"hello").await.unwrap();
        link.stream.flush().await.unwrap();
        let Some(Arrival::Link(mut inbound)) = two.arrivals.recv().await else { panic!() };
        assert_eq!((inbound.purpose, inbound.node()), (purpose, one.endpoint.node()));
        let hello = if purpose == Purpose::Control { 100_000 } else { 0 };
        assert_eq!(inbound.peer.presence.hello.len(), hello);
        assert_eq!(link.peer.presence.hello.len(), hello);
        let mut five = [0; 5];
        inbound.stream.read_exact(&mut five).await.unwrap();
        assert_eq!(&five, b"hello");
    }
}

#[tokio::test]
async fn publications_reach_subscribers_with_their_author() {
    let (one, mut two) = (start("c", secret()).await, start("c", secret()).await);
    two.endpoint.subscribe("prices").unwrap();
    let _link = one.endpoint.open(to(&two), Purpose::Control).await.unwrap();
    let publishing = async {
        let mut pause = tokio::time::interval(Duration::from_millis(50));
        // Who subscribes to what is gossip, too: the first ones may come too early.
        for count in 0..u64::MAX {
            pause.tick().await;
            one.endpoint.publish("prices", count.to_be_bytes().to_vec().into()).unwrap();
        }
    };
    let hearing = async {
        loop {
            match two.arrivals.recv().await.unwrap() {
                Arrival::Publication { topic, from, .. } => return (topic, from),
                Arrival::Link(_)
                | Arrival::Discovered { .. }
                | Arrival::Moved
                | Arrival::Direct { .. } => {}
            }
        }
    };
    let heard = tokio::time::timeout(PATIENCE, async {
        tokio::select! { heard = hearing => heard, () = publishing => unreachable!() }
    });
    assert_eq!(heard.await.unwrap(), ("prices".to_owned(), one.endpoint.node()));
}

#[tokio::test]
async fn wrong_and_missing_secrets_are_refused() {
    let listener = start("c", secret()).await;
    let wrong = start("c", AdmissionMode::Secret(b"another secret!!".to_vec())).await;
    let without = start("c", AdmissionMode::Open).await;
    for purpose in PURPOSES {
        assert_eq!(refusal(&wrong, &listener, purpose).await, Refusal::Secret);
        assert!(matches!(refusal(&without, &listener, purpose).await, Refusal::Mode { .. }));
    }
}

#[tokio::test]
async fn clusters_do_not_mix() {
    let (one, two) = (start("c", secret()).await, start("d", secret()).await);
    for purpose in PURPOSES {
        assert_eq!(refusal(&one, &two, purpose).await, Refusal::Cluster);
    }
}

#[tokio::test]
async fn another_node_at_the_address_is_an_error() {
    let (one, two) = (start("c", secret()).await, start("c", secret()).await);
    for purpose in PURPOSES {
        let expected = Identity::generate().node();
        let target = Target { node: Some(expected), addresses: two.endpoint.addresses() };
        match one.endpoint.open(target, purpose).await {
            Err(OpenError::AnotherNode { found, .. }) => assert_eq!(found, two.endpoint.node()),
            other => panic!("{other:?}"),
        }
        let oneself = Target { node: None, addresses: one.endpoint.addresses() };
        let error = one.endpoint.open(oneself, purpose).await.unwrap_err();
        assert!(matches!(error, OpenError::Oneself), "{error:?}");
    }
}

#[tokio::test]
async fn a_closed_port_is_hard_evidence() {
    let (one, two) = (start("c", secret()).await, start("c", secret()).await);
    let target = to(&two);
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed =
        Target { node: target.node, addresses: vec![nowhere.local_addr().unwrap().to_string()] };
    drop(nowhere);
    for purpose in PURPOSES {
        let error = one.endpoint.open(closed.clone(), purpose).await.unwrap_err();
        assert!(matches!(error, OpenError::Refused), "{purpose:?}: {error:?}");
    }
}

#[tokio::test]
async fn open_admission_stays_on_loopback() {
    let identity = Identity::generate();
    let admission =
        Admission::new(identity.public(), "c", AdmissionMode::Open, Presence::default()).unwrap();
    let config =
        EndpointConfig { listen: vec!["0.0.0.0:0".parse().unwrap()], ..EndpointConfig::default() };
    let error = Endpoint::start(&identity, Arc::new(admission), config).await.unwrap_err();
    assert!(matches!(error, StartError::Config(ConfigError::OpenBeyondLoopback { .. })));
}

fn authority() -> Authority {
    Authority::new("c", Identity::from_seed(&[42; 32]).unwrap())
}

fn certificate(node: PublicKey, issued: u64, expires: u64) -> Signed<Certificate> {
    let terms = (Role::Member, Capabilities::SUBMIT);
    authority().certify(node, terms, UnixTime(issued), UnixTime(expires))
}

fn shows(certificate: Signed<Certificate>) -> AdmissionMode {
    AdmissionMode::Ca(Box::new(CaMode {
        authority: authority().public(),
        certificate: Some(certificate),
        token: None,
        issuer: None,
    }))
}

#[tokio::test]
async fn certificates_open_until_they_expire_or_are_revoked() {
    let [a, b, c, d] = [(); 4].map(|()| Identity::generate());
    let listener = start_as(&a, "c", shows(certificate(a.public(), 0, 2_000))).await;
    let good = start_as(&b, "c", shows(certificate(b.public(), 500, 1_000))).await;
    let expired = start_as(&c, "c", shows(certificate(c.public(), 500, 999))).await;
    let stolen = start_as(&d, "c", shows(certificate(b.public(), 500, 1_000))).await;
    for purpose in PURPOSES {
        let link = good.endpoint.open(to(&listener), purpose).await.unwrap();
        assert_eq!(link.peer.standing.capabilities, Capabilities::SUBMIT);
        assert_eq!(refusal(&expired, &listener, purpose).await, Refusal::Expired);
        assert_eq!(refusal(&stolen, &listener, purpose).await, Refusal::NotYours);
    }
    let admission = listener.endpoint.admission();
    let revoked = admission.revoke(&authority().revoke(b.public(), UnixTime(600))).unwrap();
    assert_eq!(revoked.unwrap().node, b.public());
    listener.endpoint.disconnect(good.endpoint.node());
    for purpose in [Purpose::Messages { lane: 0 }, Purpose::Bulk] {
        assert_eq!(refusal(&good, &listener, purpose).await, Refusal::Revoked);
    }
    // The other end checks as well: it will not talk to one that is revoked in its eyes.
    good.endpoint.admission().revoke(&authority().revoke(a.public(), UnixTime(9_999))).unwrap();
    let again = start_as(&b, "c", shows(certificate(b.public(), 700, 1_000))).await;
    again.endpoint.admission().revoke(&authority().revoke(a.public(), UnixTime(9_999))).unwrap();
    assert_eq!(refusal(&again, &listener, Purpose::Bulk).await, Refusal::Revoked);
}

#[tokio::test]
async fn a_token_becomes_a_certificate_at_the_issuer() {
    let issuer = start(
        "c",
        AdmissionMode::Ca(Box::new(CaMode {
            authority: authority().public(),
            certificate: None,
            token: None,
            issuer: Some(Issuer::new(authority(), 100)),
        })),
    )
    .await;
    let with = |token| {
        AdmissionMode::Ca(Box::new(CaMode {
            authority: authority().public(),
            certificate: None,
            token: Some(token),
            issuer: None,
        }))
    };
    let token = authority().token([5; 16], (Role::Member, Capabilities::SPAWN), UnixTime(2_000), 1);
    let first = start("c", with(token.clone())).await;
    let second = start("c", with(token)).await;
    assert_eq!(refusal(&second, &first, Purpose::Bulk).await, Refusal::NoIssuer);
    first.endpoint.open(to(&issuer), Purpose::Control).await.unwrap();
    assert!(first.endpoint.admission().certificate().is_some());
    assert_eq!(refusal(&second, &issuer, Purpose::Control).await, Refusal::Spent);
}

#[derive(NetworkBehaviour)]
#[behaviour(prelude = "libp2p::swarm::derive_prelude")]
struct Stranger {
    identify: identify::Behaviour,
    ping: ping::Behaviour,
}

#[tokio::test]
async fn a_plain_libp2p_node_gets_no_protocol_at_all() {
    let listener = start("c", secret()).await;
    let mut swarm = libp2p::SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .unwrap()
        .with_behaviour(|key| Stranger {
            identify: identify::Behaviour::new(identify::Config::new("/x".into(), key.public())),
            ping: ping::Behaviour::default(),
        })
        .unwrap()
        .build();
    let [host, port] = listener.endpoint.addresses()[0]
        .split(':')
        .map(str::to_owned)
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    let address: Multiaddr = format!("/ip4/{host}/tcp/{port}").parse().unwrap();
    swarm.dial(address).unwrap();
    let outcome = tokio::time::timeout(PATIENCE, async {
        loop {
            match swarm.select_next_some().await {
                SwarmEvent::OutgoingConnectionError { .. } => return,
                SwarmEvent::ConnectionEstablished { .. } | SwarmEvent::Behaviour(_) => {
                    panic!("a stranger was served")
                }
                _ => {}
            }
        }
    });
    outcome.await.expect("the stranger is turned away");
}

#[tokio::test]
async fn noise_without_proof_ends_in_silence_and_a_closed_socket() {
    use libp2p::core::upgrade::OutboundConnectionUpgrade as _;
    use tokio_util::compat::TokioAsyncReadCompatExt as _;

    let mut listener = start("c", secret()).await;
    let mut socket =
        tokio::net::TcpStream::connect(&listener.endpoint.addresses()[0]).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut socket, b"Mobula1\n").await.unwrap();
    let key = libp2p::identity::Keypair::generate_ed25519();
    let noise = noise::Config::new(&key).unwrap();
    let (_, mut stream) = noise.upgrade_outbound(socket.compat(), "/noise").await.unwrap();
    // A length far beyond the limit, and then nothing: refused at once, without reading on.
    stream.write_all(&[0xff; 4]).await.unwrap();
    stream.flush().await.unwrap();
    let mut rest = Vec::new();
    let reading = stream.read_to_end(&mut rest);
    let _reset = tokio::time::timeout(PATIENCE, reading).await.expect("closed");
    assert_eq!(rest, b"", "not a byte was served");
    assert!(listener.arrivals.try_recv().is_err());
}

/// The opening of a dialer of another version of everything that nodes say.
#[derive(serde::Serialize)]
struct Opening {
    version: u16,
    cluster: &'static str,
    purpose: Purpose,
    mode: &'static str,
    nonce: [u8; 32],
}

#[derive(Debug, serde::Deserialize)]
enum Answer {
    Refused(Refusal),
}

#[tokio::test]
async fn another_protocol_version_is_refused_with_both_numbers() {
    use libp2p::core::upgrade::OutboundConnectionUpgrade as _;
    use tokio_util::compat::TokioAsyncReadCompatExt as _;

    let listener = start("c", secret()).await;
    let mut socket =
        tokio::net::TcpStream::connect(&listener.endpoint.addresses()[0]).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut socket, b"Mobula1\n").await.unwrap();
    let key = libp2p::identity::Keypair::generate_ed25519();
    let noise = noise::Config::new(&key).unwrap();
    let (_, mut stream) = noise.upgrade_outbound(socket.compat(), "/noise").await.unwrap();
    let version = PROTOCOL_VERSION + 8;
    let (cluster, purpose) = ("c", Purpose::Control);
    let opening = Opening { version, cluster, purpose, mode: "Secret", nonce: [0; 32] };
    let body = codec::encode(&opening).unwrap();
    let length = u32::try_from(body.len()).unwrap();
    stream.write_all(&[&length.to_be_bytes(), &body[..]].concat()).await.unwrap();
    stream.flush().await.unwrap();
    let mut length = [0; 4];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut length)).await.expect("told").unwrap();
    let mut body = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut body).await.unwrap();
    let Answer::Refused(refusal) = codec::decode(&body).unwrap();
    assert_eq!(refusal, Refusal::Version { theirs: version, ours: PROTOCOL_VERSION });
    assert_eq!(refusal.to_string(), "protocol version 9 meets version 1");
}

#[tokio::test]
async fn other_protocols_on_the_port_are_closed() {
    let listener = start("c", secret()).await;
    for opening in ["GET / HTTP/1.1\r\n\r\n", "Magic?!\n", "MOBULA!!"] {
        let mut socket =
            tokio::net::TcpStream::connect(&listener.endpoint.addresses()[0]).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut socket, opening.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let reading = tokio::io::AsyncReadExt::read_to_end(&mut socket, &mut answer);
        let _reset = tokio::time::timeout(PATIENCE, reading).await.expect("closed");
        // libp2p may name its negotiation protocol; nothing of ours is said.
        assert!(answer.len() <= 20, "{answer:?}");
    }
}
