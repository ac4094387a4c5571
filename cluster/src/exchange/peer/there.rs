//! Our stand-ins for the other node's actors.

use std::collections::HashMap;
use std::sync::Arc;

use mobula_actor_core::remote::stand_in::{ended, held};
use mobula_actor_core::remote::{Home, Need};
use mobula_actor_core::wire::baggage::Ticket;
use mobula_actor_core::{ActorHandle, ActorId, ExitReason};

use super::super::Spawning;
use super::super::gate::Gate;
use super::super::holding::{StandIn, forget};
use super::super::message::Signal;
use super::{Peer, Send};

impl Peer {
    /// True if the stand-in is new, so that its actor must be held.
    pub(in crate::exchange) fn visit(
        &self,
        home: Home,
        ticket: Option<Ticket>,
        visit: &mut dyn FnMut(Option<&ActorHandle>) -> ActorHandle,
        send: Send<'_>,
    ) {
        let mut state = self.state.lock();
        // Without contact the hold is taken when there is some.
        let is_reached = state.life == Some(home.incarnation);
        let hold = || {
            if is_reached {
                send(Signal::Hold { actor: home.actor, life: home.incarnation });
            }
        };
        let stand_ins = state.stand_ins.entry((home.incarnation, home.actor)).or_default();
        if let Some(living) = stand_ins.iter_mut().find(|one| one.handle.is_alive()) {
            visit(Some(&living.handle));
            if std::mem::take(&mut living.only_watches) {
                living.unheld = Some(ticket.into_iter().collect());
                return hold();
            }
            if let (Some(waiting), Some(ticket)) = (&mut living.unheld, ticket) {
                waiting.push(ticket);
            }
            return;
        }
        let handle = visit(None);
        let unheld = Some(ticket.into_iter().collect());
        stand_ins.push(StandIn { handle, gate: Arc::default(), unheld, only_watches: false });
        hold();
    }

    /// A spawn was answered: who waits for it, and in which life the actor was started and is held for us, if there is
    /// contact. Under one lock, since what is told of holds speaks of both the answered and the others.
    pub(in crate::exchange) fn was_spawned(
        &self,
        number: u64,
        actor: Option<ActorId>,
    ) -> (Option<Spawning>, Option<u64>) {
        let mut state = self.state.lock();
        let waiting = state.spawning.remove(&number);
        if state.life.is_some() {
            actor.into_iter().for_each(|actor| *state.started_there.entry(actor).or_default() += 1);
        }
        (waiting, state.life)
    }

    /// Nobody will link it.
    pub(in crate::exchange) fn is_not_linked(&self, actor: ActorId) {
        take_one(&mut self.state.lock().started_there, actor);
    }

    /// The gate of this stand-in, and whether its actor must be held: one that was started there is held already, unless
    /// contact was lost meanwhile.
    pub(in crate::exchange) fn link(
        &self,
        home: Home,
        stand_in: &ActorHandle,
        send: Send<'_>,
    ) -> Arc<Gate> {
        let mut state = self.state.lock();
        let stand_ins = state.stand_ins.entry((home.incarnation, home.actor)).or_default();
        if let Some(known) = stand_ins.iter().find(|one| one.handle == *stand_in) {
            return Arc::clone(&known.gate);
        }
        let gate = Arc::<Gate>::default();
        let handle = stand_in.clone();
        let gate_of = Arc::clone(&gate);
        stand_ins.push(StandIn { handle, gate: gate_of, unheld: None, only_watches: false });
        let is_held = take_one(&mut state.started_there, home.actor);
        if !is_held && state.life == Some(home.incarnation) {
            send(Signal::Hold { actor: home.actor, life: home.incarnation });
        }
        gate
    }

    /// Forgets the stand-in if nothing needs it, or remembers that it only watches; its home is told.
    pub(in crate::exchange) fn release(
        &self,
        home: Home,
        stand_in: ActorId,
        need: &dyn Fn() -> Need,
        send: Send<'_>,
    ) -> Need {
        let mut state = self.state.lock();
        let need = need();
        let mut forgotten = None;
        let is_news = match need {
            Need::Hold => false,
            Need::Watch => {
                let key = (home.incarnation, home.actor);
                let known = state.stand_ins.get_mut(&key).into_iter().flatten();
                let mut same = known.filter(|one| one.handle.id() == stand_in);
                let only_watches = same.next().map(|one| &mut one.only_watches);
                only_watches.is_some_and(|flag| !std::mem::replace(flag, true))
            }
            Need::Nothing => {
                forgotten = forget(&mut state.stand_ins, home, stand_in);
                forgotten.as_ref().is_some_and(|one| !one.only_watches)
            }
        };
        if is_news && state.life == Some(home.incarnation) {
            send(Signal::Release { actor: home.actor, watches: need == Need::Watch });
        }
        drop(state);
        drop(forgotten);
        need
    }

    pub(in crate::exchange) fn held_there(&self, actor: ActorId, elsewhere: Option<Home>) {
        let mut state = self.state.lock();
        let Some(life) = state.life else { return };
        let mut tickets = Vec::new();
        for stand_in in state.stand_ins.get_mut(&(life, actor)).into_iter().flatten() {
            tickets.extend(stand_in.unheld.take());
            held(&stand_in.handle, elsewhere);
        }
        drop(state);
        drop(tickets);
    }

    pub(in crate::exchange) fn ended_there(
        &self,
        actor: ActorId,
        reason: &ExitReason,
        for_good: bool,
    ) {
        let mut state = self.state.lock();
        let Some(life) = state.life else { return };
        if for_good {
            // Whoever is about to link it will ask, and be told.
            state.started_there.remove(&actor);
        }
        let told: Vec<_> = match state.stand_ins.get(&(life, actor)) {
            Some(stand_ins) => stand_ins.iter().map(|one| one.handle.clone()).collect(),
            None => return,
        };
        let forgotten = for_good.then(|| state.stand_ins.remove(&(life, actor)));
        drop(state);
        for stand_in in told {
            ended(&stand_in, reason.clone(), for_good);
        }
        drop(forgotten);
    }

    /// Our living stand-ins for an actor.
    pub(in crate::exchange) fn stand_ins_of(&self, actor: ActorId) -> Vec<ActorHandle> {
        let state = self.state.lock();
        let Some(life) = state.life else { return Vec::new() };
        let known = state.stand_ins.get(&(life, actor)).into_iter().flatten();
        known.map(|one| one.handle.clone()).collect()
    }

    pub(in crate::exchange) fn shut(&self, actor: ActorId, is_shut: bool) {
        let state = self.state.lock();
        let Some(life) = state.life else { return };
        for stand_in in state.stand_ins.get(&(life, actor)).into_iter().flatten() {
            stand_in.gate.set(is_shut);
        }
    }
}

/// Whether there was one; it is counted no more.
fn take_one(started: &mut HashMap<ActorId, usize>, actor: ActorId) -> bool {
    let Some(count) = started.get_mut(&actor) else { return false };
    *count -= 1;
    if *count == 0 {
        started.remove(&actor);
    }
    true
}
