//! The receiving end of a bulk transfer: one task that reads, hands on, acknowledges, and begins anew where it broke.
//!
//! Invariant: the offset moves only over bytes that were handed on, so a new connection asks for exactly the rest.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mobula_proto::id::NodeId;
use rand::Rng as _;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use super::wire::{
    ANSWER, Answer, KEY_BYTES_MAX, REQUEST, Request, TAKEN, receive, receive_chunk, send,
    send_bytes,
};
use super::{Shared, TRANSFERS_MAX, Transfer};
use crate::admission::rules::Purpose;
use crate::error::BulkError;
use crate::transport::{Link, Target};

/// Connections tried in a row without progress.
const ATTEMPTS_MAX: u32 = 5;

pub(super) async fn start(
    shared: Arc<Shared>,
    node: NodeId,
    key: Bytes,
    range: Option<Range<u64>>,
) -> Result<Transfer, BulkError> {
    if key.len() > KEY_BYTES_MAX {
        return Err(BulkError::Absent);
    }
    let place = Place::take(&shared, node, &key)?;
    let (chunks_in, chunks) = mpsc::channel(1);
    let (found, size) = oneshot::channel();
    let (start, end) = range.map_or((0, None), |range| (range.start, Some(range.end)));
    let fetch = Fetch {
        shared: Arc::clone(&shared),
        node,
        key,
        offset: start,
        end,
        found: Some(found),
        chunks: chunks_in,
    };
    let task = tokio::spawn(async move {
        fetch.run().await;
        drop(place);
    });
    let task = task.abort_handle();
    shared.state.lock().watch(node, task.clone());
    let mut transfer = Transfer { size_bytes: 0, chunks, task };
    match size.await {
        Ok(size_bytes) => {
            transfer.size_bytes = size_bytes;
            Ok(transfer)
        }
        // The task ended without having found anything: it left its reason, or was closed.
        Err(_ended) => match transfer.chunks.recv().await {
            Some(Err(error)) => Err(error),
            Some(Ok(_)) => Err(BulkError::Protocol),
            None => Err(BulkError::Open(crate::error::OpenError::Closed)),
        },
    }
}

/// A place among the running transfers.
struct Place {
    shared: Arc<Shared>,
    name: (NodeId, Bytes),
}

impl Place {
    fn take(shared: &Arc<Shared>, node: NodeId, key: &Bytes) -> Result<Self, BulkError> {
        let mut state = shared.state.lock();
        if state.is_closed {
            return Err(BulkError::Open(crate::error::OpenError::Closed));
        }
        let name = (node, key.clone());
        if state.running.len() >= TRANSFERS_MAX || !state.running.insert(name.clone()) {
            return Err(BulkError::Running);
        }
        drop(state);
        Ok(Self { shared: Arc::clone(shared), name })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.state.lock().running.remove(&self.name);
    }
}

struct Fetch {
    shared: Arc<Shared>,
    node: NodeId,
    key: Bytes,
    offset: u64,
    end: Option<u64>,
    found: Option<oneshot::Sender<u64>>,
    chunks: mpsc::Sender<Result<Bytes, BulkError>>,
}

impl Fetch {
    async fn run(mut self) {
        let mut attempts = 0;
        loop {
            let before = self.offset;
            let failure = match self.connection().await {
                Ok(mut link) => match self.attempt(&mut link).await {
                    Ok(()) => {
                        self.shared.state.lock().keep(link);
                        return;
                    }
                    Err(failure) => failure,
                },
                Err(error) => Failure::Retry(BulkError::Open(error)),
            };
            attempts = if self.offset > before { 1 } else { attempts + 1 };
            let error = match failure {
                Failure::Retry(BulkError::Broken { .. }) if attempts >= ATTEMPTS_MAX => {
                    BulkError::Broken { offset: self.offset, attempts }
                }
                Failure::Retry(error) if attempts >= ATTEMPTS_MAX => error,
                Failure::Retry(_) => {
                    let full = 10 * 2u64.pow(attempts);
                    let pause = rand::rng().random_range(full / 2..full);
                    sleep(Duration::from_millis(pause)).await;
                    continue;
                }
                Failure::Final(error) => error,
                Failure::Unwanted => return,
            };
            self.found = None;
            let _unwanted = self.chunks.send(Err(error)).await;
            return;
        }
    }

    async fn connection(&self) -> Result<Link, crate::error::OpenError> {
        let idle = self.shared.state.lock().idle.get_mut(&self.node).and_then(Vec::pop);
        if let Some(link) = idle {
            return Ok(link);
        }
        let addresses = self.shared.book.addresses(self.node);
        let target = Target { node: Some(self.node), addresses };
        self.shared.transport.open(target, Purpose::Bulk).await
    }

    async fn attempt(&mut self, link: &mut Link) -> Result<(), Failure> {
        let stream = &mut link.stream;
        let request = Request { key: self.key.to_vec(), start: self.offset, end: self.end };
        send(stream, REQUEST, &request).await?;
        let answer = receive(stream, ANSWER).await?;
        let size_bytes =
            match answer.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))? {
                Answer::Found { size_bytes } => size_bytes,
                Answer::Absent => return Err(Failure::Final(BulkError::Absent)),
                Answer::Range { size_bytes } => {
                    let (start, end) = (self.offset, self.end.unwrap_or(size_bytes));
                    return Err(Failure::Final(BulkError::Range { start, end, size_bytes }));
                }
            };
        let end = *self.end.get_or_insert(size_bytes);
        if end > size_bytes {
            return Err(Failure::Final(BulkError::Protocol));
        }
        if let Some(found) = self.found.take() {
            found.send(size_bytes).map_err(|_gone| Failure::Unwanted)?;
        }
        while self.offset < end {
            let chunk = receive_chunk(stream, end - self.offset).await?;
            let length = chunk.len() as u64;
            self.chunks.send(Ok(chunk)).await.map_err(|_gone| Failure::Unwanted)?;
            self.offset += length;
            send_bytes(stream, TAKEN, &[]).await?;
        }
        Ok(())
    }
}

/// Why an attempt ended early.
enum Failure {
    Retry(BulkError),
    Final(BulkError),
    Unwanted,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::InvalidData {
            return Self::Final(BulkError::Protocol);
        }
        // Offset and count are known where the retries are counted.
        Self::Retry(BulkError::Broken { offset: 0, attempts: 0 })
    }
}
