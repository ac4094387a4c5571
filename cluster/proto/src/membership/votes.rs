//! Who accuses whom, and when that is enough.
//!
//! One observer that hears nothing may itself be deaf, so its silence is a vote, and 5/8 of the observers decide.
//! But 5/8 of which? Counting the dead ones, a member whose observers died with it is never found; counting those on the
//! other side of a cut, a cut in halves never resolves. So the electorate is who could speak:
//!
//! 1. Live in our view, and a neighbour of the accused now or lately (it may just have been displaced).
//! 2. Not silenced: an observer accused itself by 3/8 of its own observers cannot be expected to vote (Rapid's implicit
//!    alerts), unless we hear its voice; on a bridge between two halves everybody is accused and everybody speaks.
//! 3. Not mute: an observer that hears the accused says so when it learns of an alert; who has said nothing for a window
//!    cannot be asked. So a small minority behind a cut comes to a result, too.
//! 4. Grown up: its edge to the accused has existed long enough for silence on it to mean something.
//!
//! Who has voted and fulfils the first is of the electorate in any case. And where two could vote, none decides alone.
//!
//! Invariant: a vote counts only for the incarnation it names, until it is taken back, and not longer than it is renewed.
//! Sources: Rapid, section 4.2 (implicit alerts).
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::config::{Config, Mutant};
use crate::id::{Incarnation, NodeId};
use crate::member::Record;
use crate::time::Time;

use super::message::{Alert, VOTES_MAX};
use super::rings::Rings;
use super::view::View;

/// Observers whose alerts on one member are kept at most: neighbours, and some whom churn has just displaced.
const OBSERVERS_MAX: usize = 4 * VOTES_MAX;

#[derive(Clone, Copy, Debug)]
struct Vote {
    sequence: (Incarnation, u64),
    on: bool,
    at: Time,
}

#[derive(Clone, Debug, Default)]
struct Case {
    incarnation: Incarnation,
    /// Since when there has been an alert without a break.
    opened: Time,
    votes: BTreeMap<NodeId, Vote>,
}

impl Case {
    fn accusers(&self) -> impl Iterator<Item = NodeId> {
        self.votes.iter().filter(|(_, vote)| vote.on).map(|(observer, _)| *observer)
    }
}

/// All alerts that hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Votes {
    cases: BTreeMap<NodeId, Case>,
    /// When we last heard an alert by each observer: it speaks, so its silence on others has a meaning.
    voices: BTreeMap<NodeId, Time>,
    /// Cases to decide anew.
    changed: BTreeSet<NodeId>,
}

impl Votes {
    /// Files an alert. Older ones, and ones on incarnations already gone, change nothing.
    pub(super) fn file(&mut self, now: Time, alert: &Alert, view: &View, cases_max: usize) {
        let known = view.get(alert.accused);
        let refuted = known.is_some_and(|record| {
            record.incarnation > alert.incarnation
                || (record.incarnation == alert.incarnation && !record.status.is_live())
        });
        if refuted || (self.cases.len() >= cases_max && !self.cases.contains_key(&alert.accused)) {
            return;
        }
        let case = self.cases.entry(alert.accused).or_default();
        if case.incarnation < alert.incarnation {
            *case = Case { incarnation: alert.incarnation, opened: now, votes: BTreeMap::new() };
        }
        let full = case.votes.len() >= OBSERVERS_MAX && !case.votes.contains_key(&alert.observer);
        if full || case.incarnation > alert.incarnation {
            return;
        }
        if alert.on && case.accusers().next().is_none() {
            case.opened = now;
        }
        let vote =
            Vote { sequence: (alert.observer_incarnation, alert.sequence), on: alert.on, at: now };
        let newest = case.votes.entry(alert.observer).or_insert(vote);
        if newest.sequence <= vote.sequence {
            *newest = vote;
            if self.voices.len() < cases_max {
                self.voices.insert(alert.observer, now);
            }
            self.reconsider_around(alert.accused, view);
        }
    }

    /// `accused` and the members it observes may now be decided otherwise.
    pub(super) fn reconsider_around(&mut self, accused: NodeId, view: &View) {
        if self.cases.is_empty() {
            return;
        }
        let with_case = |node: &NodeId| self.cases.contains_key(node);
        let around = view.neighbours(accused).into_iter().chain([accused]).filter(with_case);
        self.changed.extend(around.collect::<Vec<_>>());
    }

    /// Everything may now be decided otherwise.
    pub(super) fn reconsider_all(&mut self) {
        self.changed.extend(self.cases.keys());
    }

    /// A case to decide anew.
    pub(super) fn next_changed(&mut self) -> Option<NodeId> {
        self.changed.pop_first()
    }

    /// Forgets what was said of incarnations below `incarnation`, or up to it if that one is gone.
    pub(super) fn close(&mut self, node: NodeId, incarnation: Incarnation, gone: bool) {
        let over = |case: &Case| {
            case.incarnation < incarnation || (gone && case.incarnation == incarnation)
        };
        if self.cases.get(&node).is_some_and(over) {
            self.cases.remove(&node);
        }
    }

    /// Drops votes not renewed within `span` and cases without votes.
    pub(super) fn expire(&mut self, now: Time, span: Duration) {
        self.voices.retain(|_, heard| now.since(*heard) <= span);
        self.cases.retain(|_, case| {
            case.votes.retain(|_, vote| now.since(vote.at) <= span);
            !case.votes.is_empty()
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.cases.is_empty()
    }

    pub(super) fn is_accused(&self, node: NodeId) -> bool {
        self.accuser_count(node) > 0
    }

    /// Whether so many have said that they hear the member that the votes against it are not 5/8 of those who spoke.
    pub(super) fn contradict(&self, down: &Record, votes: &[NodeId]) -> bool {
        let Some(case) = self.cases.get(&down.node) else { return false };
        let hears = |(observer, vote): &(&NodeId, &Vote)| !vote.on && !votes.contains(observer);
        let hearing = case.votes.iter().filter(hears).count();
        case.incarnation == down.incarnation && votes.len() * 8 < (votes.len() + hearing) * 5
    }

    fn accuser_count(&self, node: NodeId) -> usize {
        self.cases.get(&node).map_or(0, |case| case.accusers().count())
    }

    /// Whether `observer` is accused by so many that its silence says nothing, and has said nothing itself.
    fn is_silenced(&self, observer: NodeId, view: &View) -> bool {
        let accusers = self.accuser_count(observer);
        if accusers == 0 || self.voices.contains_key(&observer) {
            return false;
        }
        accusers >= (view.neighbours(observer).len() * 3).div_ceil(8).max(1)
    }

    /// Who has voted `accused` down, if that is enough. `elder` is who stood on the rings a window ago.
    pub(super) fn verdict(
        &self,
        accused: NodeId,
        view: &View,
        elder: &Rings,
        now: Time,
        config: &Config,
    ) -> Option<Vec<NodeId>> {
        let case = self.cases.get(&accused)?;
        let record = view.get(accused)?;
        if record.incarnation != case.incarnation || !record.status.is_live() {
            return None;
        }
        let mutant = config.mutant;
        let (current, then) = (view.neighbours(accused), elder.neighbours(accused));
        let watching: BTreeSet<NodeId> = current.iter().chain(&then).copied().collect();
        let grown_up = |observer: &NodeId| current.contains(observer) && then.contains(observer);
        let was_asked = now.since(case.opened) >= config.alert_after;
        let is_mute = |observer: &NodeId| was_asked && !case.votes.contains_key(observer);
        let voted = |observer: &NodeId| case.votes.get(observer).is_some_and(|vote| vote.on);
        let able = |observer: &NodeId| match mutant {
            Mutant::QuorumOverAllObservers => true,
            Mutant::NoImplicitAlerts => view.is_live(*observer),
            _ => {
                view.is_live(*observer) && !self.is_silenced(*observer, view) && !is_mute(observer)
            }
        };
        let electors: Vec<NodeId> =
            watching.into_iter().filter(|node| *node != accused && able(node)).collect();
        let votes: Vec<NodeId> = electors.iter().copied().filter(voted).collect();
        let whole = if mutant == Mutant::QuorumOverAllObservers {
            then.len().max(current.len())
        } else {
            electors.iter().filter(|node| voted(node) || grown_up(node)).count()
        };
        let could_vote =
            electors.iter().filter(|node| voted(node) || current.contains(node)).count();
        let needed = if mutant == Mutant::OneObserverDecides {
            1
        } else {
            (whole * 5).div_ceil(8).max(could_vote.min(2)).max(1)
        };
        (votes.len() >= needed).then(|| votes.into_iter().take(VOTES_MAX).collect())
    }
}

#[cfg(test)]
mod tests;
