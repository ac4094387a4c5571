//! The sending half of a lane: what was said and is not yet known to have arrived.
//!
//! To keep each message apart, one allocation and one reference count each, costs more than to encode it.
//! So the resend buffer *is* the byte stream: frames are appended to one buffer, a cursor says how far they were
//! handed to the connection, and an acknowledgement moves the front. A batch is a slice of that buffer, resending is
//! moving the cursor back.
//!
//! Offsets count bytes of message frames since the epoch began; sequence numbers count messages likewise.
//! Invariants: `acked ≤ cursor ≤ end`; the cursor stands between two frames; `sent` never goes back in an epoch.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

use crate::time::Time;
use crate::wire::frame;
use crate::wire::segment::{Ack, Message, Segment};

/// How much is reserved for frames at once.
const CHUNK: usize = 64 << 10;
/// From this size on a payload is shared, not copied.
const SHARED_MIN: usize = 16 << 10;

/// One lane's sending half.
#[derive(Debug)]
pub(super) struct Outbound {
    /// Wire size of every frame that is not acknowledged, oldest first.
    frames: VecDeque<u32>,
    /// Sequence number of the first of them.
    first: u64,
    /// Where the first of them begins.
    acked: u64,
    /// How many of them were handed to the present connection, and where the next begins.
    cursor_index: usize,
    cursor: u64,
    /// Where the last of them ends.
    end: u64,
    /// The sequence number after the highest that was ever handed out in this epoch.
    sent: u64,
    /// When which sequence numbers were handed out first: (the number after, when).
    sent_at: VecDeque<(u64, Time)>,
    /// The bytes: sealed pieces with the offset at which each begins, then the piece being written.
    pieces: VecDeque<(u64, Bytes)>,
    open: BytesMut,
    /// Where the sealed pieces end and the open one begins.
    sealed: u64,
    /// What the peer allows.
    messages_max: u64,
    bytes_max: u64,
    /// When the lane last became non-empty or had something acknowledged.
    progress_at: Time,
}

impl Outbound {
    /// Empty, and without credit until the peer has said what it takes.
    pub(super) fn new() -> Self {
        Self {
            frames: VecDeque::new(),
            first: 0,
            acked: 0,
            cursor_index: 0,
            cursor: 0,
            end: 0,
            sent: 0,
            sent_at: VecDeque::new(),
            pieces: VecDeque::new(),
            open: BytesMut::new(),
            sealed: 0,
            messages_max: 0,
            bytes_max: 0,
            progress_at: Time::ZERO,
        }
    }

    pub(super) const fn buffered_bytes(&self) -> usize {
        (self.end - self.acked) as usize
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Whether any message of this epoch was acknowledged.
    pub(super) const fn has_progressed(&self) -> bool {
        self.first > 0
    }

    pub(super) const fn sent(&self) -> u64 {
        self.sent
    }

    pub(super) const fn progress_at(&self) -> Time {
        self.progress_at
    }

    /// When the oldest unacknowledged message was handed out first.
    pub(super) fn oldest_sent_at(&self) -> Option<Time> {
        self.sent_at.front().map(|&(_, when)| when)
    }

    /// Appends a message, in two parts that follow each other; its sequence number.
    #[inline]
    pub(super) fn push(&mut self, now: Time, epoch: u64, lane: u8, parts: [&[u8]; 2]) -> u64 {
        let [head, payload] = parts;
        let payload_bytes = head.len() + payload.len();
        let (sequence, size) = self.start(now, epoch, lane, payload_bytes);
        self.reserve(size);
        Message { epoch, lane, sequence, payload }.start_of(payload_bytes, &mut self.open);
        self.open.put_slice(head);
        self.open.put_slice(payload);
        sequence
    }

    /// Appends a message that is shared rather than copied if it is long.
    pub(super) fn push_shared(&mut self, now: Time, epoch: u64, lane: u8, payload: &Bytes) -> u64 {
        if payload.len() < SHARED_MIN {
            return self.push(now, epoch, lane, [&[], payload]);
        }
        let (sequence, _) = self.start(now, epoch, lane, payload.len());
        let message = Message { epoch, lane, sequence, payload };
        self.reserve(message.overhead());
        message.start_into(&mut self.open);
        self.seal();
        self.pieces.push_back((self.sealed, payload.clone()));
        self.sealed += payload.len() as u64;
        sequence
    }

    /// Counts the frame; its sequence number and wire size.
    #[inline]
    fn start(&mut self, now: Time, epoch: u64, lane: u8, payload_bytes: usize) -> (u64, usize) {
        if self.frames.is_empty() {
            self.progress_at = now;
        }
        let sequence = self.first + self.frames.len() as u64;
        let size = Message { epoch, lane, sequence, payload: &[] }.overhead() + payload_bytes;
        self.frames.push_back(size as u32);
        self.end += size as u64;
        (sequence, size)
    }

    #[inline]
    fn reserve(&mut self, size_bytes: usize) {
        if self.open.capacity() - self.open.len() < size_bytes {
            self.seal();
            self.open.reserve(size_bytes.max(CHUNK));
        }
    }

    /// Closes the open piece.
    fn seal(&mut self) {
        if !self.open.is_empty() {
            let piece = self.open.split().freeze();
            let begin = self.sealed;
            self.sealed += piece.len() as u64;
            self.pieces.push_back((begin, piece));
        }
    }

    /// Whether a message could be handed out now.
    pub(super) fn is_ready(&self) -> bool {
        self.cursor_index < self.frames.len() && self.has_credit(self.cursor_index, self.cursor)
    }

    /// How many messages were never handed to the present connection, and how many bytes they are.
    pub(super) fn waiting(&self) -> (usize, usize) {
        (self.frames.len() - self.cursor_index, (self.end - self.cursor) as usize)
    }

    #[inline]
    const fn has_credit(&self, index: usize, offset: u64) -> bool {
        self.first + (index as u64) < self.messages_max && offset < self.bytes_max
    }

    /// Hands out whole frames, about `budget` bytes of them and at least one, as far as credit allows.
    pub(super) fn transmit(
        &mut self,
        now: Time,
        budget: usize,
        ignore_credit: bool,
        out: &mut Vec<Bytes>,
    ) -> usize {
        let begin = self.cursor;
        let stop = begin + budget as u64;
        while let Some(&size) = self.frames.get(self.cursor_index) {
            let after = self.cursor + u64::from(size);
            let has_credit = ignore_credit || self.has_credit(self.cursor_index, self.cursor);
            if !has_credit || (after > stop && self.cursor > begin) {
                break;
            }
            self.cursor = after;
            self.cursor_index += 1;
        }
        if self.cursor == begin {
            return 0;
        }
        let handed_out = self.first + self.cursor_index as u64;
        if handed_out > self.sent {
            self.sent = handed_out;
            self.sent_at.push_back((handed_out, now));
        }
        if self.cursor > self.sealed {
            self.seal();
        }
        self.slices(begin..self.cursor, out);
        (self.cursor - begin) as usize
    }

    /// The sealed bytes of a range of offsets.
    fn slices(&self, range: Range<u64>, out: &mut Vec<Bytes>) {
        let index = self.pieces.partition_point(|(begin, _)| *begin <= range.start);
        for (begin, piece) in self.pieces.range(index.saturating_sub(1)..) {
            let from = range.start.max(*begin) - begin;
            let to = (range.end - begin).min(piece.len() as u64);
            out.push(piece.slice(from as usize..to as usize));
            if begin + to >= range.end {
                break;
            }
        }
    }

    /// Takes an acknowledgement of this epoch. `Err` if it is of something never sent: then nothing changed.
    pub(super) fn acknowledge(&mut self, now: Time, ack: &Ack) -> Result<(), ()> {
        if ack.next > self.sent {
            return Err(());
        }
        self.messages_max = self.messages_max.max(ack.messages_max);
        self.bytes_max = self.bytes_max.max(ack.bytes_max);
        let Some(count) = ack.next.checked_sub(self.first).filter(|&count| count > 0) else {
            return Ok(());
        };
        let size: u64 = self.frames.drain(..count as usize).map(u64::from).sum();
        self.first = ack.next;
        self.acked += size;
        self.cursor_index = self.cursor_index.saturating_sub(count as usize);
        self.cursor = self.cursor.max(self.acked);
        while self.sent_at.front().is_some_and(|&(after, _)| after <= ack.next) {
            self.sent_at.pop_front();
        }
        let is_acked = |(begin, piece): &(u64, Bytes)| begin + piece.len() as u64 <= self.acked;
        while self.pieces.front().is_some_and(is_acked) {
            self.pieces.pop_front();
        }
        self.progress_at = now;
        Ok(())
    }

    /// Everything unacknowledged is to be handed out again, to a new connection.
    pub(super) const fn rewind(&mut self) {
        self.cursor_index = 0;
        self.cursor = self.acked;
    }

    /// Ends the epoch: what was sent and perhaps arrived, and what was never sent.
    pub(super) fn take_all(&mut self) -> (Vec<Bytes>, Vec<Bytes>) {
        self.seal();
        let mut sent = Vec::new();
        let mut unsent = Vec::new();
        let mut begin = self.acked;
        for (index, &size) in self.frames.iter().enumerate() {
            let end = begin + u64::from(size);
            let payload = self.payload(begin..end);
            if self.first + (index as u64) < self.sent { &mut sent } else { &mut unsent }
                .push(payload);
            begin = end;
        }
        (sent, unsent)
    }

    /// The payload of the frame in this range.
    fn payload(&self, range: Range<u64>) -> Bytes {
        let mut slices = Vec::new();
        self.slices(range, &mut slices);
        let whole = match <[Bytes; 1]>::try_from(slices) {
            Ok([only]) => only,
            // A shared payload is a piece of its own; only the header is before it.
            Err(slices) => slices.concat().into(),
        };
        let payload = match frame::cut(&whole, usize::MAX) {
            Ok(Some((frame, _))) => match Segment::parse(frame) {
                Ok(Some(Segment::Message(message))) => Some(message.payload),
                _ => None,
            },
            _ => None,
        };
        debug_assert!(payload.is_some(), "these bytes were written by `push`");
        payload.map_or_else(Bytes::new, |payload| whole.slice_ref(payload))
    }
}

#[cfg(test)]
mod tests;
