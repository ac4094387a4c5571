//! Streams of libp2p's own connections: the control streams, and links beside them where there is but one connection.
//!
//! The library drops an inbound stream without a word when the one before it was not taken yet; `open` has said Ok by
//! then. So the acceptor writes one byte first, and an opener that does not see it tries again.
//!
//! Invariant: a stream that was opened or accepted here is known at both ends.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::io::{AsyncReadExt as _, AsyncWriteExt as _};
use libp2p::{PeerId, Stream, StreamProtocol};
use rand::Rng as _;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::upgrade::Table;
use crate::admission::ADMISSION_LIMIT;
use crate::admission::rules::Purpose;
use crate::error::OpenError;
use crate::transport::{Arrival, Link, open_error};

/// How often a stream is opened anew when the other end drops it silently.
pub(super) const STREAM_ATTEMPTS: u32 = 5;
/// What the acceptor of a stream writes first.
const ACCEPTED: u8 = 0x06;

pub(super) const CONTROL: StreamProtocol = StreamProtocol::new("/mobula/control");

/// Opens streams to connected peers.
#[derive(Clone)]
pub(super) struct Streams {
    pub(super) control: libp2p_stream::Control,
}

impl Streams {
    pub(super) async fn open(
        &self,
        peer: PeerId,
        protocol: StreamProtocol,
    ) -> Result<Stream, OpenError> {
        let mut control = self.control.clone();
        let opening = async {
            let opened = control.open_stream(peer, protocol).await;
            let mut stream = opened.map_err(io::Error::other).map_err(open_error)?;
            let mut first = [0];
            stream.read_exact(&mut first).await.map_err(open_error)?;
            Ok(stream)
        };
        let limit = ADMISSION_LIMIT;
        timeout(limit, opening).await.unwrap_or(Err(OpenError::TimedOut { limit }))
    }
}

/// Between two attempts.
pub(super) async fn pause(attempt: u32) {
    let pause = rand::rng().random_range(5..20) * u64::from(attempt);
    tokio::time::sleep(Duration::from_millis(pause)).await;
}

/// Hands control streams on. Quickly, so that few are dropped.
pub(super) async fn accept_control(
    mut incoming: libp2p_stream::IncomingStreams,
    table: Arc<Table>,
    arrivals: mpsc::Sender<Arrival>,
) {
    while let Some((peer, stream)) = incoming.next().await {
        let Some(admitted) = table.get(&peer) else { continue };
        let arrivals = arrivals.clone();
        tokio::spawn(async move {
            if let Ok(Ok(stream)) = timeout(ADMISSION_LIMIT, acknowledge(stream)).await {
                let stream = Box::new(stream);
                let link = Link { peer: admitted, purpose: Purpose::Control, stream };
                let _closed = arrivals.send(Arrival::Link(link)).await;
            }
        });
    }
}

/// Hands links on that their dialers opened beside a control stream.
#[cfg(feature = "relay")]
pub(super) async fn accept_links(
    mut incoming: libp2p_stream::IncomingStreams,
    admission: Arc<crate::admission::Admission>,
    arrivals: mpsc::Sender<Arrival>,
) {
    let places = Arc::new(tokio::sync::Semaphore::new(super::socket::HANDSHAKES_MAX));
    while let Some((peer, stream)) = incoming.next().await {
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let (admission, arrivals) = (Arc::clone(&admission), arrivals.clone());
        tokio::spawn(async move {
            match timeout(2 * ADMISSION_LIMIT, admit(&admission, peer, stream)).await {
                Ok(Ok(link)) => {
                    drop(place);
                    let _closed = arrivals.send(Arrival::Link(link)).await;
                }
                Ok(Err(error)) => tracing::debug!(%error, "link not admitted"),
                Err(_elapsed) => tracing::debug!("link not admitted in time"),
            }
        });
    }
}

#[cfg(feature = "relay")]
async fn admit(
    admission: &crate::admission::Admission,
    peer: PeerId,
    stream: Stream,
) -> Result<Link, super::upgrade::UpgradeError> {
    use super::upgrade::{key_of, malformed};
    let stream = acknowledge(stream).await;
    let mut stream = stream.map_err(libp2p::noise::Error::from)?;
    let (purpose, admitted) =
        admission.listen(&mut stream, key_of(&peer)?).await.map_err(Arc::new)?;
    if purpose == Purpose::Control {
        return Err(malformed());
    }
    Ok(Link { peer: Arc::new(admitted), purpose, stream: Box::new(stream) })
}

async fn acknowledge(mut stream: Stream) -> io::Result<Stream> {
    stream.write_all(&[ACCEPTED]).await?;
    stream.flush().await?;
    Ok(stream)
}
