//! Admission frames on a stream: a length of four bytes, then a value.
//!
//! Invariant: a length is compared with its limit before anything is allocated for it, and what is allocated grows with
//! what arrives.

use std::io;

use futures_util::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use mobula_proto::wire::codec;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ADMISSION_LIMIT;
use super::rules::{HELLO_BYTES_MAX, Refusal};
use crate::error::AdmissionError;

/// Largest frame that carries no presence.
pub(crate) const SMALL_FRAME_BYTES_MAX: usize = 4 * 1024;
/// Largest frame that does.
pub(crate) const LARGE_FRAME_BYTES_MAX: usize = HELLO_BYTES_MAX + 2 * SMALL_FRAME_BYTES_MAX;

pub(super) async fn within_limit<T>(
    handshake: impl Future<Output = Result<T, AdmissionError>>,
) -> Result<T, AdmissionError> {
    let limit = ADMISSION_LIMIT;
    tokio::time::timeout(limit, handshake).await.unwrap_or(Err(AdmissionError::TimedOut { limit }))
}

pub(super) async fn send<S: AsyncWrite + Unpin>(
    stream: &mut S,
    frame: &impl Serialize,
) -> Result<(), AdmissionError> {
    let body =
        codec::encode(frame).map_err(|error| AdmissionError::Broken(io::Error::other(error)))?;
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let bytes = [&length.to_be_bytes(), body.as_slice()].concat();
    let sent = async {
        stream.write_all(&bytes).await?;
        stream.flush().await
    };
    sent.await.map_err(AdmissionError::Broken)
}

pub(crate) async fn receive<S: AsyncRead + Unpin, T: DeserializeOwned>(
    stream: &mut S,
    bytes_max: usize,
) -> Result<T, AdmissionError> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await.map_err(AdmissionError::Broken)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > bytes_max {
        return Err(AdmissionError::Refused(Refusal::Malformed));
    }
    // Grows with what arrives, so that a length alone costs nothing.
    let mut body = Vec::with_capacity(length.min(SMALL_FRAME_BYTES_MAX));
    let taken = stream.take(length as u64).read_to_end(&mut body).await;
    if taken.map_err(AdmissionError::Broken)? < length {
        return Err(AdmissionError::Broken(io::ErrorKind::UnexpectedEof.into()));
    }
    codec::decode(&body).map_err(|_unreadable| AdmissionError::Refused(Refusal::Malformed))
}
