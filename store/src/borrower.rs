//! What a store needs of objects that others keep.
//!
//! A message per reference would flood the keeper: a thousand tasks with one argument are a thousand references
//! and one need. So references are counted where they are, and the keeper is told only of the first and of the
//! last: *borrow* and *release*. The channel may lose, double and reorder them, and a store may need an object
//! again before its release was heard; so every word carries a number that only grows, the keeper takes the
//! newest, and a word is repeated until the keeper has said that it heard it.
//!
//! Invariants:
//! 1. While an object is held here, the last word said of it is *borrow*.
//! 2. A pin is taken over ([`Message::Unpin`]) only when every object under it is counted at its keeper, or not
//!    needed here any more.
//! 3. An object whose keeper is gone and has no backup is lost, at once; nobody waits for ever.
//!
//! Pure: no clock, no I/O, no tasks.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{
    dead::Dead,
    effect::{Effect, Loss, Mutant},
    message::{Carried, LossReason, Message, PinId, Sequence, Wish},
    object_id::{ObjectId, StoreId},
    time::Time,
};

/// How long to wait before a word is said again; doubles up to [`REPEAT_MAX`].
pub(crate) const REPEAT: Duration = Duration::from_secs(1);
/// The longest wait before a word is said again.
pub(crate) const REPEAT_MAX: Duration = Duration::from_secs(8);

/// One object that somebody else keeps.
#[derive(Debug)]
struct Borrowed {
    keeper: StoreId,
    backup: Option<StoreId>,
    /// How many entries of this store need it; two while one goes and the next comes.
    holds: u32,
    word: Sequence,
    /// The keeper has heard the last word.
    heard: bool,
    /// Nothing more to say: the keeper is gone, or the object is.
    lost: Option<Loss>,
    /// What is wanted of it, while no answer has come.
    wish: Option<Wish>,
    /// Its size and who has it, as its keeper said. A hint.
    place: Option<Place>,
    repeat_at: Option<Time>,
    pause: Duration,
    /// Pins that wait for the word to be heard.
    pins: Vec<(StoreId, PinId)>,
}

/// A pin of another store, being taken over.
#[derive(Debug)]
struct Arrival {
    /// Objects that are not counted yet.
    missing: usize,
    repeat_at: Option<Time>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wake {
    Object(ObjectId),
    Pin(StoreId, PinId),
}

/// The borrowing side of one store.
#[derive(Debug, Default)]
pub struct Borrower {
    sequence: u64,
    objects: BTreeMap<ObjectId, Borrowed>,
    arrivals: BTreeMap<(StoreId, PinId), Arrival>,
    wakes: BTreeSet<(Time, Wake)>,
    dead: Dead,
    mutant: Mutant,
}

impl Borrower {
    /// Nothing borrowed, and a rule left out.
    #[doc(hidden)]
    #[must_use]
    pub fn mutated(mutant: Mutant) -> Self {
        Self { mutant, ..Self::default() }
    }

    /// How many objects of others are needed here, or being given back.
    #[must_use]
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether nothing is borrowed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Who keeps the object and who would take over, as far as known here.
    #[must_use]
    pub fn keeper(&self, object: ObjectId) -> Option<(StoreId, Option<StoreId>)> {
        self.objects.get(&object).map(|borrowed| (borrowed.keeper, borrowed.backup))
    }

    /// All objects of others that are needed here or being given back, with what was said of each; for whoever looks for
    /// what is left over.
    pub fn describe(&self) -> impl Iterator<Item = (ObjectId, String)> {
        self.objects.iter().map(|(object, borrowed)| (*object, format!("{borrowed:?}")))
    }

    /// Whether an entry of this store needs the object.
    #[must_use]
    pub fn holds(&self, object: ObjectId) -> bool {
        self.objects.get(&object).is_some_and(|borrowed| borrowed.holds > 0)
    }

    /// Whether the keeper counts this store's need, or there is nothing left to count.
    #[must_use]
    pub fn is_settled(&self, object: ObjectId) -> bool {
        self.objects.get(&object).is_none_or(|borrowed| borrowed.heard || borrowed.lost.is_some())
    }

    /// Why a borrowed object will never have a value, if that is known.
    #[must_use]
    pub fn loss(&self, object: ObjectId) -> Option<&Loss> {
        self.objects.get(&object)?.lost.as_ref()
    }

    // What happens here.

    /// An entry for the object comes to be.
    pub fn hold(&mut self, carried: Carried, now: Time, out: &mut Vec<Effect>) {
        let Carried { object, keeper, backup } = carried;
        let borrowed = self.objects.entry(object).or_insert_with(|| Borrowed {
            keeper,
            backup,
            holds: 0,
            word: Sequence(0),
            heard: false,
            lost: None,
            wish: None,
            place: None,
            repeat_at: None,
            pause: REPEAT,
            pins: Vec::new(),
        });
        borrowed.holds += 1;
        if borrowed.lost.take().is_some() {
            // Perhaps this one knows a keeper that lives.
            (borrowed.keeper, borrowed.backup) = (keeper, backup);
        } else if borrowed.holds > 1 {
            return;
        }
        if self.dead.contains(borrowed.keeper) {
            self.keeper_down(object, now, out);
        } else {
            self.say(object, now, out);
        }
    }

    /// An entry for the object is no longer needed.
    pub fn let_go(&mut self, object: ObjectId, now: Time, out: &mut Vec<Effect>) {
        let Some(borrowed) = self.objects.get_mut(&object) else { return };
        borrowed.holds = borrowed.holds.saturating_sub(1);
        if borrowed.holds > 0 {
            return;
        }
        borrowed.wish = None;
        let lost = borrowed.lost.is_some();
        self.take_over(object, now, out);
        if lost || self.mutant == Mutant::NeverReleases {
            self.forget(object);
        } else {
            self.say(object, now, out);
        }
    }

    /// A message with references has come; every object under its pin is held by now, or kept by this store.
    pub fn arrived(
        &mut self,
        from: StoreId,
        pin: PinId,
        objects: impl Iterator<Item = ObjectId>,
        now: Time,
        out: &mut Vec<Effect>,
    ) {
        if self.arrivals.contains_key(&(from, pin)) {
            return;
        }
        let mut missing = 0;
        for object in objects {
            if let Some(borrowed) = self.objects.get_mut(&object)
                && !(borrowed.heard
                    || borrowed.lost.is_some()
                    || self.mutant == Mutant::UnpinsAtOnce)
            {
                borrowed.pins.push((from, pin));
                missing += 1;
            }
        }
        self.arrivals.insert((from, pin), Arrival { missing, repeat_at: None });
        self.unpin_if_complete(from, pin, now, out);
    }

    // What others say.

    /// The keeper heard a word: which, whether this store counts as a borrower now, and who would take over.
    pub fn counted(
        &mut self,
        from: StoreId,
        object: ObjectId,
        (sequence, held, backup): (Sequence, bool, Option<StoreId>),
        now: Time,
        out: &mut Vec<Effect>,
    ) {
        // What is lost here for good is not needed, even while somebody still has a reference to it.
        let needed = self.objects.get_mut(&object).filter(|borrowed| borrowed.lost.is_none());
        let Some(borrowed) = needed else {
            if held && self.mutant != Mutant::NeverHeals {
                // A word of the past overtook: say again that nobody here needs it.
                self.sequence += 1;
                let sequence = Sequence(self.sequence);
                out.push(Effect::Send { to: from, message: Message::Release { object, sequence } });
            }
            return;
        };
        if borrowed.keeper != from {
            return;
        }
        if held {
            borrowed.backup = backup;
        }
        if borrowed.word != sequence {
            return;
        }
        borrowed.heard = true;
        if borrowed.holds == 0 {
            self.forget(object);
        } else {
            self.take_over(object, now, out);
        }
    }

    /// The keeper does not have the object any more.
    pub fn gone(
        &mut self,
        from: StoreId,
        object: ObjectId,
        reason: LossReason,
        now: Time,
        out: &mut Vec<Effect>,
    ) {
        if self.objects.get(&object).is_some_and(|borrowed| borrowed.keeper == from) {
            self.lose(object, Loss::Gone(reason), now, out);
        }
    }

    /// Somebody else keeps the object now.
    pub fn moved(
        &mut self,
        from: StoreId,
        object: ObjectId,
        keeper: StoreId,
        now: Time,
        out: &mut Vec<Effect>,
    ) {
        let Some(borrowed) = self.objects.get_mut(&object) else {
            if from == keeper && self.mutant != Mutant::NeverHeals {
                // It took over an old list of borrowers.
                self.sequence += 1;
                let sequence = Sequence(self.sequence);
                out.push(Effect::Send { to: from, message: Message::Release { object, sequence } });
            }
            return;
        };
        let may_say = borrowed.keeper == from || keeper == from;
        if borrowed.lost.is_some() || !may_say || borrowed.keeper == keeper {
            return;
        }
        borrowed.keeper = keeper;
        borrowed.backup = None;
        if self.dead.contains(keeper) {
            self.keeper_down(object, now, out);
        } else {
            self.say_again(object, now, out);
        }
    }

    /// The sender of a pin heard that it was taken over.
    pub fn unpinned(&mut self, from: StoreId, pin: PinId) {
        if let Some(arrival) = self.arrivals.remove(&(from, pin))
            && let Some(at) = arrival.repeat_at
        {
            self.wakes.remove(&(at, Wake::Pin(from, pin)));
        }
    }

    /// Whether a pin is being taken over here.
    #[must_use]
    pub fn is_arriving(&self, from: StoreId, pin: PinId) -> bool {
        self.arrivals.contains_key(&(from, pin))
    }

    /// A store that was taken for gone is there in the same life; false if it was not. What it kept is lost here; what it
    /// offers from now on is not.
    pub fn back(&mut self, store: StoreId) -> bool {
        self.dead.remove(store)
    }

    /// A keeper took this store for gone, and counts nothing of it any more: it hears everything anew.
    pub fn say_all_again(&mut self, keeper: StoreId, now: Time, out: &mut Vec<Effect>) {
        let theirs = self
            .objects
            .iter()
            .filter(|(_, borrowed)| borrowed.keeper == keeper && borrowed.lost.is_none());
        for object in theirs.map(|(object, _)| *object).collect::<Vec<_>>() {
            self.say_again(object, now, out);
        }
    }

    /// A store is gone.
    pub fn down(&mut self, store: StoreId, now: Time, out: &mut Vec<Effect>) {
        self.dead.insert(store);
        let theirs = self.arrivals.range((store, PinId(0))..=(store, PinId(u64::MAX)));
        let theirs: Vec<PinId> = theirs.map(|((_, pin), _)| *pin).collect();
        for pin in theirs {
            self.unpinned(store, pin);
        }
        let kept = self.objects.iter().filter(|(_, borrowed)| borrowed.keeper == store);
        let kept: Vec<ObjectId> = kept.map(|(object, _)| *object).collect();
        for object in kept {
            self.keeper_down(object, now, out);
        }
        for borrowed in self.objects.values_mut() {
            borrowed.backup = borrowed.backup.filter(|backup| *backup != store);
            borrowed.pins.retain(|(from, _)| *from != store);
            if let Some((_, copies)) = &mut borrowed.place {
                copies.retain(|copy| *copy != store);
            }
        }
    }

    /// Says again what was not heard.
    pub fn tick(&mut self, now: Time, out: &mut Vec<Effect>) {
        while let Some((at, wake)) = self.wakes.first().copied()
            && at <= now
        {
            self.wakes.pop_first();
            match wake {
                Wake::Object(object) => self.repeat_object(object, now, out),
                Wake::Pin(from, pin) => {
                    if let Some(arrival) = self.arrivals.get_mut(&(from, pin)) {
                        arrival.repeat_at = None;
                        self.unpin_if_complete(from, pin, now, out);
                    }
                }
            }
        }
    }

    /// When [`tick`](Self::tick) has something to do.
    #[must_use]
    pub fn next_wake(&self) -> Option<Time> {
        self.wakes.first().map(|(at, _)| *at)
    }
}

mod speak;
mod wanting;

pub use wanting::Place;

#[cfg(test)]
mod tests;
