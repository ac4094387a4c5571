//! Links for messages and bulk: sockets of our own on the node's one port, under libp2p's Noise.
//!
//! Substreams of the control connection would be simplest, but they share its fate and its encryption task: measured,
//! they carry half of what a bare Noise socket does, and a long write delays the heartbeat beside it.
//! A second port would need a second rule in every firewall.
//! So a dialer that wants a socket of its own says so with one line of eight bytes before anything else, whose first
//! byte no libp2p connection starts with (those open with a length, 0x13), and the listener tells the two apart by it.
//!
//! Invariants: at most [`HANDSHAKES_MAX`] sockets are between accept and admission; none for longer than twice
//! [`ADMISSION_LIMIT`].

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use libp2p::PeerId;
use libp2p::core::upgrade::{InboundConnectionUpgrade as _, OutboundConnectionUpgrade as _};
use libp2p::noise;
use mobula_proto::id::NodeId;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_util::compat::TokioAsyncReadCompatExt as _;

#[cfg(feature = "relay")]
use super::relay::circuit::Circuit;
use super::upgrade::{UpgradeError, key_of};
use crate::admission::rules::{Purpose, Refusal};
use crate::admission::{ADMISSION_LIMIT, Admission};
use crate::error::{AdmissionError, OpenError};
use crate::transport::{Arrival, Link, Target, more_telling, open_error};

/// What a socket of ours starts with.
pub(super) const MAGIC: &[u8; 8] = b"Mobula1\n";

/// Most sockets that are being admitted at one time; more are closed at once and their dialers retry.
pub(crate) const HANDSHAKES_MAX: usize = 64;

/// How long a dialer waits for an address to answer.
pub(crate) const CONNECT_LIMIT: Duration = Duration::from_secs(3);

/// How both ends secure a socket.
#[derive(Clone)]
pub(crate) struct Security {
    pub(crate) noise: noise::Config,
    pub(crate) admission: Arc<Admission>,
}

/// What a dialer wants to have to itself.
pub(crate) enum Socket {
    /// It dialed us.
    Tcp(TcpStream),
    /// It reached us through a relay.
    #[cfg(feature = "relay")]
    Circuit(Circuit),
}

/// What the first byte says: ours, or libp2p's.
pub(crate) async fn is_ours(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    let peek = timeout(ADMISSION_LIMIT, stream.peek(&mut first));
    let count = peek.await.map_err(|_elapsed| io::Error::from(io::ErrorKind::TimedOut))??;
    Ok(count == 1 && first[0] == MAGIC[0])
}

/// Admits the sockets that come from the listener and passes them on as links.
pub(crate) async fn accept(
    security: Security,
    mut sockets: mpsc::Receiver<Socket>,
    arrivals: mpsc::Sender<Arrival>,
) {
    let places = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    while let Some(socket) = sockets.recv().await {
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let (security, arrivals) = (security.clone(), arrivals.clone());
        tokio::spawn(async move {
            match timeout(2 * ADMISSION_LIMIT, admit(security, socket)).await {
                Ok(Ok(link)) => {
                    drop(place);
                    let _closed = arrivals.send(Arrival::Link(link)).await;
                }
                Ok(Err(error)) => tracing::debug!(%error, "socket not admitted"),
                Err(_elapsed) => tracing::debug!("socket not admitted in time"),
            }
        });
    }
}

async fn admit(security: Security, socket: Socket) -> Result<Link, UpgradeError> {
    match socket {
        Socket::Tcp(socket) => {
            socket.set_nodelay(true).map_err(noise::Error::from)?;
            admit_stream(security, socket.compat()).await
        }
        #[cfg(feature = "relay")]
        Socket::Circuit(circuit) => admit_stream(security, circuit).await,
    }
}

async fn admit_stream<S>(security: Security, mut socket: S) -> Result<Link, UpgradeError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut magic = [0; MAGIC.len()];
    socket.read_exact(&mut magic).await.map_err(noise::Error::from)?;
    if &magic != MAGIC {
        return Err(Arc::new(AdmissionError::Refused(Refusal::Malformed)).into());
    }
    let (peer, mut stream) = security.noise.upgrade_inbound(socket, "").await?;
    let listening = security.admission.listen(&mut stream, key_of(&peer)?).await;
    let (purpose, admitted) = listening.map_err(Arc::new)?;
    if purpose == Purpose::Control {
        return Err(Arc::new(AdmissionError::Refused(Refusal::Malformed)).into());
    }
    Ok(Link { peer: Arc::new(admitted), purpose, stream: Box::new(stream) })
}

/// Dials the addresses of `target` in turn until one leads to a link.
pub(crate) async fn dial(
    security: Security,
    own: NodeId,
    target: Target,
    purpose: Purpose,
) -> Result<Link, OpenError> {
    let mut failure = None;
    for address in &target.addresses {
        let attempt = dial_one(security.clone(), own, target.node, address, purpose);
        let limit = CONNECT_LIMIT + ADMISSION_LIMIT;
        match timeout(limit, attempt).await.unwrap_or(Err(OpenError::TimedOut { limit })) {
            Ok(link) => return Ok(link),
            Err(error) => failure = Some(more_telling(failure, error)),
        }
    }
    Err(failure.unwrap_or(OpenError::NoAddress))
}

async fn dial_one(
    security: Security,
    own: NodeId,
    expected: Option<NodeId>,
    address: &str,
    purpose: Purpose,
) -> Result<Link, OpenError> {
    let limit = CONNECT_LIMIT;
    let connecting = timeout(limit, TcpStream::connect(address));
    let socket = connecting.await.map_err(|_elapsed| OpenError::TimedOut { limit })?;
    let socket = socket.map_err(open_error)?;
    socket.set_nodelay(true).map_err(open_error)?;
    let mut socket = socket.compat();
    socket.write_all(MAGIC).await.map_err(open_error)?;
    secure(security, (own, expected), socket, purpose).await
}

/// Encrypts a stream to `expected` that was announced as ours, and proves membership on it.
pub(super) async fn secure<S>(
    security: Security,
    (own, expected): (NodeId, Option<NodeId>),
    socket: S,
    purpose: Purpose,
) -> Result<Link, OpenError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (peer, mut stream) = encrypt(security.noise, socket).await?;
    check_node(own, expected, &peer)?;
    let key = key_of(&peer).map_err(refused)?;
    let admitted = security.admission.dial(&mut stream, key, purpose).await;
    let peer = Arc::new(admitted.map_err(|error| OpenError::NotAdmitted(Arc::new(error)))?);
    Ok(Link { peer, purpose, stream: Box::new(stream) })
}

async fn encrypt<S>(
    noise: noise::Config,
    socket: S,
) -> Result<(PeerId, noise::Output<S>), OpenError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    noise.upgrade_outbound(socket, "").await.map_err(|error| match error {
        noise::Error::Io(error) => open_error(error),
        other => OpenError::Unreachable(Arc::new(io::Error::other(other))),
    })
}

/// Whether the node that answered is the one that was meant.
pub(crate) fn check_node(
    own: NodeId,
    expected: Option<NodeId>,
    peer: &PeerId,
) -> Result<(), OpenError> {
    let found = key_of(peer).map_err(refused)?.node();
    match expected {
        _ if found == own => Err(OpenError::Oneself),
        Some(expected) if expected != found => Err(OpenError::AnotherNode { expected, found }),
        Some(_) | None => Ok(()),
    }
}

pub(super) fn refused(error: UpgradeError) -> OpenError {
    match error {
        UpgradeError::Admission(error) => OpenError::NotAdmitted(error),
        UpgradeError::Noise(error) => OpenError::Unreachable(Arc::new(io::Error::other(error))),
    }
}
