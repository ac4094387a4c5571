//! Names: one living actor per name and namespace.
//!
//! Claiming and looking up are one step under one lock, so that of many claims at the same time exactly
//! one wins. The map holds cells, not counted references: a name keeps no actor alive.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::handle::{ActorHandle, AnyCell};
use crate::id::ActorId;

/// The namespace of a name that was given without one.
pub const DEFAULT_NAMESPACE: &str = "default";

/// The names of one node.
#[derive(Default)]
pub struct Names {
    table: RwLock<HashMap<Arc<FullName>, ActorHandle>>,
}

/// A name within a namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
        name: Arc<FullName>,
        cell: Arc<dyn AnyCell>,
    ) -> Result<(), ActorHandle> {
        match self.table.write().entry(name) {
            Entry::Occupied(mut entry) if !entry.get().is_alive() => {
                entry.insert(ActorHandle(cell));
                Ok(())
            }
            Entry::Occupied(entry) => Err(entry.get().clone()),
            Entry::Vacant(entry) => {
                entry.insert(ActorHandle(cell));
                Ok(())
            }
        }
    }

    /// Frees `name` if `owner` still has it.
    pub(crate) fn release(&self, name: &FullName, owner: ActorId) {
        let mut table = self.table.write();
        if table.get(name).is_some_and(|handle| handle.id() == owner) {
            table.remove(name);
        }
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

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list()).finish()
    }
}
