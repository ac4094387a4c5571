//! Actors that must not come back, and why.
//!
//! What keeps them from coming back is that they have no slot any more; a tombstone tells the late supervisor or
//! caller why. So to forget one is harmless: then the answer is that nobody has the name.
//!
//! Invariant: at most so many are kept; the oldest in the log are forgotten first; a new grant of the name takes its
//! tombstone away.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::registry::id::{Generation, Index};
use crate::registry::name::Name;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Tombstones {
    of_name: BTreeMap<Name, Tombstone>,
    /// The oldest first; one entry may end several actors.
    order: BTreeSet<(Index, Name)>,
}

/// An actor that must not come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tombstone {
    /// Which grant.
    pub generation: Generation,
    /// Why.
    pub why: Why,
    /// Since which entry.
    pub since: Index,
}

/// Why an actor must not come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Why {
    /// Somebody killed it.
    Killed,
    /// It was restarted more often than its policy allows.
    Exhausted,
}

impl Tombstones {
    pub(super) fn get(&self, name: &Name) -> Option<Tombstone> {
        self.of_name.get(name).copied()
    }

    pub(super) fn len(&self) -> usize {
        self.of_name.len()
    }

    pub(super) fn put(&mut self, name: &Name, tombstone: Tombstone, max: usize) {
        self.remove(name);
        self.of_name.insert(name.clone(), tombstone);
        self.order.insert((tombstone.since, name.clone()));
        while self.order.len() > max {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            self.of_name.remove(&oldest);
        }
    }

    pub(super) fn remove(&mut self, name: &Name) {
        if let Some(tombstone) = self.of_name.remove(name) {
            self.order.remove(&(tombstone.since, name.clone()));
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Name, &Tombstone)> {
        self.of_name.iter()
    }
}
