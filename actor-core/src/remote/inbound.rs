//! Calls from other nodes, on their way into a mailbox.
//!
//! A call that came over the wire must meet the actor exactly as one from next door: same queue, same bound, same
//! answers. So it is read into the message's own type and pushed as an ordinary envelope, whose answer is written
//! down for the way back. If there is no room it stands in the mailbox's line, in order, and whoever feeds calls in
//! is told, and should hold back the sender until [`Delivered::Waits`] is over.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::actor::{Actor, Receive};
use crate::cell::Cell;
use crate::current::MessageContext;
use crate::dead_letters::{DeadLetter, DeadLetterReason};
use crate::envelope::{Meta, Nature, Nobody, Payload, seal};
use crate::error::Undelivered;
use crate::handle::ActorHandle;
use crate::id::{ActorId, CallerId};
use crate::mailbox::Mailbox;
use crate::mailbox::lanes::{Admission, InLine, Refused};
use crate::message::Message;
use crate::remote::table::Table;
use crate::remote::{AnswerSink, WireAnswer};
use crate::reply::{Answer, Missing, ReplySlot, Slot};
use crate::system::System;
use crate::wire::{Wire, baggage};

/// A call that has arrived.
pub struct Inbound<'a> {
    /// What it is.
    pub key: u64,
    /// The message's wire form.
    pub body: &'a [u8],
    /// Who sends: a number that stays the same for one sender on one node.
    pub caller: CallerId,
    /// What came along.
    pub context: Option<Arc<MessageContext>>,
    /// Who waits for the answer.
    pub answer: Option<AnswerSink>,
}

impl fmt::Debug for Inbound<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inbound({:016x}, {} bytes)", self.key, self.body.len())
    }
}

/// What became of a call.
#[must_use = "a sender that must wait should be held back"]
#[derive(Debug)]
pub enum Delivered {
    /// It is in the mailbox, or has been answered.
    Done,
    /// It stands in line; the future ends when it is in.
    Waits(Admitted),
}

/// Ends when a call that stood in line is in the mailbox.
pub struct Admitted(Pin<Box<dyn Future<Output = ()> + Send>>);

impl Future for Admitted {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Admitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Admitted")
    }
}

pub(crate) type Deliver = fn(&ActorHandle, Inbound<'_>) -> Delivered;

/// Hands a call from another node to the actor `to`. References in it are read in the current node: call this
/// inside a [`scope`](crate::sync_scope) of `system`.
pub fn deliver(system: &System, table: &Table, to: ActorId, call: Inbound<'_>) -> Delivered {
    let undelivered = match (system.directory().actor(to), table.handler(call.key)) {
        (Some(actor), Some(entry)) => return (entry.deliver)(&actor, call),
        (None, _) => {
            (Undelivered::ActorGone(crate::ExitReason::NoActor), DeadLetterReason::ActorGone)
        }
        (Some(actor), None) => {
            let what = format!(
                "`{}` there handles no such message (a handler written by hand needs `#[mobula::handler]`)",
                actor.type_name()
            );
            (Undelivered::Unknown(what), DeadLetterReason::Unknown)
        }
    };
    refuse(system, to, "a message from another node", call, undelivered);
    Delivered::Done
}

fn refuse(
    system: &System,
    to: ActorId,
    message: &'static str,
    call: Inbound<'_>,
    (reason, letter): (Undelivered, DeadLetterReason),
) {
    match call.answer {
        Some(answer) => answer(WireAnswer::NotDelivered(reason), Vec::new()),
        None => {
            system.dead_letters().record(&DeadLetter {
                to,
                from: call.caller,
                message,
                reason: letter,
            });
        }
    }
}

/// Hands a call to an actor of type `A` that handles `M`.
pub(crate) fn deliver_to<A: Receive<M>, M: Message>(
    to: &ActorHandle,
    mut call: Inbound<'_>,
) -> Delivered {
    let Ok(cell) = Arc::clone(&to.0).as_any().downcast::<Cell<A>>() else {
        let what = format!("a call of `{}` reached a `{}`", M::NAME, to.type_name());
        let why = (Undelivered::Unknown(what), DeadLetterReason::Unknown);
        if let Some(system) = crate::current_system() {
            refuse(&system, to.id(), M::NAME, call, why);
        }
        return Delivered::Done;
    };
    let read = match M::WIRE {
        Some(wire) => wire.message.decode(call.body).map(|message| (wire, message)),
        None => Err(crate::wire::CodecError { what: M::NAME, text: "has no wire form".to_owned() }),
    };
    let (wire, message) = match read {
        Ok(read) => read,
        Err(error) => {
            let why = (Undelivered::Unreadable(error.to_string()), DeadLetterReason::Unreadable);
            refuse(cell.system(), to.id(), M::NAME, call, why);
            return Delivered::Done;
        }
    };
    let meta = Meta { caller: call.caller, context: call.context.take(), nature: Nature::Plain };
    let payload = Payload::Now(message);
    let envelope = match call.answer {
        None => seal(payload, None, Nobody, meta),
        Some(sink) => {
            let slot = Slot::Sink(Box::new(move |answer| {
                let (answer, baggage) = baggage::collect(|| written(&wire, answer));
                sink(answer, baggage);
            }));
            seal(payload, None, ReplySlot::to(slot), meta)
        }
    };
    match cell.lanes.push_or_wait(envelope, None, Mailbox::LINE_MAX) {
        Admission::Admitted(None) => Delivered::Done,
        Admission::Admitted(Some(displaced)) => {
            cell.displaced(displaced);
            Delivered::Done
        }
        Admission::Waiting(ticket) => Delivered::Waits(Admitted(Box::pin(admitted(cell, ticket)))),
        Admission::Refused(Refused::Full(envelope)) => {
            cell.reject(envelope, Undelivered::MailboxFull);
            Delivered::Done
        }
        Admission::Refused(Refused::Closed(envelope)) => {
            let reason = cell.last_reason();
            cell.reject(envelope, Undelivered::ActorGone(reason));
            Delivered::Done
        }
    }
}

/// Waits until the place `ticket` in line is given up.
async fn admitted<A: Actor>(cell: Arc<Cell<A>>, ticket: u64) {
    let left = std::future::poll_fn(|cx| match cell.lanes.poll_line(ticket, cx.waker()) {
        InLine::Waiting => Poll::Pending,
        InLine::Admitted => Poll::Ready(None),
        InLine::Closed(envelope) => Poll::Ready(Some(envelope)),
    })
    .await;
    if let Some(envelope) = left {
        let reason = cell.last_reason();
        cell.reject(envelope, Undelivered::ActorGone(reason));
    }
}

/// The wire form of an answer.
fn written<M: Message>(wire: &Wire<M>, answer: Answer<M>) -> WireAnswer {
    let mut bytes = Vec::new();
    match answer {
        Answer::Replied(Ok(value)) => match wire.value.encode(&value, &mut bytes) {
            Ok(()) => WireAnswer::Value(bytes),
            Err(error) => WireAnswer::Unknown(crate::UnknownOutcome::Unreadable(error.to_string())),
        },
        Answer::Replied(Err(refusal)) => {
            let is_written =
                wire.refusal.is_some_and(|codec| codec.encode(&refusal, &mut bytes).is_ok());
            if is_written {
                WireAnswer::Refusal(bytes)
            } else {
                WireAnswer::RefusalText(M::refusal_text(&refusal))
            }
        }
        Answer::Missing(why) => match *why {
            Missing::RefusedElsewhere(text) => WireAnswer::RefusalText(text),
            Missing::NotDelivered(_, reason) => WireAnswer::NotDelivered(reason),
            Missing::Unknown(why) => WireAnswer::Unknown(why),
        },
    }
}

/// An answer from its wire form; `message` goes back to the asker if it was not delivered.
pub(crate) fn read<M: Message>(
    wire: &Wire<M>,
    message: Option<M>,
    answer: WireAnswer,
) -> Answer<M> {
    let unreadable = |error: crate::wire::CodecError| {
        Missing::Unknown(crate::UnknownOutcome::Unreadable(error.to_string()))
    };
    let missing = match answer {
        WireAnswer::Value(bytes) => match wire.value.decode(&bytes) {
            Ok(value) => return Answer::Replied(Ok(value)),
            Err(error) => unreadable(error),
        },
        WireAnswer::Refusal(bytes) => match wire.refusal.map(|codec| codec.decode(&bytes)) {
            Some(Ok(refusal)) => return Answer::Replied(Err(refusal)),
            Some(Err(error)) => unreadable(error),
            None => Missing::RefusedElsewhere("an error that this build cannot read".to_owned()),
        },
        WireAnswer::RefusalText(text) => Missing::RefusedElsewhere(text),
        WireAnswer::NotDelivered(reason) => Missing::NotDelivered(message, reason),
        WireAnswer::Unknown(why) => Missing::Unknown(why),
    };
    missing.into()
}
