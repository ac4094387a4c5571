//! Answers to those who want a value.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::BTreeSet;

use super::{
    Answer, Assignment, Effect, Local, LossReason, Message, ObjectId, Owned, Owner, Rng, StoreId,
    Time, Wish, gone,
};
use crate::spread::{SOURCES_MAX, Spread};

impl Owner {
    /// A store wants the value; `local` is what the store's own table says. If that is
    /// [`Pending`](Local::Pending), [`ready`](Self::ready) must follow when it is not any more.
    pub fn want(
        &mut self,
        from: StoreId,
        object: ObjectId,
        local: Local,
        time: (Time, &mut impl Rng),
        out: &mut Vec<Effect>,
    ) {
        self.answer(from, (object, Wish::Value), local, time, out);
    }

    /// The same for a store that is content to know where a value is that is too large for the answer.
    pub fn want_place(
        &mut self,
        from: StoreId,
        object: ObjectId,
        local: Local,
        time: (Time, &mut impl Rng),
        out: &mut Vec<Effect>,
    ) {
        self.answer(from, (object, Wish::Place), local, time, out);
    }

    fn answer(
        &mut self,
        from: StoreId,
        (object, wish): (ObjectId, Wish),
        local: Local,
        (now, rng): (Time, &mut impl Rng),
        out: &mut Vec<Effect>,
    ) {
        self.take_over_if_mirrored(object, now, out);
        if self.is_moved(from, object, out) {
            return;
        }
        let (me, inline_max_bytes) = (self.me, self.limits.inline_max_bytes);
        let Some(owned) = self.objects.get_mut(&object) else {
            out.push(gone(from, object, LossReason::Unknown));
            return;
        };
        if self.dead.contains(from) {
            return;
        }
        let assignments = match local {
            Local::Failed(failure) => {
                return out.push(answer(from, object, Answer::Failed(failure)));
            }
            Local::Lost(reason) => return out.push(answer(from, object, Answer::Lost(reason))),
            Local::Here { bytes } => {
                owned.sealed = true;
                if bytes <= inline_max_bytes && from != me {
                    return out.push(Effect::Inline { to: from, object });
                }
                let mut assignments = if owned.spread.copies().any(|copy| copy == me) {
                    Vec::new()
                } else {
                    owned.spread.located(me, bytes, rng)
                };
                match wish {
                    Wish::Value => assignments.extend(owned.spread.want(from, rng)),
                    Wish::Place => out.push(made(from, object, &owned.spread)),
                }
                assignments
            }
            Local::Pending if wish == Wish::Place && owned.is_there(inline_max_bytes) => {
                return out.push(made(from, object, &owned.spread));
            }
            Local::Pending if owned.sealed => owned.spread.want(from, rng),
            // Whoever was to make it went with the last keeper.
            Local::Pending if owned.adopted => {
                return out.push(answer(from, object, Answer::Lost(LossReason::Unmade)));
            }
            Local::Pending => {
                // Who wants the value hears of its place with it.
                let waiting = owned.waiting.entry(from).or_insert(wish);
                if wish == Wish::Value {
                    *waiting = wish;
                }
                return;
            }
        };
        self.assign(object, assignments, out);
        self.rebuild_if_lost(object, out);
    }

    /// An object that was pending is not any more.
    pub fn ready(
        &mut self,
        object: ObjectId,
        local: &Local,
        now: Time,
        rng: &mut impl Rng,
        out: &mut Vec<Effect>,
    ) {
        let Some(owned) = self.objects.get_mut(&object) else { return };
        owned.rebuilding = false;
        let mut waiting: Vec<(StoreId, Wish)> =
            std::mem::take(&mut owned.waiting).into_iter().collect();
        if !matches!(local, Local::Pending) {
            waiting.extend(owned.spread.give_up().into_iter().map(|store| (store, Wish::Value)));
        }
        for (store, wish) in waiting {
            self.answer(store, (object, wish), local.clone(), (now, rng), out);
        }
        self.mirror(object, out);
    }

    /// A store keeps its copy until it is told otherwise, whether it needs the object or not.
    pub fn hosted(&mut self, from: StoreId, object: ObjectId) {
        if let Some(owned) = self.objects.get_mut(&object) {
            owned.hosts.insert(from);
        }
    }

    /// A store has a sealed copy.
    pub fn located(
        &mut self,
        from: StoreId,
        object: ObjectId,
        bytes: u64,
        rng: &mut impl Rng,
        out: &mut Vec<Effect>,
    ) {
        if self.is_moved(from, object, out) {
            return;
        }
        let inline_max_bytes = self.limits.inline_max_bytes;
        let Some(owned) = self.objects.get_mut(&object) else {
            // It came too late for an object that is gone.
            out.push(Effect::Send { to: from, message: Message::Evict { object } });
            return;
        };
        if self.dead.contains(from) {
            return;
        }
        let has_let_go = owned.words.get(&from).is_some_and(|(_, held)| !held);
        if has_let_go && !owned.hosts.contains(&from) && from != self.me {
            // Its copy went with its need; the word of it was overtaken.
            return;
        }
        owned.sealed = true;
        owned.rebuilding = false;
        let mut assignments = owned.spread.located(from, bytes, rng);
        for (store, wish) in std::mem::take(&mut owned.waiting) {
            if wish == Wish::Place && owned.is_there(inline_max_bytes) {
                out.push(made(store, object, &owned.spread));
            } else {
                assignments.extend(owned.spread.want(store, rng));
            }
        }
        self.assign(object, assignments, out);
        self.mirror(object, out);
    }

    /// A store was to pull from `source` and cannot; `gone` if that says it has no copy.
    pub fn missing(
        &mut self,
        from: StoreId,
        object: ObjectId,
        source: StoreId,
        rng: &mut impl Rng,
        out: &mut Vec<Effect>,
    ) {
        let me = self.me;
        if let Some(owned) = self.objects.get_mut(&object) {
            owned.hosts.remove(&source);
            let assignments = owned.spread.missing(from, source, source != me, rng);
            self.assign(object, assignments, out);
            self.rebuild_if_lost(object, out);
        }
    }

    /// Nobody can make the object again: all who want it are told.
    pub fn lost(&mut self, object: ObjectId, reason: &LossReason, out: &mut Vec<Effect>) {
        let Some(owned) = self.objects.get_mut(&object) else { return };
        owned.rebuilding = false;
        let mut waiting: Vec<StoreId> = std::mem::take(&mut owned.waiting).into_keys().collect();
        waiting.extend(owned.spread.give_up());
        for store in waiting {
            out.push(answer(store, object, Answer::Lost(reason.clone())));
        }
    }

    /// The object was freed by hand: every copy goes, and who wants it is told.
    pub fn freed(&mut self, object: ObjectId, rng: &mut impl Rng, out: &mut Vec<Effect>) {
        let me = self.me;
        let Some(owned) = self.objects.get_mut(&object) else { return };
        let copies = owned.everywhere();
        owned.hosts.clear();
        for store in copies {
            let _nobody = owned.spread.missing(store, store, true, rng);
            if store != me {
                out.push(Effect::Send { to: store, message: Message::Evict { object } });
            }
        }
        let borrowers: Vec<StoreId> = self.borrowers(object).collect();
        for store in borrowers {
            out.push(gone(store, object, LossReason::Freed));
        }
        self.lost(object, &LossReason::Freed, out);
    }

    pub(super) fn assign(
        &self,
        object: ObjectId,
        assignments: Vec<Assignment>,
        out: &mut Vec<Effect>,
    ) {
        let bytes = self.objects.get(&object).and_then(|owned| owned.spread.bytes()).unwrap_or(0);
        for (receiver, sources) in assignments {
            out.push(answer(receiver, object, Answer::At { bytes, sources }));
        }
    }

    /// Asks for the object to be made again, once, if somebody wants it and there is no copy.
    pub(super) fn rebuild_if_lost(&mut self, object: ObjectId, out: &mut Vec<Effect>) {
        if let Some(owned) = self.objects.get_mut(&object)
            && owned.must_rebuild()
        {
            owned.rebuilding = true;
            out.push(Effect::Rebuild(object));
        }
    }
}

impl Owned {
    /// Every store that has a copy, or may have.
    pub(super) fn everywhere(&self) -> BTreeSet<StoreId> {
        self.spread.copies().chain(self.hosts.iter().copied()).collect()
    }

    /// Whether there is a copy somewhere that is too large for an answer.
    fn is_there(&self, inline_max_bytes: u64) -> bool {
        self.sealed && self.spread.bytes().is_some_and(|bytes| bytes > inline_max_bytes)
    }

    fn must_rebuild(&self) -> bool {
        self.sealed && !self.rebuilding && self.spread.is_lost() && self.spread.is_wanted()
    }
}

fn answer(to: StoreId, object: ObjectId, answer: Answer) -> Effect {
    Effect::Send { to, message: Message::Answer { object, answer } }
}

fn made(to: StoreId, object: ObjectId, spread: &Spread) -> Effect {
    let copies = spread.copies().take(SOURCES_MAX).collect();
    answer(to, object, Answer::Made { bytes: spread.bytes().unwrap_or(0), copies })
}
