//! Mailboxes: bounded by default, with the overflow rule that the user chose.
//!
//! An unbounded mailbox turns overload into death by memory, so there is none: the largest bound is
//! [`Mailbox::CAPACITY_MAX`]. What happens at the bound is a choice, made where the actor is spawned.

pub(crate) mod lanes;

use serde::{Deserialize, Serialize};

use lanes::Rule;

/// How many messages may wait for an actor, and what happens to one too many.
///
/// Signals (stop, kill, down) have a lane of their own and are never counted or delayed.
///
/// # Examples
/// ```
/// use mobula_actor_core::Mailbox;
/// let few_and_fresh = Mailbox::latest(8);
/// assert_eq!(few_and_fresh.capacity(), 8);
/// assert_eq!(Mailbox::default().capacity(), Mailbox::CAPACITY_DEFAULT);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mailbox {
    capacity: u32,
    overflow: Overflow,
}

/// What happens to a message that finds the mailbox full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Overflow {
    /// `tell` and `ask` wait in line, first come first served; `try_tell` hands the message back.
    Wait,
    /// It is handed back as `NotDelivered` with [`Undelivered::MailboxFull`](crate::Undelivered::MailboxFull).
    Reject,
    /// The oldest waiting message makes room: a tell becomes a dead letter, an ask is handed back.
    DropOldest,
    /// Like `DropOldest`, for messages of which only the newest matter: a displaced tell vanishes.
    Latest,
}

impl Mailbox {
    /// The bound of an actor that chose none.
    pub const CAPACITY_DEFAULT: u32 = 1024;
    /// The largest bound.
    pub const CAPACITY_MAX: u32 = 1 << 30;
    /// How many calls whose result is an object may wait in line without anybody waiting for room.
    pub(crate) const LINE_MAX: usize = 1 << 20;

    /// At most `capacity` messages wait; senders wait for room. Clamped to 1 ..= [`CAPACITY_MAX`](Self::CAPACITY_MAX).
    #[must_use]
    pub const fn bounded(capacity: u32) -> Self {
        let capacity = if capacity == 0 { 1 } else { capacity };
        let capacity = if capacity > Self::CAPACITY_MAX { Self::CAPACITY_MAX } else { capacity };
        Self { capacity, overflow: Overflow::Wait }
    }

    /// Only the newest `count` messages wait; older ones vanish.
    #[must_use]
    pub const fn latest(count: u32) -> Self {
        Self { overflow: Overflow::Latest, ..Self::bounded(count) }
    }

    /// A full mailbox hands messages back.
    #[must_use]
    pub const fn reject(self) -> Self {
        Self { overflow: Overflow::Reject, ..self }
    }

    /// A full mailbox drops the oldest waiting message.
    #[must_use]
    pub const fn drop_oldest(self) -> Self {
        Self { overflow: Overflow::DropOldest, ..self }
    }

    /// How many messages may wait.
    #[must_use]
    pub const fn capacity(self) -> u32 {
        self.capacity
    }

    /// What happens to one too many.
    #[must_use]
    pub const fn overflow(self) -> Overflow {
        self.overflow
    }

    pub(crate) const fn rule(self) -> Rule {
        match self.overflow {
            Overflow::Wait => Rule::Wait,
            Overflow::Reject => Rule::Reject,
            Overflow::DropOldest | Overflow::Latest => Rule::Displace,
        }
    }
}

impl Default for Mailbox {
    fn default() -> Self {
        Self::bounded(Self::CAPACITY_DEFAULT)
    }
}
