//! The driver of ownership: one store among others.
//!
//! The pure parts ([`Ownership`], [`Pull`](crate::transfer::Pull), [`Lineage`]) decide; here are the values, the
//! holds and the port. Every event takes the one lock, lets them decide, and turns their effects into things to do;
//! these are done after the lock is given back, because sending, sealing and letting go may call anybody, even come
//! back to this very place.
//!
//! Laws:
//! 1. With the lock held nothing is sent, sealed, failed or dropped that may run foreign code, and nothing is given
//!    back to the budget (that wakes).
//! 2. The lock may be held while the index is looked at, never the other way round.
//! 3. What others need of an own object is one hold in `exports`; what travels is held in `pins`.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    sync::{Arc, Weak},
};

use mobula_actor_core::wire::baggage::Ticket;
use parking_lot::Mutex;
use rand::{SeedableRng, rngs::SmallRng};

use crate::{
    effect::{Effect, Loss},
    entry::{Entry, Holding, Home},
    error::{GetError, failure},
    hold::FarHold,
    lineage::{Lineage, LineageLimits},
    message::{Carried, LossReason, Message, PinId},
    object_id::{ObjectId, StoreId},
    owner::{Local, OwnerLimits},
    ownership::Ownership,
    remote::{Rebuild, Remote},
    time::Time,
};

mod entries;
mod inbound;
mod outbound;
mod leaving;
mod local;
mod parcels;
mod pulling;
mod rebuilding;
mod serving;
mod watching;

use pulling::Pulling;
use serving::{Copy, Served};
use watching::Watchers;

pub(crate) use watching::{Until, Watch};

/// One store's place among others.
pub(crate) struct Exchange {
    me: StoreId,
    this: Weak<Self>,
    home: Weak<Home>,
    port: Arc<dyn Remote>,
    state: Mutex<State>,
}

/// What is decided under the lock.
struct State {
    core: Ownership,
    lineage: Lineage,
    rng: SmallRng,
    exports: BTreeMap<ObjectId, FarHold>,
    pins: BTreeMap<PinId, Vec<Kept>>,
    /// Copies kept for others, without an entry.
    copies: BTreeMap<ObjectId, Copy>,
    pulls: BTreeMap<ObjectId, Pulling>,
    served: Served,
    /// References whose senders keep them until they are counted here.
    tickets: BTreeMap<ObjectId, Vec<Ticket>>,
    /// Pending objects whose end is listened for.
    awaited: BTreeSet<ObjectId>,
    /// Lost objects whose tasks are about to be begun again.
    remaking: BTreeSet<ObjectId>,
    /// When to say again where copies are, in case that nobody heard.
    announces: BTreeSet<(Time, ObjectId)>,
    watchers: Watchers,
}

/// A need of an object: with an entry, or of one whose type nobody here knows.
enum Kept {
    Entry(FarHold),
    Bare(ObjectId),
}

/// What is done without the lock.
enum Todo {
    Send(StoreId, Message),
    /// A message of this store to itself.
    Hear(Message),
    LetGo(FarHold),
    /// Somebody else keeps it now; those who wait here want it from there.
    Foreign(FarHold),
    Discard(Copy),
    Inline {
        to: StoreId,
        object: ObjectId,
    },
    Lose(ObjectId, GetError),
    Free(ObjectId),
    /// Its value is elsewhere: those who wait here want it.
    Away(ObjectId),
    Await(ObjectId),
    Rebuild(Vec<Rebuild>),
    GiveBack(u64),
    Withdraw(crate::budget::Ticket),
    Finish(ObjectId),
    Queue(ObjectId, u64),
}

/// What a decision is made with.
struct Desk<'a> {
    state: &'a mut State,
    now: Time,
    effects: Vec<Effect>,
    todo: Vec<Todo>,
    /// Objects whose need may be counted by their keepers now: their senders may let go.
    counted: Counted,
}

/// Which objects' tickets to look at. To look at all of them after every message would be quadratic.
enum Counted {
    These(Vec<ObjectId>),
    Any,
}

impl Exchange {
    pub(crate) fn new(
        home: &Arc<Home>,
        port: Arc<dyn Remote>,
        limits: OwnerLimits,
        seed: u64,
    ) -> Arc<Self> {
        let me = home.store_id;
        let state = State {
            core: Ownership::new(me, limits),
            lineage: Lineage::new(LineageLimits {
                bytes_max: limits.lineage_max_bytes,
                ..LineageLimits::default()
            }),
            rng: SmallRng::seed_from_u64(seed),
            exports: BTreeMap::new(),
            pins: BTreeMap::new(),
            copies: BTreeMap::new(),
            pulls: BTreeMap::new(),
            served: Served::default(),
            tickets: BTreeMap::new(),
            awaited: BTreeSet::new(),
            remaking: BTreeSet::new(),
            announces: BTreeSet::new(),
            watchers: Watchers::default(),
        };
        let home = Arc::downgrade(home);
        Arc::new_cyclic(|this| Self {
            me,
            this: Weak::clone(this),
            home,
            port,
            state: Mutex::new(state),
        })
    }

    /// Decides under the lock, acts after it.
    fn decide<R>(&self, decision: impl FnOnce(&mut Desk<'_>) -> R) -> R {
        let now = self.port.now();
        let mut state = self.state.lock();
        let counted = Counted::These(Vec::new());
        let mut desk =
            Desk { state: &mut state, now, effects: Vec::new(), todo: Vec::new(), counted };
        let result = decision(&mut desk);
        self.translate(&mut desk);
        let Desk { todo, counted, .. } = desk;
        let State { core, tickets, .. } = &mut *state;
        let settled: Vec<Vec<Ticket>> = match counted {
            Counted::These(objects) => {
                let settled = objects.iter().filter(|object| core.borrower.is_settled(**object));
                settled.filter_map(|object| tickets.remove(object)).collect()
            }
            Counted::Any => {
                let is_settled =
                    |object: &ObjectId, _: &mut Vec<Ticket>| core.borrower.is_settled(*object);
                tickets.extract_if(.., is_settled).map(|(_, tickets)| tickets).collect()
            }
        };
        // A user's, too, and its drop may come back here.
        let beside = state.lineage.take_let_go();
        drop(state);
        drop((settled, beside));
        for each in todo {
            self.act(each);
        }
        result
    }

    fn find(&self, object: ObjectId) -> Option<Arc<Entry>> {
        self.home.upgrade()?.ledger.find(object)
    }

    /// A need of a living entry.
    fn revive(&self, object: ObjectId) -> Option<FarHold> {
        FarHold::revive(self.find(object)?)
    }

    // Effects become things to do, and more effects.

    fn translate(&self, desk: &mut Desk<'_>) {
        let mut effects = VecDeque::from(std::mem::take(&mut desk.effects));
        while let Some(effect) = effects.pop_front() {
            self.translate_one(desk, effect);
            for more in std::mem::take(&mut desk.effects).into_iter().rev() {
                effects.push_front(more);
            }
        }
    }

    fn translate_one(&self, desk: &mut Desk<'_>, effect: Effect) {
        match effect {
            Effect::Send { to, message } if to == self.me => desk.todo.push(Todo::Hear(message)),
            Effect::Send { to, message } => desk.todo.push(Todo::Send(to, message)),
            Effect::Inline { to, object } => desk.todo.push(Todo::Inline { to, object }),
            Effect::Export(object) => {
                let is_own = object.owner() == self.me;
                let hold = is_own.then(|| self.revive(object)).flatten();
                let (own, foreign): (Option<_>, _) = match hold {
                    Some(hold) if hold.entry().is_foreign() => (None, Some(hold)),
                    hold => (hold, None),
                };
                // One that came back is borrowed here from this store itself.
                desk.todo.extend(foreign.map(Todo::LetGo));
                if let Some(hold) = own {
                    let old = desk.state.exports.insert(object, hold);
                    desk.todo.extend(old.map(Todo::LetGo));
                }
            }
            Effect::Unexport(object) => match desk.state.exports.remove(&object) {
                Some(hold) => desk.todo.push(Todo::LetGo(hold)),
                None => self.end(desk, object),
            },
            Effect::Unpin(pin) => {
                let kept = desk.state.pins.remove(&pin).unwrap_or_default();
                kept.into_iter().for_each(|kept| desk.let_go(kept));
            }
            Effect::HandedOver { object, keeper } => {
                desk.state.lineage.forget(object);
                if let Some(copy) = desk.state.copies.get_mut(&object) {
                    copy.keeper = keeper;
                }
                if let Some(hold) = self.revive(object) {
                    // One that was adopted here is borrowed already.
                    if !hold.entry().is_foreign() {
                        hold.entry().set_foreign();
                        let carried = Carried { object, keeper, backup: None };
                        desk.state.core.borrower.hold(carried, desk.now, &mut desk.effects);
                    }
                    desk.todo.push(Todo::Foreign(hold));
                }
            }
            Effect::Rebuild(object) => self.rebuild(desk, object),
            Effect::Lose { object, loss } => {
                desk.may_be_counted(object);
                desk.cancel_pull(object);
                desk.todo.push(match loss {
                    Loss::Gone(LossReason::Freed) => Todo::Free(object),
                    loss => Todo::Lose(object, get_error(object, &loss)),
                });
            }
        }
    }

    /// An own object that others knew, or an adopted one, is needed by nobody.
    fn end(&self, desk: &mut Desk<'_>, object: ObjectId) {
        desk.state.core.owner.unreferenced(object, &mut desk.effects);
        desk.state.lineage.forget(object);
        desk.state.awaited.remove(&object);
        desk.stop_serving(object);
        desk.cancel_pull(object);
    }

    fn act(&self, todo: Todo) {
        match todo {
            Todo::Send(to, message) => {
                if let Some(home) = self.home.upgrade() {
                    home.ledger.count_message();
                }
                self.port.send(to, message);
            }
            Todo::Hear(message) => self.receive(self.me, message),
            Todo::LetGo(hold) => drop(hold),
            Todo::Foreign(hold) => hold.entry().ask_if_awaited(),
            Todo::Discard(copy) => self.discard(copy),
            Todo::Inline { to, object } => self.send_inline(to, object),
            Todo::Lose(object, error) => {
                if let Some(entry) = self.find(object) {
                    entry.lose(error);
                }
            }
            Todo::Free(object) => {
                if let Some(entry) = self.find(object) {
                    entry.free();
                }
            }
            Todo::Away(object) => {
                if let Some(entry) = self.find(object).filter(|entry| !entry.is_ready()) {
                    entry.set_away();
                }
            }
            Todo::Await(object) => self.listen(object),
            Todo::Rebuild(tasks) => self.begin_again(tasks),
            Todo::GiveBack(bytes) => {
                if let Some(home) = self.home.upgrade() {
                    home.ledger.release(bytes);
                }
            }
            Todo::Withdraw(ticket) => {
                if let Some(home) = self.home.upgrade() {
                    home.ledger.withdraw(ticket);
                }
            }
            Todo::Finish(object) => self.finish_pull(object),
            Todo::Queue(object, bytes) => self.queue_pull(object, bytes),
        }
    }
}

impl Desk<'_> {
    fn stop_serving(&mut self, object: ObjectId) {
        let old = self.state.served.remove(object);
        self.todo.extend(old.into_iter().map(Todo::LetGo));
    }

    /// The tickets of this object are looked at when the decision is made.
    fn may_be_counted(&mut self, object: ObjectId) {
        if let Counted::These(objects) = &mut self.counted {
            objects.push(object);
        }
    }

    fn let_go(&mut self, kept: Kept) {
        match kept {
            Kept::Entry(hold) => self.todo.push(Todo::LetGo(hold)),
            Kept::Bare(object) => {
                self.may_be_counted(object);
                self.state.core.borrower.let_go(object, self.now, &mut self.effects);
            }
        }
    }
}

fn get_error(object: ObjectId, loss: &Loss) -> GetError {
    match loss {
        Loss::OwnerDied { owner } => GetError::OwnerDied { object, owner: *owner },
        Loss::Gone(LossReason::Freed) => GetError::Freed { object },
        Loss::Gone(reason) => GetError::Lost { object, reason: reason.clone() },
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("me", &self.me).finish_non_exhaustive()
    }
}
