//! Dead letters: what was sent and will not be handled.
//!
//! A one-way message that meets a closed mailbox, a full one or a dead actor has nobody to tell. Silence
//! would hide it and an unbounded log would drown the node: so every dead letter is counted, and whoever
//! wants to see them subscribes a ring of bounded size, which forgets the oldest (one ring per subscriber).

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use ring_channel::{RingReceiver, RingSender, ring_channel};

use crate::id::{ActorId, CallerId};

/// Why a message was not handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeadLetterReason {
    /// The actor had ended.
    ActorGone,
    /// The actor ended, or was restarted, while the message waited.
    Discarded,
    /// The mailbox was full and its rule drops the oldest.
    Displaced,
    /// The mailbox was full and its rule rejects.
    MailboxFull,
    /// It was taken back while it waited.
    Cancelled,
    /// The deadline passed while the message waited.
    Expired,
    /// What an argument was to come from failed.
    DependencyFailed,
    /// The actor's node could not be reached.
    Unreachable,
    /// It cannot travel to the actor's node.
    NoWireForm,
    /// The actor's node does not know the message.
    Unknown,
    /// The actor's node could not read the message.
    Unreadable,
    /// The sender's node has not the right to send it.
    Denied,
}

/// One message that will not be handled: who, to whom, what, why. The message itself is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The actor it was for.
    pub to: ActorId,
    /// Who sent it.
    pub from: CallerId,
    /// The message's name.
    pub message: &'static str,
    /// Why it was not handled.
    pub reason: DeadLetterReason,
}

impl DeadLetter {
    /// A message that somebody outside the floor could not bring to its actor.
    #[must_use]
    pub const fn new(
        to: ActorId,
        from: CallerId,
        message: &'static str,
        reason: DeadLetterReason,
    ) -> Self {
        Self { to, from, message, reason }
    }
}

/// The dead letters of one node.
#[derive(Default)]
pub struct DeadLetters {
    count: AtomicU64,
    taps: Mutex<Vec<RingSender<DeadLetter>>>,
}

impl DeadLetters {
    /// How many there were since the node started.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Sees the newest `capacity` dead letters from now on; older ones that were not read are forgotten.
    #[must_use]
    pub fn subscribe(&self, capacity: NonZeroUsize) -> DeadLetterTap {
        let (sender, receiver) = ring_channel(capacity);
        self.taps.lock().push(sender);
        DeadLetterTap { receiver }
    }

    /// Counts a dead letter, and shows it to those who tap.
    pub fn record(&self, letter: &DeadLetter) {
        self.count.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(
            to = %letter.to, from = ?letter.from, message = letter.message, reason = ?letter.reason,
            "dead letter"
        );
        let mut taps = self.taps.lock();
        taps.retain(|tap| tap.send(letter.clone()).is_ok());
    }
}

impl fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetters").field("count", &self.count()).finish_non_exhaustive()
    }
}

/// A bounded view of the dead letters; see [`DeadLetters::subscribe`].
pub struct DeadLetterTap {
    receiver: RingReceiver<DeadLetter>,
}

impl DeadLetterTap {
    /// The oldest letter not read yet; `None` when there is none.
    #[must_use]
    pub fn next(&self) -> Option<DeadLetter> {
        self.receiver.try_recv().ok()
    }

    /// All letters not read yet, oldest first.
    #[must_use]
    pub fn drain(&self) -> Vec<DeadLetter> {
        std::iter::from_fn(|| self.next()).collect()
    }
}

impl fmt::Debug for DeadLetterTap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeadLetterTap")
    }
}
