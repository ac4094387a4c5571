//! Bulk: object bytes over connections of their own, chunk by chunk.
//!
//! One write of a gigabyte fills every buffer between two nodes, and whatever comes behind it waits: measured, the 99th
//! percentile of a ping beside it rises from 0.1 to 24 ms, and with a credit of four chunks it stays below 0.2 ms.
//! A connection that breaks at 99 % must not cost the 99 %.
//! So the receiver acknowledges each chunk that it handed on, the sender keeps at most four unacknowledged, and a new
//! connection begins at the first byte that is missing.
//!
//! Invariants: the bytes of a transfer come in order, without gap or overlap; at most one transfer of a key runs from
//! each node, and at most [`TRANSFERS_MAX`] in all.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use mobula_proto::id::NodeId;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

mod fetch;
mod serve;
pub(crate) mod wire;

pub(crate) use self::wire::{Answer, Request};
pub use self::wire::{CHUNK_BYTES, KEY_BYTES_MAX};

use crate::admission::certificate::Capabilities;
use crate::admission::rules::Purpose;
use crate::error::BulkError;
use crate::exchange::rights::Rights;
use crate::lanes::{AddressBook, Origin};
use crate::transport::{Link, Transport};

/// Most transfers that run at one time, inbound and outbound each.
pub const TRANSFERS_MAX: usize = 256;

/// Unused connections kept for one node.
const IDLE_MAX: usize = 2;

/// Where bytes to be served come from.
pub trait Source: Send + Sync + 'static {
    /// What is under `key`, pinned until it is dropped; `None` if there is nothing, or not for this node.
    fn open(&self, by: Origin, key: Bytes) -> BoxFuture<'_, Option<Arc<dyn Content>>>;
}

/// Bytes that do not change while they are held.
pub trait Content: Send + Sync + 'static {
    /// How many bytes.
    fn size_bytes(&self) -> u64;

    /// Some of them; at most one chunk is asked for at once. `None`: lost meanwhile.
    fn read(&self, range: Range<u64>) -> BoxFuture<'_, Option<Bytes>>;
}

impl Content for Bytes {
    fn size_bytes(&self) -> u64 {
        self.len() as u64
    }

    fn read(&self, range: Range<u64>) -> BoxFuture<'_, Option<Bytes>> {
        let range = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
        let part = range.filter(|&(start, end)| start <= end && end <= self.len());
        Box::pin(std::future::ready(part.map(|(start, end)| self.slice(start..end))))
    }
}

/// All bulk connections of one node.
#[derive(Clone)]
pub struct Bulk {
    shared: Arc<Shared>,
}

struct Shared {
    transport: Arc<dyn Transport>,
    book: Arc<dyn AddressBook>,
    source: Arc<dyn Source>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: BTreeSet<(NodeId, Bytes)>,
    idle: BTreeMap<NodeId, Vec<Link>>,
    tasks: BTreeMap<NodeId, Vec<AbortHandle>>,
    is_closed: bool,
}

impl fmt::Debug for Bulk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let running = self.shared.state.lock().running.len();
        f.debug_struct("Bulk").field("running", &running).finish_non_exhaustive()
    }
}

/// A transfer on its way here. Dropping it ends it.
#[derive(Debug)]
pub struct Transfer {
    size_bytes: u64,
    chunks: mpsc::Receiver<Result<Bytes, BulkError>>,
    task: AbortHandle,
}

impl Transfer {
    /// How many bytes there are under the key, whatever part of them was asked for.
    #[must_use]
    pub const fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The next bytes, at most [`CHUNK_BYTES`]; `None` after the last. After an error nothing more comes.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Result<Bytes, BulkError>> {
        self.chunks.recv().await
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Bulk {
    /// Serves `source` and fetches from others over `transport`.
    #[must_use]
    pub fn new(
        transport: Arc<dyn Transport>,
        book: Arc<dyn AddressBook>,
        source: Arc<dyn Source>,
    ) -> Self {
        let state = Mutex::default();
        Self { shared: Arc::new(Shared { transport, book, source, state }) }
    }

    /// Fetches a range of what `node` has under `key`; the whole without a range.
    ///
    /// Up to five connections in a row are tried without a byte of progress before it fails.
    ///
    /// # Errors
    /// - [`BulkError::Absent`], [`BulkError::Range`]: nothing was transferred; look elsewhere.
    /// - [`BulkError::Running`]: wait for the transfer that runs.
    /// - [`BulkError::Open`], [`BulkError::Broken`]: not reached; look elsewhere or try later.
    ///
    /// # Cancel safety
    /// Dropping the future ends the transfer.
    pub async fn fetch(
        &self,
        node: NodeId,
        key: Bytes,
        range: Option<Range<u64>>,
    ) -> Result<Transfer, BulkError> {
        fetch::start(Arc::clone(&self.shared), node, key, range).await
    }

    /// Takes a link that a peer dialed and serves it; links of other purposes are dropped.
    pub fn accept(&self, link: Link) {
        if link.purpose != Purpose::Bulk {
            return;
        }
        let node = link.node();
        let by = Origin::of(&link);
        let mut state = self.shared.state.lock();
        let serving: usize = state.tasks.values().map(Vec::len).sum();
        if state.is_closed || serving >= 2 * TRANSFERS_MAX {
            tracing::warn!(%node, "too many bulk connections");
            return;
        }
        let source = Arc::clone(&self.shared.source);
        let task = tokio::spawn(serve::run(source, by, link.stream));
        state.watch(node, task.abort_handle());
    }

    /// Ends every transfer with `node`.
    pub fn close(&self, node: NodeId) {
        let mut state = self.shared.state.lock();
        state.idle.remove(&node);
        let tasks = state.tasks.remove(&node).unwrap_or_default();
        drop(state);
        tasks.iter().for_each(AbortHandle::abort);
    }

    /// Ends every transfer.
    pub fn close_all(&self) {
        let mut state = self.shared.state.lock();
        state.is_closed = true;
        state.idle.clear();
        let tasks = std::mem::take(&mut state.tasks);
        drop(state);
        tasks.values().flatten().for_each(AbortHandle::abort);
    }
}

impl State {
    fn watch(&mut self, node: NodeId, task: AbortHandle) {
        self.tasks.retain(|_, tasks| {
            tasks.retain(|task| !task.is_finished());
            !tasks.is_empty()
        });
        self.tasks.entry(node).or_default().push(task);
    }

    fn keep(&mut self, link: Link) {
        let idle = self.idle.entry(link.node()).or_default();
        if !self.is_closed && idle.len() < IDLE_MAX {
            idle.push(link);
        }
    }
}

/// What a source without objects serves.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSource;

impl Source for NoSource {
    fn open(&self, _by: Origin, _key: Bytes) -> BoxFuture<'_, Option<Arc<dyn Content>>> {
        Box::pin(std::future::ready(None))
    }
}

/// Needs the capability to submit: object bytes are what tasks work on. An observer has none.
pub(crate) fn may_read(by: Origin) -> bool {
    let rights = Rights { role: by.role, capabilities: by.capabilities };
    rights.send(Some(Capabilities::SUBMIT)).is_ok()
}
