//! The sending end of a bulk connection.
//!
//! Invariant: at most [`CREDIT`] chunks are under way; a connection serves one request at a time, and ends with the first
//! frame that does not belong there.

use std::io;
use std::sync::Arc;

use super::wire::{
    ANSWER, Answer, CHUNK, CHUNK_BYTES, CREDIT, KEY_BYTES_MAX, REQUEST, Request, receive,
    receive_taken, send, send_bytes,
};
use super::{Content, Source, may_read};
use crate::lanes::Origin;
use crate::transport::ByteStream;

pub(super) async fn run(source: Arc<dyn Source>, by: Origin, mut stream: Box<dyn ByteStream>) {
    loop {
        match one(&*source, by, &mut stream).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => return tracing::debug!(node = %by.node, %error, "bulk connection ended"),
        }
    }
}

/// Serves one request; `false` at the end of the connection.
async fn one(
    source: &dyn Source,
    by: Origin,
    stream: &mut Box<dyn ByteStream>,
) -> io::Result<bool> {
    let Some(request) = receive::<_, Request>(stream, REQUEST).await? else { return Ok(false) };
    let key = request.key;
    let content = if key.len() <= KEY_BYTES_MAX && may_read(by) {
        source.open(by, key.into()).await
    } else {
        None
    };
    let Some(content) = content else {
        send(stream, ANSWER, &Answer::Absent).await?;
        return Ok(true);
    };
    let size_bytes = content.size_bytes();
    let end = request.end.unwrap_or(size_bytes);
    if request.start > end || end > size_bytes {
        send(stream, ANSWER, &Answer::Range { size_bytes }).await?;
        return Ok(true);
    }
    send(stream, ANSWER, &Answer::Found { size_bytes }).await?;
    chunks(&*content, request.start, end, stream).await?;
    Ok(true)
}

async fn chunks(
    content: &dyn Content,
    start: u64,
    end: u64,
    stream: &mut Box<dyn ByteStream>,
) -> io::Result<()> {
    let (mut offset, mut under_way) = (start, 0);
    while offset < end || under_way > 0 {
        if offset < end && under_way < CREDIT {
            let next = end.min(offset + CHUNK_BYTES);
            let chunk = content.read(offset..next).await;
            let chunk =
                chunk.ok_or_else(|| io::Error::other("content lost while it was served"))?;
            if chunk.len() as u64 != next - offset {
                return Err(io::Error::other("content of another length than asked for"));
            }
            send_bytes(stream, CHUNK, &chunk).await?;
            offset = next;
            under_way += 1;
        } else {
            receive_taken(stream).await?;
            under_way -= 1;
        }
    }
    Ok(())
}
