//! What the lanes answer: to senders, and to the actor.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::VecDeque;

/// Where the consumer has its envelopes; asked only when there are some.
pub(crate) trait Batch<E> {
    fn queue(&mut self) -> &mut VecDeque<E>;
}

impl<E> Batch<E> for VecDeque<E> {
    fn queue(&mut self) -> &mut Self {
        self
    }
}

/// For an actor that may never have two at once.
impl<E> Batch<E> for Option<Box<VecDeque<E>>> {
    fn queue(&mut self) -> &mut VecDeque<E> {
        self.get_or_insert_default()
    }
}

/// What happens to a message that finds no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// It waits in line.
    Wait,
    /// It is handed back.
    Reject,
    /// It displaces the oldest waiting one.
    Displace,
}

/// Why an envelope was not taken.
#[derive(Debug)]
pub(crate) enum Refused<E> {
    /// No room, and the rule says so.
    Full(E),
    /// The mailbox takes nothing any more.
    Closed(E),
}

/// What became of an envelope that may wait.
#[derive(Debug)]
pub(crate) enum Admission<E> {
    /// It is in; with the envelope it displaced, if any.
    Admitted(Option<E>),
    /// It waits in line under this ticket.
    Waiting(u64),
    /// It was not taken.
    Refused(Refused<E>),
}

/// What the state of a place in line is.
#[derive(Debug)]
pub(crate) enum InLine<E> {
    /// Still waiting.
    Waiting,
    /// Admitted.
    Admitted,
    /// The mailbox closed first; the envelope comes back.
    Closed(E),
}

/// What the consumer found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// The batch has envelopes.
    Batch,
    /// A signal waits.
    Signal,
    /// Nothing; the waker is stored.
    Idle,
    /// Nothing, and nothing will come: sealed and drained.
    Drained,
}
