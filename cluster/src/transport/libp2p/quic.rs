//! Links for messages and bulk over QUIC, on the UDP port of the node's number (feature `quic`).
//!
//! Measured, TCP under Noise carries more (`cluster/examples/lanes.rs`); but some networks let only UDP through, and QUIC
//! repeats a lost packet without holding up other links on a bad line. Control connections stay on TCP in any case:
//! a process that ends resets them, and QUIC would have its neighbours wait for silence.
//!
//! QUIC proves who is at the other end by itself, so that admission speaks first on the one stream of each connection,
//! and nobody is served before.
//!
//! Invariants: one link is one connection of its own; one that cannot be made is tried over TCP.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::poll_fn;
use futures_util::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use libp2p::core::Endpoint as Role;
use libp2p::core::muxing::StreamMuxerExt as _;
use libp2p::core::transport::{DialOpts, ListenerId, PortUse, TransportEvent};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, Transport as _, noise, quic};
use mobula_proto::id::NodeId;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use super::socket::{CONNECT_LIMIT, HANDSHAKES_MAX, MAGIC, check_node, refused};
use super::upgrade::{UpgradeError, key_of};
use crate::admission::rules::{Purpose, Refusal};
use crate::admission::{ADMISSION_LIMIT, Admission};
use crate::error::{AdmissionError, OpenError, StartError};
use crate::identity::Identity;
use crate::transport::{Arrival, Link, Target, more_telling, open_error};

/// The node's QUIC endpoint.
#[derive(Clone)]
pub(super) struct Quic {
    transport: Arc<Mutex<quic::tokio::Transport>>,
    admission: Arc<Admission>,
}

impl Quic {
    /// Listens on the UDP ports of the numbers in these addresses.
    pub(super) fn start(
        identity: &Identity,
        admission: Arc<Admission>,
        addresses: &[String],
    ) -> Result<Self, StartError> {
        let bound: Vec<_> = addresses.iter().filter_map(|address| address.parse().ok()).collect();
        Self::listen(identity, admission, &bound).map_err(|(address, source)| StartError::Listen {
            address: format!("{address} (UDP)"),
            source,
        })
    }

    fn listen(
        identity: &Identity,
        admission: Arc<Admission>,
        addresses: &[SocketAddr],
    ) -> Result<Self, (SocketAddr, io::Error)> {
        let mut config = quic::Config::new(identity.keypair());
        config.handshake_timeout = CONNECT_LIMIT;
        let mut transport = quic::tokio::Transport::new(config);
        for &address in addresses {
            let listening = transport.listen_on(ListenerId::next(), multiaddr(address));
            listening.map_err(|error| (address, io::Error::other(error.to_string())))?;
        }
        Ok(Self { transport: Arc::new(Mutex::new(transport)), admission })
    }

    /// Admits those who dial and passes them on as links.
    pub(super) async fn accept(self, arrivals: mpsc::Sender<Arrival>) {
        let places = Arc::new(Semaphore::new(HANDSHAKES_MAX));
        loop {
            let event = poll_fn(|cx| Pin::new(&mut *self.transport.lock()).poll(cx)).await;
            let TransportEvent::Incoming { upgrade, .. } = event else { continue };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
            let (admission, arrivals) = (Arc::clone(&self.admission), arrivals.clone());
            tokio::spawn(async move {
                match timeout(2 * ADMISSION_LIMIT, admit(&admission, upgrade)).await {
                    Ok(Ok(link)) => {
                        drop(place);
                        let _closed = arrivals.send(Arrival::Link(link)).await;
                    }
                    Ok(Err(error)) => tracing::debug!(%error, "not admitted over QUIC"),
                    Err(_elapsed) => tracing::debug!("not admitted over QUIC in time"),
                }
            });
        }
    }

    /// Dials the addresses of `target` in turn until one leads to a link.
    pub(super) async fn dial(
        &self,
        own: NodeId,
        target: &Target,
        purpose: Purpose,
    ) -> Result<Link, OpenError> {
        let mut failure = None;
        for address in &target.addresses {
            let Ok(resolved) = tokio::net::lookup_host(address).await else { continue };
            for address in resolved {
                let attempt = self.dial_one(own, target.node, address, purpose);
                let limit = CONNECT_LIMIT + ADMISSION_LIMIT;
                match timeout(limit, attempt).await.unwrap_or(Err(OpenError::TimedOut { limit })) {
                    Ok(link) => return Ok(link),
                    Err(error) => failure = Some(more_telling(failure, error)),
                }
            }
        }
        Err(failure.unwrap_or(OpenError::NoAddress))
    }

    async fn dial_one(
        &self,
        own: NodeId,
        expected: Option<NodeId>,
        address: SocketAddr,
        purpose: Purpose,
    ) -> Result<Link, OpenError> {
        let opts = DialOpts { role: Role::Dialer, port_use: PortUse::Reuse };
        let dialing = self.transport.lock().dial(multiaddr(address), opts);
        let dialing = dialing.map_err(|error| unreachable(&error))?;
        let (peer, mut connection) = dialing.await.map_err(|error| unreachable(&error))?;
        check_node(own, expected, &peer)?;
        let opening = poll_fn(|cx| connection.poll_outbound_unpin(cx)).await;
        let stream = opening.map_err(|error| unreachable(&error))?;
        let mut stream = Whole { stream, _connection: connection };
        // The other end sees a stream only when something is on it.
        stream.write_all(MAGIC).await.map_err(open_error)?;
        let key = key_of(&peer).map_err(refused)?;
        let admitted = self.admission.dial(&mut stream, key, purpose).await;
        let peer = Arc::new(admitted.map_err(|error| OpenError::NotAdmitted(Arc::new(error)))?);
        Ok(Link { peer, purpose, stream: Box::new(stream) })
    }
}

async fn admit(admission: &Admission, connecting: quic::Connecting) -> Result<Link, UpgradeError> {
    let broken = |error: quic::Error| noise::Error::Io(io::Error::other(error));
    let (peer, mut connection) = connecting.await.map_err(broken)?;
    let accepting = poll_fn(|cx| connection.poll_inbound_unpin(cx)).await;
    let mut stream = Whole { stream: accepting.map_err(broken)?, _connection: connection };
    let mut magic = [0; MAGIC.len()];
    stream.read_exact(&mut magic).await.map_err(noise::Error::from)?;
    let malformed = || Arc::new(AdmissionError::Refused(Refusal::Malformed));
    if &magic != MAGIC {
        return Err(malformed().into());
    }
    let listening = admission.listen(&mut stream, key_of(&peer)?).await;
    let (purpose, admitted) = listening.map_err(Arc::new)?;
    if purpose == Purpose::Control {
        return Err(malformed().into());
    }
    Ok(Link { peer: Arc::new(admitted), purpose, stream: Box::new(stream) })
}

/// The one stream of a connection, and the connection, which ends with it.
struct Whole {
    stream: quic::Stream,
    _connection: quic::Connection,
}

impl AsyncRead for Whole {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Whole {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}

fn unreachable(error: &dyn std::error::Error) -> OpenError {
    OpenError::Unreachable(Arc::new(io::Error::other(error.to_string())))
}

fn multiaddr(address: SocketAddr) -> Multiaddr {
    Multiaddr::from(address.ip()).with(Protocol::Udp(address.port())).with(Protocol::QuicV1)
}
