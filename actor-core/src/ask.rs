//! Ask: a message, and the reply to it, within a deadline.
//!
//! The future is lazy, borrows its reference and allocates one reply cell. The deadline travels with the
//! message: what has not begun by then is not begun, and asks that the handler makes inherit it.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::actor::{Actor, Receive};
use crate::actor_ref::Address;
use crate::cancel::CallToken;
use crate::current::MessageContext;
use crate::envelope::{BoxedEnvelope, Meta, Nature, Payload, Retry, seal};
use crate::error::{AskError, Returned, Undelivered, UnknownOutcome};
use crate::id::CallerId;
use crate::mailbox::Mailbox;
use crate::mailbox::lanes::{Admission, InLine, Refused};
use crate::message::Message;
use crate::reply::{Answer, AnswerReceiver, Missing, ReplySlot, Slot, reply_cell};
use crate::send::{ask_meta, light_ask, post, post_plain};

/// A message about to be sent, whose reply is wanted. Await it: it is sent when polled.
///
/// # Errors
/// See [`AskError`]: not delivered (a retry is safe), outcome unknown, refused, or a deadlock.
///
/// # Cancel safety
/// Dropped while it waits for room, the message is withdrawn; later, only the reply is lost.
///
/// # Examples
/// ```
/// # extern crate mobula_actor_core as mobula;
/// # use std::time::Duration;
/// # use mobula_actor_core::{AskError, Context, Current, Handler, Message, System, UnknownOutcome, scope, spawn};
/// #[derive(Message)]
/// #[message(reply = String)]
/// struct Greet(&'static str);
///
/// pub struct Porter;
/// #[mobula::actor]
/// impl Porter {
///     pub async fn doze(&mut self) { std::future::pending::<()>().await; }
/// }
/// impl Handler<Greet> for Porter {
///     async fn handle(&mut self, Greet(name): Greet, _: &mut Context<Self>) -> String { format!("welcome, {name}") }
/// }
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() { scope(Current::root(System::builder().build()), async {
/// let porter = spawn(|| Porter);
/// assert_eq!(porter.ask(Greet("Ada")).await.unwrap(), "welcome, Ada");
/// let error = porter.doze().timeout(Duration::from_secs(2)).await.unwrap_err();
/// assert!(matches!(error, AskError::OutcomeUnknown { why: UnknownOutcome::Deadline(_), .. }));
/// # }).await }
/// ```
#[must_use = "an ask does nothing until it is awaited"]
pub struct Ask<'a, A: Actor, M: Message> {
    pub(crate) address: &'a Address<A>,
    pub(crate) payload: Payload<M>,
    pub(crate) retry: Option<Retry<M>>,
    timeout: Option<Duration>,
}

impl<'a, A: Receive<M>, M: Message> Ask<'a, A, M> {
    #[inline]
    pub(crate) const fn new(
        address: &'a Address<A>,
        payload: Payload<M>,
        retry: Option<Retry<M>>,
    ) -> Self {
        Self { address, payload, retry, timeout: None }
    }

    /// Waits no longer than this. The deadline travels along: a message that has not begun by then is not
    /// begun (`NotDelivered`); one that has ends as `OutcomeUnknown`.
    #[inline]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    #[inline]
    pub(crate) fn set_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }
}

impl<A: Actor, M: Message> fmt::Debug for Ask<'_, A, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ask({} to {})", M::NAME, self.address.target())
    }
}

impl<'a, A: Receive<M>, M: Message> IntoFuture for Ask<'a, A, M> {
    type Output = Result<M::Value, AskError<M>>;
    type IntoFuture = AskFuture<'a, A, M>;

    #[inline]
    fn into_future(self) -> AskFuture<'a, A, M> {
        let (message, careful) = match (self.payload, self.retry) {
            (Payload::Now(message), None) => (Some(message), None),
            careful => (None, Some(careful)),
        };
        AskFuture {
            address: self.address,
            message,
            careful,
            state: AskState::Start,
            reply: None,
            timeout: self.timeout,
            alarm: None,
        }
    }
}

/// The future of an [`Ask`].
///
/// The message lies in a field of its own, so that the usual ask moves it once: from here into the mailbox.
pub struct AskFuture<'a, A: Actor, M: Message> {
    address: &'a Address<A>,
    /// What is there and runs once.
    message: Option<M>,
    /// What waits for arguments, or may be retried.
    careful: Option<(Payload<M>, Option<Retry<M>>)>,
    state: AskState,
    reply: Option<AnswerReceiver<Answer<M>>>,
    timeout: Option<Duration>,
    alarm: Option<Pin<Box<Sleep>>>,
}

#[derive(Clone, Copy)]
enum AskState {
    Start,
    InLine(u64),
    Sent,
    Done,
}

// Nothing in it is pinned: the message only passes through.
impl<A: Actor, M: Message> Unpin for AskFuture<'_, A, M> {}

impl<A: Receive<M>, M: Message> AskFuture<'_, A, M> {
    /// Sends; an error is final.
    fn start(&mut self, cx: &TaskContext<'_>) -> Result<(), AskError<M>> {
        let cell = self.address.cell();
        let now = self.timeout.map(|_| Instant::now());
        let own = now.zip(self.timeout).and_then(|(now, timeout)| now.checked_add(timeout));
        let meta = ask_meta(cell, own).map_err(AskError::Deadlock)?;
        // The deadline of the call being handled holds for this ask, too.
        if let Some(deadline) = meta.context.as_ref().and_then(|context| context.deadline) {
            let left = deadline.saturating_duration_since(now.unwrap_or_else(Instant::now));
            if left.is_zero() {
                let message = self.message.take().or_else(|| match self.careful.take() {
                    Some((Payload::Now(message), _)) => Some(message),
                    Some((Payload::Gated(_), _)) | None => None,
                });
                return Err(self.not_delivered(message, Undelivered::Expired));
            }
            self.timeout = Some(left);
            self.alarm = Some(Box::pin(tokio::time::sleep_until(deadline)));
        }
        self.send(meta.caller, meta.context, cx)
    }

    // Not given a `Meta`: it would come by way of memory, written and read in different parts, and that is waited for.
    #[inline]
    fn send(
        &mut self,
        caller: CallerId,
        context: Option<Arc<MessageContext>>,
        cx: &TaskContext<'_>,
    ) -> Result<(), AskError<M>> {
        let meta = Meta { caller, context, nature: Nature::Plain };
        let cell = self.address.cell();
        let message = self.message.take();
        let (sender, receiver) = reply_cell(cx.waker());
        self.reply = Some(receiver);
        self.state = AskState::Sent;
        let posted = match (message, self.careful.take()) {
            (Some(message), _) => post_plain(cell, message, sender, meta),
            (None, Some((payload, retry))) => post(cell, payload, retry, sender, meta),
            // Nothing to send: the sender's end says that no answer will come.
            (None, None) => Ok(None),
        };
        match posted {
            Ok(None) => Ok(()),
            Ok(Some(displaced)) => {
                cell.displaced(displaced);
                Ok(())
            }
            Err(refused) => self.not_at_once(refused, cx),
        }
    }

    #[cold]
    fn not_at_once(
        &mut self,
        refused: Refused<BoxedEnvelope<A>>,
        cx: &TaskContext<'_>,
    ) -> Result<(), AskError<M>> {
        let cell = self.address.cell();
        let envelope = match refused {
            Refused::Closed(envelope) => return Err(self.closed(envelope)),
            Refused::Full(envelope) => envelope,
        };
        match cell.lanes.push_or_wait(envelope, Some(cx.waker()), Mailbox::LINE_MAX) {
            Admission::Waiting(ticket) => self.state = AskState::InLine(ticket),
            Admission::Admitted(None) => {}
            Admission::Admitted(Some(displaced)) => cell.displaced(displaced),
            Admission::Refused(Refused::Closed(envelope)) => return Err(self.closed(envelope)),
            Admission::Refused(Refused::Full(envelope)) => {
                return Err(self.handed_back(envelope, Undelivered::MailboxFull));
            }
        }
        Ok(())
    }

    fn closed(&self, envelope: BoxedEnvelope<A>) -> AskError<M> {
        self.handed_back(envelope, Undelivered::ActorGone(self.address.cell().last_reason()))
    }

    fn handed_back(&self, mut envelope: BoxedEnvelope<A>, reason: Undelivered) -> AskError<M> {
        let mut message: Option<M> = None;
        envelope.reclaim(&mut message);
        self.not_delivered(message, reason)
    }

    fn not_delivered(&self, message: Option<M>, reason: Undelivered) -> AskError<M> {
        AskError::NotDelivered {
            message: message.map(Returned::new),
            to: self.address.target(),
            reason,
        }
    }

    #[cold]
    fn missing(&self, why: Missing<M>) -> AskError<M> {
        match why {
            Missing::RefusedElsewhere(text) => AskError::RefusedElsewhere(text),
            Missing::NotDelivered(message, reason) => self.not_delivered(message, reason),
            Missing::Unknown(why) => self.unknown(why),
        }
    }

    fn unknown(&self, why: UnknownOutcome) -> AskError<M> {
        AskError::OutcomeUnknown { to: self.address.target(), why }
    }

    #[inline]
    fn poll_reply(&mut self, cx: &TaskContext<'_>) -> Poll<Result<M::Value, AskError<M>>> {
        let Some(reply) = self.reply.take() else {
            return Poll::Pending;
        };
        Poll::Ready(match reply.poll(cx) {
            Err(reply) => {
                self.reply = Some(reply);
                return Poll::Pending;
            }
            Ok(None) => Err(self.unknown(UnknownOutcome::NoReply)),
            Ok(Some(Answer::Replied(result))) => result.map_err(AskError::Refused),
            Ok(Some(Answer::Missing(why))) => Err(self.missing(*why)),
        })
    }

    /// The deadline has passed: what is still in line comes back, what was sent has an unknown outcome.
    fn overdue(&self) -> AskError<M> {
        if let AskState::InLine(ticket) = self.state
            && let Some(envelope) = self.address.cell().lanes.withdraw(ticket)
        {
            return self.handed_back(envelope, Undelivered::Expired);
        }
        self.unknown(UnknownOutcome::Deadline(self.timeout.unwrap_or_default()))
    }
}

impl<A: Receive<M>, M: Message> Future for AskFuture<'_, A, M> {
    type Output = Result<M::Value, AskError<M>>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        match this.state {
            AskState::Start => {
                let light = if this.timeout.is_none() { light_ask() } else { None };
                let started = match light {
                    Some(caller) => this.send(caller, None, cx),
                    None => this.start(cx),
                };
                match started {
                    // The reply cell and the line know whom to wake.
                    Ok(()) if this.alarm.is_none() => Poll::Pending,
                    Ok(()) => this.poll_alarmed(cx),
                    Err(error) => {
                        this.state = AskState::Done;
                        Poll::Ready(Err(error))
                    }
                }
            }
            AskState::Sent if this.alarm.is_none() => {
                let polled = this.poll_reply(cx);
                if polled.is_ready() {
                    this.state = AskState::Done;
                }
                polled
            }
            AskState::Sent | AskState::InLine(_) | AskState::Done => this.poll_alarmed(cx),
        }
    }
}

impl<A: Receive<M>, M: Message> AskFuture<'_, A, M> {
    /// Looks at the line, the reply and the alarm.
    fn poll_alarmed(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<M::Value, AskError<M>>> {
        if let AskState::InLine(ticket) = self.state {
            match self.address.cell().lanes.poll_line(ticket, cx.waker()) {
                InLine::Waiting => {}
                InLine::Admitted => self.state = AskState::Sent,
                InLine::Closed(envelope) => {
                    self.state = AskState::Done;
                    return Poll::Ready(Err(self.closed(envelope)));
                }
            }
        }
        if let Poll::Ready(result) = self.poll_reply(cx) {
            self.state = AskState::Done;
            return Poll::Ready(result);
        }
        if let Some(alarm) = &mut self.alarm
            && alarm.as_mut().poll(cx).is_ready()
        {
            let error = self.overdue();
            self.state = AskState::Done;
            return Poll::Ready(Err(error));
        }
        Poll::Pending
    }
}

impl<A: Actor, M: Message> Drop for AskFuture<'_, A, M> {
    #[inline]
    fn drop(&mut self) {
        match self.state {
            AskState::InLine(ticket) => drop(self.address.cell().lanes.withdraw(ticket)),
            // The reply's own end says that nobody waits.
            AskState::Start | AskState::Sent | AskState::Done => {}
        }
    }
}

impl<A: Actor, M: Message> fmt::Debug for AskFuture<'_, A, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AskFuture({} to {})", M::NAME, self.address.target())
    }
}

/// Sends at once, without waiting for room: beyond the bound the call stands in line, of which there may be a
/// million. The answer, whatever it is, goes to `sink`; for results that become objects.
pub(crate) fn ask_into<A: Receive<M>, M: Message>(
    ask: Ask<'_, A, M>,
    token: CallToken,
    sink: impl FnOnce(Answer<M>) + Send + 'static,
) {
    let Ask { address, payload, retry, timeout } = ask;
    let cell = address.cell();
    let slot = ReplySlot::to(Slot::Sink(Box::new(sink)));
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    // Nobody waits here, so this ask cannot be part of a deadlock: it takes along no chain.
    let mut meta = crate::send::tell_meta();
    let span = meta.context.take().and_then(|context| context.span.clone());
    let context = MessageContext { chain: None, deadline, span, cancel: Some(token) };
    meta.context = Some(Arc::new(context));
    let envelope = seal(payload, retry, slot, meta);
    match cell.lanes.push_or_wait(envelope, None, Mailbox::LINE_MAX) {
        Admission::Admitted(None) | Admission::Waiting(_) => {}
        Admission::Admitted(Some(displaced)) => cell.displaced(displaced),
        Admission::Refused(Refused::Full(mut envelope)) => {
            envelope.reject(Undelivered::MailboxFull);
        }
        Admission::Refused(Refused::Closed(mut envelope)) => {
            envelope.reject(Undelivered::ActorGone(cell.last_reason()));
        }
    }
}
