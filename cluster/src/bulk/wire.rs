//! The frames of a bulk connection.
//!
//! A request names a key and a range; the answer is a header or a refusal, then chunks, each acknowledged by an empty
//! frame once it was handed on.
//!
//! Invariant: a length is compared with its limit before anything is allocated for it.

use std::io;

use bytes::Bytes;
use futures_util::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use mobula_proto::wire::codec;
use mobula_proto::wire::frame::{self, Kind, PREFIX};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::admission::certificate::octets;

/// Bytes of one chunk.
pub const CHUNK_BYTES: u64 = 256 * 1024;
/// Most bytes of a key.
pub const KEY_BYTES_MAX: usize = 256;
/// Chunks that may be unacknowledged.
pub(super) const CREDIT: u32 = 4;

pub(crate) const REQUEST: Kind = Kind(32);
pub(crate) const ANSWER: Kind = Kind(33);
pub(crate) const CHUNK: Kind = Kind(34);
pub(crate) const TAKEN: Kind = Kind(35);

/// Largest frame that is no chunk.
const SMALL_BYTES_MAX: usize = 1024;

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Request {
    #[serde(with = "octets")]
    pub(crate) key: Vec<u8>,
    pub(crate) start: u64,
    pub(crate) end: Option<u64>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    Found { size_bytes: u64 },
    Absent,
    Range { size_bytes: u64 },
}

pub(super) async fn send<S: AsyncWrite + Unpin>(
    stream: &mut S,
    kind: Kind,
    value: &impl Serialize,
) -> io::Result<()> {
    let body = codec::encode(value).map_err(io::Error::other)?;
    send_bytes(stream, kind, &body).await
}

pub(super) async fn send_bytes<S: AsyncWrite + Unpin>(
    stream: &mut S,
    kind: Kind,
    body: &[u8],
) -> io::Result<()> {
    let mut head = Vec::with_capacity(PREFIX + 1);
    frame::start(kind, body.len(), &mut head);
    stream.write_all(&head).await?;
    stream.write_all(body).await?;
    stream.flush().await
}

/// The next frame, which must be of `kind`; `None` at the end of the stream.
async fn next<S: AsyncRead + Unpin>(
    stream: &mut S,
    kind: Kind,
    bytes_max: usize,
) -> io::Result<Option<Bytes>> {
    let mut head = [0; PREFIX + 1];
    if stream.read(&mut head[..1]).await? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut head[1..]).await?;
    let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
    if length == 0 || length > bytes_max + 1 || head[PREFIX] != kind.0 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut body = vec![0; length - 1];
    stream.read_exact(&mut body).await?;
    Ok(Some(body.into()))
}

pub(crate) async fn receive<S: AsyncRead + Unpin, T: DeserializeOwned>(
    stream: &mut S,
    kind: Kind,
) -> io::Result<Option<T>> {
    let Some(body) = next(stream, kind, SMALL_BYTES_MAX).await? else { return Ok(None) };
    codec::decode(&body).map(Some).map_err(io::Error::other)
}

pub(crate) async fn receive_chunk<S: AsyncRead + Unpin>(
    stream: &mut S,
    bytes_max: u64,
) -> io::Result<Bytes> {
    let bytes_max = usize::try_from(bytes_max.min(CHUNK_BYTES)).unwrap_or(usize::MAX);
    let chunk = next(stream, CHUNK, bytes_max).await?;
    chunk.filter(|chunk| !chunk.is_empty()).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

pub(crate) async fn receive_taken<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<()> {
    next(stream, TAKEN, 0).await?.map(drop).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}
