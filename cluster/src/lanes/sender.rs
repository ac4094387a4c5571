//! The sending end of a lane, as the layer above holds it.
//!
//! A channel to the lane's task would copy each message once more and wake the task for each.
//! So a message is written into the association's buffer under its lock, and the task is woken only if it sleeps.
//!
//! Invariant: a message that was taken is in the buffer, and the lane has a task that is awake or has been woken.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use mobula_proto::association::Association;
use mobula_proto::error::SendError;
use mobula_proto::id::NodeId;
use mobula_proto::time::Time;

use super::{Peer, wake};

/// Sends messages to one node on one lane.
#[derive(Clone)]
pub struct LaneSender {
    pub(super) peer: Arc<Peer>,
    pub(super) lane: u8,
}

impl fmt::Debug for LaneSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LaneSender")
            .field("peer", &self.peer.node)
            .field("lane", &self.lane)
            .finish_non_exhaustive()
    }
}

impl LaneSender {
    /// Who is at the other end.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.peer.node
    }

    /// Puts a copy of `payload` into the lane's buffer and wakes its task if it sleeps. Never blocks, and needs no
    /// runtime around it.
    ///
    /// Messages of one lane arrive in the order of these calls, each at most once. At most 16 MiB less a header.
    ///
    /// # Errors
    /// - [`SendError::Full`]: wait for [`Inbound::writable`](super::Inbound::writable), or use [`LaneSender::send_waiting`]. Not sent.
    /// - [`SendError::TooLong`]: put it into the store. Not sent.
    /// - [`SendError::Closed`]: the node is down. Not sent; a new sender may reach its next life.
    pub fn send(&self, payload: &[u8]) -> Result<(), SendError> {
        self.put(|association, now, lane| association.send(now, lane, payload))
    }

    /// As [`LaneSender::send`], but a payload of 16 KiB or more is shared, not copied.
    ///
    /// # Errors
    /// As [`LaneSender::send`].
    pub fn send_shared(&self, payload: &Bytes) -> Result<(), SendError> {
        self.put(|association, now, lane| association.send_shared(now, lane, payload))
    }

    /// As [`LaneSender::send`], of a message in two parts that follow each other.
    ///
    /// # Errors
    /// As [`LaneSender::send`].
    pub fn send_parts(&self, parts: [&[u8]; 2]) -> Result<(), SendError> {
        self.put(|association, now, lane| association.send_parts(now, lane, parts))
    }

    /// As [`LaneSender::send`], but waits while the lane is full. Waiting senders are not served in order.
    ///
    /// # Errors
    /// All of [`LaneSender::send`] but `Full`.
    ///
    /// # Cancel safety
    /// Dropped before it is done, it has sent nothing.
    pub async fn send_waiting(&self, payload: &[u8]) -> Result<(), SendError> {
        let lane = &self.peer.lanes[usize::from(self.lane)];
        loop {
            let mut room = std::pin::pin!(lane.room.notified());
            room.as_mut().enable();
            match self.send(payload) {
                Err(SendError::Full { .. }) => room.await,
                other => return other,
            }
        }
    }

    /// Ready while less than half of the lane's buffer is taken, or the node is down: the next [`LaneSender::send`] says
    /// which. The task is woken when room was made.
    pub fn poll_room(&self, context: &mut Context<'_>) -> Poll<()> {
        let limit = self.peer.shared.settings.resend_max_bytes / 2;
        let mut core = self.peer.core.lock();
        if core.is_closed || core.association.buffered_bytes(self.lane) <= limit {
            return Poll::Ready(());
        }
        let waiting = &mut core.slots[usize::from(self.lane)].waiting;
        if !waiting.iter().any(|known| known.will_wake(context.waker())) {
            waiting.push(context.waker().clone());
        }
        Poll::Pending
    }

    /// Bytes in the lane's buffer that are not acknowledged.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.peer.core.lock().association.buffered_bytes(self.lane)
    }

    fn put(
        &self,
        send: impl FnOnce(&mut Association, Time, u8) -> Result<u64, SendError>,
    ) -> Result<(), SendError> {
        let mut core = self.peer.core.lock();
        // To read the clock costs as much as all the rest, and the association asks for the time only then.
        let is_first = core.association.buffered_bytes(self.lane) == 0;
        let now = if is_first { self.peer.shared.now() } else { Time::ZERO };
        send(&mut core.association, now, self.lane)?;
        let waker = core.wake(self.lane);
        if core.slots[usize::from(self.lane)].offers.is_none() {
            Peer::keep(&self.peer, &mut core, self.lane);
        }
        drop(core);
        wake(waker);
        Ok(())
    }
}
