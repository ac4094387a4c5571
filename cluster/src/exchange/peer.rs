//! What is known of one other node: our stand-ins for its actors (`there`), its holds on ours (`here`), calls and baggage
//! in flight.
//!
//! Invariant: without contact nothing is held for the other node, nor kept for it: it may be gone, and then nobody would
//! ever say that it may go. What it asks for meanwhile is agreed upon when there is contact again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use mobula_actor_core::remote::stand_in::ended;
use mobula_actor_core::remote::{AnswerSink, NotSpawned, WireAnswer};
use mobula_actor_core::wire::baggage::{Hold, Ticket};
use mobula_actor_core::{ActorHandle, ActorId, ExitReason, NodeId, UnknownOutcome};
use parking_lot::{Mutex, MutexGuard};

use super::Spawning;
use super::holding::{Held, StandIn};
use super::message::Signal;

mod here;
mod there;

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
    /// Actors that were started there for us, and are held there; so many of their stand-ins are about to be linked.
    started_there: HashMap<ActorId, usize>,
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

/// What ends with the contact, or with an association that began anew.
struct Ending {
    spawning: HashMap<u64, Spawning>,
    calls: HashMap<u64, AnswerSink, foldhash::fast::RandomState>,
    baggage: HashMap<u64, Vec<Hold>>,
    tickets: Vec<Ticket>,
    stand_ins: Vec<ActorHandle>,
    holds: Vec<Hold>,
}

impl State {
    /// Tells which of its actors are referred to from here, once for each stand-in; and which of these are only watched: that
    /// keeps no actor, but its end is to be told, also if it was missed.
    fn tell_holds(&mut self, life: u64, again: bool, send: Send<'_>) {
        let mut actors = Vec::new();
        for (actor, count) in &self.started_there {
            actors.extend(std::iter::repeat_n(*actor, *count));
        }
        let mut watched = Vec::new();
        for ((_, actor), stand_ins) in self.stand_ins.iter().filter(|((of, _), _)| *of == life) {
            actors.extend(stand_ins.iter().map(|_| *actor));
            watched.extend(stand_ins.iter().filter(|one| one.only_watches).map(|_| *actor));
        }
        let starting = self.spawning.keys().copied().collect();
        send(Signal::HoldAll { actors, life, again, starting });
        for actor in watched {
            send(Signal::Release { actor, watches: true });
        }
    }

    /// Whether there is anything to tell.
    fn refers_to_any(&self) -> bool {
        !self.started_there.is_empty() || !self.stand_ins.is_empty()
    }

    /// Takes out everything in flight, and its holds on our actors.
    fn end_all(&mut self) -> Ending {
        // They are not held any more; whoever links them has to ask.
        self.started_there.clear();
        let mut tickets = Vec::new();
        let mut stand_ins = Vec::new();
        for stand_in in self.stand_ins.values_mut().flatten() {
            stand_in.gate.set(false);
            tickets.extend(stand_in.unheld.replace(Vec::new()));
            stand_ins.push(stand_in.handle.clone());
        }
        Ending {
            spawning: std::mem::take(&mut self.spawning),
            calls: std::mem::take(&mut self.calls),
            baggage: std::mem::take(&mut self.baggage),
            tickets: tickets.into_iter().flatten().collect(),
            stand_ins,
            holds: self.held.values_mut().filter_map(Held::reset).collect(),
        }
    }
}

impl Peer {
    pub(super) fn new(node: NodeId) -> Self {
        let state = State {
            life: None,
            last_life: None,
            stand_ins: HashMap::new(),
            started_there: HashMap::new(),
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
        let mut state = self.state.lock();
        // What is told late of an earlier life is no news.
        if state.life == Some(life) || state.last_life.is_some_and(|last| last > life) {
            return;
        }
        let ending = state.life.take().map(|_earlier| state.end_all());
        let is_again = state.last_life == Some(life);
        if !is_again {
            // What an earlier life had started is not this one's.
            for held in state.held.values_mut() {
                held.is_theirs = false;
                held.numbers.clear();
            }
        }
        state.last_life = Some(life);
        state.life = Some(life);
        let over: Vec<_> = state
            .stand_ins
            .extract_if(|(of, _), _| *of != life)
            .flat_map(|(_, stand_ins)| stand_ins)
            .collect();
        if is_again || state.refers_to_any() {
            state.tell_holds(life, is_again, send);
        }
        drop(state);
        if let Some(ending) = ending {
            self.end(ending);
        }
        for stand_in in over {
            ended(&stand_in.handle, ExitReason::NodeDown(self.node), true);
        }
    }

    /// The node has lost contact and found it again, and asks what is referred to from here. It has forgotten whom it had
    /// paused.
    pub(super) fn tell_all_holds(&self, send: Send<'_>) {
        let mut state = self.state.lock();
        let Some(life) = state.life else { return };
        state.stand_ins.values().flatten().for_each(|stand_in| stand_in.gate.set(false));
        state.tell_holds(life, false, send);
    }

    /// The association began anew: what was in flight ends, and both sides tell what they hold. Where there is no contact
    /// there is none to be renewed. In one step: a loss that is told at the same time must not be undone.
    pub(super) fn renew(&self, send: Send<'_>) {
        let mut state = self.state.lock();
        let Some(life) = state.life else {
            return self.give_up_what_waits(state);
        };
        let ending = state.end_all();
        state.tell_holds(life, true, send);
        drop(state);
        self.end(ending);
    }

    /// No contact: everything in flight ends, and so do its holds on our actors.
    pub(super) fn lost(&self) {
        let mut state = self.state.lock();
        if state.life.take().is_some() {
            let ending = state.end_all();
            drop(state);
            return self.end(ending);
        }
        self.give_up_what_waits(state);
    }

    /// What was asked for without contact waited for it.
    fn give_up_what_waits(&self, mut state: MutexGuard<'_, State>) {
        let (spawning, baggage) =
            (std::mem::take(&mut state.spawning), std::mem::take(&mut state.baggage));
        drop(state);
        self.refuse(spawning);
        drop(baggage);
    }

    /// Tells those whom it concerns.
    fn end(&self, ending: Ending) {
        let Ending { spawning, calls, baggage, tickets, stand_ins, holds } = ending;
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

    /// Whether there never was contact with this life, or a later one.
    pub(super) fn is_new(&self, life: u64) -> bool {
        self.state.lock().last_life.is_none_or(|last| last < life)
    }

    pub(super) fn life(&self) -> Option<u64> {
        self.state.lock().life
    }

    /// Whether the node has gone on to another life than this.
    pub(super) fn is_over(&self, life: u64) -> bool {
        self.state.lock().last_life.is_some_and(|last| last > life)
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

    /// Keeps `baggage` until [`unpin`](Self::unpin), or the loss of contact; `None` if there is none. Without contact it is
    /// given back: nobody would say when it may go.
    pub(super) fn pin(&self, baggage: Vec<Hold>) -> Result<Option<u64>, Vec<Hold>> {
        if baggage.is_empty() {
            return Ok(None);
        }
        let mut state = self.state.lock();
        if state.life.is_none() {
            return Err(baggage);
        }
        let number = self.next_number();
        state.baggage.insert(number, baggage);
        Ok(Some(number))
    }

    /// An actor is to be spawned there under this number; what its arguments refer to is kept under the second. What is
    /// asked for without contact waits for it.
    pub(super) fn spawning(&self, waiting: Spawning, baggage: Vec<Hold>) -> (u64, Option<u64>) {
        let mut state = self.state.lock();
        let number = self.next_number();
        state.spawning.insert(number, waiting);
        let pin = (!baggage.is_empty()).then(|| self.next_number());
        if let Some(pin) = pin {
            state.baggage.insert(pin, baggage);
        }
        (number, pin)
    }

    pub(super) fn unpin(&self, pin: u64) {
        let baggage = self.state.lock().baggage.remove(&pin);
        drop(baggage);
    }
}
