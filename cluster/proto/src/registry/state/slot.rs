//! One name: who has it, and who must let go of it first.
//!
//! Invariant: a slot has at most one grant that may run, its [`Slot::runner`]: the one that is leaving, or, if there
//! is none, the one that has the name and a host.
//!
//! Pure: no clock, no I/O, no tasks.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::registry::id::{ActorId, Generation, Host, SessionId};
use crate::registry::name::Name;
use crate::registry::reply::{Change, Grant, Phase};
use crate::registry::spec::{Policy, Spec, Window};

/// What is known of one name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Slot {
    /// Who has the name.
    pub record: Option<Record>,
    /// Who had it, may still run, and was told to stop.
    pub leaving: Option<Leaving>,
}

/// A grant of a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Record {
    /// The token.
    pub generation: Generation,
    /// Where it is or will be; `None` while a host is looked for.
    pub place: Option<Place>,
    /// The actor there, once it has started.
    pub actor: Option<ActorId>,
    /// From what it is started.
    pub spec: Spec,
    /// When it is started again.
    pub policy: Policy,
    /// How often it was, of late.
    pub window: Window,
    /// How long its host is to wait before it starts it, in milliseconds.
    pub wait_ms: u64,
}

/// Where a grant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Place {
    /// Which life of which node.
    pub host: Host,
    /// Under which session.
    pub session: SessionId,
}

/// A grant that is over and may not have stopped yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Leaving {
    /// The token.
    pub generation: Generation,
    /// Under which session it runs.
    pub session: SessionId,
}

impl Slot {
    pub(super) const fn is_empty(&self) -> bool {
        self.record.is_none() && self.leaving.is_none()
    }

    /// The one grant that may run, if any.
    #[must_use]
    pub fn runner(&self) -> Option<Generation> {
        match (&self.leaving, &self.record) {
            (Some(leaving), _) => Some(leaving.generation),
            (None, Some(record)) if record.place.is_some() => Some(record.generation),
            (None, Some(_) | None) => None,
        }
    }

    /// Who has the name, for those who ask.
    #[must_use]
    pub fn grant(&self) -> Option<Grant> {
        let record = self.record.as_ref()?;
        let host = record.place.map(|place| place.host);
        Some(Grant { generation: record.generation, host, phase: self.phase()? })
    }

    pub(super) fn phase(&self) -> Option<Phase> {
        let record = self.record.as_ref()?;
        Some(match (record.place, record.actor, self.leaving) {
            (None, ..) => Phase::Orphan,
            (Some(_), _, Some(_)) => Phase::Waiting,
            (Some(_), Some(actor), None) => Phase::Active(actor),
            (Some(_), None, None) => Phase::Starting,
        })
    }

    /// The grant ends; if it may run, it is to stop first.
    pub(super) fn dismiss(&mut self) -> Option<Record> {
        let record = self.record.take()?;
        if let (Some(place), None) = (record.place, self.leaving) {
            let (generation, session) = (record.generation, place.session);
            self.leaving = Some(Leaving { generation, session });
        }
        Some(record)
    }

    /// The sessions that this name is about.
    pub(super) fn sessions(&self) -> impl Iterator<Item = SessionId> {
        let placed = self.record.as_ref().and_then(|record| record.place);
        placed.map(|place| place.session).into_iter().chain(self.leaving.map(|gone| gone.session))
    }

    pub(super) fn spec_bytes(&self) -> usize {
        self.record.as_ref().map_or(0, |record| record.spec.bytes().len())
    }

    /// What everybody is to do when the slot turns from `before` into this.
    pub(super) fn changes_since(&self, before: &Self, name: &Name, out: &mut Vec<Change>) {
        if let Some(Leaving { generation, session }) = self.leaving
            && before.leaving != self.leaving
        {
            out.push(Change::Stop { name: name.clone(), generation, session });
        }
        let Some(record) = &self.record else {
            if let Some(Record { generation, .. }) = before.record {
                out.push(Change::Gone { name: name.clone(), generation });
            }
            return;
        };
        let generation = record.generation;
        let was = before.record.as_ref().filter(|was| was.generation == generation);
        let phase_before = was.and_then(|_| before.phase());
        let (name, phase) = (name.clone(), self.phase());
        match (phase, record.place) {
            _ if phase == phase_before => {}
            (Some(Phase::Orphan), _) => out.push(Change::Orphaned { name, generation }),
            (Some(Phase::Starting), Some(Place { host, session })) => {
                let wait = Duration::from_millis(record.wait_ms);
                out.push(Change::Start { name, generation, host, session, wait });
            }
            (Some(Phase::Active(actor)), Some(Place { host, .. })) => {
                out.push(Change::Active { name, generation, host, actor });
            }
            (Some(Phase::Waiting | Phase::Starting | Phase::Active(_)) | None, _) => {}
        }
    }
}
