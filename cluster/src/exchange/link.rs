//! Outbound: one stand-in's calls and controls, as parcels.

use std::fmt;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use mobula_actor_core::remote::{Control, Home, Link, Need, Outbound, WireAnswer};
use mobula_actor_core::{
    ActorId, CallChain, DeadLetter, DeadLetterReason, ExitReason, MessageContext, NodeId,
    Undelivered,
};
use mobula_proto::wire::codec;
use mobula_proto::wire::parcel::{Parcel, Verb};
use tokio::time::Instant;

use super::gate::Gate;
use super::message::{self, CHAIN_MAX, Extension, Signal};
use super::peer::Peer;
use super::{CourierError, Exchange};

/// The link of one stand-in.
pub(super) struct FarLink {
    exchange: Weak<Exchange>,
    peer: Arc<Peer>,
    home: Home,
    stand_in: ActorId,
    gate: Arc<Gate>,
}

impl FarLink {
    pub(super) const fn new(
        exchange: Weak<Exchange>,
        peer: Arc<Peer>,
        home: Home,
        stand_in: ActorId,
        gate: Arc<Gate>,
    ) -> Self {
        Self { exchange, peer, home, stand_in, gate }
    }

    /// Answers for a node that there is no contact with.
    fn refuse_without_contact(&self, exchange: &Exchange, call: Outbound) {
        let reason = if self.peer.is_over(self.home.incarnation) {
            Undelivered::ActorGone(ExitReason::NodeDown(self.home.node))
        } else {
            Undelivered::Unreachable(self.home.node)
        };
        self.refuse(exchange, call, reason);
    }

    /// Answers for a node that cannot.
    fn refuse(&self, exchange: &Exchange, call: Outbound, reason: Undelivered) {
        match call.answer {
            Some(answer) => answer(WireAnswer::NotDelivered(reason), Vec::new()),
            None => exchange.system.dead_letters().record(&DeadLetter::new(
                self.stand_in,
                call.caller,
                call.name,
                match reason {
                    Undelivered::ActorGone(_) => DeadLetterReason::ActorGone,
                    Undelivered::NoWireForm(_) => DeadLetterReason::NoWireForm,
                    _ => DeadLetterReason::Unreachable,
                },
            )),
        }
    }
}

impl Link for FarLink {
    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.gate.poll_open(cx));
        match self.exchange.upgrade() {
            Some(exchange) => exchange.courier.poll_room(self.home.node, cx),
            None => Poll::Ready(()),
        }
    }

    fn call(&self, mut call: Outbound) {
        let Some(exchange) = self.exchange.upgrade() else {
            // The node is stopping; a dropped answer is one, too.
            return;
        };
        let life = self.home.incarnation;
        let (verb, correlation) = match call.answer.take() {
            Some(answer) => match self.peer.expect_answer(life, answer) {
                Ok(number) => (Verb::ASK, number),
                Err(answer) => {
                    call.answer = Some(answer);
                    return self.refuse_without_contact(&exchange, call);
                }
            },
            None if self.peer.is_reached(life) => (Verb::TELL, 0),
            None => return self.refuse_without_contact(&exchange, call),
        };
        let Ok(pin) = self.peer.pin(std::mem::take(&mut call.baggage)) else {
            // Lost since: who waits for an answer has it.
            if verb == Verb::TELL {
                self.refuse_without_contact(&exchange, call);
            }
            return;
        };
        let context = call.context.as_deref();
        let chain = chain(exchange.here.0, context);
        let extension = Extension { chain, pin };
        let extension = if extension.is_empty() {
            Vec::new()
        } else {
            codec::encode(&extension).unwrap_or_default()
        };
        let deadline = context
            .and_then(|context| context.deadline)
            .map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let parcel = Parcel {
            verb,
            to: self.home.actor.as_u64(),
            generation: 0,
            from: call.caller.as_u64(),
            message_type: call.key,
            correlation,
            deadline,
            extension: &extension,
            payload: &call.body,
        };
        let sent = if extension.is_empty() {
            // The many: not put together here first, but where they go.
            let mut space = [0; Parcel::HEADER_MAX];
            let head = message::head(&parcel, &mut space);
            exchange.courier.send_parts(self.home.node, head, parcel.payload)
        } else {
            exchange.courier.send(self.home.node, message::encoded(&parcel))
        };
        if let Err(error) = sent {
            if let Some(pin) = pin {
                self.peer.unpin(pin);
            }
            // Lost meanwhile, it has been answered already.
            call.answer = (verb == Verb::ASK).then(|| self.peer.answer_of(correlation)).flatten();
            if verb == Verb::ASK && call.answer.is_none() {
                return;
            }
            let reason = match error {
                CourierError::Unreachable(node) => Undelivered::Unreachable(node),
                CourierError::TooLarge { .. } => Undelivered::NoWireForm(error.to_string()),
            };
            self.refuse(&exchange, call, reason);
        }
    }

    fn control(&self, control: Control) {
        let Some(exchange) = self.exchange.upgrade() else { return };
        if self.peer.is_reached(self.home.incarnation) {
            exchange.signal(&self.peer, Signal::Control { actor: self.home.actor, control });
        }
    }

    fn release(&self, need: &dyn Fn() -> Need) -> Need {
        let exchange = self.exchange.upgrade();
        self.peer.release(self.home, self.stand_in, need, &|signal| {
            if let Some(exchange) = &exchange {
                exchange.signal(&self.peer, signal);
            }
        })
    }
}

impl fmt::Debug for FarLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FarLink({})", self.home)
    }
}

/// The chain as every node understands it.
fn chain(here: NodeId, context: Option<&MessageContext>) -> Vec<(u64, ActorId)> {
    let mut link: Option<&CallChain> = context.and_then(|context| context.chain.as_deref());
    let mut chain = Vec::new();
    while let Some(ask) = link
        && chain.len() < CHAIN_MAX
    {
        let node = if ask.node == NodeId::HERE { here } else { ask.node };
        chain.push((node.0, ask.actor));
        link = ask.parent.as_deref();
    }
    chain
}
