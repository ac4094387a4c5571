//! Inbound: parcels from one node, in the order in which it sent them.

use std::fmt;
use std::sync::{Arc, Weak};

use mobula_actor_core::remote::inbound::{Delivered, Inbound, deliver};
use mobula_actor_core::remote::{AnswerSink, WireAnswer};
use mobula_actor_core::wire::baggage::{self, Hold};
use mobula_actor_core::{
    ActorHandle, ActorId, CallChain, CallerId, Current, DeadLetter, DeadLetterReason, Denied,
    ExitReason, MessageContext, NodeId, Right, Undelivered, sync_scope,
};
use mobula_proto::error::WireError;
use mobula_proto::wire::codec;
use mobula_proto::wire::parcel::{Parcel, Verb};
use tokio::time::Instant;

use super::Exchange;
use super::message::{Extension, Signal, answer_parcel, empty, head};
use super::peer::Peer;
use super::rights::Rights;

/// Tells the sender of a message, when dropped, that all in it is held.
struct Unpin {
    exchange: Weak<Exchange>,
    peer: Arc<Peer>,
    pin: u64,
}

impl Drop for Unpin {
    fn drop(&mut self) {
        if let Some(exchange) = self.exchange.upgrade() {
            exchange.signal(&self.peer, Signal::Unpin { pin: self.pin });
        }
    }
}

impl fmt::Debug for Unpin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unpin({})", self.pin)
    }
}

impl Exchange {
    /// Takes a parcel that came from `from`, whose connection proved `rights`. To be called for one node in the order of sending, by one thread at a time.
    ///
    /// # Errors
    /// [`WireError`]: the bytes are no parcel. Count it, and part from a node that goes on so.
    pub fn receive(&self, from: NodeId, rights: Rights, bytes: &[u8]) -> Result<(), WireError> {
        let parcel = Parcel::parse(bytes)?;
        let peer = self.peer(from);
        // References in what is read belong to this node.
        sync_scope(Current::root(self.system.clone()), || self.take(&peer, rights, &parcel))
    }

    /// Takes the parcels that came with one read, as [`receive`](Self::receive) takes one; what cannot be read is logged.
    pub(super) fn receive_all(
        &self,
        from: NodeId,
        rights: Rights,
        parcels: &mut dyn Iterator<Item = &[u8]>,
    ) {
        let peer = self.peer(from);
        sync_scope(Current::root(self.system.clone()), || {
            for bytes in parcels {
                let taken =
                    Parcel::parse(bytes).and_then(|parcel| self.take(&peer, rights, &parcel));
                if let Err(error) = taken {
                    tracing::warn!(node = %from, %error, "a parcel could not be read");
                }
            }
        });
    }

    fn take(&self, peer: &Arc<Peer>, rights: Rights, parcel: &Parcel<'_>) -> Result<(), WireError> {
        match parcel.verb {
            Verb::TELL | Verb::ASK => {
                let to = ActorId::from_u64(parcel.to);
                if let Some(to) = to.filter(|_| !rights.is_full())
                    && let Err(right) = rights.send(self.needs(to))
                {
                    self.deny(peer, to, parcel, right);
                    return Ok(());
                }
                let extension = extension(parcel)?;
                let pin = extension.pin;
                self.unpacked(peer, pin, || self.call(peer, parcel, extension.chain));
            }
            Verb::REPLY | Verb::REFUSE => {
                let pin = extension(parcel)?.pin;
                let answer = if parcel.verb == Verb::REPLY {
                    WireAnswer::Value(parcel.payload.to_vec())
                } else {
                    codec::decode(parcel.payload)?
                };
                if let Some(waiting) = peer.answer_of(parcel.correlation) {
                    self.unpacked(peer, pin, || waiting(answer, Vec::new()));
                }
            }
            Verb::SIGNAL => self.hear(peer, rights, codec::decode(parcel.payload)?),
            // Of a newer version.
            Verb(_) => {}
        }
        Ok(())
    }

    /// Refuses a message, unread; the sender is told, and goes on keeping what is in it no longer.
    fn deny(&self, peer: &Arc<Peer>, to: ActorId, parcel: &Parcel<'_>, right: Right) {
        let why = self.denied(right);
        let message = "a message from another node";
        let from = CallerId::elsewhere(peer.node(), parcel.from);
        if parcel.verb == Verb::ASK {
            let answer = WireAnswer::NotDelivered(Undelivered::Denied(why));
            self.answer(peer, parcel.correlation)(answer, Vec::new());
        } else {
            let letter = DeadLetter::new(to, from, message, DeadLetterReason::Denied);
            self.system.dead_letters().record(&letter);
            self.signal(peer, Signal::Denied { actor: to, why, was_end: false });
        }
        self.tell_guard(to, peer.node(), peer.life());
        if let Ok(Extension { pin: Some(pin), .. }) = extension(parcel) {
            self.signal(peer, Signal::Unpin { pin });
        }
    }

    /// Reads on behalf of a message with baggage, which goes when everything read is held.
    pub(super) fn unpacked(&self, peer: &Arc<Peer>, pin: Option<u64>, read: impl FnOnce()) {
        match pin {
            Some(pin) => {
                let exchange = Weak::clone(&self.me);
                let unpin = Unpin { exchange, peer: Arc::clone(peer), pin };
                baggage::unpack(Arc::new(unpin), read);
            }
            None => read(),
        }
    }

    fn call(&self, peer: &Arc<Peer>, parcel: &Parcel<'_>, chain: Vec<(u64, ActorId)>) {
        let Some(to) = ActorId::from_u64(parcel.to) else { return };
        let answer = (parcel.verb == Verb::ASK).then(|| self.answer(peer, parcel.correlation));
        let deadline = parcel.deadline.and_then(|left| Instant::now().checked_add(left));
        let chain = self.chain(chain);
        let context = (deadline.is_some() || chain.is_some())
            .then(|| Arc::new(MessageContext { chain, deadline, ..MessageContext::default() }));
        let call = Inbound {
            key: parcel.message_type,
            body: parcel.payload,
            caller: CallerId::elsewhere(peer.node(), parcel.from),
            context,
            answer,
        };
        match deliver(&self.system, &self.table, to, call) {
            Delivered::Done => {}
            Delivered::Waits(admitted) => {
                if !peer.pause(to) {
                    return;
                }
                self.signal(peer, Signal::Pause { actor: to });
                let (me, peer) = (Weak::clone(&self.me), Arc::clone(peer));
                self.system.runtime().spawn(async move {
                    admitted.await;
                    if let Some(exchange) = me.upgrade()
                        && peer.resume(to)
                    {
                        exchange.signal(&peer, Signal::Resume { actor: to });
                    }
                });
            }
        }
    }

    /// Sends the answer back when it is there.
    fn answer(&self, peer: &Arc<Peer>, correlation: u64) -> AnswerSink {
        let (me, peer) = (Weak::clone(&self.me), Arc::clone(peer));
        Box::new(move |answer: WireAnswer, baggage: Vec<Hold>| {
            let Some(exchange) = me.upgrade() else { return };
            // Without contact what it refers to is kept until it is sent, and no longer.
            let (pin, _unkept) = match peer.pin(baggage) {
                Ok(pin) => (pin, Vec::new()),
                Err(baggage) => (None, baggage),
            };
            let extension = match pin {
                Some(_) => codec::encode(&Extension { pin, ..Extension::default() }),
                None => Ok(Vec::new()),
            };
            let sent = match (&answer, pin) {
                // The many.
                (WireAnswer::Value(value), None) => {
                    let parcel = Parcel { correlation, ..empty(Verb::REPLY) };
                    let mut space = [0; Parcel::HEADER_MAX];
                    exchange.courier.send_parts(peer.node(), head(&parcel, &mut space), value)
                }
                (answer, _) => {
                    let parcel = answer_parcel(correlation, answer, &extension.unwrap_or_default());
                    exchange.courier.send(peer.node(), parcel)
                }
            };
            if let Err(error) = sent {
                if let Some(pin) = pin {
                    peer.unpin(pin);
                }
                if matches!(error, super::CourierError::TooLarge { .. }) {
                    let why = mobula_actor_core::UnknownOutcome::Unreadable(error.to_string());
                    let parcel = answer_parcel(correlation, &WireAnswer::Unknown(why), &[]);
                    drop(exchange.courier.send(peer.node(), parcel));
                }
            }
        })
    }

    /// The chain as this node sees it, newest ask first.
    fn chain(&self, asks: Vec<(u64, ActorId)>) -> Option<Arc<CallChain>> {
        asks.into_iter().rev().fold(None, |parent, (node, actor)| {
            let node = NodeId(node);
            let node = if node == self.here.0 { NodeId::HERE } else { node };
            Some(Arc::new(CallChain { node, actor, parent }))
        })
    }

    fn hear(&self, peer: &Arc<Peer>, rights: Rights, signal: Signal) {
        match signal {
            Signal::Hold { actor, life } => self.hold(peer, rights, (actor, life)),
            Signal::HoldAll { actors, life, again, starting } => {
                let before = peer.begin_anew(starting);
                for actor in actors {
                    self.hold(peer, rights, (actor, life));
                }
                drop(before);
                if again {
                    peer.tell_all_holds(&|signal| self.signal(peer, signal));
                }
            }
            Signal::Held { actor, elsewhere } => peer.held_there(actor, elsewhere),
            Signal::Release { actor, watches } => peer.release_here(actor, watches),
            Signal::Ended { actor, reason, for_good } => {
                peer.ended_there(actor, &reason, for_good);
            }
            Signal::Unpin { pin } => peer.unpin(pin),
            Signal::Pause { actor } => peer.shut(actor, true),
            Signal::Resume { actor } => peer.shut(actor, false),
            Signal::Control { actor, control } => {
                match rights.control(&control, peer.has_started(actor)) {
                    Ok(()) => {
                        if let Some(actor) = self.system.directory().actor(actor) {
                            actor.obey(control);
                        }
                    }
                    Err(right) => {
                        let why = self.denied(right);
                        tracing::warn!(node = %peer.node(), %actor, %right, "an end was refused");
                        self.signal(peer, Signal::Denied { actor, why, was_end: true });
                    }
                }
            }
            Signal::Denied { actor, why, was_end } => self.was_denied(peer, actor, why, was_end),
            Signal::Spawn { number, request, pin } => {
                self.spawn_asked(peer, rights, (number, pin), *request);
            }
            Signal::Spawned { number, outcome, was_begun } => {
                self.spawn_answered(peer, number, outcome, was_begun);
            }
        }
    }

    /// What this node sent was refused there.
    fn was_denied(&self, peer: &Peer, actor: ActorId, why: Denied, was_end: bool) {
        for stand_in in peer.stand_ins_of(actor) {
            if was_end {
                stand_in.end_denied(why);
            } else {
                let reason = DeadLetterReason::Denied;
                let message = "a message to another node";
                let letter = DeadLetter::new(stand_in.id(), CallerId::NOBODY, message, reason);
                self.system.dead_letters().record(&letter);
            }
        }
    }

    fn hold(&self, peer: &Arc<Peer>, rights: Rights, (actor, life): (ActorId, u64)) {
        // Asked for anew when there is contact.
        if peer.life().is_none() {
            return;
        }
        // Services may be held by everybody: whoever may not ask them is told so when it does.
        if let Some(right) = rights.send(self.needs(actor)).err().filter(|r| *r == Right::Send) {
            self.signal(peer, Signal::Held { actor, elsewhere: None });
            let reason = ExitReason::Denied(self.denied(right));
            self.signal(peer, Signal::Ended { actor, reason, for_good: true });
            return;
        }
        let living = (life == self.here.1).then(|| self.system.directory().actor(actor)).flatten();
        match living {
            Some(handle) => {
                let Some(is_first) = peer.hold_here(actor, || handle.hold()) else { return };
                if handle.is_settled_here() {
                    self.signal(peer, Signal::Held { actor, elsewhere: None });
                } else {
                    self.say_where(peer, handle.clone());
                }
                if is_first {
                    self.listen(peer, &handle);
                }
            }
            None => {
                self.signal(peer, Signal::Held { actor, elsewhere: None });
                let reason = ExitReason::NoActor;
                self.signal(peer, Signal::Ended { actor, reason, for_good: true });
            }
        }
    }

    /// Tells a node that holds an actor by way of this one where it lives, once it does.
    fn say_where(&self, peer: &Arc<Peer>, handle: ActorHandle) {
        let (me, peer) = (Weak::clone(&self.me), Arc::clone(peer));
        self.system.runtime().spawn(async move {
            // If it never does, its end is told.
            let elsewhere = handle.located().await.unwrap_or_default();
            if let Some(exchange) = me.upgrade() {
                exchange.signal(&peer, Signal::Held { actor: handle.id(), elsewhere });
            }
        });
    }

    /// Tells the node of the actor's ends as long as it holds it.
    pub(super) fn listen(&self, peer: &Arc<Peer>, handle: &ActorHandle) {
        let (me, peer, actor) = (Weak::clone(&self.me), Arc::clone(peer), handle.id());
        handle.on_end(Box::new(move |reason, for_good| {
            if peer.ended_here(actor, for_good)
                && let Some(exchange) = me.upgrade()
            {
                let reason = reason.clone();
                exchange.signal(&peer, Signal::Ended { actor, reason, for_good });
            }
        }));
    }
}

fn extension(parcel: &Parcel<'_>) -> Result<Extension, WireError> {
    if parcel.extension.is_empty() {
        return Ok(Extension::default());
    }
    codec::decode(parcel.extension)
}
