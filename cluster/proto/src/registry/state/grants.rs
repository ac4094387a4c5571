//! Who gets a name: claims, and new hosts for actors that have lost theirs.
//!
//! Invariant: a grant has a host whose session is open in the moment of the grant; one that follows another waits for
//! it.
//!
//! Pure: no clock, no I/O, no tasks.

use super::State;
use super::slot::{Place, Record, Slot};
use crate::error::Refusal;
use crate::registry::entry::{Assign, Claim, Mode};
use crate::registry::id::{ActorId, Generation, Host, Index};
use crate::registry::mutant::Mutant;
use crate::registry::name::Name;
use crate::registry::reply::{Change, Reply};
use crate::registry::spec::Window;

use super::tombstones::Why;

impl State {
    pub(super) fn claim(
        &mut self,
        index: Index,
        claim: &Claim,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, Refusal> {
        let slot = self.names.get(&claim.name);
        let grant = slot.and_then(Slot::grant);
        match (grant, claim.mode) {
            (None, Mode::Fail | Mode::GetIfExists) => {}
            (None, Mode::Replace(generation)) => {
                return Err(self.refusal_of_absent(&claim.name, Some(generation)));
            }
            (Some(grant), Mode::Fail) => {
                return Err(Refusal::Taken { generation: grant.generation });
            }
            (Some(grant), Mode::GetIfExists) => return Ok(Reply::Exists(grant)),
            (Some(grant), Mode::Replace(generation)) if grant.generation == generation => {}
            (Some(grant), Mode::Replace(_)) => {
                return Err(Refusal::Stale { current: Some(grant.generation) });
            }
        }
        let is_new = slot.is_none();
        let freed = slot.map_or(0, Slot::spec_bytes);
        let place = self.place_at(claim.host)?;
        if is_new && self.names.len() >= self.limits.names_max {
            return Err(Refusal::NamesFull { max: self.limits.names_max });
        }
        let limit_bytes = self.limits.spec_bytes_max;
        if self.names.spec_bytes() - freed + claim.spec.bytes().len() > limit_bytes {
            return Err(Refusal::SpecsFull { limit_bytes });
        }
        let generation = Generation(index.0);
        let gives_at_once = self.mutant == Mutant::GiveAtOnce;
        self.tombstones.remove(&claim.name);
        self.names.edit(&claim.name, changes, |slot| {
            slot.dismiss();
            if gives_at_once {
                slot.leaving = None;
            }
            slot.record = Some(Record {
                generation,
                place: Some(place),
                actor: None,
                spec: claim.spec.clone(),
                policy: claim.policy,
                window: Window::default(),
                wait_ms: 0,
            });
        });
        Ok(Reply::Granted { generation })
    }

    /// An orphan that is not one any more, or a host without a session, is passed over: the leader looks again.
    pub(super) fn assign(&mut self, index: Index, assigns: &[Assign], changes: &mut Vec<Change>) {
        for Assign { name, generation, host } in assigns {
            let Ok(place) = self.place_at(*host) else { continue };
            let is_meant =
                self.names.get(name).and_then(|slot| slot.record.as_ref()).is_some_and(|record| {
                    record.generation == *generation && record.place.is_none()
                });
            if !is_meant {
                continue;
            }
            self.names.edit(name, changes, |slot| {
                if let Some(record) = &mut slot.record {
                    record.generation = Generation(index.0);
                    record.place = Some(place);
                }
            });
        }
    }

    pub(super) fn started(
        &mut self,
        name: &Name,
        generation: Generation,
        actor: ActorId,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, Refusal> {
        let slot = self.names.get(name);
        let Some(slot) = slot.filter(|slot| slot.record.is_some()) else {
            return Err(self.refusal_of_absent(name, Some(generation)));
        };
        let Some(record) = slot.record.as_ref().filter(|record| record.generation == generation)
        else {
            let current = slot.record.as_ref().map(|record| record.generation);
            return Err(Refusal::Stale { current });
        };
        let Some(place) = record.place.filter(|_| slot.leaving.is_none()) else {
            return Err(Refusal::NotYet);
        };
        if self.sessions.get(place.session).is_none_or(|session| session.is_fenced) {
            return Err(Refusal::Fenced { session: place.session });
        }
        self.names.edit(name, changes, |slot| {
            if let Some(record) = &mut slot.record {
                record.actor = Some(actor);
            }
        });
        Ok(Reply::Done)
    }

    /// Why there is no such grant of a name that nobody has.
    pub(super) fn refusal_of_absent(&self, name: &Name, meant: Option<Generation>) -> Refusal {
        let tombstone = self.tombstones.get(name);
        let tombstone =
            tombstone.filter(|known| meant.is_none_or(|meant| meant <= known.generation));
        match (tombstone.map(|known| (known.why, known.generation)), meant) {
            (Some((Why::Killed, generation)), _) => Refusal::Killed { generation },
            (Some((Why::Exhausted, generation)), _) => Refusal::Exhausted { generation },
            (None, Some(_)) => Refusal::Stale { current: None },
            (None, None) => Refusal::NotFound,
        }
    }

    fn place_at(&self, host: Host) -> Result<Place, Refusal> {
        let session = self.sessions.open_of(host);
        session.map(|session| Place { host, session }).ok_or(Refusal::NoSession { node: host.node })
    }
}
