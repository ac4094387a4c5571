//! Envelopes: a message on its way, without its type.
//!
//! The mailbox holds messages of many types in one queue. A boxed closure each would cost an allocation a
//! message; an envelope instead lies inline in the queue, up to [`Space`], and only a larger one
//! is boxed (smallbox does the pointer work). Plain messages are [`Plain`]; what waits for arguments
//! or may be retried is [`Careful`], rarer and larger.

use std::any::Any;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use smallbox::{SmallBox, smallbox};

use crate::actor::{Actor, Receive, StateOf, Step};
use crate::arg::DependencyFailed;
use crate::context::Context;
use crate::error::{Undelivered, UnknownOutcome};
use crate::exit::ExitReason;
use crate::message::Message;
use crate::remote::Outbound;
use crate::remote::outbound::{answered, outbound};
use crate::reply::{Answer, AnswerSender, Missing, ReplySlot, RetryCell, Slot};

mod gate;
mod meta;

pub use gate::Gate;
pub(crate) use meta::{Meta, Nature};

/// What a message and its reply may measure to lie inline: with all the rest, one cache line.
pub(crate) type Space = [usize; 3];

/// A message without its type, with what is asked of every message beside it: the run loop reads that without a call.
pub(crate) struct BoxedEnvelope<A: Actor> {
    meta: Meta,
    body: SmallBox<dyn Envelope<A>, Space>,
}

impl<A: Actor> BoxedEnvelope<A> {
    #[inline]
    pub(crate) const fn meta(&self) -> &Meta {
        &self.meta
    }
}

impl<A: Actor> Deref for BoxedEnvelope<A> {
    type Target = dyn Envelope<A>;

    #[inline]
    fn deref(&self) -> &Self::Target {
        &*self.body
    }
}

impl<A: Actor> DerefMut for BoxedEnvelope<A> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut *self.body
    }
}

/// What is to be done with an envelope whose handler has returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finished {
    Done,
    Again,
}

pub(crate) trait Envelope<A: Actor>: Send {
    /// Hands the message to its handler. Called once; an envelope that may be retried, once a run.
    fn run<'a>(&mut self, state: &'a mut StateOf<A>, ctx: &'a mut Context<A>) -> Step<'a, A>;
    /// Hands the message of a prompt envelope to its handler. Called once, too.
    fn run_now(&mut self, state: &mut StateOf<A>, ctx: &mut Context<A>);
    fn message_name(&self) -> &'static str;
    /// Answers that the message was not delivered. True if nobody waits: then it is a dead letter.
    fn reject(&mut self, reason: Undelivered) -> bool;
    /// Moves the message into `into`, an `Option` of its type.
    fn reclaim(&mut self, into: &mut dyn Any);
    /// Writes the message down for another node. Afterwards the envelope is empty, unless this failed.
    fn export(&mut self, meta: Meta) -> Result<Outbound, Undelivered>;
    /// Whether the message waits for arguments.
    fn is_gated(&self) -> bool {
        false
    }
    /// Whether the arguments are there.
    fn poll_gate(&mut self, _cx: &mut TaskContext<'_>) -> Poll<Result<(), DependencyFailed>> {
        Poll::Ready(Ok(()))
    }
    /// Whether the envelope is kept while it runs, and stays over a restart.
    fn is_retried(&self) -> bool {
        false
    }
    /// A retried envelope's handler has returned.
    fn finished(&mut self) -> Finished {
        Finished::Done
    }
    /// A retried envelope's handler has crashed.
    fn crashed(&mut self, _reason: &ExitReason) -> Finished {
        Finished::Done
    }
}

/// A type that answers go to; a unit where nobody waits.
pub(crate) trait ReplyTo<M: Message>: Send {
    fn into_slot(self) -> ReplySlot<M>;
    fn waits(&self) -> bool;
}

/// Nobody waits.
pub(crate) struct Nobody;

impl<M: Message> ReplyTo<M> for Nobody {
    #[inline]
    fn into_slot(self) -> ReplySlot<M> {
        ReplySlot::none()
    }

    #[inline]
    fn waits(&self) -> bool {
        false
    }
}

impl<M: Message> ReplyTo<M> for AnswerSender<Answer<M>> {
    #[inline]
    fn into_slot(self) -> ReplySlot<M> {
        ReplySlot::to(Slot::Ask(self))
    }

    #[inline]
    fn waits(&self) -> bool {
        true
    }
}

impl<M: Message> ReplyTo<M> for ReplySlot<M> {
    #[inline]
    fn into_slot(self) -> Self {
        self
    }

    #[inline]
    fn waits(&self) -> bool {
        !self.is_none()
    }
}

/// A message that is there and runs once, with whom it is answered to. Taken together: one mark, not two, and of whole
/// words, so that it is built in registers.
struct Plain<M: Message, R>(Option<(M, R)>);

impl<A: Receive<M>, M: Message, R: ReplyTo<M>> Envelope<A> for Plain<M, R> {
    fn run<'a>(&mut self, state: &'a mut StateOf<A>, ctx: &'a mut Context<A>) -> Step<'a, A> {
        match self.0.take() {
            Some((message, reply)) => A::dispatch(state, message, ctx, reply.into_slot()),
            None => Step::done(),
        }
    }

    fn run_now(&mut self, state: &mut StateOf<A>, ctx: &mut Context<A>) {
        if let Some((message, reply)) = self.0.take() {
            A::dispatch_now(state, message, ctx, reply.into_slot());
        }
    }

    fn message_name(&self) -> &'static str {
        M::NAME
    }

    fn reject(&mut self, reason: Undelivered) -> bool {
        let Some((message, reply)) = self.0.take() else {
            return false;
        };
        let waits = reply.waits();
        reply.into_slot().answer(Missing::NotDelivered(Some(message), reason).into());
        !waits
    }

    fn export(&mut self, meta: Meta) -> Result<Outbound, Undelivered> {
        let outbound = outbound::<A, M>(self.0.as_ref().map(|(message, _)| message), meta)?;
        Ok(match self.0.take() {
            Some((message, reply)) if reply.waits() => {
                answered(outbound, Some(message), reply.into_slot())
            }
            Some(_) | None => outbound,
        })
    }

    fn reclaim(&mut self, into: &mut dyn Any) {
        let Some((message, reply)) = self.0.take() else { return };
        if let Some(slot) = into.downcast_mut::<Option<M>>() {
            *slot = Some(message);
        }
        // Whoever takes the message back has the news at first hand.
        drop(reply.into_slot());
    }
}

/// How often a call is tried again.
pub(crate) struct Retry<M> {
    pub(crate) left: u32,
    /// Whether a refusal is tried again, and not only a crash.
    pub(crate) refusals: bool,
    /// `M::clone`, where it was known.
    pub(crate) copy: fn(&M) -> M,
}

impl<M> Clone for Retry<M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for Retry<M> {}

/// A message that waits for arguments, or may run more than once.
struct Careful<M: Message> {
    gate: Option<Gate<M>>,
    message: Option<M>,
    retry: Option<Retry<M>>,
    running: Option<Arc<RetryCell<M>>>,
    /// What came of the last run, for an asker whose message does not get another one.
    stands: Option<Answer<M>>,
    reply: Option<ReplySlot<M>>,
}

impl<A: Receive<M>, M: Message> Envelope<A> for Careful<M> {
    fn run<'a>(&mut self, state: &'a mut StateOf<A>, ctx: &'a mut Context<A>) -> Step<'a, A> {
        if let (Some(retry), Some(message)) = (&self.retry, &self.message) {
            let cell = RetryCell::new();
            self.running = Some(Arc::clone(&cell));
            let message = (retry.copy)(message);
            return A::dispatch(state, message, ctx, ReplySlot::to(Slot::Retry(cell)));
        }
        match (self.message.take(), self.reply.take()) {
            (Some(message), Some(reply)) => A::dispatch(state, message, ctx, reply),
            (Some(_), None) | (None, _) => Step::done(),
        }
    }

    /// Never called: it is not prompt.
    fn run_now(&mut self, _state: &mut StateOf<A>, _ctx: &mut Context<A>) {}

    fn message_name(&self) -> &'static str {
        M::NAME
    }

    fn reject(&mut self, reason: Undelivered) -> bool {
        let Some(reply) = self.reply.take() else {
            return false;
        };
        let waits = !reply.is_none();
        let answer = self.stands.take();
        // A handler that saw it once must not be denied: sending again would not be safe.
        reply.answer(
            answer.unwrap_or_else(|| Missing::NotDelivered(self.message.take(), reason).into()),
        );
        !waits
    }

    fn export(&mut self, meta: Meta) -> Result<Outbound, Undelivered> {
        let outbound = outbound::<A, M>(self.message.as_ref(), meta)?;
        let (message, reply) = (self.message.take(), self.reply.take());
        Ok(match reply {
            Some(reply) if !reply.is_none() => answered(outbound, message, reply),
            Some(_) | None => outbound,
        })
    }

    fn reclaim(&mut self, into: &mut dyn Any) {
        if let Some(slot) = into.downcast_mut::<Option<M>>() {
            *slot = self.message.take();
        }
        drop(self.reply.take());
    }

    fn is_gated(&self) -> bool {
        self.gate.is_some()
    }

    fn poll_gate(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), DependencyFailed>> {
        let Some(gate) = &mut self.gate else {
            return Poll::Ready(Ok(()));
        };
        match (gate.0)(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(result) => {
                self.gate = None;
                Poll::Ready(result.map(|message| self.message = Some(message)))
            }
        }
    }

    fn is_retried(&self) -> bool {
        self.retry.is_some()
    }

    fn finished(&mut self) -> Finished {
        let Some(running) = self.running.take() else {
            return Finished::Done;
        };
        let Some(answer) = running.take(&mut self.reply) else {
            return Finished::Done;
        };
        if let (Answer::Replied(Err(_)), Some(retry)) = (&answer, &mut self.retry)
            && retry.refusals
            && retry.left > 0
        {
            retry.left -= 1;
            self.stands = Some(answer);
            return Finished::Again;
        }
        if let Some(reply) = self.reply.take() {
            reply.answer(answer);
        }
        Finished::Done
    }

    fn crashed(&mut self, reason: &ExitReason) -> Finished {
        self.running = None;
        if let Some(retry) = &mut self.retry
            && retry.left > 0
        {
            retry.left -= 1;
            let why = UnknownOutcome::ActorEnded(reason.clone());
            self.stands = Some(Missing::Unknown(why).into());
            return Finished::Again;
        }
        // Answered with all that the crash took along, when the mailbox has been renewed.
        crate::ending::drop_ending(self.reply.take());
        Finished::Done
    }
}

/// What is sent: the message, or the promise of it.
pub(crate) enum Payload<M> {
    Now(M),
    Gated(Gate<M>),
}

/// Wraps a message for its actor.
#[inline]
pub(crate) fn seal<A: Receive<M>, M: Message, R: ReplyTo<M> + 'static>(
    payload: Payload<M>,
    retry: Option<Retry<M>>,
    reply: R,
    meta: Meta,
) -> BoxedEnvelope<A> {
    match (payload, retry) {
        (Payload::Now(message), None) => seal_plain(message, reply, meta),
        (payload, retry) => seal_careful(payload, retry, reply.into_slot(), meta),
    }
}

/// Whether a message lies in its envelope, and is not boxed.
pub(crate) const fn lies_inline<M: Message, R>() -> bool {
    size_of::<Plain<M, R>>() <= size_of::<Space>()
        && align_of::<Plain<M, R>>() <= align_of::<Space>()
}

/// Wraps a message that is there and runs once.
#[inline(always)]
pub(crate) fn seal_plain<A: Receive<M>, M: Message, R: ReplyTo<M> + 'static>(
    message: M,
    reply: R,
    mut meta: Meta,
) -> BoxedEnvelope<A> {
    let plain = Plain(Some((message, reply)));
    meta.nature = if A::PROMPT { Nature::Prompt } else { Nature::Plain };
    BoxedEnvelope { meta, body: smallbox!(plain) }
}

#[cold]
fn seal_careful<A: Receive<M>, M: Message>(
    payload: Payload<M>,
    retry: Option<Retry<M>>,
    reply: ReplySlot<M>,
    mut meta: Meta,
) -> BoxedEnvelope<A> {
    let (gate, message) = match payload {
        Payload::Now(message) => (None, Some(message)),
        Payload::Gated(gate) => (Some(gate), None),
    };
    meta.nature = Nature::Careful;
    let reply = Some(reply);
    let careful = Careful { gate, message, retry, running: None, stands: None, reply };
    BoxedEnvelope { meta, body: smallbox!(careful) }
}
