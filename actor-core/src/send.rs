//! Sending: what a message takes along, whether an ask may wait at all, and the way into the mailbox.

use std::sync::Arc;

use tokio::time::Instant;

use crate::actor::{Actor, Mode, Receive};
use crate::cell::Cell;
use crate::current::{self, CallChain, Current, MessageContext};
use crate::envelope::{
    BoxedEnvelope, Meta, Nature, Payload, ReplyTo, Retry, lies_inline, seal, seal_plain,
};
use crate::error::{DeadlockPath, WaitingActor};
use crate::id::{CallerId, NodeId};
use crate::mailbox::lanes::Refused;
use crate::message::Message;

/// Puts a message into the mailbox if there is room; a plain one is made where it is to lie there.
#[inline(always)]
pub(crate) fn post<A: Receive<M>, M: Message, R: ReplyTo<M> + 'static>(
    cell: &Cell<A>,
    payload: Payload<M>,
    retry: Option<Retry<M>>,
    reply: R,
    meta: Meta,
) -> Result<Option<BoxedEnvelope<A>>, Refused<BoxedEnvelope<A>>> {
    match (payload, retry) {
        (Payload::Now(message), None) => post_plain(cell, message, reply, meta),
        (payload, retry) => cell.lanes.push(seal(payload, retry, reply, meta)),
    }
}

/// The same for a message that is there and runs once.
#[inline(always)]
pub(crate) fn post_plain<A: Receive<M>, M: Message, R: ReplyTo<M> + 'static>(
    cell: &Cell<A>,
    message: M,
    reply: R,
    meta: Meta,
) -> Result<Option<BoxedEnvelope<A>>, Refused<BoxedEnvelope<A>>> {
    if const { lies_inline::<M, R>() } {
        cell.lanes.push_made(|| seal_plain(message, reply, meta))
    } else {
        // To allocate for it would keep the others from the mailbox.
        cell.lanes.push(seal_plain(message, reply, meta))
    }
}

/// What a tell takes along: who sends, and the sender's span where somebody traces.
#[inline]
pub(crate) fn tell_meta() -> Meta {
    let caller = current::caller();
    let context = if is_traced() { span_context() } else { None };
    Meta { caller, context, nature: Nature::Plain }
}

/// The caller of a driver's ask without a deadline, where nobody traces: it takes nothing else along. `None` for any other.
#[inline]
pub(crate) fn light_ask() -> Option<CallerId> {
    let caller = current::caller();
    (caller.citizen().is_none() && !is_traced()).then_some(caller)
}

/// What an ask takes along: besides, the asks that led here and the deadline, its own or the one inherited.
///
/// # Errors
/// The path, if the actor asked waits for this very ask.
pub(crate) fn ask_meta<A: Actor>(
    cell: &Cell<A>,
    deadline: Option<Instant>,
) -> Result<Meta, DeadlockPath> {
    let span = current_span();
    let (caller, is_driver) = current::try_with(|here| (here.caller, here.actor().is_none()))
        .unwrap_or((CallerId::NOBODY, true));
    if is_driver && deadline.is_none() && span.is_none() {
        return Ok(Meta { caller, context: None, nature: Nature::Plain });
    }
    let context = ask_context(cell, deadline, span)?;
    Ok(Meta { caller, context: Some(Arc::new(context)), nature: Nature::Plain })
}

#[inline(never)]
fn ask_context<A: Actor>(
    cell: &Cell<A>,
    deadline: Option<Instant>,
    span: Option<tracing::span::Id>,
) -> Result<MessageContext, DeadlockPath> {
    let found = current::try_with(|here| {
        let deadline = match (deadline, here.deadline()) {
            (Some(own), Some(inherited)) => Some(own.min(inherited)),
            (own, inherited) => own.or(inherited),
        };
        let chain = chain_to(cell, here)?;
        Ok(MessageContext { chain, deadline, span: span.clone(), cancel: None })
    });
    found.unwrap_or_else(|| Ok(MessageContext { deadline, span, ..MessageContext::default() }))
}

/// Whether an actor handles messages beside each other.
const fn is_beside<A: Actor>() -> bool {
    <A::Mode as Mode<A>>::SHARED && A::MAX_CONCURRENCY > 1
}

/// The chain of asks for an ask from `here` to `cell`.
fn chain_to<A: Actor>(
    cell: &Cell<A>,
    here: &Current,
) -> Result<Option<Arc<CallChain>>, DeadlockPath> {
    let Some(asker) = here.actor() else {
        return Ok(None);
    };
    let parent = here.message.as_ref().and_then(|message| message.chain.clone());
    let chain = Arc::new(CallChain { node: NodeId::HERE, actor: asker, parent });
    // An actor that handles messages beside each other can answer while it waits.
    let (node, asked) = cell.place();
    if !is_beside::<A>() && chain.contains(node, asked) {
        return Err(path(&chain, cell));
    }
    Ok(Some(chain))
}

/// The asks from the actor asked, by way of others, back to itself.
fn path<A: Actor>(chain: &CallChain, cell: &Cell<A>) -> DeadlockPath {
    let asked = cell.place();
    let mut ids = vec![asked];
    let mut link = Some(chain);
    while let Some(ask) = link {
        if (ask.node, ask.actor) == asked {
            break;
        }
        ids.push((ask.node, ask.actor));
        link = ask.parent.as_deref();
    }
    ids.push(asked);
    let directory = cell.system().directory();
    let label = |node: NodeId, id| {
        if node != NodeId::HERE {
            return format!("the actor on {node}");
        }
        match directory.get(id) {
            Some(actor) => actor.name().unwrap_or_else(|| actor.type_name().into_owned()),
            None => "an actor that has ended".to_owned(),
        }
    };
    let waiting =
        ids.into_iter().rev().map(|(node, id)| WaitingActor { id, label: label(node, id) });
    DeadlockPath(waiting.collect())
}

/// Whether anybody listens to spans.
#[inline]
fn is_traced() -> bool {
    tracing::level_filters::LevelFilter::current() != tracing::level_filters::LevelFilter::OFF
}

#[cold]
fn span_context() -> Option<Arc<MessageContext>> {
    let span = tracing::Span::current().id()?;
    Some(Arc::new(MessageContext { span: Some(span), ..MessageContext::default() }))
}

fn current_span() -> Option<tracing::span::Id> {
    if is_traced() { tracing::Span::current().id() } else { None }
}
