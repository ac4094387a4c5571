//! Calls to other nodes, on their way out of a mailbox: the wire form of an envelope's content.

use crate::actor::Receive;
use crate::envelope::Meta;
use crate::error::Undelivered;
use crate::message::Message;
use crate::remote::{AnswerSink, Outbound, inbound};
use crate::reply::ReplySlot;
use crate::wire::{baggage, paired};

/// The wire form of a message, without who waits for its answer.
pub(crate) fn outbound<A: Receive<M>, M: Message>(
    message: Option<&M>,
    meta: Meta,
) -> Result<Outbound, Undelivered> {
    let no_form = |why: String| Undelivered::NoWireForm(why);
    let Some(wire) = M::WIRE else {
        return Err(no_form(format!(
            "`{}` cannot travel: its arguments and its reply need `Serialize` and `Deserialize`",
            M::NAME
        )));
    };
    let Some(message) = message else {
        return Err(no_form(format!("`{}` was consumed", M::NAME)));
    };
    let mut body = Vec::with_capacity(BODY_GUESS);
    let (written, baggage) = baggage::collect(|| wire.message.encode(message, &mut body));
    written.map_err(|error| no_form(format!("`{}` could not be written: {error}", M::NAME)))?;
    let Meta { caller, context, .. } = meta;
    let key = paired(A::KEY, M::KEY);
    Ok(Outbound { key, name: M::NAME, body, baggage, caller, context, answer: None })
}

/// Room for an ordinary message, so that writing it allocates once.
const BODY_GUESS: usize = 128;

/// Lets the answer that comes back go to `reply`, and the message if it was not delivered.
pub(crate) fn answered<M: Message>(
    outbound: Outbound,
    message: Option<M>,
    reply: ReplySlot<M>,
) -> Outbound {
    let answer: AnswerSink = Box::new(move |answer, _| match &M::WIRE {
        Some(wire) => reply.answer(inbound::read(wire, message, answer)),
        None => drop(reply),
    });
    Outbound { answer: Some(answer), ..outbound }
}
