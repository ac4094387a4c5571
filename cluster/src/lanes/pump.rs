//! Moves bytes between an association and one connection.
//!
//! A reader and a writer task would need the stream in two halves, which is a lock on every poll, and two encryptions
//! that wait for each other. One task polls both directions in turn.
//! A message that arrives is handed over without the association's lock, from the buffer it was read into.
//!
//! Invariant: the task sleeps only when the association has nothing to write (checked under the lock under which a
//! sender looks for the sleeper), the stream has nothing to read, and the next deadline is armed; or when it lets others
//! run first, and then it is woken when they have.

use std::collections::VecDeque;
use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_util::io::{AsyncRead as _, AsyncWrite as _};
use mobula_proto::association::{Output, Receipt};
use mobula_proto::error::ProtocolError;
use mobula_proto::time::Time;
use mobula_proto::wire::frame;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{Origin, Peer};
use crate::error::LinkError;
use crate::transport::{ByteStream, Link};

/// What is taken from the association at once.
const BATCH_BYTES: usize = 16 * 1024;
/// What is written before a flush, at most.
const FLUSH_BYTES: usize = 64 * 1024;
/// What is read at once.
const READ_BYTES: usize = 64 * 1024;
/// A read buffer above this is given back when it is empty.
const KEPT_BYTES_MAX: usize = 256 * 1024;
/// With something to acknowledge and nothing heard for this long, the connection is given up.
const SILENCE: Duration = Duration::from_secs(3);
/// Rounds of one poll, so that a busy lane lets others run.
const ROUNDS_MAX: usize = 32;

/// Pumps until the connection ends or the association is closed; whether a frame came, and why it ended.
pub(super) async fn run(peer: &Peer, lane: u8, link: Link) -> (bool, LinkError) {
    let from = Origin::of(&link);
    let now = Instant::now();
    let mut pump = Pump {
        peer,
        lane,
        from,
        stream: link.stream,
        writing: VecDeque::new(),
        batch: Vec::new(),
        unflushed: 0,
        rhythm: Rhythm::default(),
        buffer: Vec::new(),
        filled: 0,
        arrived: Vec::new(),
        outputs: Vec::new(),
        alarm: Box::pin(sleep_until(now)),
        unheard: None,
        has_served: false,
    };
    let error = poll_fn(|context| pump.poll(context)).await;
    (pump.has_served, error)
}

struct Pump<'a> {
    peer: &'a Peer,
    lane: u8,
    from: Origin,
    stream: Box<dyn ByteStream>,
    writing: VecDeque<Bytes>,
    batch: Vec<Bytes>,
    /// Written since the last flush.
    unflushed: usize,
    rhythm: Rhythm,
    buffer: Vec<u8>,
    filled: usize,
    /// Messages in the buffer: from, to, receipt.
    arrived: Vec<(usize, usize, Receipt)>,
    outputs: Vec<Output>,
    alarm: Pin<Box<Sleep>>,
    /// Since when something waits to be acknowledged and nothing was heard.
    unheard: Option<Instant>,
    has_served: bool,
}

/// When to write.
///
/// A task that answers many wakes the pump with its first answer, and a pump that writes at once writes one of them: by
/// count, 8 messages for each system call where the lane alone has 42. So where there is more than one message at a time,
/// the pump lets the tasks run once that are ready on its worker (tokio's own yield) before it writes. A message that is
/// alone goes at once.
#[derive(Default)]
struct Rhythm {
    /// It has let others run since the last write.
    has_waited: bool,
    /// The last write, if it had more than one message.
    busy_at: Option<Time>,
}

/// For so long a lane that had more than one message to write is expected to have more than one again.
const BUSY: Duration = Duration::from_millis(1);

impl Rhythm {
    /// Whether others should run before so many messages are written; else they are written now.
    fn is_too_early(&mut self, now: Time, messages: usize) -> bool {
        if messages == 0 {
            return false;
        }
        let is_busy = messages > 1 || self.busy_at.is_some_and(|at| now.since(at) < BUSY);
        if is_busy && !self.has_waited {
            self.has_waited = true;
            return true;
        }
        self.has_waited = false;
        self.busy_at = (messages > 1).then_some(now);
        false
    }
}

/// Wakes the task again when those that are ready have run.
fn let_others_run(context: &mut Context<'_>) {
    let yielded = std::pin::pin!(tokio::task::yield_now()).poll(context);
    // It is ready at its second poll, and this task will look anew.
    debug_assert!(yielded.is_pending());
}

/// Whether a direction moved.
type Moved = Poll<Result<(), LinkError>>;

impl Pump<'_> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<LinkError> {
        for _ in 0..ROUNDS_MAX {
            let written = match self.poll_write(context) {
                Poll::Ready(Err(error)) => return Poll::Ready(error),
                moved => moved,
            };
            let read = match self.poll_read(context) {
                Poll::Ready(Err(error)) => return Poll::Ready(error),
                moved => moved,
            };
            if written.is_pending() && read.is_pending() {
                match self.poll_alarm(context) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(error),
                    Poll::Pending => return Poll::Pending,
                }
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> Moved {
        let mut moved = false;
        loop {
            while let Some(slice) = self.writing.front_mut() {
                match Pin::new(&mut self.stream).poll_write(context, slice) {
                    Poll::Ready(Ok(0)) => return broken(io::ErrorKind::WriteZero.into()),
                    Poll::Ready(Ok(count)) => {
                        moved = true;
                        self.unflushed += count;
                        if count == slice.len() {
                            self.writing.pop_front();
                        } else {
                            drop(slice.split_to(count));
                        }
                    }
                    Poll::Ready(Err(error)) => return broken(error),
                    Poll::Pending => return progress(moved),
                }
            }
            if self.unflushed < FLUSH_BYTES && self.refill(context)? {
                continue;
            }
            if self.unflushed == 0 {
                return progress(moved);
            }
            match Pin::new(&mut self.stream).poll_flush(context) {
                Poll::Ready(Ok(())) => self.unflushed = 0,
                Poll::Ready(Err(error)) => return broken(error),
                Poll::Pending => return progress(moved),
            }
        }
    }

    /// Takes the next batch; with nothing to take, leaves the waker where the next sender finds it.
    fn refill(&mut self, context: &mut Context<'_>) -> Result<bool, LinkError> {
        let now = self.peer.shared.now();
        let mut core = self.peer.core.lock();
        if core.is_closed {
            return Err(LinkError::Protocol(ProtocolError::Closed));
        }
        let (messages, bytes) = core.association.ready(self.lane);
        if self.unflushed == 0 && bytes < BATCH_BYTES && self.rhythm.is_too_early(now, messages) {
            drop(core);
            let_others_run(context);
            return Ok(false);
        }
        let size = core.association.transmit(now, self.lane, BATCH_BYTES, &mut self.batch);
        if size == 0 {
            let slot = &mut core.slots[usize::from(self.lane)].waker;
            if !slot.as_ref().is_some_and(|known| known.will_wake(context.waker())) {
                *slot = Some(context.waker().clone());
            }
        }
        drop(core);
        self.writing.extend(self.batch.drain(..));
        Ok(size > 0)
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Moved {
        if self.buffer.len() < self.filled + READ_BYTES {
            self.buffer.resize(self.filled + READ_BYTES, 0);
        }
        let space = &mut self.buffer[self.filled..];
        match Pin::new(&mut self.stream).poll_read(context, space) {
            Poll::Ready(Ok(0)) => broken(io::ErrorKind::UnexpectedEof.into()),
            Poll::Ready(Ok(count)) => {
                self.filled += count;
                Poll::Ready(self.take_frames())
            }
            Poll::Ready(Err(error)) => broken(error),
            Poll::Pending => Poll::Pending,
        }
    }

    fn take_frames(&mut self) -> Result<(), LinkError> {
        let now = self.peer.shared.now();
        self.unheard = None;
        let mut taken = 0;
        let mut failure = None;
        let mut core = self.peer.core.lock();
        while failure.is_none() {
            let rest = &self.buffer[taken..self.filled];
            match frame::cut(rest, frame::DATA_FRAME_MAX) {
                Ok(Some((frame, size))) => {
                    match core.association.receive(now, frame, &mut self.outputs) {
                        Ok(Some(delivery)) => {
                            let end = taken + size;
                            let start = end - delivery.payload.len();
                            self.arrived.push((start, end, delivery.receipt));
                        }
                        Ok(None) => {}
                        Err(error) => failure = Some(error),
                    }
                    taken += size;
                    self.has_served = true;
                }
                Ok(None) => break,
                Err(error) => failure = Some(error.into()),
            }
        }
        let waiting = core.with_room(self.lane, self.peer.shared.settings.resend_max_bytes);
        drop(core);
        waiting.into_iter().for_each(Waker::wake);
        self.peer.report(&mut self.outputs);
        self.deliver();
        self.buffer.copy_within(taken..self.filled, 0);
        self.filled -= taken;
        if self.filled == 0 && self.buffer.len() > KEPT_BYTES_MAX {
            self.buffer = Vec::new();
        }
        failure.map_or(Ok(()), |error| Err(LinkError::Protocol(error)))
    }

    fn deliver(&mut self) {
        if self.arrived.is_empty() {
            return;
        }
        let inbound = &self.peer.shared.inbound;
        let mut sum: Option<Receipt> = None;
        let buffer = &self.buffer;
        let mut messages =
            self.arrived.drain(..).map(|(start, end, receipt)| (&buffer[start..end], receipt));
        inbound.messages(self.from, self.lane, &mut messages, &mut |receipt| {
            let other = match &mut sum {
                Some(sum) => sum.add(receipt),
                None => sum.replace(receipt),
            };
            if let Some(other) = other {
                self.peer.taken(other);
            }
        });
        drop(messages);
        if let Some(sum) = sum {
            self.peer.taken(sum);
        }
    }

    /// Ready when a deadline of the association has passed.
    fn poll_alarm(&mut self, context: &mut Context<'_>) -> Moved {
        let mut core = self.peer.core.lock();
        let wake = core.association.next_wake();
        let waits = core.association.buffered_bytes(self.lane) > 0;
        core.slots[usize::from(self.lane)].armed = wake;
        drop(core);
        self.unheard = if waits { self.unheard.or_else(|| Some(Instant::now())) } else { None };
        let Some(wake) = wake else { return Poll::Pending };
        let wake = self.peer.shared.at(wake);
        // An alarm that rings too early costs one more look; moving it for every message costs more.
        if self.alarm.is_elapsed() || wake < self.alarm.deadline() {
            // Another lane's deadline, not ours to serve: not in a circle.
            let soonest = Instant::now() + Duration::from_millis(1);
            self.alarm.as_mut().reset(wake.max(soonest));
        }
        if self.alarm.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        if self.unheard.is_some_and(|since| since.elapsed() > SILENCE) {
            return Poll::Ready(Err(LinkError::Silent { limit: SILENCE }));
        }
        let now = self.peer.shared.now();
        self.peer.core.lock().association.tick(now, &mut self.outputs);
        self.peer.report(&mut self.outputs);
        Poll::Ready(Ok(()))
    }
}

fn progress(moved: bool) -> Moved {
    if moved { Poll::Ready(Ok(())) } else { Poll::Pending }
}

fn broken(error: io::Error) -> Moved {
    Poll::Ready(Err(LinkError::Broken(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pump_waits_once_where_there_is_more_than_one_message_at_a_time() {
        let at = |micros| Time(micros);
        let mut rhythm = Rhythm::default();
        // Alone: at once, again and again.
        assert!(!rhythm.is_too_early(at(0), 1));
        assert!(!rhythm.is_too_early(at(5), 1));
        // Two: others first, once, then they are written, with what has come meanwhile.
        assert!(rhythm.is_too_early(at(10), 2));
        assert!(!rhythm.is_too_early(at(11), 7));
        // One is expected not to stay alone; nothing to write is nothing to wait for.
        assert!(!rhythm.is_too_early(at(15), 0));
        assert!(rhythm.is_too_early(at(20), 1));
        assert!(!rhythm.is_too_early(at(21), 1));
        // It has been alone: it goes at once.
        assert!(!rhythm.is_too_early(at(30), 1));
        // And after a pause.
        assert!(rhythm.is_too_early(at(40), 3));
        assert!(!rhythm.is_too_early(at(41), 3));
        assert!(!rhythm.is_too_early(at(41 + 1_000), 1));
    }
}
