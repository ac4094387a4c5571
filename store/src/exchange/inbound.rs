//! What other stores say, and what is done about it.

use std::task::Waker;

use super::pulling::Purpose;
use super::{
    Carried, Desk, Exchange, GetError, Kept, LossReason, Message, ObjectId, State, StoreId, Todo,
};
use crate::{
    borrower::Place,
    error::task_error,
    message::{Answer, Parcel, Record},
    transfer::CHUNK_BYTES,
};

impl Exchange {
    pub(crate) fn receive(&self, from: StoreId, message: Message) {
        let (rest, watchers) = self.decide(|desk| {
            self.before(desk, &message);
            if let Message::Counted { object, .. } = message {
                desk.may_be_counted(object);
            }
            let watchers = match message {
                Message::Located { object, .. } | Message::Adopted { object, .. } => {
                    desk.state.watchers.take(object)
                }
                _ => Vec::new(),
            };
            let away = match message {
                Message::Located { object, .. } => Some(object),
                _ => None,
            };
            let awaited = match message {
                Message::Want { object, .. } => Some(object),
                _ => None,
            };
            let State { core, rng, copies, .. } = &mut *desk.state;
            let local = |object| self.local(copies, object);
            let rest = core.handle((desk.now, rng), from, message, local, &mut desk.effects);
            if let Some(object) = away.filter(|_| from != self.me) {
                desk.todo.push(Todo::Away(object));
            }
            if let Some(object) = awaited {
                desk.listen_if_awaited(object);
            }
            (rest, watchers)
        });
        watchers.into_iter().for_each(Waker::wake);
        match rest {
            None => {}
            Some(Message::Answer { object, answer: Answer::Made { bytes, copies } }) => {
                self.made(from, object, (bytes, copies));
            }
            Some(Message::Answer { object, answer }) => self.answered(from, object, answer),
            Some(Message::Evict { object }) => self.evict(from, object),
            Some(Message::Pull { object, offset, length }) => {
                self.serve(from, object, offset, length.min(CHUNK_BYTES));
            }
            Some(Message::Chunk { object, offset, total, bytes, parcel }) => {
                self.chunk(from, object, (offset, total, bytes), parcel);
            }
            Some(Message::NoCopy { object, text }) => self.no_copy(from, object, text),
            Some(Message::Mirror { object, version, record }) => {
                self.mirror(from, object, version, record);
            }
            Some(Message::Adopt { object, record }) => self.adopt(from, object, record),
            Some(Message::Reunite) => self.decide(|desk| desk.announce_copies_of(from)),
            Some(_heard_by_the_core) => {}
        }
    }

    /// A word for an own object that the table does not have yet: its task ran elsewhere, or a reference came there
    /// by other ways than ours.
    fn before(&self, desk: &mut Desk<'_>, message: &Message) {
        let (Message::Borrow { object, .. } | Message::Located { object, .. }) = message else {
            return;
        };
        let is_new = object.owner() == self.me
            && !desk.state.core.owner.knows(*object)
            && desk.state.core.owner.moved_to(*object).is_none();
        if let Some(hold) = is_new.then(|| self.revive(*object)).flatten() {
            if desk.state.core.owner.share(*object).is_ok() {
                hold.entry().set_known();
            }
            desk.todo.push(Todo::LetGo(hold));
        }
    }

    /// The keeper answers, or who ran a task for an object kept here.
    fn answered(&self, from: StoreId, object: ObjectId, answer: Answer) {
        let is_heard = self.decide(|desk| {
            let core = &mut desk.state.core;
            from == self.me || core.keeps(object) || core.borrower.answered(from, object)
        });
        if !is_heard {
            if let Answer::Inline { parcel: Some(parcel), .. } = answer {
                self.unwanted(from, parcel);
            }
            return;
        }
        match answer {
            Answer::Inline { bytes, parcel } => {
                if let Some(home) = self.home.upgrade().filter(|_| from != self.me) {
                    home.ledger.count_pull();
                }
                let parcels = parcel.map(|parcel| (from, parcel)).into_iter().collect();
                self.seal_encoded(object, bytes, parcels, None);
            }
            Answer::At { .. } if self.decide(|desk| desk.state.copies.contains_key(&object)) => {
                self.want(object);
            }
            Answer::At { bytes, sources } => self.pull_for_entry(object, bytes, sources),
            // Heard before.
            Answer::Made { .. } => {}
            Answer::Failed(failure) => {
                if let Some(entry) = self.find(object) {
                    entry.fail(task_error(failure));
                }
            }
            Answer::Lost(LossReason::Freed) => self.act(Todo::Free(object)),
            Answer::Lost(reason) => {
                self.act(Todo::Lose(object, GetError::Lost { object, reason }));
            }
        }
    }

    /// The keeper says that an object is made, and where it is.
    fn made(&self, from: StoreId, object: ObjectId, place: Place) {
        let is_heard = self.decide(|desk| desk.state.core.borrower.made(from, object, place));
        if let Some(entry) = self.find(object).filter(|_| is_heard) {
            entry.set_made();
        }
    }

    /// References that came and are not wanted: their sender must hear that they arrived.
    pub(super) fn unwanted(&self, from: StoreId, parcel: Parcel) {
        let _late = self.take_parcels(&[(from, parcel)]).map(|kept| self.put_down(kept));
    }

    fn evict(&self, from: StoreId, object: ObjectId) {
        self.decide(|desk| {
            let copies = &mut desk.state.copies;
            if copies.get(&object).is_some_and(|copy| copy.keeper == from || from == self.me) {
                desk.drop_copy(object);
                desk.stop_serving(object);
            }
        });
    }

    fn mirror(&self, from: StoreId, object: ObjectId, version: u64, record: Option<Record>) {
        self.decide(|desk| {
            let core = &mut desk.state.core;
            core.owner.mirrored(from, object, version, record.clone(), &mut desk.effects);
            let has_copy = desk.state.copies.contains_key(&object);
            match record {
                Some(Record { bytes: Some(bytes), locations, .. }) if !has_copy => {
                    let purpose = Purpose::Copy { keeper: from, adopted: None };
                    self.pull_for_others(desk, object, (bytes, locations), purpose);
                }
                Some(_) => {}
                None => desk.drop_copy(object),
            }
        });
    }

    fn adopt(&self, from: StoreId, object: ObjectId, record: Record) {
        let (bytes, locations) = (record.bytes.unwrap_or(0), record.locations.clone());
        let term = record.term;
        self.decide(|desk| {
            desk.state.core.owner.adopt(from, object, record, desk.now, &mut desk.effects);
            let here = desk.state.copies.contains_key(&object);
            if here {
                self.confirm(desk, object, (from, term), bytes);
            } else {
                let purpose = Purpose::Copy { keeper: from, adopted: Some(term) };
                self.pull_for_others(desk, object, (bytes, locations), purpose);
            }
        });
    }

    /// A copy of an adopted object is here: from now on this store keeps it.
    pub(super) fn confirm(
        &self,
        desk: &mut Desk<'_>,
        object: ObjectId,
        (from, term): (StoreId, u64),
        bytes: u64,
    ) {
        let State { core, rng, copies, .. } = &mut *desk.state;
        if let Some(copy) = copies.get_mut(&object) {
            copy.keeper = self.me;
            core.owner.hosted(self.me, object);
            core.owner.located(self.me, object, bytes, rng, &mut desk.effects);
        }
        desk.todo.push(Todo::Send(from, Message::Adopted { object, term }));
    }

    pub(crate) fn node_down(&self, store: StoreId) {
        let watchers = self.decide(|desk| {
            let State { core, rng, .. } = &mut *desk.state;
            core.down(store, desk.now, rng, &mut desk.effects);
            desk.counted = super::Counted::Any;
            let theirs: Vec<ObjectId> = {
                let copies = desk.state.copies.iter();
                copies.filter(|(_, copy)| copy.keeper == store).map(|(object, _)| *object).collect()
            };
            for object in theirs {
                let State { core, rng, copies, .. } = &mut *desk.state;
                if core.owner.knows(object) {
                    // Taken over.
                    if let Some(copy) = copies.get_mut(&object) {
                        copy.keeper = self.me;
                        let bytes = copy.bytes;
                        core.owner.hosted(self.me, object);
                        core.owner.located(self.me, object, bytes, rng, &mut desk.effects);
                    }
                } else {
                    desk.drop_copy(object);
                }
            }
            let pulls: Vec<ObjectId> = desk.state.pulls.keys().copied().collect();
            for object in pulls {
                self.source_down(desk, object, store);
            }
            self.back_up_again(desk);
            desk.state.watchers.take_all()
        });
        watchers.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn node_back(&self, store: StoreId) {
        self.decide(|desk| desk.state.core.back(store, desk.now, &mut desk.effects));
    }

    pub(crate) fn tick(&self) -> Option<crate::time::Time> {
        self.decide(|desk| {
            desk.state.core.tick(desk.now, &mut desk.effects);
            desk.counted = super::Counted::Any;
            let pulls: Vec<ObjectId> = desk.state.pulls.keys().copied().collect();
            for object in pulls {
                self.tick_pull(desk, object);
            }
            let idle = desk.state.served.tick(desk.now);
            desk.todo.extend(idle.into_iter().map(Todo::LetGo));
            self.back_up_again(desk);
            self.announce_copies(desk);
            let pulls = desk.state.pulls.values().filter_map(super::Pulling::next_wake).min();
            let announce = desk.state.announces.first().map(|(at, _)| *at);
            [desk.state.core.next_wake(), pulls, announce].into_iter().flatten().min()
        })
    }

    fn back_up_again(&self, desk: &mut Desk<'_>) {
        let bare: Vec<ObjectId> = desk.state.core.owner.without_backup().collect();
        if bare.is_empty() {
            return;
        }
        let backup = crate::backup::choose(self.me, self.port.members());
        for object in bare.into_iter().filter(|_| backup.is_some()) {
            desk.state.core.owner.back_up(object, backup, &mut desk.effects);
        }
    }
}

impl Desk<'_> {
    /// Listens for the end of an own pending object that somebody waits for.
    pub(super) fn listen_if_awaited(&mut self, object: ObjectId) {
        let State { core, awaited, .. } = &mut *self.state;
        if core.owner.is_awaited(object) && awaited.insert(object) {
            self.todo.push(Todo::Await(object));
        }
    }

    pub(super) fn drop_copy(&mut self, object: ObjectId) {
        if let Some(copy) = self.state.copies.remove(&object) {
            for inner in &copy.inner {
                self.let_go(Kept::Bare(*inner));
            }
            self.todo.push(Todo::Discard(copy));
        }
    }

    /// The keeper of these copies may have forgotten them: it is told of them as if they were new.
    fn announce_copies_of(&mut self, keeper: StoreId) {
        let State { copies, announces, .. } = &mut *self.state;
        for (object, copy) in copies.iter_mut().filter(|(_, copy)| copy.keeper == keeper) {
            copy.told = 0;
            announces.insert((self.now, *object));
        }
    }

    pub(super) fn hold_bare(&mut self, carried: Carried) {
        self.state.core.borrower.hold(carried, self.now, &mut self.effects);
    }
}
