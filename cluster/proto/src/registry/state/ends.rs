//! How a grant ends: given up, ended by itself, killed; and whether it is followed by a restart.
//!
//! Invariant: what is said of a grant that is over changes nothing of a later one, except that the later one need not
//! wait for it any more.
//!
//! Pure: no clock, no I/O, no tasks.

use super::slot::{Record, Slot};
use super::{State, Tombstone, Why};
use crate::error::Refusal;
use crate::registry::id::{Generation, Index, LogTime};
use crate::registry::mutant::Mutant;
use crate::registry::name::Name;
use crate::registry::reply::{Change, Grant, Reply};

/// Which part of a slot a report is about.
enum About {
    Leaving,
    Record,
}

/// What is known of the end of a grant.
struct After {
    is_failure: bool,
    /// Whether its instance may still run and must stop first.
    may_run: bool,
}

impl State {
    pub(super) fn release(
        &mut self,
        name: &Name,
        generation: Generation,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, Refusal> {
        let about = self.about(name, generation)?;
        self.names.edit(name, changes, |slot| match about {
            About::Leaving => slot.leaving = None,
            About::Record => slot.record = None,
        });
        Ok(Reply::Done)
    }

    pub(super) fn ended(
        &mut self,
        index: Index,
        (name, generation): (&Name, Generation),
        is_failure: bool,
        at: LogTime,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, Refusal> {
        match self.about(name, generation)? {
            About::Leaving => {
                self.names.edit(name, changes, |slot| slot.leaving = None);
                Ok(Reply::Done)
            }
            About::Record => {
                let after = After { is_failure, may_run: false };
                let next = self.end_and_restart(index, name, at, after, changes);
                Ok(next.map_or(Reply::Done, |generation| Reply::Restarting { generation }))
            }
        }
    }

    pub(super) fn kill(
        &mut self,
        index: Index,
        name: &Name,
        restart: bool,
        at: LogTime,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, Refusal> {
        let Some(Grant { generation, .. }) = self.names.get(name).and_then(Slot::grant) else {
            return Err(self.refusal_of_absent(name, None));
        };
        if restart || self.mutant == Mutant::KilledComesBack {
            let after = After { is_failure: true, may_run: true };
            let next = self.end_and_restart(index, name, at, after, changes);
            return Ok(match next {
                Some(generation) => Reply::Restarting { generation },
                None => Reply::Killed { generation },
            });
        }
        self.bury(index, name, generation, Why::Killed);
        let gives_at_once = self.mutant == Mutant::GiveAtOnce;
        self.names.edit(name, changes, |slot| {
            slot.dismiss();
            slot.leaving.take_if(|_| gives_at_once);
        });
        Ok(Reply::Killed { generation })
    }

    /// The grant ends; the next one, if the policy wants it and the window has room.
    fn end_and_restart(
        &mut self,
        index: Index,
        name: &Name,
        at: LogTime,
        After { is_failure, may_run }: After,
        changes: &mut Vec<Change>,
    ) -> Option<Generation> {
        let next = Generation(index.0);
        let (restarted, exhausted) = self.names.edit(name, changes, |slot| {
            let mut record = if may_run { slot.dismiss() } else { slot.record.take() }?;
            if !record.policy.restarts_after(is_failure) {
                return Some((false, None));
            }
            let Some(wait) = record.window.count(at, &record.policy) else {
                return Some((false, Some(record.generation)));
            };
            record.wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            (record.generation, record.actor) = (next, None);
            slot.record = Some(record);
            Some((true, None))
        })?;
        if let Some(generation) = exhausted {
            self.bury(index, name, generation, Why::Exhausted);
        }
        restarted.then_some(next)
    }

    /// Which part of the slot a report about `generation` is about. An orphan has no instance that could end.
    fn about(&self, name: &Name, generation: Generation) -> Result<About, Refusal> {
        let Some(slot) = self.names.get(name) else {
            return Err(self.refusal_of_absent(name, Some(generation)));
        };
        let takes_any = self.mutant == Mutant::IgnoreGeneration;
        if slot.leaving.is_some_and(|leaving| leaving.generation == generation || takes_any) {
            return Ok(About::Leaving);
        }
        match &slot.record {
            Some(Record { generation: current, place, .. }) => {
                if place.is_some() && (*current == generation || takes_any) {
                    Ok(About::Record)
                } else {
                    Err(Refusal::Stale { current: Some(*current) })
                }
            }
            None => Err(self.refusal_of_absent(name, Some(generation))),
        }
    }

    pub(super) fn bury(&mut self, since: Index, name: &Name, generation: Generation, why: Why) {
        let tombstone = Tombstone { generation, why, since };
        self.tombstones.put(name, tombstone, self.limits.tombstones_max);
    }
}
