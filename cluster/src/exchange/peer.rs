//! What is known of one other node: our stand-ins for its actors, its holds on ours (`here`), calls and baggage in flight.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mobula_actor_core::remote::stand_in::{ended, held};
use mobula_actor_core::remote::{AnswerSink, Home, Need, NotSpawned, WireAnswer};
use mobula_actor_core::wire::baggage::{Hold, Ticket};
use mobula_actor_core::{ActorHandle, ActorId, ExitReason, NodeId, UnknownOutcome};
use parking_lot::Mutex;

use super::Spawning;
use super::gate::Gate;
use super::holding::{Held, StandIn, forget};
use super::message::Signal;

mod here;

/// Sends a signal to it. What speaks of holds is sent under the lock under which they change, so that it goes out in the
/// order in which it came to be.
type Send<'a> = &'a dyn Fn(Signal);

/// One other node.
#[derive(Debug)]
pub(super) struct Peer {
    node: NodeId,
    numbers: AtomicU64,
    state: Mutex<State>,
}

struct State {
    /// Which of its lives we are in contact with; `None` while there is no contact.
    life: Option<u64>,
    last_life: Option<u64>,
    stand_ins: HashMap<(u64, ActorId), Vec<StandIn>>,
    /// Actors that were started there for us, and are held there; their stand-ins are about to be linked.
    started_there: HashSet<ActorId>,
    /// Who waits for an actor to be spawned there, by the number that it was asked for with.
    spawning: HashMap<u64, Spawning>,
    /// Calls sent and not answered.
    calls: HashMap<u64, AnswerSink, foldhash::fast::RandomState>,
    /// What must live until a message has been unpacked there.
    baggage: HashMap<u64, Vec<Hold>>,
    /// Our actors that are referred to from there.
    held: HashMap<ActorId, Held>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("life", &self.life)
            .field("stand_ins", &self.stand_ins.len())
            .field("calls", &self.calls.len())
            .field("held", &self.held.len())
            .finish_non_exhaustive()
    }
}

impl State {
    /// Its actors that are referred to from here, once for each stand-in; each of them is a full reference now.
    fn all_referred_to(&mut self) -> Vec<ActorId> {
        let mut actors: Vec<ActorId> = self.started_there.iter().copied().collect();
        for ((_, actor), stand_ins) in &mut self.stand_ins {
            for stand_in in stand_ins {
                stand_in.only_watches = false;
                actors.push(*actor);
            }
        }
        actors
    }
}

impl Peer {
    pub(super) fn new(node: NodeId) -> Self {
        let state = State {
            life: None,
            last_life: None,
            stand_ins: HashMap::new(),
            started_there: HashSet::new(),
            spawning: HashMap::new(),
            calls: HashMap::default(),
            baggage: HashMap::new(),
            held: HashMap::new(),
        };
        Self { node, numbers: AtomicU64::new(1), state: Mutex::new(state) }
    }

    pub(super) const fn node(&self) -> NodeId {
        self.node
    }

    pub(super) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Contact: holds are taken anew for every stand-in, since the other side has forgotten them.
    pub(super) fn reached(&self, life: u64, send: Send<'_>) {
        match self.life() {
            Some(known) if known == life => return,
            Some(_) => self.lost(),
            None => {}
        }
        let mut state = self.state.lock();
        let is_again = state.last_life == Some(life);
        if !is_again {
            // What an earlier life had started is not this one's.
            for held in state.held.values_mut() {
                (held.is_theirs, held.number) = (false, None);
            }
        }
        state.last_life = Some(life);
        state.life = Some(life);
        let over: Vec<_> = state
            .stand_ins
            .extract_if(|(of, _), _| *of != life)
            .flat_map(|(_, stand_ins)| stand_ins)
            .collect();
        let actors = state.all_referred_to();
        let starting = state.spawning.keys().copied().collect();
        if is_again || !actors.is_empty() {
            send(Signal::HoldAll { actors, life, again: is_again, starting });
        }
        drop(state);
        for stand_in in over {
            ended(&stand_in.handle, ExitReason::NodeDown(self.node), true);
        }
    }

    /// Tells which of its actors are referred to from here, if there is contact.
    pub(super) fn tell_all_holds(&self, send: Send<'_>) {
        let mut state = self.state.lock();
        let Some(life) = state.life else { return };
        let starting = state.spawning.keys().copied().collect();
        send(Signal::HoldAll { actors: state.all_referred_to(), life, again: false, starting });
    }

    /// No contact: everything in flight ends, and so do its holds on our actors.
    pub(super) fn lost(&self) {
        let mut state = self.state.lock();
        // What was sent without contact waited for it.
        let spawning = std::mem::take(&mut state.spawning);
        if state.life.take().is_none() {
            drop(state);
            return self.refuse(spawning);
        }
        // They are not held any more; whoever links them has to ask.
        state.started_there.clear();
        let calls = std::mem::take(&mut state.calls);
        let baggage = std::mem::take(&mut state.baggage);
        let mut tickets = Vec::new();
        let mut stand_ins = Vec::new();
        for stand_in in state.stand_ins.values_mut().flatten() {
            stand_in.gate.set(false);
            tickets.extend(stand_in.unheld.replace(Vec::new()));
            stand_ins.push(stand_in.handle.clone());
        }
        let holds: Vec<_> = state.held.values_mut().map(Held::reset).collect();
        drop(state);
        self.refuse(spawning);
        for (_, answer) in calls {
            answer(WireAnswer::Unknown(UnknownOutcome::NodeLost(self.node)), Vec::new());
        }
        for stand_in in stand_ins {
            ended(&stand_in, ExitReason::NodeDown(self.node), false);
        }
        drop((baggage, tickets, holds));
    }

    /// Whoever waits for an actor to be spawned there is told of the loss.
    fn refuse(&self, spawning: HashMap<u64, Spawning>) {
        for waiting in spawning.into_values() {
            // Whoever stopped waiting needs no answer.
            let _ = waiting.send(Err(NotSpawned::Lost(self.node)));
        }
    }

    pub(super) fn is_reached(&self, life: u64) -> bool {
        self.state.lock().life == Some(life)
    }

    /// Whether there never was contact.
    pub(super) fn is_unknown(&self) -> bool {
        self.state.lock().last_life.is_none()
    }

    pub(super) fn life(&self) -> Option<u64> {
        self.state.lock().life
    }

    /// Whether the node has gone on to another life than this.
    pub(super) fn is_over(&self, life: u64) -> bool {
        self.state.lock().last_life.is_some_and(|last| last > life)
    }

    // Our stand-ins for its actors.

    /// True if the stand-in is new, so that its actor must be held.
    pub(super) fn visit(
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

    /// An actor is to be spawned there under this number.
    pub(super) fn spawning(&self, number: u64, waiting: Spawning) {
        self.state.lock().spawning.insert(number, waiting);
    }

    /// A spawn was answered: who waits for it, and in which life the actor was started and is held for us, if there is
    /// contact. Under one lock, since what is told of holds speaks of both the answered and the others.
    pub(super) fn was_spawned(
        &self,
        number: u64,
        actor: Option<ActorId>,
    ) -> (Option<Spawning>, Option<u64>) {
        let mut state = self.state.lock();
        let waiting = state.spawning.remove(&number);
        if state.life.is_some() {
            state.started_there.extend(actor);
        }
        (waiting, state.life)
    }

    /// Nobody will link it.
    pub(super) fn is_not_linked(&self, actor: ActorId) {
        self.state.lock().started_there.remove(&actor);
    }

    /// The gate of this stand-in, and whether its actor must be held: one that was started there is held already, unless
    /// contact was lost meanwhile.
    pub(super) fn link(&self, home: Home, stand_in: &ActorHandle, send: Send<'_>) -> Arc<Gate> {
        let mut state = self.state.lock();
        let stand_ins = state.stand_ins.entry((home.incarnation, home.actor)).or_default();
        if let Some(known) = stand_ins.iter().find(|one| one.handle == *stand_in) {
            return Arc::clone(&known.gate);
        }
        let gate = Arc::<Gate>::default();
        let handle = stand_in.clone();
        let gate_of = Arc::clone(&gate);
        stand_ins.push(StandIn { handle, gate: gate_of, unheld: None, only_watches: false });
        let is_held = state.started_there.remove(&home.actor);
        if !is_held && state.life == Some(home.incarnation) {
            send(Signal::Hold { actor: home.actor, life: home.incarnation });
        }
        gate
    }

    /// Forgets the stand-in if nothing needs it, or remembers that it only watches; its home is told.
    pub(super) fn release(
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

    pub(super) fn held_there(&self, actor: ActorId, elsewhere: Option<Home>) {
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

    pub(super) fn ended_there(&self, actor: ActorId, reason: &ExitReason, for_good: bool) {
        let mut state = self.state.lock();
        let Some(life) = state.life else { return };
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
    pub(super) fn stand_ins_of(&self, actor: ActorId) -> Vec<ActorHandle> {
        let state = self.state.lock();
        let Some(life) = state.life else { return Vec::new() };
        let known = state.stand_ins.get(&(life, actor)).into_iter().flatten();
        known.map(|one| one.handle.clone()).collect()
    }

    pub(super) fn shut(&self, actor: ActorId, is_shut: bool) {
        let state = self.state.lock();
        let Some(life) = state.life else { return };
        for stand_in in state.stand_ins.get(&(life, actor)).into_iter().flatten() {
            stand_in.gate.set(is_shut);
        }
    }

    // Calls and baggage in flight.

    /// The number under which the answer to a call is expected; without contact with this life of the node, it is
    /// given back. Looked at under one lock with the loss of contact, which answers all that are expected.
    pub(super) fn expect_answer(&self, life: u64, answer: AnswerSink) -> Result<u64, AnswerSink> {
        let mut state = self.state.lock();
        if state.life != Some(life) {
            return Err(answer);
        }
        let number = self.next_number();
        state.calls.insert(number, answer);
        Ok(number)
    }

    pub(super) fn answer_of(&self, number: u64) -> Option<AnswerSink> {
        self.state.lock().calls.remove(&number)
    }

    /// Keeps `baggage` until [`unpin`](Self::unpin); `None` if there is none.
    pub(super) fn pin(&self, baggage: Vec<Hold>) -> Option<u64> {
        if baggage.is_empty() {
            return None;
        }
        let number = self.next_number();
        self.state.lock().baggage.insert(number, baggage);
        Some(number)
    }

    pub(super) fn unpin(&self, pin: u64) {
        let baggage = self.state.lock().baggage.remove(&pin);
        drop(baggage);
    }
}
