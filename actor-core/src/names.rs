//! Names: one living actor per name and namespace.
//!
//! Claiming and looking up are one step under one lock, so that of many claims at the same time exactly
//! one wins. The map holds cells, not counted references: a name keeps no actor alive.
//!
//! What others say of their names is kept as hints: where to ask first, and nothing more.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use crate::handle::{ActorHandle, AnyCell};
use crate::id::{ActorId, NodeId};
use crate::postings::Posting;
use crate::remote::Home;
use crate::system::System;

mod hints;

use hints::Hints;

/// The namespace of a name that was given without one.
pub const DEFAULT_NAMESPACE: &str = "default";

/// The names of one node.
#[derive(Default)]
pub struct Names {
    table: RwLock<HashMap<Arc<FullName>, ActorHandle>>,
    hints: Hints,
}

/// A name within a namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FullName {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl FullName {
    /// Puts a name into a namespace.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// Whether nobody can have this name: empty or blank.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.name.trim().is_empty()
    }
}

impl fmt::Display for FullName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace == DEFAULT_NAMESPACE {
            f.write_str(&self.name)
        } else {
            write!(f, "{}:{}", self.namespace, self.name)
        }
    }
}

impl Names {
    /// Claims `name` for `cell`, or says who has it.
    pub(crate) fn claim(
        &self,
        system: &System,
        name: Arc<FullName>,
        cell: Arc<dyn AnyCell>,
    ) -> Result<(), ActorHandle> {
        let holder = ActorHandle(cell);
        let new = posting(&name, &holder);
        let mut table = self.table.write();
        let old = match table.entry(name) {
            Entry::Occupied(entry) if entry.get().is_alive() => return Err(entry.get().clone()),
            Entry::Occupied(mut entry) => {
                let name = Arc::clone(entry.key());
                Some(posting(&name, &entry.insert(holder)))
            }
            Entry::Vacant(entry) => {
                entry.insert(holder);
                None
            }
        };
        if let Some(elsewhere) = system.elsewhere() {
            if let Some(old) = old {
                elsewhere.withdraw(&old);
            }
            if let Err(error) = elsewhere.post(new) {
                // Others find it all the same, by asking.
                tracing::debug!(%error, "a name is not posted");
            }
        }
        Ok(())
    }

    /// Frees `name` if `owner` still has it.
    pub(crate) fn release(&self, system: &System, name: &FullName, owner: ActorId) {
        let mut table = self.table.write();
        if table.get(name).is_some_and(|handle| handle.id() == owner)
            && let Some((name, handle)) = table.remove_entry(name)
            && let Some(elsewhere) = system.elsewhere()
        {
            elsewhere.withdraw(&posting(&name, &handle));
        }
    }

    /// Where others say that an actor of this name lives, with the number of its type. It may have ended since.
    #[must_use]
    pub fn hints(&self, name: &FullName) -> Vec<(Home, u64)> {
        self.hints.get(name)
    }

    /// Forgets a hint that led nowhere.
    pub fn forget_hint(&self, name: &FullName, home: Home) {
        self.hints.forget(name, home);
    }

    /// The names that others say their actors have, sorted.
    #[must_use]
    pub fn list_hints(&self) -> Vec<FullName> {
        self.hints.list()
    }

    /// Calls `visit` with all names while none is claimed or freed.
    pub(crate) fn while_nothing_changes(
        &self,
        visit: impl FnOnce(&mut dyn Iterator<Item = Posting>),
    ) {
        let table = self.table.write();
        visit(&mut table.iter().map(|(name, handle)| posting(name, handle)));
    }

    pub(crate) fn heard(&self, from: (NodeId, u64), added: Vec<Posting>, removed: Vec<Posting>) {
        self.hints.heard(from, added, removed);
    }

    pub(crate) fn gone(&self, from: (NodeId, u64)) {
        self.hints.gone(from);
    }

    /// The living actor of this name.
    #[must_use]
    pub fn get(&self, name: &FullName) -> Option<ActorHandle> {
        self.table.read().get(name).filter(|handle| handle.is_alive()).cloned()
    }

    /// The names of living actors, sorted.
    #[must_use]
    pub fn list(&self) -> Vec<FullName> {
        let table = self.table.read();
        let mut names: Vec<FullName> = table
            .iter()
            .filter(|(_, handle)| handle.is_alive())
            .map(|(name, _)| (**name).clone())
            .collect();
        names.sort_unstable();
        names
    }
}

fn posting(name: &Arc<FullName>, holder: &ActorHandle) -> Posting {
    Posting::Name { name: Arc::clone(name), key: holder.type_key(), actor: holder.id() }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list()).finish()
    }
}
