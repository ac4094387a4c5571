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

use super::socket;
use super::swarm::Behaviour;
use super::upgrade::Guarded;
#[cfg(not(feature = "mdns"))]
use super::without;
use crate::admission::ADMISSION_LIMIT;
use crate::error::StartError;
use crate::identity::Identity;

pub(super) fn build(
    identity: &Identity,
    guarded: Guarded,
    sockets: mpsc::Sender<tokio::net::TcpStream>,
    mdns: bool,
) -> Result<Swarm<Behaviour>, StartError> {
    let broken = |text: String| StartError::Transport(io::Error::other(text));
    let transport = tcp::tokio::Transport::new(tcp::Config::new().nodelay(true))
        .and_then(move |stream, point| divert(stream, point, sockets.clone()))
        .map_err(|error| SocketError(error.into_inner()))
        .upgrade(Version::V1)
        .authenticate(guarded)
        .multiplex(yamux::Config::default())
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
    let public = identity.keypair().public();
    #[cfg(not(feature = "mdns"))]
    if mdns {
        return Err(without("mdns"));
    }
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
        mdns: if mdns {
            let config = libp2p::mdns::Config::default();
            let behaviour = libp2p::mdns::tokio::Behaviour::new(config, public.to_peer_id());
            Some(behaviour.map_err(StartError::Transport)?).into()
        } else {
            None.into()
        },
    };
    let config = libp2p::swarm::Config::with_tokio_executor()
        // Who stays connected is the membership's decision.
        .with_idle_connection_timeout(Duration::from_secs(365 * 24 * 3600));
    Ok(Swarm::new(transport, behaviour, public.to_peer_id(), config))
}

/// The library joins errors to pairs that show only the source of what they hold; so the cause must be a source.
#[derive(Debug, thiserror::Error)]
#[error("socket failed")]
struct SocketError(#[source] io::Error);

/// Sends sockets of our own to their acceptor; libp2p sees a connection that ended.
async fn divert(
    stream: tcp::tokio::TcpStream,
    point: ConnectedPoint,
    sockets: mpsc::Sender<tokio::net::TcpStream>,
) -> io::Result<tcp::tokio::TcpStream> {
    if point.is_listener() && socket::is_ours(&stream.0).await? {
        // Full means a storm of connections: this one is closed and its dialer comes again.
        let _full = sockets.try_send(stream.0);
        return Err(io::Error::other("a socket of our own"));
    }
    Ok(stream)
}
