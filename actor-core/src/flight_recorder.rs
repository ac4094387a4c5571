//! The flight recorder: what an actor handled last, for the crash report.
//!
//! Off by default. When on, the metadata of the last n envelopes is kept in a ring that forgets the oldest; the
//! messages themselves are not.

use std::fmt;
use std::num::NonZeroUsize;

use ring_channel::{RingReceiver, RingSender, ring_channel};

use crate::id::CallerId;

/// One handled message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlightRecord {
    /// The message's name.
    pub message: &'static str,
    /// Who sent it.
    pub from: CallerId,
    /// How many messages this generation had handled before.
    pub sequence: u64,
}

impl FlightRecord {
    /// Several, in order, as text.
    #[must_use]
    pub fn list(records: &[Self]) -> String {
        let texts: Vec<String> = records.iter().map(ToString::to_string).collect();
        texts.join(", ")
    }
}

impl fmt::Display for FlightRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} {}", self.sequence, self.message)?;
        match self.from.citizen() {
            Some(sender) => write!(f, " from {sender}"),
            None => Ok(()),
        }
    }
}

pub(crate) struct FlightRecorder {
    sender: RingSender<FlightRecord>,
    receiver: RingReceiver<FlightRecord>,
    sequence: u64,
}

impl FlightRecorder {
    /// The ring is taken whole when the actor starts, and its size may be another node's wish.
    pub(crate) const RECORDS_MAX: usize = 1 << 16;

    pub(crate) fn new(capacity: NonZeroUsize) -> Self {
        let (sender, receiver) = ring_channel(capacity);
        Self { sender, receiver, sequence: 0 }
    }

    pub(crate) fn record(&mut self, message: &'static str, from: CallerId) {
        // The receiver is ours, so the ring is never disconnected.
        let _ = self.sender.send(FlightRecord { message, from, sequence: self.sequence });
        self.sequence += 1;
    }

    /// The records, oldest first.
    pub(crate) fn drain(&mut self) -> Vec<FlightRecord> {
        std::iter::from_fn(|| self.receiver.try_recv().ok()).collect()
    }
}

impl fmt::Debug for FlightRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FlightRecorder")
    }
}
