//! How the swarm is put together: sockets, encryption with admission, and the behaviours beside them.
//!
//! Invariant: nothing is multiplexed before admission.

use std::io;
use std::time::Duration;

use libp2p::core::ConnectedPoint;
use libp2p::core::transport::upgrade::Version;
use libp2p::swarm::Swarm;
use libp2p::{Transport as _, connection_limits, gossipsub, identify, ping, tcp, yamux};
use tokio::sync::mpsc;

use super::EndpointConfig;
#[cfg(feature = "relay")]
use super::relay::circuit::{Circuit, Circuits, Cuts};
#[cfg(feature = "relay")]
use super::relay::legs::Holders;
#[cfg(feature = "relay")]
use super::relay::server;
use super::socket::{self, Socket};
use super::swarm::Behaviour;
use super::upgrade::Guarded;
#[cfg(not(all(feature = "mdns", feature = "quic", feature = "relay")))]
use super::without;
use crate::admission::ADMISSION_LIMIT;
use crate::error::StartError;
use crate::identity::Identity;

/// Most streams of one connection: what yamux's receive window has room for. A leg carries a stream for each circuit.
#[cfg(feature = "relay")]
const STREAMS_MAX: usize = 4096;

/// A swarm, and what it shares with its endpoint and its task.
pub(super) struct Built {
    pub(super) swarm: Swarm<Behaviour>,
    #[cfg(feature = "relay")]
    pub(super) circuits: Circuits,
    #[cfg(feature = "relay")]
    pub(super) cuts: Cuts,
    #[cfg(feature = "relay")]
    pub(super) holders: Holders,
}

pub(super) fn build(
    identity: &Identity,
    guarded: Guarded,
    sockets: mpsc::Sender<Socket>,
    config: &EndpointConfig,
) -> Result<Built, StartError> {
    let public = identity.keypair().public();
    #[cfg(not(feature = "mdns"))]
    if config.mdns {
        return Err(without("mdns"));
    }
    #[cfg(not(feature = "quic"))]
    if config.quic {
        return Err(without("quic"));
    }
    #[cfg(not(feature = "relay"))]
    if config.relay_server.is_some() || !config.relays.is_empty() {
        return Err(without("relay"));
    }
    let broken = |text: String| StartError::Transport(io::Error::other(text));
    #[cfg(feature = "relay")]
    let (circuit_transport, relay_client) = libp2p::relay::client::new(public.to_peer_id());
    #[cfg(feature = "relay")]
    let (circuits, cuts, holders) =
        (Circuits::new(circuit_transport), Cuts::default(), Holders::default());
    #[cfg(feature = "relay")]
    let watched = cuts.clone();
    let tcp_sockets = sockets.clone();
    let transport = tcp::tokio::Transport::new(tcp::Config::new().nodelay(true))
        .and_then(move |stream, point| divert(stream, point, tcp_sockets.clone()))
        .map_err(|error| SocketError(error.into_inner()));
    // First, because TCP would take an address behind a relay for the relay's.
    #[cfg(feature = "relay")]
    let transport = circuits
        .clone()
        .map_err(io::Error::other)
        .and_then(move |circuit, point| {
            divert_circuit(circuit, point, sockets.clone(), watched.clone())
        })
        .map_err(|error| SocketError(error.into_inner()))
        .or_transport(transport)
        .map_err(|error| error.into_inner());
    let transport = transport
        .upgrade(Version::V1)
        .authenticate(guarded)
        .multiplex(multiplexer())
        .timeout(2 * ADMISSION_LIMIT)
        .boxed();
    let gossip = gossipsub::ConfigBuilder::default()
        .validation_mode(gossipsub::ValidationMode::Strict)
        .build()
        .map_err(|error| broken(error.to_string()))?;
    let author = gossipsub::MessageAuthenticity::Signed(identity.keypair().clone());
    let limits = connection_limits::ConnectionLimits::default()
        .with_max_pending_incoming(Some(256))
        .with_max_pending_outgoing(Some(256))
        .with_max_established_per_peer(Some(4));
    let behaviour = Behaviour {
        limits: connection_limits::Behaviour::new(limits),
        streams: libp2p_stream::Behaviour::new(),
        gossip: gossipsub::Behaviour::new(author, gossip)
            .map_err(|error| broken(error.to_owned()))?,
        identify: identify::Behaviour::new(identify::Config::new(
            "/mobula/1".to_owned(),
            public.clone(),
        )),
        ping: ping::Behaviour::new(ping::Config::new()),
        #[cfg(feature = "mdns")]
        mdns: if config.mdns {
            let config = libp2p::mdns::Config::default();
            let behaviour = libp2p::mdns::tokio::Behaviour::new(config, public.to_peer_id());
            Some(behaviour.map_err(StartError::Transport)?).into()
        } else {
            None.into()
        },
        #[cfg(feature = "relay")]
        relay_server: config
            .relay_server
            .as_ref()
            .map(|limits| relay_server(public.to_peer_id(), limits, &holders))
            .into(),
        #[cfg(feature = "relay")]
        relay_client,
        #[cfg(feature = "relay")]
        dcutr: libp2p::dcutr::Behaviour::new(public.to_peer_id()),
    };
    let swarm_config = libp2p::swarm::Config::with_tokio_executor()
        // Who stays connected is the membership's decision.
        .with_idle_connection_timeout(Duration::from_secs(365 * 24 * 3600));
    Ok(Built {
        swarm: Swarm::new(transport, behaviour, public.to_peer_id(), swarm_config),
        #[cfg(feature = "relay")]
        circuits,
        #[cfg(feature = "relay")]
        cuts,
        #[cfg(feature = "relay")]
        holders,
    })
}

fn multiplexer() -> yamux::Config {
    #[cfg_attr(not(feature = "relay"), expect(unused_mut, reason = "the usual will do"))]
    let mut config = yamux::Config::default();
    #[cfg(feature = "relay")]
    config.set_max_num_streams(STREAMS_MAX);
    config
}

#[cfg(feature = "relay")]
fn relay_server(
    own: libp2p::PeerId,
    limits: &super::RelayLimits,
    holders: &Holders,
) -> libp2p::relay::Behaviour {
    let mut behaviour = libp2p::relay::Behaviour::new(own, server::config(limits, holders));
    // Otherwise it waits until somebody has confirmed an address of ours.
    behaviour.set_status(Some(libp2p::relay::Status::Enable));
    behaviour
}

/// The library joins errors to pairs that show only the source of what they hold; so the cause must be a source.
#[derive(Debug, thiserror::Error)]
#[error("socket failed")]
struct SocketError(#[source] io::Error);

/// Sends sockets of our own to their acceptor; libp2p sees a connection that ended.
async fn divert(
    stream: tcp::tokio::TcpStream,
    point: ConnectedPoint,
    sockets: mpsc::Sender<Socket>,
) -> io::Result<tcp::tokio::TcpStream> {
    if point.is_listener() && socket::is_ours(&stream.0).await? {
        // Full means a storm of connections: this one is closed and its dialer comes again.
        let _full = sockets.try_send(Socket::Tcp(stream.0));
        return Err(io::Error::other("a socket of our own"));
    }
    Ok(stream)
}

/// The same for circuits.
#[cfg(feature = "relay")]
async fn divert_circuit(
    mut circuit: Circuit,
    point: ConnectedPoint,
    sockets: mpsc::Sender<Socket>,
    cuts: Cuts,
) -> io::Result<Circuit> {
    if point.is_listener() {
        let first = tokio::time::timeout(ADMISSION_LIMIT, circuit.peek()).await;
        let first = first.map_err(|_elapsed| io::Error::from(io::ErrorKind::TimedOut))??;
        if first == socket::MAGIC[0] {
            let _full = sockets.try_send(Socket::Circuit(circuit));
            return Err(io::Error::other("a circuit of our own"));
        }
    }
    let end = point.get_remote_address().iter().last();
    let Some(libp2p::multiaddr::Protocol::P2p(other)) = end else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    Ok(cuts.watch(circuit, other))
}
