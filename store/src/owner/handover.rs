//! Objects that outlive their keeper: mirrored to a backup, or handed to another store.
//!
//! The owner of an object may die before those who need it. A replicated table would cost a vote for each
//! change; but values never change, so two stores that both answer for one object can disagree only on whether
//! it may be freed. So a durable object's keeper tells one backup what it knows; borrowers learn who that is
//! with the acknowledgement of their need, and say their need again to it when the keeper is down.
//! The backup frees nothing before a margin has passed, in which all of them have spoken.
//!
//! Handing over is the same with both sides alive: the new keeper takes the record, the old one points there.
//!
//! Pure: no clock, no I/O, no tasks.

use std::{collections::BTreeSet, time::Duration};

use super::{
    Away, Effect, Message, Mirror, Mutant, ObjectId, Owned, Owner, Record, Sequence, StoreId, Time,
};

/// How long to wait before borrowers that were taken over are told again.
const ANNOUNCE_PAUSE: Duration = Duration::from_secs(1);

impl Owner {
    /// Keeps an object at `backup`, too, from now on; `None` to stop, as when there is nobody.
    pub fn back_up(&mut self, object: ObjectId, backup: Option<StoreId>, out: &mut Vec<Effect>) {
        let Some(owned) = self.objects.get_mut(&object) else { return };
        owned.durable = true;
        if let Some(before) = owned.backup.filter(|before| Some(*before) != backup) {
            owned.version += 1;
            let version = owned.version;
            out.push(Effect::Send {
                to: before,
                message: Message::Mirror { object, version, record: None },
            });
        }
        owned.backup = backup;
        self.mirror(object, out);
        // Those who borrow already learn of the backup by an acknowledgement that they did not ask for.
        let Some(owned) = self.objects.get(&object) else { return };
        for (store, (sequence, _)) in owned.words.iter().filter(|(_, (_, held))| *held) {
            let (sequence, held) = (*sequence, true);
            let message = Message::Counted { object, sequence, held, backup };
            out.push(Effect::Send { to: *store, message });
        }
    }

    /// Durable objects without a living backup; give them one by [`back_up`](Self::back_up).
    pub fn without_backup(&self) -> impl Iterator<Item = ObjectId> {
        let bare = self.objects.iter().filter(|(_, owned)| owned.durable && owned.backup.is_none());
        bare.map(|(object, _)| *object)
    }

    pub(super) fn mirror(&mut self, object: ObjectId, out: &mut Vec<Effect>) {
        let Some(owned) = self.objects.get_mut(&object) else { return };
        if let Some(to) = owned.backup {
            owned.version += 1;
            let (version, record) = (owned.version, Some(Self::record(owned)));
            out.push(Effect::Send { to, message: Message::Mirror { object, version, record } });
        }
    }

    fn record(owned: &Owned) -> Record {
        let held = owned.words.iter().filter(|(_, (_, held))| *held);
        Record {
            term: owned.term,
            bytes: owned.spread.bytes(),
            locations: owned.spread.copies().collect(),
            borrowers: held.map(|(store, (sequence, _))| (*store, *sequence)).collect(),
        }
    }

    /// A keeper tells its backup what it knows of an object.
    pub fn mirrored(
        &mut self,
        from: StoreId,
        object: ObjectId,
        version: u64,
        record: Option<Record>,
        out: &mut Vec<Effect>,
    ) {
        out.push(Effect::Send { to: from, message: Message::Mirrored { object, version } });
        let known = self.mirrors.get(&object).map_or(0, |mirror| mirror.version);
        let is_full = known == 0 && self.mirrors.len() >= self.limits.objects_max;
        if version <= known || is_full || self.dead.contains(from) {
            return;
        }
        match record {
            Some(record) => {
                self.mirrors.insert(object, Mirror { keeper: from, version, record });
            }
            None => {
                self.mirrors.remove(&object);
            }
        }
    }

    /// Whether this store would take over the object.
    #[must_use]
    pub fn is_mirrored(&self, object: ObjectId) -> bool {
        self.mirrors.contains_key(&object)
    }

    /// The keeper of some mirrors is down: this store keeps the objects now.
    pub(super) fn mirrors_of(&mut self, keeper: StoreId, now: Time, out: &mut Vec<Effect>) {
        let theirs = self.mirrors.iter().filter(|(_, mirror)| mirror.keeper == keeper);
        let theirs: Vec<ObjectId> = theirs.map(|(object, _)| *object).collect();
        for object in theirs {
            self.take_over_if_mirrored(object, now, out);
        }
    }

    /// A borrower may hear of the keeper's end before this store does: its word is taken for it.
    pub(super) fn take_over_if_mirrored(
        &mut self,
        object: ObjectId,
        now: Time,
        out: &mut Vec<Effect>,
    ) {
        if self.objects.contains_key(&object) {
            return;
        }
        let Some(Mirror { keeper, version, mut record }) = self.mirrors.remove(&object) else {
            return;
        };
        record.locations.retain(|store| *store != keeper);
        record.borrowers.retain(|(store, _)| *store != keeper);
        self.enter(object, record);
        if let Some(owned) = self.objects.get_mut(&object) {
            owned.durable = true;
            owned.version = version;
        }
        if self.mutant != Mutant::NoMargin {
            self.keep(object, now + self.limits.takeover_margin);
        }
        self.announce(object, now, out);
        self.settle(object, out);
    }

    fn enter(&mut self, object: ObjectId, record: Record) {
        let Record { term, bytes, locations, borrowers } = record;
        let sealed = bytes.is_some();
        let mut owned = Owned { adopted: true, sealed, term, ..Owned::default() };
        for (store, _) in borrowers.iter().filter(|(store, _)| !self.dead.contains(*store)) {
            // A word counts only against the keeper that heard it; here any new one is newer.
            owned.words.insert(*store, (Sequence(0), true));
        }
        for store in locations.into_iter().filter(|store| !self.dead.contains(*store)) {
            owned.spread.enter(store, bytes.unwrap_or(0));
            owned.hosts.insert(store);
        }
        self.moved.remove(&object);
        self.objects.insert(object, owned);
    }

    /// Tells the borrowers that were taken over and have not spoken here, and the store that is to adopt the
    /// object, until all have answered.
    fn announce(&mut self, object: ObjectId, now: Time, out: &mut Vec<Effect>) {
        let Some(owned) = self.objects.get(&object) else { return };
        // To claim it from its old keeper is to have adopted it, and that one may leave as soon as it is: so the claim
        // waits for the copy. Not for ever: the old keeper may have let go of it before it was asked.
        let has_copy = owned.spread.copies().any(|store| store == self.me);
        let unready = owned.offered_by.filter(|_| !has_copy && owned.keep_until.is_some());
        let silent = |(store, word): &(&StoreId, &(Sequence, bool))| {
            **word == (Sequence(0), true) && unready != Some(**store)
        };
        let message = Message::Moved { object, keeper: self.me, term: owned.term };
        let before = out.len();
        for (store, _) in owned.words.iter().filter(silent) {
            out.push(Effect::Send { to: *store, message: message.clone() });
        }
        if let Some(to) = owned.moving_to {
            let record = Record { term: owned.term + 1, ..Self::record(owned) };
            out.push(Effect::Send { to, message: Message::Adopt { object, record } });
        }
        if (out.len() > before || unready.is_some()) && self.mutant != Mutant::NeverRepeats {
            self.announces.insert((now + ANNOUNCE_PAUSE, object));
        }
    }

    pub(super) fn announce_again(&mut self, now: Time, out: &mut Vec<Effect>) {
        while let Some((at, object)) = self.announces.first().copied()
            && at <= now
        {
            self.announces.pop_first();
            self.announce(object, now, out);
        }
    }

    // Handing over.

    /// Offers a sealed object to another store, which keeps it once [`adopted`](Self::adopted) is heard. False if
    /// it is not this store's to give, or too many were given already.
    #[must_use = "an object that was not offered stays here"]
    pub fn hand_over(
        &mut self,
        object: ObjectId,
        to: StoreId,
        now: Time,
        out: &mut Vec<Effect>,
    ) -> bool {
        let Some(owned) = self.objects.get_mut(&object) else { return false };
        let is_full = self.moved.len() >= self.limits.objects_max;
        // One offer at a time: two stores that both accepted would both keep it.
        let is_offered = owned.moving_to.is_some_and(|other| other != to);
        // Nor before all whom it came with have spoken: the last keeper may not know yet that it is not the keeper.
        let is_settling = owned.words.values().any(|word| *word == (Sequence(0), true));
        let is_wrong = to == self.me || self.dead.contains(to) || !owned.sealed;
        if is_offered || is_settling || is_wrong || is_full {
            return false;
        }
        if owned.moving_to.is_none() {
            owned.moving_to = Some(to);
            self.announce(object, now, out);
        }
        true
    }

    /// Another store offers an object. Answer [`Message::Adopted`] once a copy is here.
    pub fn adopt(
        &mut self,
        from: StoreId,
        object: ObjectId,
        record: Record,
        now: Time,
        out: &mut Vec<Effect>,
    ) {
        let is_past = self.moved.get(&object).is_some_and(|away| away.term >= record.term);
        if !is_past && !self.objects.contains_key(&object) {
            self.enter(object, record);
            if let Some(owned) = self.objects.get_mut(&object) {
                // The old keeper counts as a borrower until it says what it needs itself.
                owned.words.insert(from, (Sequence(0), true));
                owned.offered_by = Some(from);
            }
            self.keep(object, now + self.limits.takeover_margin);
            self.announces.insert((now + ANNOUNCE_PAUSE, object));
            self.settle(object, out);
        }
    }

    /// The other store keeps it now: everybody who asks here is sent there.
    pub fn adopted(&mut self, from: StoreId, object: ObjectId, term: u64, out: &mut Vec<Effect>) {
        // An offer of the past may be accepted again, late: only the present one counts.
        let is_offered = self
            .objects
            .get(&object)
            .is_some_and(|owned| owned.moving_to == Some(from) && owned.term + 1 == term);
        if !is_offered {
            return;
        }
        let Some(mut owned) = self.objects.remove(&object) else { return };
        if let Some(at) = owned.keep_until {
            self.wakes.remove(&(at, object));
        }
        self.moved.insert(object, Away { keeper: from, term });
        let moved = Message::Moved { object, keeper: from, term };
        let mut told: BTreeSet<StoreId> = owned.words.keys().copied().collect();
        told.extend(std::mem::take(&mut owned.waiting).into_keys());
        told.extend(owned.spread.give_up());
        for store in told {
            out.push(Effect::Send { to: store, message: moved.clone() });
        }
        if let Some(backup) = owned.backup {
            let version = owned.version + 1;
            let message = Message::Mirror { object, version, record: None };
            out.push(Effect::Send { to: backup, message });
        }
        out.push(Effect::HandedOver { object, keeper: from });
        if owned.exported {
            out.push(Effect::Unexport(object));
        }
    }

    /// Who keeps an object that this store has handed over.
    #[must_use]
    pub fn moved_to(&self, object: ObjectId) -> Option<StoreId> {
        self.moved.get(&object).map(|away| away.keeper)
    }
}
