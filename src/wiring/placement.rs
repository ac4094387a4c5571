//! Where actors go: the cluster's view and what was asked for, as one answer.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use mobula_actor_core::remote::SpawnKind;
use mobula_actor_core::{NodeId, Placement, SpawnError};
use mobula_cluster::exchange::Placer;
use mobula_cluster::{Cluster, Record};
use parking_lot::Mutex;

use super::builds::{Builds, is_host};
use super::cluster::Profile;

/// Chooses nodes, and remembers what it placed where, so that many spawns at once do not all go to one node.
pub(crate) struct Placing {
    cluster: Cluster,
    /// What each member's program contains.
    builds: Arc<Builds>,
    placed: Mutex<HashMap<NodeId, u64>>,
}

impl Placing {
    pub(crate) fn new(cluster: Cluster, builds: Arc<Builds>) -> Self {
        Self { cluster, builds, placed: Mutex::default() }
    }

    /// Whether a member runs a program that can do this: its table has the key, or it says so at all.
    pub(crate) fn can(&self, profile: &Profile, key: u64) -> bool {
        self.builds.provides(profile.build, key)
    }

    /// What members have instead of something.
    pub(crate) fn seen(&self, key: u64, records: &[&Record]) -> String {
        self.builds.seen(key, records)
    }

    /// What was seen, if of those members that the placement leaves to choose from none can do this at all; `None` if one can,
    /// or if there is nobody to choose from.
    pub(crate) fn unprovided(&self, placement: &Placement, key: u64) -> Option<String> {
        let view = self.cluster.view();
        let is_meant = |record: &&Record| match placement {
            Placement::OnNode { node, or_elsewhere: false } => id(record) == *node,
            Placement::Labelled { name, value, or_elsewhere: false } => {
                is_host(record) && record.details.labels.get(name) == Some(value)
            }
            _ => is_host(record),
        };
        let meant: Vec<&Record> = view.alive().filter(is_meant).collect();
        let is_able = |record: &&Record| self.can(&Profile::of(record), key);
        let is_unprovided = !meant.is_empty() && !meant.iter().any(is_able);
        is_unprovided.then(|| self.builds.seen(key, &meant))
    }

    /// The member for something that `is_able` members can take.
    ///
    /// # Errors
    /// What was asked for and what was seen.
    pub(crate) fn node_for(
        &self,
        placement: &Placement,
        is_able: impl Fn(&Record, &Profile) -> bool,
    ) -> Result<NodeId, String> {
        let view = self.cluster.view();
        let members: Vec<_> = view.alive().cloned().collect();
        let able: Vec<_> = members
            .iter()
            .filter(|record| is_able(record, &Profile::of(record)))
            .filter(|record| is_host(record))
            .cloned()
            .collect();
        self.choose(placement, &able).ok_or_else(|| {
            format!(
                "{placement:?} was asked for, and of {} members {} can take it",
                members.len(),
                able.len()
            )
        })
    }

    fn choose(&self, placement: &Placement, able: &[Record]) -> Option<NodeId> {
        let mut placed = self.placed.lock();
        let count = |placed: &HashMap<NodeId, u64>, record: &Record| {
            placed.get(&id(record)).copied().unwrap_or(0)
        };
        let own = self.cluster.node();
        let least = |records: &mut dyn Iterator<Item = &Record>| {
            records.min_by_key(|record| (count(&placed, record), record.node)).map(id)
        };
        let any = || least(&mut able.iter());
        let chosen = match placement {
            Placement::Pack => {
                let here = able.iter().find(|record| record.node == own);
                here.map(id).or_else(any)
            }
            Placement::OnNode { node, or_elsewhere } => {
                let there = able.iter().find(|record| id(record) == *node).map(id);
                there.or_else(|| or_elsewhere.then(any).flatten())
            }
            Placement::Labelled { name, value, or_elsewhere } => {
                let fits = |record: &&Record| record.details.labels.get(name) == Some(value);
                let there = least(&mut able.iter().filter(fits));
                there.or_else(|| or_elsewhere.then(any).flatten())
            }
            Placement::Near(object) => {
                let mut nodes = object.bytes_by_node();
                nodes.sort_by_key(|(node, bytes)| (std::cmp::Reverse(*bytes), *node));
                let mut there = nodes.iter().map(|(node, _)| *node);
                there.find(|node| able.iter().any(|record| id(record) == *node)).or_else(any)
            }
            _ => any(),
        }?;
        *placed.entry(chosen).or_default() += 1;
        Some(chosen)
    }
}

impl fmt::Debug for Placing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Placing").field("node", &self.cluster.node()).finish_non_exhaustive()
    }
}

impl Placer for Placing {
    fn place(&self, placement: &Placement, kind: &SpawnKind) -> Result<Option<NodeId>, SpawnError> {
        let placed = self.node_for(placement, |_, profile| self.can(profile, kind.key));
        placed.map(Some).map_err(|why| match self.unprovided(placement, kind.key) {
            Some(seen) => SpawnError::NoProvider { actor: kind.name, seen },
            None => SpawnError::NoPlace { actor: kind.name, why },
        })
    }
}

const fn id(record: &Record) -> NodeId {
    NodeId(record.node.0)
}
