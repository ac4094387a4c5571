//! One cable: two byte queues with delivery times, and a plug at each end.
//!
//! Invariants: bytes of one direction arrive in the order written; a queue holds at most [`QUEUED_BYTES_MAX`], so writers
//! feel the reader; a reset cable says so at both ends and delivers nothing more.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use bytes::{Buf as _, Bytes};
use futures_util::io::{AsyncRead, AsyncWrite};
use mobula_proto::id::NodeId;
use parking_lot::Mutex;
use tokio::time::{Instant, Sleep, sleep_until};

use super::World;
use crate::admission::rules::Purpose;

/// What one direction holds under way at most.
const QUEUED_BYTES_MAX: usize = 256 * 1024;

/// One direction.
#[derive(Default)]
struct Way {
    queue: VecDeque<(Instant, Bytes)>,
    queued_bytes: usize,
    is_closed: bool,
    is_reset: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

type Shared = Arc<Mutex<Way>>;

impl Way {
    fn wake(&mut self) {
        wake(self.reader.take());
        wake(self.writer.take());
    }
}

/// What the network keeps of a link.
pub(super) struct Cable {
    ends: (NodeId, NodeId),
    purpose: Purpose,
    ways: [Weak<Mutex<Way>>; 2],
}

impl Cable {
    pub(super) fn new(
        world: &Arc<World>,
        ends: (NodeId, NodeId),
        purpose: Purpose,
    ) -> (Self, Plug, Plug) {
        let (there, back) = (Shared::default(), Shared::default());
        let plug = |from, to, read: &Shared, write: &Shared| Plug {
            world: Arc::clone(world),
            from,
            to,
            read: Arc::clone(read),
            write: Arc::clone(write),
            alarm: Box::pin(sleep_until(Instant::now())),
        };
        let ours = plug(ends.0, ends.1, &back, &there);
        let theirs = plug(ends.1, ends.0, &there, &back);
        let ways = [Arc::downgrade(&there), Arc::downgrade(&back)];
        (Self { ends, purpose, ways }, ours, theirs)
    }

    pub(super) const fn purpose(&self) -> Purpose {
        self.purpose
    }

    pub(super) fn joins(&self, one: NodeId, other: NodeId) -> bool {
        self.ends == (one, other) || self.ends == (other, one)
    }

    pub(super) fn ends_at(&self, node: NodeId) -> bool {
        self.ends.0 == node || self.ends.1 == node
    }

    pub(super) fn is_alive(&self) -> bool {
        self.ways.iter().any(|way| way.strong_count() > 0)
    }

    pub(super) fn reset(&self) {
        for way in self.ways.iter().filter_map(Weak::upgrade) {
            let mut way = way.lock();
            way.is_reset = true;
            way.queue.clear();
            way.wake();
        }
    }

    /// Lets both ends look again: a cut may have been healed.
    pub(super) fn nudge(&self) {
        self.ways.iter().filter_map(Weak::upgrade).for_each(|way| way.lock().wake());
    }
}

/// One end of a cable.
pub(super) struct Plug {
    world: Arc<World>,
    from: NodeId,
    to: NodeId,
    read: Shared,
    write: Shared,
    alarm: Pin<Box<Sleep>>,
}

impl AsyncRead for Plug {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let is_cut = self.world.is_cut(self.to, self.from);
        loop {
            let shared = Arc::clone(&self.read);
            let mut way = shared.lock();
            if way.is_reset {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            way.reader = Some(context.waker().clone());
            let is_closed = way.is_closed;
            let Some((due, chunk)) = way.queue.front_mut() else {
                return if is_closed { Poll::Ready(Ok(0)) } else { Poll::Pending };
            };
            if is_cut {
                return Poll::Pending;
            }
            if *due > Instant::now() {
                let due = *due;
                drop(way);
                self.alarm.as_mut().reset(due);
                if self.alarm.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                continue;
            }
            let count = chunk.len().min(into.len());
            into[..count].copy_from_slice(&chunk[..count]);
            chunk.advance(count);
            if chunk.is_empty() {
                way.queue.pop_front();
            }
            way.queued_bytes -= count;
            wake(way.writer.take());
            return Poll::Ready(Ok(count));
        }
    }
}

impl AsyncWrite for Plug {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let arrival = self.world.arrival();
        let mut way = self.write.lock();
        if way.is_reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if way.is_closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let count = bytes.len().min(QUEUED_BYTES_MAX - way.queued_bytes);
        if count == 0 && !bytes.is_empty() {
            way.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        let after = way.queue.back().map_or(arrival, |(due, _)| arrival.max(*due));
        way.queue.push_back((after, Bytes::copy_from_slice(&bytes[..count])));
        way.queued_bytes += count;
        wake(way.reader.take());
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut way = self.write.lock();
        way.is_closed = true;
        way.wake();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Plug {
    fn drop(&mut self) {
        for way in [&self.read, &self.write] {
            let mut way = way.lock();
            way.is_closed = true;
            way.wake();
        }
    }
}
