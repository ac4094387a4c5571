//! All names, with what is looked up by session and by need of a host.
//!
//! A lost node with one name among a hundred thousand must not cost a walk over all of them.
//!
//! Invariant: what is derived (names of each session, orphans, bytes of all specs) is what a walk would find: there is
//! one way to change a slot, [`Names::edit`], and it keeps them.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::{BTreeMap, BTreeSet};

use super::slot::Slot;
use crate::registry::id::SessionId;
use crate::registry::name::Name;
use crate::registry::reply::{Change, Phase};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Names {
    slots: BTreeMap<Name, Slot>,
    of_session: BTreeMap<SessionId, BTreeSet<Name>>,
    orphans: BTreeSet<Name>,
    spec_bytes: usize,
}

impl Names {
    pub(super) fn get(&self, name: &Name) -> Option<&Slot> {
        self.slots.get(name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Name, &Slot)> {
        self.slots.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) const fn spec_bytes(&self) -> usize {
        self.spec_bytes
    }

    pub(super) fn of_session(&self, session: SessionId) -> Option<&BTreeSet<Name>> {
        self.of_session.get(&session)
    }

    pub(super) const fn orphans(&self) -> &BTreeSet<Name> {
        &self.orphans
    }

    /// Changes a slot (an empty one if there is none), and says what follows for everybody.
    pub(super) fn edit<R>(
        &mut self,
        name: &Name,
        out: &mut Vec<Change>,
        edit: impl FnOnce(&mut Slot) -> R,
    ) -> R {
        let before = self.slots.remove(name).unwrap_or_default();
        self.forget(name, &before);
        let mut slot = before.clone();
        let result = edit(&mut slot);
        slot.changes_since(&before, name, out);
        self.insert(name.clone(), slot);
        result
    }

    pub(super) fn insert(&mut self, name: Name, slot: Slot) {
        if slot.is_empty() {
            return;
        }
        self.spec_bytes += slot.spec_bytes();
        for session in slot.sessions() {
            self.of_session.entry(session).or_default().insert(name.clone());
        }
        if slot.phase() == Some(Phase::Orphan) {
            self.orphans.insert(name.clone());
        }
        self.slots.insert(name, slot);
    }

    fn forget(&mut self, name: &Name, slot: &Slot) {
        self.spec_bytes -= slot.spec_bytes();
        for session in slot.sessions() {
            if let Some(names) = self.of_session.get_mut(&session) {
                names.remove(name);
                if names.is_empty() {
                    self.of_session.remove(&session);
                }
            }
        }
        self.orphans.remove(name);
    }
}
