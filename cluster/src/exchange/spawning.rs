//! Actors that one node asks another to start: the request where it arrives, and the answer where it was asked.
//!
//! Invariant: what was started is held for whoever asked before that one hears of it, and what nobody would hold is not
//! started.

use std::sync::{Arc, Weak};

use mobula_actor_core::remote::{Home, NotSpawned, SpawnRequest};
use mobula_actor_core::{ActorId, ExitReason};

use super::Exchange;
use super::message::Signal;
use super::peer::Peer;
use super::rights::Rights;

impl Exchange {
    /// Starts an actor for another node, if it may ask for that and is there to hold it.
    pub(super) fn spawn_asked(
        &self,
        peer: &Arc<Peer>,
        rights: Rights,
        (number, pin): (u64, Option<u64>),
        request: SpawnRequest,
    ) {
        let refused = match rights.start() {
            Err(right) => Some(ExitReason::Denied(self.denied(right))),
            // Nobody would hold it.
            Ok(()) if peer.life().is_none() => Some(ExitReason::NodeDown(self.here.0)),
            Ok(()) => None,
        };
        let Some(why) = refused else {
            return self.unpacked(peer, pin, || self.spawn_here(peer, number, request));
        };
        // Who asked goes on keeping what the arguments refer to no longer.
        self.signal(peer, Signal::Spawned { number, outcome: Err(why), was_begun: false });
        pin.into_iter().for_each(|pin| self.signal(peer, Signal::Unpin { pin }));
    }

    fn spawn_here(&self, peer: &Arc<Peer>, number: u64, request: SpawnRequest) {
        let SpawnRequest { key, args, options, .. } = request;
        let spawned = self.table.spawn(&self.system, key, args, options);
        let (me, peer) = (Weak::clone(&self.me), Arc::clone(peer));
        self.system.runtime().spawn(async move {
            let (outcome, was_begun) = match spawned {
                // Held before it is known there; the references come after.
                Ok((handle, hold)) => match handle.ready().await {
                    Ok(()) => (Ok((handle, hold)), true),
                    // This node goes, and the actor was only in line here: it can still begin elsewhere.
                    Err(reason) => {
                        let is_on = matches!(reason, ExitReason::Shutdown) && handle.has_lapsed();
                        (Err(reason), !is_on)
                    }
                },
                Err(reason) => (Err(reason), false),
            };
            let Some(exchange) = me.upgrade() else { return };
            let started = outcome.map(|(handle, hold)| {
                let is_first = peer.hold_started(handle.id(), number, hold);
                (handle, is_first)
            });
            let told = started.as_ref().map(|(handle, _)| handle.id()).map_err(Clone::clone);
            exchange.signal(&peer, Signal::Spawned { number, outcome: told, was_begun });
            // Its end comes after the word that it began: before, nobody there would know whose it is.
            match started {
                Ok((handle, Some(true))) => exchange.listen(&peer, &handle),
                Ok((handle, Some(false))) if !handle.is_alive() => {
                    let (actor, reason) = (handle.id(), ExitReason::NoActor);
                    exchange.signal(&peer, Signal::Ended { actor, reason, for_good: true });
                }
                Ok((_, Some(false) | None)) | Err(_) => {}
            }
        });
    }

    /// What came of an actor that this node asked another to start.
    pub(super) fn spawn_answered(
        &self,
        peer: &Peer,
        number: u64,
        outcome: Result<ActorId, ExitReason>,
        was_begun: bool,
    ) {
        let node = peer.node();
        let (waiting, life) = peer.was_spawned(number, outcome.as_ref().ok().copied());
        let home = match outcome.map(|actor| (actor, life)) {
            Ok((actor, Some(incarnation))) => Ok(Home { node, incarnation, actor }),
            // Contact is lost: whoever waited has been told.
            Ok((_, None)) => return,
            Err(reason) if was_begun => Err(NotSpawned::Ended(reason)),
            Err(reason) => Err(NotSpawned::Refused(reason)),
        };
        let not_taken = match waiting {
            Some(waiting) => waiting.send(home).err(),
            // Given up when the node was out of reach.
            None => Some(home),
        };
        if let Some(Ok(Home { actor, .. })) = not_taken {
            // Nobody waits any more: the hold that came with it goes.
            peer.is_not_linked(actor);
            self.signal(peer, Signal::Release { actor, watches: false });
        }
    }
}
