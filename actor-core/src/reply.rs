//! Replies: where the answer to a message goes.
//!
//! Most go straight to a waiting asker, some into an object, some wait until their handler has been
//! retried, and a tell's goes nowhere. A handler sees one type, and cannot send twice: sending consumes.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::ending;
use crate::error::{Undelivered, UnknownOutcome};
use crate::message::Message;

mod cell;

pub(crate) use cell::{AnswerReceiver, AnswerSender, reply_cell};

/// What came of a message that somebody waits for.
pub enum Answer<M: Message> {
    /// The handler's reply, or the error it refused with.
    Replied(Result<M::Value, M::Refusal>),
    /// There is none. Boxed, so that an answer that came is no larger than its value.
    Missing(Box<Missing<M>>),
}

/// Why there is no reply.
pub enum Missing<M: Message> {
    /// The handler's own error as text: it ran on another node, and the error's type cannot travel.
    RefusedElsewhere(String),
    /// The handler never saw the message; `None` if it was consumed while arguments were resolved.
    NotDelivered(Option<M>, Undelivered),
    /// Nobody knows.
    Unknown(UnknownOutcome),
}

impl<M: Message> fmt::Debug for Answer<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Replied(_) => "Replied",
            Self::Missing(why) => return fmt::Debug::fmt(why, f),
        })
    }
}

impl<M: Message> fmt::Debug for Missing<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RefusedElsewhere(_) => "RefusedElsewhere",
            Self::NotDelivered(..) => "NotDelivered",
            Self::Unknown(_) => "Unknown",
        })
    }
}

impl<M: Message> From<Missing<M>> for Answer<M> {
    #[cold]
    fn from(why: Missing<M>) -> Self {
        Self::Missing(Box::new(why))
    }
}

/// Where the answer to one message goes. Dropped without an answer, the asker learns `NoReply`.
pub struct ReplySlot<M: Message>(Option<Slot<M>>);

pub(crate) enum Slot<M: Message> {
    Ask(AnswerSender<Answer<M>>),
    Sink(AnswerFn<M>),
    Retry(Arc<RetryCell<M>>),
}

/// A closure that takes the answer, whatever it is.
pub(crate) type AnswerFn<M> = Box<dyn FnOnce(Answer<M>) + Send>;

impl<M: Message> ReplySlot<M> {
    #[inline]
    pub(crate) const fn to(slot: Slot<M>) -> Self {
        Self(Some(slot))
    }

    /// Nobody waits.
    #[inline]
    pub(crate) const fn none() -> Self {
        Self(None)
    }

    /// Sends the reply; a tell's is dropped.
    #[inline]
    pub fn send(self, reply: M::Reply) {
        if !self.is_none() {
            self.answer(Answer::Replied(M::into_result(reply)));
        }
    }

    pub(crate) fn answer(mut self, answer: Answer<M>) {
        match self.0.take() {
            None => {}
            Some(Slot::Ask(sender)) => sender.send(answer),
            Some(Slot::Sink(take)) => take(answer),
            Some(Slot::Retry(cell)) => cell.answer(answer),
        }
    }

    #[inline]
    pub(crate) const fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// The slot as a closure over the reply, for handlers that answer later.
    #[must_use]
    pub fn into_reply(self) -> Reply<M::Reply> {
        Reply(Box::new(move |reply| self.send(reply)))
    }
}

/// A reply that a crash, a kill or an end drops is answered with the reason.
impl<M: Message> Drop for ReplySlot<M> {
    #[inline]
    fn drop(&mut self) {
        // A retried message's answer is the business of its envelope.
        if matches!(self.0, Some(Slot::Ask(_) | Slot::Sink(_))) {
            self.orphan();
        }
    }
}

impl<M: Message> ReplySlot<M> {
    #[cold]
    fn orphan(&mut self) {
        match self.0.take() {
            None | Some(Slot::Retry(_)) => {}
            slot @ Some(Slot::Ask(_) | Slot::Sink(_)) => {
                let slot = Self(slot);
                ending::settle(move |reason| match reason {
                    Some(reason) => {
                        let why = UnknownOutcome::ActorEnded(reason.clone());
                        slot.answer(Missing::Unknown(why).into());
                    }
                    None => slot.answer(Missing::Unknown(UnknownOutcome::NoReply).into()),
                });
            }
        }
    }
}

impl<M: Message> fmt::Debug for ReplySlot<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplySlot")
    }
}

/// A reply owed: send it when it is known, from wherever it was kept.
///
/// Dropped without being sent, the asker gets `OutcomeUnknown` with `NoReply`.
pub struct Reply<R>(Box<dyn FnOnce(R) + Send>);

impl<R> Reply<R> {
    /// Sends the reply.
    pub fn send(self, reply: R) {
        (self.0)(reply);
    }
}

impl<R> fmt::Debug for Reply<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply")
    }
}

/// What a method returns that has kept its [`Reply`] for later: see `Context::defer`.
pub struct Deferred<R>(std::marker::PhantomData<fn() -> R>);

impl<R> Deferred<R> {
    pub(crate) const fn new() -> Self {
        Self(std::marker::PhantomData)
    }
}

impl<R> fmt::Debug for Deferred<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Deferred")
    }
}

/// Stands between a handler that may be retried and whoever waits for it.
pub(crate) struct RetryCell<M: Message>(Mutex<RetryState<M>>);

enum RetryState<M: Message> {
    /// The handler runs; its answer is kept.
    Held,
    /// The answer of this run.
    Answered(Answer<M>),
    /// The handler was left with the reply still owed: it goes through.
    Through(ReplySlot<M>),
    Over,
}

impl<M: Message> RetryCell<M> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(RetryState::Held)))
    }

    fn answer(&self, answer: Answer<M>) {
        let mut state = self.0.lock();
        match std::mem::replace(&mut *state, RetryState::Over) {
            RetryState::Through(slot) => {
                drop(state);
                slot.answer(answer);
            }
            RetryState::Held | RetryState::Answered(_) | RetryState::Over => {
                *state = RetryState::Answered(answer);
            }
        }
    }

    /// The answer of the run that ended, if it gave one; else `slot` takes the one that comes.
    pub(crate) fn take(&self, slot: &mut Option<ReplySlot<M>>) -> Option<Answer<M>> {
        let mut state = self.0.lock();
        match std::mem::replace(&mut *state, RetryState::Over) {
            RetryState::Answered(answer) => Some(answer),
            RetryState::Held | RetryState::Through(_) | RetryState::Over => {
                if let Some(slot) = slot.take() {
                    *state = RetryState::Through(slot);
                }
                None
            }
        }
    }
}
