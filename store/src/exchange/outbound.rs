//! What this node asks of its store about objects that others know.

use super::{Exchange, ObjectId, State, StoreId};
use crate::{
    entry::{Entry, Holding},
    remote::{TransferError, Whereabouts},
};

impl Exchange {
    pub(super) fn inline_max(&self) -> u64 {
        self.state.lock().core.owner.limits().inline_max_bytes
    }

    /// The object is kept here, and others may know it from now on.
    fn own(&self, entry: &Entry) -> Result<(), TransferError> {
        let object = entry.id();
        self.decide(|desk| {
            let core = &mut desk.state.core;
            if !core.keeps(object) {
                let moved = core.owner.moved_to(object);
                let borrowed = core.borrower.keeper(object).map(|(keeper, _)| keeper);
                let keeper = moved.or(borrowed).unwrap_or(object.owner());
                return Err(TransferError::NotOurs { object, keeper });
            }
            core.owner.share(object).map_err(|_full| TransferError::NotNow { object })?;
            entry.set_known();
            Ok(())
        })
    }

    pub(crate) fn make_durable(&self, entry: &Entry) -> Result<(), TransferError> {
        self.own(entry)?;
        let object = entry.id();
        let backup = crate::backup::choose(self.me, self.port.members());
        self.decide(|desk| {
            let State { core, rng, .. } = &mut *desk.state;
            core.owner.back_up(object, backup, &mut desk.effects);
            if let Holding::Value { bytes, .. } = entry.holding() {
                core.owner.located(self.me, object, bytes, rng, &mut desk.effects);
            } else {
                desk.listen_if_awaited(object);
            }
        });
        Ok(())
    }

    pub(crate) fn transfer(&self, entry: &Entry, to: StoreId) -> Result<(), TransferError> {
        self.own(entry)?;
        let object = entry.id();
        self.decide(|desk| {
            let State { core, rng, .. } = &mut *desk.state;
            if let Holding::Value { bytes, .. } = entry.holding() {
                core.owner.located(self.me, object, bytes, rng, &mut desk.effects);
            }
            if core.owner.hand_over(object, to, desk.now, &mut desk.effects) {
                Ok(())
            } else {
                Err(TransferError::NotNow { object })
            }
        })
    }

    pub(crate) fn borrowed(&self) -> Vec<(ObjectId, String)> {
        self.state.lock().core.borrower.describe().collect()
    }

    pub(crate) fn whereabouts(&self, object: ObjectId) -> Option<Whereabouts> {
        let entry = self.find(object);
        let state = self.state.lock();
        let copy = state.copies.get(&object).map(|copy| copy.bytes);
        let here = entry.as_ref().and_then(|entry| match entry.holding() {
            Holding::Value { bytes, .. } => Some(bytes),
            Holding::Pending | Holding::Failed(_) | Holding::Freed => None,
        });
        let keeps = state.core.keeps(object);
        let borrowed = state.core.borrower.keeper(object).map(|(keeper, _)| keeper);
        if entry.is_none()
            && copy.is_none()
            && borrowed.is_none()
            && !state.core.owner.knows(object)
        {
            return None;
        }
        let keeper = if keeps { self.me } else { borrowed.unwrap_or(object.owner()) };
        let told = state.core.borrower.place(object).filter(|_| !keeps);
        let told_copies = told.into_iter().flat_map(|(_, copies)| copies.iter().copied());
        let copies = state.core.owner.locations(object).chain(told_copies);
        let copies: Vec<StoreId> = copies.filter(|store| *store != self.me).collect();
        let told_bytes = told.map(|(bytes, _)| *bytes);
        let bytes = here.or(copy).or_else(|| state.core.owner.bytes(object)).or(told_bytes);
        let is_here = here.or(copy).is_some();
        let backup = state.core.owner.backup(object).filter(|backup| copies.contains(backup));
        let borrowers = state.core.owner.borrowers(object).collect();
        Some(Whereabouts { keeper, is_here, bytes, copies, borrowers, backup })
    }
}
