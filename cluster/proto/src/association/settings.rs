//! The limits of an association.
//!
//! Pure: no clock, no I/O, no tasks.

use std::time::Duration;

use crate::wire::frame;

/// Limits per association. Both ends may differ; each grants by its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How many lanes: one for control and four for messages. 1 to 255.
    pub lanes: u8,
    /// What a lane keeps for resending, and queues for want of credit, at most: 4 MiB.
    /// A single larger message is taken when the lane is empty.
    pub resend_max_bytes: usize,
    /// How long a sent message may stay unacknowledged, or a queued one wait for a connection: 5 s.
    pub resend_max_age: Duration,
    /// Bytes that a receiver lets wait in front of its actors, per lane: 1 MiB. The last message may go beyond.
    pub credit_bytes: u64,
    /// Messages that a receiver lets wait, per lane: 1024.
    pub credit_messages: u64,
    /// Arrivals without an acknowledgement at most: 64 messages.
    pub ack_every: u64,
    /// How long an acknowledgement may wait for something to ride on: 5 ms.
    pub ack_delay: Duration,
    /// Without progress for this long, the sender asks whether something is missing: 1 s.
    pub probe_after: Duration,
    /// The longest message, in bytes: a data frame less room for the header.
    pub message_max_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lanes: 5,
            resend_max_bytes: 4 << 20,
            resend_max_age: Duration::from_secs(5),
            credit_bytes: 1 << 20,
            credit_messages: 1024,
            ack_every: 64,
            ack_delay: Duration::from_millis(5),
            probe_after: Duration::from_secs(1),
            message_max_bytes: frame::DATA_FRAME_MAX - 64,
        }
    }
}
