//! Hints: where others say that actors of some name live.
//!
//! Names are not yet unique over nodes, so one name may have a hint for each of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::RwLock;

use super::FullName;
use crate::id::NodeId;
use crate::postings::Posting;
use crate::remote::Home;

/// Longest name, with its namespace, that is taken up from others.
const NAME_BYTES_MAX: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Hints {
    table: RwLock<HashMap<Arc<FullName>, BTreeMap<Home, u64>>>,
}

impl Hints {
    pub(super) fn get(&self, name: &FullName) -> Vec<(Home, u64)> {
        let table = self.table.read();
        let homes = table.get(name).into_iter().flatten();
        homes.map(|(home, key)| (*home, *key)).collect()
    }

    pub(super) fn list(&self) -> Vec<FullName> {
        let mut names: Vec<FullName> =
            self.table.read().keys().map(|name| FullName::clone(name)).collect();
        names.sort_unstable();
        names
    }

    pub(super) fn forget(&self, name: &FullName, home: Home) {
        let mut table = self.table.write();
        if let Some(homes) = table.get_mut(name) {
            homes.remove(&home);
            if homes.is_empty() {
                table.remove(name);
            }
        }
    }

    pub(super) fn heard(&self, from: (NodeId, u64), added: Vec<Posting>, removed: Vec<Posting>) {
        for (name, home, _) in removed.into_iter().filter_map(|posting| hint(posting, from)) {
            self.forget(&name, home);
        }
        let mut added = added.into_iter().filter_map(|posting| hint(posting, from)).peekable();
        if added.peek().is_none() {
            return;
        }
        let mut table = self.table.write();
        for (name, home, key) in added {
            if name.name.len() + name.namespace.len() <= NAME_BYTES_MAX {
                table.entry(name).or_default().insert(home, key);
            }
        }
    }

    pub(super) fn gone(&self, (node, life): (NodeId, u64)) {
        self.table.write().retain(|_, homes| {
            homes.retain(|home, _| (home.node, home.incarnation) != (node, life));
            !homes.is_empty()
        });
    }
}

fn hint(
    posting: Posting,
    (node, incarnation): (NodeId, u64),
) -> Option<(Arc<FullName>, Home, u64)> {
    match posting {
        Posting::Name { name, key, actor } => Some((name, Home { node, incarnation, actor }, key)),
        Posting::Member { .. } => None,
    }
}
