//! Tell: one way, at most once, in order.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use crate::actor::{Actor, Receive};
use crate::actor_ref::Address;
use crate::cell::Cell;
use crate::envelope::{BoxedEnvelope, Nobody, Payload, Retry};
use crate::error::{Returned, TellError, Undelivered};
use crate::mailbox::Mailbox;
use crate::mailbox::lanes::{Admission, InLine, Refused};
use crate::message::Message;
use crate::send::{post, tell_meta};

/// A message about to be sent one way. Await it: it is sent when polled.
///
/// # Errors
/// [`TellError`] hands the message back: the actor has ended, or the mailbox was full and its rule rejects.
///
/// # Cancel safety
/// Dropped while it waits for room, the message is withdrawn and was never sent.
///
/// # Examples
/// ```
/// # extern crate mobula_actor_core as mobula;
/// # use mobula_actor_core::{Current, Mailbox, System, Undelivered, scope};
/// pub struct Slow;
/// #[mobula::actor]
/// impl Slow {
///     pub fn new() -> Self { Self }
///     pub async fn work(&mut self, _number: u32) { std::future::pending::<()>().await; }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() { scope(Current::root(System::builder().build()), async {
/// let slow = Slow::options().mailbox(Mailbox::bounded(1)).remote();
/// slow.work(1).tell().await.unwrap();               // begins
/// slow.work(2).tell().await.unwrap();               // waits
/// let error = slow.work(3).try_tell().unwrap_err(); // no room: it comes back
/// assert!(matches!(error.reason(), Undelivered::MailboxFull));
/// assert_eq!(error.into_message().unwrap().into_args(), (3,));
/// # }).await }
/// ```
#[must_use = "a tell does nothing until it is awaited"]
pub struct Tell<'a, A: Actor, M: Message> {
    address: &'a Address<A>,
    payload: Payload<M>,
    retry: Option<Retry<M>>,
}

impl<'a, A: Receive<M>, M: Message> Tell<'a, A, M> {
    #[inline]
    pub(crate) const fn new(
        address: &'a Address<A>,
        payload: Payload<M>,
        retry: Option<Retry<M>>,
    ) -> Self {
        Self { address, payload, retry }
    }
}

impl<A: Actor, M: Message> fmt::Debug for Tell<'_, A, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tell({} to {})", M::NAME, self.address.target())
    }
}

impl<'a, A: Receive<M>, M: Message> IntoFuture for Tell<'a, A, M> {
    type Output = Result<(), TellError<M>>;
    type IntoFuture = TellFuture<'a, A, M>;

    #[inline]
    fn into_future(self) -> TellFuture<'a, A, M> {
        TellFuture { address: self.address, state: TellState::Start(self.payload, self.retry) }
    }
}

/// The future of a [`Tell`].
pub struct TellFuture<'a, A: Actor, M: Message> {
    address: &'a Address<A>,
    state: TellState<M>,
}

enum TellState<M: Message> {
    Start(Payload<M>, Option<Retry<M>>),
    InLine(u64),
    Done,
}

// Nothing in it is pinned: the message only passes through.
impl<A: Actor, M: Message> Unpin for TellFuture<'_, A, M> {}

impl<A: Receive<M>, M: Message> Future for TellFuture<'_, A, M> {
    type Output = Result<(), TellError<M>>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        match std::mem::replace(&mut this.state, TellState::Done) {
            TellState::Start(payload, retry) => {
                match post(this.address.cell(), payload, retry, Nobody, tell_meta()) {
                    Ok(None) => Poll::Ready(Ok(())),
                    Ok(Some(displaced)) => {
                        this.address.cell().displaced(displaced);
                        Poll::Ready(Ok(()))
                    }
                    Err(refused) => this.not_at_once(refused, cx),
                }
            }
            TellState::InLine(ticket) => this.poll_line(ticket, cx),
            TellState::Done => Poll::Pending,
        }
    }
}

impl<A: Receive<M>, M: Message> TellFuture<'_, A, M> {
    #[cold]
    fn not_at_once(
        &mut self,
        refused: Refused<BoxedEnvelope<A>>,
        cx: &TaskContext<'_>,
    ) -> Poll<Result<(), TellError<M>>> {
        let cell = self.address.cell();
        let envelope = match refused {
            Refused::Closed(envelope) => return Poll::Ready(Err(closed(cell, envelope))),
            Refused::Full(envelope) => envelope,
        };
        match cell.lanes.push_or_wait(envelope, Some(cx.waker()), Mailbox::LINE_MAX) {
            Admission::Waiting(ticket) => {
                self.state = TellState::InLine(ticket);
                Poll::Pending
            }
            other => Poll::Ready(admitted(cell, other)),
        }
    }

    #[cold]
    fn poll_line(&mut self, ticket: u64, cx: &TaskContext<'_>) -> Poll<Result<(), TellError<M>>> {
        let cell = self.address.cell();
        match cell.lanes.poll_line(ticket, cx.waker()) {
            InLine::Waiting => {
                self.state = TellState::InLine(ticket);
                Poll::Pending
            }
            InLine::Admitted => Poll::Ready(Ok(())),
            InLine::Closed(envelope) => Poll::Ready(Err(closed(cell, envelope))),
        }
    }
}

impl<A: Actor, M: Message> Drop for TellFuture<'_, A, M> {
    #[inline]
    fn drop(&mut self) {
        if let TellState::InLine(ticket) = self.state {
            drop(self.address.cell().lanes.withdraw(ticket));
        }
    }
}

impl<A: Actor, M: Message> fmt::Debug for TellFuture<'_, A, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TellFuture({} to {})", M::NAME, self.address.target())
    }
}

fn admitted<A: Receive<M>, M: Message>(
    cell: &Arc<Cell<A>>,
    admission: Admission<BoxedEnvelope<A>>,
) -> Result<(), TellError<M>> {
    match admission {
        Admission::Admitted(None) | Admission::Waiting(_) => Ok(()),
        Admission::Admitted(Some(displaced)) => {
            cell.displaced(displaced);
            Ok(())
        }
        Admission::Refused(Refused::Full(envelope)) => {
            Err(handed_back(cell, envelope, Undelivered::MailboxFull))
        }
        Admission::Refused(Refused::Closed(envelope)) => Err(closed(cell, envelope)),
    }
}

fn closed<A: Receive<M>, M: Message>(
    cell: &Arc<Cell<A>>,
    envelope: BoxedEnvelope<A>,
) -> TellError<M> {
    let reason = Undelivered::ActorGone(cell.last_reason());
    handed_back(cell, envelope, reason)
}

fn handed_back<A: Receive<M>, M: Message>(
    cell: &Arc<Cell<A>>,
    mut envelope: BoxedEnvelope<A>,
    reason: Undelivered,
) -> TellError<M> {
    let mut message: Option<M> = None;
    envelope.reclaim(&mut message);
    TellError::new(message.map(Returned::new), cell.target(), reason)
}

/// Sends one way if there is room now.
#[inline]
pub(crate) fn try_tell<A: Receive<M>, M: Message>(
    address: &Address<A>,
    payload: Payload<M>,
    retry: Option<Retry<M>>,
) -> Result<(), TellError<M>> {
    let cell = address.cell();
    match post(cell, payload, retry, Nobody, tell_meta()) {
        Ok(None) => Ok(()),
        Ok(Some(displaced)) => {
            cell.displaced(displaced);
            Ok(())
        }
        Err(Refused::Full(envelope)) => Err(handed_back(cell, envelope, Undelivered::MailboxFull)),
        Err(Refused::Closed(envelope)) => Err(closed(cell, envelope)),
    }
}
