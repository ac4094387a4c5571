//! The receiving half of a lane: what has arrived, what was taken from it, and what the sender is told.
//!
//! An acknowledgement per message doubles the traffic; one per second makes the sender keep everything for a second.
//! So an acknowledgement waits until enough has come, until the granted credit has moved by a quarter, or until it
//! has waited long enough; and rides on whatever is written in the meantime.
//! Arrival is acknowledged at once, credit only when the message was taken: a slow actor slows its senders, and
//! nothing is sent twice because of it.
//!
//! Invariant: `next` moves only by the message with that number. What is behind a gap is never taken.
//!
//! Pure: no clock, no I/O, no tasks.

use crate::time::Time;
use crate::wire::segment::Ack;

use super::mutant::Mutant;
use super::settings::Settings;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The next one: to be delivered.
    Deliver,
    /// Came before: dropped.
    Duplicate,
    /// Something before it is missing: dropped.
    Gap,
    /// Beyond what was granted.
    CreditExceeded,
}

/// One lane's receiving half.
#[derive(Clone, Debug, Default)]
pub(super) struct Inbound {
    /// Everything before this number has arrived.
    next: u64,
    arrived_bytes: u64,
    taken_messages: u64,
    taken_bytes: u64,
    /// What the sender was told last.
    told: Ack,
    /// An acknowledgement is to go out with the next write, or at this time at the latest.
    ack_at: Option<Time>,
}

impl Inbound {
    pub(super) fn new(settings: &Settings) -> Self {
        let empty = Self::default();
        Self { told: empty.state(0, 0, settings), ..empty }
    }

    #[inline]
    pub(super) fn accept(
        &mut self,
        now: Time,
        sequence: u64,
        wire_bytes: u64,
        settings: &Settings,
        mutant: Mutant,
    ) -> Verdict {
        if sequence < self.next && mutant != Mutant::NoDuplicateDrop {
            // The acknowledgement was lost, else this would not have been sent again.
            self.ack_by(now);
            return Verdict::Duplicate;
        }
        if sequence > self.next {
            if mutant == Mutant::AckAcrossGap {
                self.next = sequence + 1;
            }
            if mutant != Mutant::DeliverAfterGap {
                return Verdict::Gap;
            }
        }
        let is_granted = sequence < self.taken_messages + settings.credit_messages
            && self.arrived_bytes < self.taken_bytes + settings.credit_bytes;
        if !is_granted {
            return Verdict::CreditExceeded;
        }
        self.next = sequence + 1;
        self.arrived_bytes += wire_bytes;
        let wait_until = if self.next.saturating_sub(self.told.next) >= settings.ack_every {
            now
        } else {
            now + settings.ack_delay
        };
        self.ack_by(wait_until);
        Verdict::Deliver
    }

    /// So many messages were taken by their actors (or dropped on purpose).
    pub(super) fn taken(&mut self, now: Time, messages: u64, bytes: u64, settings: &Settings) {
        self.taken_messages = (self.taken_messages + messages).min(self.next);
        self.taken_bytes = (self.taken_bytes + bytes).min(self.arrived_bytes);
        let limits = self.state(0, 0, settings);
        let is_quarter = limits.messages_max - self.told.messages_max.min(limits.messages_max)
            >= settings.credit_messages / 4
            || limits.bytes_max - self.told.bytes_max.min(limits.bytes_max)
                >= settings.credit_bytes / 4;
        self.ack_by(if is_quarter { now } else { now + settings.ack_delay });
    }

    pub(super) fn ack_by(&mut self, when: Time) {
        self.ack_at = Some(self.ack_at.map_or(when, |at| at.min(when)));
    }

    pub(super) const fn ack_at(&self) -> Option<Time> {
        self.ack_at
    }

    /// What there is to tell.
    pub(super) const fn state(&self, epoch: u64, lane: u8, settings: &Settings) -> Ack {
        Ack {
            epoch,
            lane,
            next: self.next,
            messages_max: self.taken_messages + settings.credit_messages,
            bytes_max: self.taken_bytes + settings.credit_bytes,
        }
    }

    /// Notes that the sender is being told.
    pub(super) const fn told(&mut self, ack: Ack) {
        self.told = ack;
        self.ack_at = None;
    }
}
