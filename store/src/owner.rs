//! Who needs the objects of this store, and where their copies are.
//!
//! A table of all objects of a cluster would make every put a vote. Here each store answers for the objects
//! that it made: it alone counts who needs them, and it is found by their name. What it counts are stores, not
//! references: a store says *borrow* when its first reference comes and *release* when its last one goes.
//! Objects that never leave the store never enter this table.
//!
//! While another store needs an object, the owner exports it: its driver holds one local reference on behalf of
//! all others. So the local count decides when an object goes, as for any other.
//!
//! Invariants:
//! 1. An object is exported while any store's newest word is *borrow*, and for a while after one that borrowed
//!    it has crashed: what that one had sent on may not be counted yet.
//! 2. The needs and copies of a store end when it is down.
//! 3. Every store that wants a value is answered: with the value, with its sources, or with why there is none.
//! 4. Objects and needs have a limit; beyond it an object does not leave the store.
//!
//! Source: Ray's ownership (NSDI '21, section 4), with counts per node.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::{BTreeMap, BTreeSet};

use rand::Rng;

use crate::{
    dead::Dead,
    effect::{Effect, Mutant},
    message::{Answer, Failure, LossReason, Message, Record, Sequence, Wish},
    object_id::{ObjectId, StoreId},
    spread::{Assignment, Spread},
    time::Time,
};

mod limits;
mod queries;
mod wanted;
mod handover;
mod leaving;

pub use limits::{OwnerLimits, TooManyShared};

#[cfg(test)]
mod tests;

/// What the store's own table knows of an object's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Local {
    /// Its producer has not finished, or finished elsewhere.
    Pending,
    /// The value is here, charged with so many bytes.
    Here {
        /// The charge.
        bytes: u64,
    },
    /// Its producer failed.
    Failed(Failure),
    /// There is no value.
    Lost(LossReason),
}

#[derive(Debug, Default)]
struct Owned {
    /// The newest word of each store, and whether it is *borrow*.
    words: BTreeMap<StoreId, (Sequence, bool)>,
    exported: bool,
    keep_until: Option<Time>,
    spread: Spread,
    /// Stores whose copies stay until they are evicted.
    hosts: BTreeSet<StoreId>,
    /// Wait for the producer.
    waiting: BTreeMap<StoreId, Wish>,
    /// Its value was somewhere once.
    sealed: bool,
    rebuilding: bool,
    durable: bool,
    backup: Option<StoreId>,
    version: u64,
    /// Handed over by or to another store.
    adopted: bool,
    moving_to: Option<StoreId>,
    /// Who offered it to this store, and keeps it until this store has a copy.
    offered_by: Option<StoreId>,
    /// How often it was handed over.
    term: u64,
}

impl Owned {
    fn is_needed(&self) -> bool {
        self.keep_until.is_some() || self.words.values().any(|(_, held)| *held)
    }
}

/// The owning side of one store.
#[derive(Debug)]
pub struct Owner {
    me: StoreId,
    limits: OwnerLimits,
    objects: BTreeMap<ObjectId, Owned>,
    wakes: BTreeSet<(Time, ObjectId)>,
    /// Objects taken over, and when to tell their borrowers again.
    announces: BTreeSet<(Time, ObjectId)>,
    /// Objects that another store keeps now, so that late questions find it.
    moved: BTreeMap<ObjectId, Away>,
    mirrors: BTreeMap<ObjectId, Mirror>,
    dead: Dead,
    mutant: Mutant,
}

/// Where an object went that this store kept.
#[derive(Clone, Copy, Debug)]
struct Away {
    keeper: StoreId,
    term: u64,
}

/// What this store knows of an object as its keeper's backup.
#[derive(Debug)]
struct Mirror {
    keeper: StoreId,
    version: u64,
    record: Record,
}

impl Owner {
    /// Owns nothing that others know.
    #[must_use]
    pub fn new(me: StoreId, limits: OwnerLimits) -> Self {
        Self::mutated(me, limits, Mutant::None)
    }

    /// The same with a rule left out.
    #[doc(hidden)]
    #[must_use]
    pub fn mutated(me: StoreId, limits: OwnerLimits, mutant: Mutant) -> Self {
        Self {
            me,
            limits,
            objects: BTreeMap::new(),
            wakes: BTreeSet::new(),
            announces: BTreeSet::new(),
            moved: BTreeMap::new(),
            mirrors: BTreeMap::new(),
            dead: Dead::default(),
            mutant,
        }
    }

    // What happens here.

    /// The object is about to be named to another store.
    ///
    /// # Errors
    /// [`TooManyShared`]: it must not be.
    pub fn share(&mut self, object: ObjectId) -> Result<(), TooManyShared> {
        if !self.objects.contains_key(&object) {
            let objects_max = self.limits.objects_max;
            if self.objects.len() >= objects_max {
                return Err(TooManyShared { objects_max });
            }
            self.objects.insert(object, Owned::default());
        }
        Ok(())
    }

    /// Nobody needs the object any more, here or elsewhere.
    pub fn unreferenced(&mut self, object: ObjectId, out: &mut Vec<Effect>) {
        let Some(owned) = self.objects.remove(&object) else { return };
        if let Some(at) = owned.keep_until {
            self.wakes.remove(&(at, object));
        }
        let copies = owned.everywhere();
        // The value of an object made here goes with its entry.
        for store in copies.into_iter().filter(|store| owned.adopted || *store != self.me) {
            out.push(Effect::Send { to: store, message: Message::Evict { object } });
        }
        if let Some(backup) = owned.backup {
            let version = owned.version + 1;
            out.push(Effect::Send {
                to: backup,
                message: Message::Mirror { object, version, record: None },
            });
        }
        for (store, _) in owned.words.iter().filter(|(_, (_, held))| *held) {
            out.push(gone(*store, object, LossReason::Unknown));
        }
        for store in owned.waiting.into_keys() {
            out.push(gone(store, object, LossReason::Unknown));
        }
    }

    // What others say.

    /// A store needs the object.
    pub fn borrow(
        &mut self,
        from: StoreId,
        object: ObjectId,
        sequence: Sequence,
        now: Time,
        out: &mut Vec<Effect>,
    ) {
        self.take_over_if_mirrored(object, now, out);
        if self.is_moved(from, object, out) {
            return;
        }
        let Some(owned) = self.objects.get_mut(&object) else {
            out.push(gone(from, object, LossReason::Unknown));
            return;
        };
        if self.dead.contains(from) {
            return;
        }
        let is_held = owned.words.get(&from).is_some_and(|(_, held)| *held);
        if owned.moving_to.is_some() && !is_held {
            // The new keeper was told who borrows. This one repeats itself, and is sent there.
            return;
        }
        let word = owned.words.entry(from).or_insert((Sequence(0), false));
        if sequence > word.0 || self.mutant == Mutant::OldWordsCount {
            *word = (sequence, true);
        }
        out.push(counted(from, object, sequence, *word, owned.backup));
        self.settle(object, out);
    }

    /// A store needs the object no longer, and has no copy.
    pub fn release(
        &mut self,
        from: StoreId,
        object: ObjectId,
        sequence: Sequence,
        rng: &mut impl Rng,
        out: &mut Vec<Effect>,
    ) {
        if self.is_moved(from, object, out) {
            return;
        }
        let word = match self.objects.get_mut(&object) {
            // Gone is released.
            None => (sequence, false),
            Some(owned) => {
                let word = owned.words.entry(from).or_insert((Sequence(0), false));
                if sequence > word.0 || self.mutant == Mutant::OldWordsCount {
                    *word = (sequence, false);
                    owned.waiting.remove(&from);
                    let hosts = owned.hosts.contains(&from);
                    let assignments = owned.spread.leave(from, hosts, rng);
                    self.assign(object, assignments, out);
                }
                self.objects.get(&object).map_or((sequence, false), |owned| owned.words[&from])
            }
        };
        out.push(counted(from, object, sequence, word, None));
        self.settle(object, out);
    }

    /// A store that was taken for gone is there in the same life; false if it was not. What it borrowed has ended; what it
    /// says from now on counts.
    pub fn back(&mut self, store: StoreId) -> bool {
        self.dead.remove(store)
    }

    /// Tells a store what it is counted with: it took this one for gone, and may have forgotten.
    pub fn count_again(&self, store: StoreId, out: &mut Vec<Effect>) {
        for (object, owned) in &self.objects {
            if let Some(word @ (sequence, true)) = owned.words.get(&store) {
                out.push(counted(store, *object, *sequence, *word, owned.backup));
            }
        }
    }

    /// A store is gone.
    pub fn down(&mut self, store: StoreId, now: Time, rng: &mut impl Rng, out: &mut Vec<Effect>) {
        self.dead.insert(store);
        let known: Vec<ObjectId> = self.objects.keys().copied().collect();
        for object in known {
            let Some(owned) = self.objects.get_mut(&object) else { continue };
            let held = self.mutant != Mutant::DeadKeepBorrowing
                && owned.words.remove(&store).is_some_and(|(_, held)| held);
            owned.waiting.remove(&store);
            owned.hosts.remove(&store);
            let had_copy = owned.spread.copies().any(|copy| copy == store);
            let assignments = owned.spread.down(store, rng);
            if owned.backup == Some(store) {
                owned.backup = None;
            }
            if owned.moving_to == Some(store) {
                owned.moving_to = None;
            }
            if held && self.mutant != Mutant::NoGrace {
                self.keep(object, now + self.limits.crash_grace);
            }
            self.assign(object, assignments, out);
            if had_copy {
                self.rebuild_if_lost(object, out);
            }
            self.settle(object, out);
        }
        self.moved.retain(|_, away| away.keeper != store);
        self.mirrors_of(store, now, out);
    }

    /// Lets go of what was kept for a while.
    pub fn tick(&mut self, now: Time, out: &mut Vec<Effect>) {
        self.announce_again(now, out);
        while let Some((at, object)) = self.wakes.first().copied()
            && at <= now
        {
            self.wakes.pop_first();
            if let Some(owned) = self.objects.get_mut(&object)
                && owned.keep_until == Some(at)
            {
                owned.keep_until = None;
                self.settle(object, out);
            }
        }
    }

    /// When [`tick`](Self::tick) has something to do.
    #[must_use]
    pub fn next_wake(&self) -> Option<Time> {
        let first = |wakes: &BTreeSet<(Time, ObjectId)>| wakes.first().map(|(at, _)| *at);
        [first(&self.wakes), first(&self.announces)].into_iter().flatten().min()
    }

    /// Keeps an object at least until then.
    fn keep(&mut self, object: ObjectId, until: Time) {
        if let Some(owned) = self.objects.get_mut(&object)
            && owned.keep_until.is_none_or(|before| before < until)
        {
            if let Some(before) = owned.keep_until.replace(until) {
                self.wakes.remove(&(before, object));
            }
            self.wakes.insert((until, object));
        }
    }

    /// Exports what is needed elsewhere, and takes back what is not.
    fn settle(&mut self, object: ObjectId, out: &mut Vec<Effect>) {
        let Some(owned) = self.objects.get_mut(&object) else { return };
        let needed = owned.is_needed();
        if needed != owned.exported {
            owned.exported = needed;
            out.push(if needed { Effect::Export(object) } else { Effect::Unexport(object) });
        }
    }

    fn is_moved(&self, from: StoreId, object: ObjectId, out: &mut Vec<Effect>) -> bool {
        let away = self.moved.get(&object).copied();
        if let Some(Away { keeper, term }) = away {
            out.push(Effect::Send { to: from, message: Message::Moved { object, keeper, term } });
        }
        away.is_some()
    }
}

fn gone(to: StoreId, object: ObjectId, reason: LossReason) -> Effect {
    Effect::Send { to, message: Message::Gone { object, reason } }
}

fn counted(
    to: StoreId,
    object: ObjectId,
    sequence: Sequence,
    (_newest, held): (Sequence, bool),
    backup: Option<StoreId>,
) -> Effect {
    Effect::Send { to, message: Message::Counted { object, sequence, held, backup } }
}
