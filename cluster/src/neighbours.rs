//! Control connections: who is connected, one writer and a few readers for each.
//!
//! One stream in both directions would need a rule for two nodes that dial at once; each end writes on the stream that
//! it opened and reads from those that the other opened, so there is nothing to agree on.
//!
//! Invariants:
//! - a neighbour has at most one writer, with at most [`QUEUED_MAX`] frames before it, and [`READERS_MAX`] readers;
//! - the driver learns of the end of every writer exactly once, unless it let go of it itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::io::{AsyncReadExt as _, AsyncWriteExt as _};
use mobula_proto::id::NodeId;
use mobula_proto::wire::frame::{self, Frame, Kind};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::admission::Admitted;
use crate::probe::{Probe, Probes};
use crate::transport::{ByteStream, Link};

/// Frames that wait for one neighbour; more are dropped, as a lost packet would be.
const QUEUED_MAX: usize = 256;
/// Streams of one neighbour that are read; more are closed.
const READERS_MAX: usize = 4;
/// Frames kept for a neighbour that is being dialed back.
const HELD_MAX: usize = 64;
/// Written before a flush, at most.
const BATCH_BYTES: usize = 16 * 1024;

/// Frames of the driver itself, beyond those of `mobula_proto`.
pub(crate) const FAREWELL: Kind = Kind(16);
pub(crate) const REVOCATIONS: Kind = Kind(17);
pub(crate) const POSTINGS: Kind = Kind(18);
pub(crate) const PROBE: Kind = Kind(19);
pub(crate) const ECHO: Kind = Kind(20);

/// What control connections tell the driver.
#[derive(Debug)]
pub(crate) enum Notice {
    Frame { from: NodeId, kind: Kind, body: Bytes },
    WriterEnded { node: NodeId, serial: u64 },
    ReaderEnded { node: NodeId },
}

/// All neighbours of one node.
pub(crate) struct Neighbours {
    own: NodeId,
    notices: mpsc::Sender<Notice>,
    table: BTreeMap<NodeId, Neighbour>,
    serial: u64,
    probes: Probes,
}

#[derive(Default)]
struct Neighbour {
    writer: Option<Writer>,
    readers: usize,
    is_dialing: bool,
    said_farewell: bool,
    held: Vec<Bytes>,
}

struct Writer {
    serial: u64,
    frames: mpsc::Sender<Bytes>,
    admitted: Arc<Admitted>,
}

/// What the end of a stream means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Nothing: there is another one, or none is wanted.
    Stale,
    /// The neighbour had said farewell.
    Farewell,
    /// Without a word.
    Silently,
}

impl Neighbours {
    pub(crate) fn new(own: NodeId, notices: mpsc::Sender<Notice>) -> Self {
        Self { own, notices, table: BTreeMap::new(), serial: 0, probes: Probes::default() }
    }

    /// Whether `node` must be dialed now; it counts as being dialed afterwards.
    pub(crate) fn must_dial(&mut self, node: NodeId) -> bool {
        let neighbour = self.table.entry(node).or_default();
        let must = node != self.own && neighbour.writer.is_none() && !neighbour.is_dialing;
        neighbour.is_dialing |= must;
        must
    }

    pub(crate) fn dial_failed(&mut self, node: NodeId) {
        if let Some(neighbour) = self.table.get_mut(&node) {
            neighbour.is_dialing = false;
            neighbour.held.clear();
        }
        self.tidy(node);
    }

    /// Takes a link that we opened; `false` if there is a writer already.
    pub(crate) fn add_writer(&mut self, link: Link) -> bool {
        let node = link.node();
        self.serial += 1;
        let serial = self.serial;
        let neighbour = self.table.entry(node).or_default();
        neighbour.is_dialing = false;
        if neighbour.writer.is_some() {
            return false;
        }
        let (frames, queue) = mpsc::channel(QUEUED_MAX);
        for frame in neighbour.held.drain(..) {
            let _room_for_all = frames.try_send(frame);
        }
        let admitted = Arc::clone(&link.peer);
        neighbour.writer = Some(Writer { serial, frames, admitted });
        neighbour.said_farewell = false;
        let notices = self.notices.clone();
        tokio::spawn(async move {
            write(link.stream, queue).await;
            let _stopped = notices.send(Notice::WriterEnded { node, serial }).await;
        });
        true
    }

    /// Takes a link that the neighbour opened.
    pub(crate) fn add_reader(&mut self, link: Link) {
        let node = link.node();
        let neighbour = self.table.entry(node).or_default();
        if neighbour.readers >= READERS_MAX {
            tracing::warn!(%node, "too many control streams");
            return;
        }
        neighbour.readers += 1;
        neighbour.said_farewell = false;
        let notices = self.notices.clone();
        tokio::spawn(async move {
            if let Err(reason) = read(node, link.stream, &notices).await {
                tracing::debug!(%node, reason, "control stream ended");
            }
            let _stopped = notices.send(Notice::ReaderEnded { node }).await;
        });
    }

    /// Queues a frame; `false` if there is neither a writer nor one in the making.
    pub(crate) fn send(&mut self, node: NodeId, kind: Kind, body: &[u8]) -> bool {
        let Some(neighbour) = self.table.get_mut(&node) else { return false };
        if body.len() >= frame::CONTROL_FRAME_MAX {
            tracing::warn!(%node, size = body.len(), "control frame beyond the limit");
            return true;
        }
        let mut frame = BytesMut::with_capacity(body.len() + 8);
        Frame { kind, body }.encode_into(&mut frame);
        match &neighbour.writer {
            Some(writer) => {
                if writer.frames.try_send(frame.freeze()).is_err() {
                    tracing::debug!(%node, "control frame dropped: the neighbour does not read");
                }
                true
            }
            None if neighbour.is_dialing => {
                if neighbour.held.len() < HELD_MAX {
                    neighbour.held.push(frame.freeze());
                }
                true
            }
            None => false,
        }
    }

    /// Sends a probe, which learns when its echo comes, or that there is nobody to send it to.
    pub(crate) fn probe(&mut self, node: NodeId, probe: Probe) {
        if let Some(body) = self.probes.begin(node, Instant::now(), probe)
            && !self.send(node, PROBE, &body)
        {
            self.probes.end(node, &body, Instant::now(), false);
        }
    }

    /// Answers a probe.
    pub(crate) fn echo(&mut self, from: NodeId, body: &[u8]) {
        self.send(from, ECHO, body);
    }

    /// An echo came.
    pub(crate) fn echoed(&mut self, from: NodeId, body: &[u8]) {
        self.probes.end(from, body, Instant::now(), true);
    }

    /// Whether the neighbour has a stream to us, so that an answer may be wanted.
    pub(crate) fn is_heard(&self, node: NodeId) -> bool {
        self.table.get(&node).is_some_and(|neighbour| neighbour.readers > 0)
    }

    pub(crate) fn farewell(&mut self, node: NodeId) {
        if let Some(neighbour) = self.table.get_mut(&node) {
            neighbour.said_farewell = true;
        }
    }

    pub(crate) fn writer_ended(&mut self, node: NodeId, serial: u64) -> Ended {
        let Some(neighbour) = self.table.get_mut(&node) else { return Ended::Stale };
        if neighbour.writer.as_ref().is_none_or(|writer| writer.serial != serial) {
            return Ended::Stale;
        }
        neighbour.writer = None;
        if neighbour.said_farewell { Ended::Farewell } else { Ended::Silently }
    }

    /// What the end of a stream that the neighbour had opened means. Where we have one of our own, or are dialing, what
    /// becomes of that tells more.
    pub(crate) fn reader_ended(&mut self, node: NodeId) -> Ended {
        let Some(neighbour) = self.table.get_mut(&node) else { return Ended::Stale };
        neighbour.readers = neighbour.readers.saturating_sub(1);
        let is_last = neighbour.readers == 0 && neighbour.writer.is_none() && !neighbour.is_dialing;
        let ended = match neighbour.said_farewell {
            _ if !is_last => Ended::Stale,
            true => Ended::Farewell,
            false => Ended::Silently,
        };
        self.tidy(node);
        ended
    }

    /// Says farewell and lets go of the writer; what is queued is still written.
    pub(crate) fn let_go(&mut self, node: NodeId) {
        self.send(node, FAREWELL, &[]);
        if let Some(neighbour) = self.table.get_mut(&node) {
            neighbour.writer = None;
        }
        self.tidy(node);
    }

    /// Whether neither end wants the connection any more.
    pub(crate) fn is_idle(&self, node: NodeId) -> bool {
        !self.table.contains_key(&node)
    }

    /// Neighbours with a writer.
    pub(crate) fn connected(&self) -> Vec<(NodeId, Arc<Admitted>)> {
        let admitted = |(node, neighbour): (&NodeId, &Neighbour)| {
            neighbour.writer.as_ref().map(|writer| (*node, Arc::clone(&writer.admitted)))
        };
        self.table.iter().filter_map(admitted).collect()
    }

    fn tidy(&mut self, node: NodeId) {
        let is_idle = self
            .table
            .get(&node)
            .is_some_and(|n| n.writer.is_none() && n.readers == 0 && !n.is_dialing);
        if is_idle {
            self.table.remove(&node);
        }
    }
}

/// Writes what is queued until nothing more comes or the other end closes.
async fn write(stream: Box<dyn ByteStream>, mut queue: mpsc::Receiver<Bytes>) {
    let (mut read, mut write) = stream.split();
    let writing = async {
        while let Some(frame) = queue.recv().await {
            let mut size = frame.len();
            write.write_all(&frame).await?;
            while size < BATCH_BYTES
                && let Ok(frame) = queue.try_recv()
            {
                size += frame.len();
                write.write_all(&frame).await?;
            }
            write.flush().await?;
        }
        write.close().await
    };
    // The other end never writes here, so that anything but waiting is its end.
    let mut nothing = [0];
    tokio::select! {
        result = writing => if let Err(error) = result {
            tracing::debug!(%error, "control stream broken");
        },
        _end = read.read(&mut nothing) => {}
    }
}

async fn read(
    from: NodeId,
    mut stream: Box<dyn ByteStream>,
    notices: &mpsc::Sender<Notice>,
) -> Result<(), String> {
    let mut buffer = BytesMut::new();
    let mut portion = vec![0; BATCH_BYTES];
    loop {
        let count = stream.read(&mut portion).await.map_err(|error| error.to_string())?;
        if count == 0 {
            return Ok(());
        }
        buffer.extend_from_slice(&portion[..count]);
        loop {
            match frame::take(&mut buffer, frame::CONTROL_FRAME_MAX) {
                Ok(Some((kind, body))) => {
                    let notice = Notice::Frame { from, kind, body };
                    notices.send(notice).await.map_err(|_stopped| "stopped".to_owned())?;
                }
                Ok(None) => break,
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}
