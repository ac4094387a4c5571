//! The whole state as one value, for a node that joins or has fallen far behind.
//!
//! What is derived is not sent but made again: a sender that got it wrong would be believed.
//!
//! Invariant: [`State::restore`] of [`State::snapshot`] is the state; a snapshot beyond its own limits, or that
//! contradicts itself, is refused.
//!
//! Pure: no clock, no I/O, no tasks.

use serde::{Deserialize, Serialize};

use super::dedupe::{Client, Dedupe};
use super::names::Names;
use super::sessions::{Session, Sessions};
use super::slot::Slot;
use super::tombstones::{Tombstone, Tombstones};
use super::{Limits, State};
use crate::error::RestoreError;
use crate::id::NodeId;
use crate::registry::config::Config;
use crate::registry::id::{ClusterId, Index, LogTime, SessionId};
use crate::registry::mutant::Mutant;
use crate::registry::name::Name;

/// All of a [`State`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    cluster: ClusterId,
    limits: Limits,
    applied: Index,
    clock: LogTime,
    config: Config,
    sessions: Vec<(SessionId, Session)>,
    slots: Vec<(Name, Slot)>,
    tombstones: Vec<(Name, Tombstone)>,
    clients: Vec<(NodeId, Client)>,
}

impl Snapshot {
    /// Which cluster it is of.
    #[must_use]
    pub const fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// The last entry that it contains.
    #[must_use]
    pub const fn applied(&self) -> Index {
        self.applied
    }
}

impl State {
    /// All of it as one value. Specs are shared, not copied.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            cluster: self.cluster,
            limits: self.limits,
            applied: self.applied,
            clock: self.clock,
            config: self.config.clone(),
            sessions: self.sessions.iter().map(|(id, session)| (id, *session)).collect(),
            slots: self.names.iter().map(|(name, slot)| (name.clone(), slot.clone())).collect(),
            tombstones: self.tombstones.iter().map(|(name, dead)| (name.clone(), *dead)).collect(),
            clients: self.dedupe.to_clients(),
        }
    }

    /// The state of a snapshot.
    ///
    /// # Errors
    /// [`RestoreError`]: ask another node for a snapshot.
    pub fn restore(snapshot: Snapshot) -> Result<Self, RestoreError> {
        let Snapshot { cluster, limits, applied, clock, config, .. } = snapshot;
        let mut sessions = Sessions::default();
        for (id, session) in snapshot.sessions {
            if !sessions.insert(id, session) {
                return Err(RestoreError::Torn("a session twice"));
            }
        }
        let mut names = Names::default();
        for (name, slot) in snapshot.slots {
            if slot.sessions().any(|session| sessions.get(session).is_none()) {
                return Err(RestoreError::Torn("a name at no session"));
            }
            if names.get(&name).is_some() {
                return Err(RestoreError::Torn("a name twice"));
            }
            names.insert(name, slot);
        }
        let mut tombstones = Tombstones::default();
        for (name, tombstone) in snapshot.tombstones {
            tombstones.put(&name, tombstone, usize::MAX);
        }
        let dedupe = Dedupe::of_clients(snapshot.clients)
            .ok_or(RestoreError::Torn("two answers to one entry"))?;
        let counts = [
            ("names", names.len(), limits.names_max),
            ("bytes of specs", names.spec_bytes(), limits.spec_bytes_max),
            ("sessions", sessions.len(), limits.sessions_max),
            ("tombstones", tombstones.len(), limits.tombstones_max),
            ("answers", dedupe.len(), limits.replies_max),
        ];
        if let Some((what, ..)) = counts.into_iter().find(|(_, count, max)| count > max) {
            return Err(RestoreError::BeyondLimit(what));
        }
        if !config.is_within_limits() {
            return Err(RestoreError::BeyondLimit("voters"));
        }
        let mutant = Mutant::None;
        Ok(Self {
            cluster,
            limits,
            applied,
            clock,
            config,
            sessions,
            names,
            tombstones,
            dedupe,
            mutant,
        })
    }
}

#[cfg(test)]
impl Snapshot {
    pub(super) fn clear_sessions(&mut self) {
        self.sessions.clear();
    }

    pub(super) fn allow_no_names(&mut self) {
        self.limits.names_max = 0;
    }
}
