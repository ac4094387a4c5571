//! Was everything kept that was promised? Judged afterwards, from what the nodes said.
//!
//! A test that asks the survivors for a sum finds that something is wrong, not what; and it misses two faults that make
//! up for each other. So every message, monitor and wait has a number of its own, senders say what they were told,
//! receivers what they did, and the two are laid beside each other.
//!
//! What must hold, whatever broke:
//!
//! - what was acknowledged was handled, once, and the acknowledgement says the right thing;
//! - what was not delivered was not handled; what has an unknown outcome was handled once or not at all;
//! - messages of one stream were handled in the order in which they were sent, none twice;
//! - while a stream's monitor is silent, nothing of the stream is lost, tells included;
//! - a monitor fires once; every wait ends; a value is the right one; a task runs no more often than it may;
//! - afterwards all that live agree who lives, and nothing of the work is left over anywhere.
//!
//! A node that was killed owes nothing any more; what it said before it was killed counts.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::event::{End, Event, Outcome, Place, Wait};
use crate::verdict::{Counts, Verdict, Violation};

/// How a node's process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It lived to the end and left when told.
    Stayed,
    /// It was killed on purpose.
    Killed,
    /// It ended, or was not able to end, against all orders.
    Fell { how: String },
}

/// All that was said, and how everybody ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// In any order between nodes, in theirs within one.
    pub(crate) events: Vec<(Place, Event)>,
    pub(crate) fates: BTreeMap<Place, Fate>,
}

/// Judges a run.
#[must_use]
pub(crate) fn check(history: &History) -> Verdict {
    let mut ledger = Books::default();
    for (place, event) in &history.events {
        ledger.enter(*place, event);
    }
    ledger.judge(history)
}

#[derive(Default)]
struct Books {
    streams: BTreeMap<u64, Stream>,
    watches: BTreeMap<u64, Watch>,
    waits: BTreeMap<u64, Pending>,
    runs: HashMap<u64, u64>,
    names: BTreeMap<Place, u64>,
    views: BTreeMap<Place, Vec<(u64, String)>>,
    left_over: BTreeMap<Place, (usize, usize, usize)>,
    counts: Counts,
    violations: Vec<Violation>,
}

#[derive(Default)]
struct Stream {
    sent: BTreeMap<u64, Message>,
    effects: Vec<(Place, u64)>,
    /// Its monitor fired before it was closed.
    is_broken: bool,
    closed: Option<u64>,
}

struct Message {
    by: Place,
    operation: u64,
    outcome: Option<Outcome>,
}

struct Watch {
    by: Place,
    stream: u64,
    fired: u64,
}

struct Pending {
    by: Place,
    what: Wait,
    end: Option<End>,
}

impl Books {
    fn enter(&mut self, place: Place, event: &Event) {
        match event {
            Event::Ready { node, .. } => drop(self.names.insert(place, *node)),
            Event::View { rows } => drop(self.views.insert(place, rows.clone())),
            Event::Census { objects, tasks, actors } => {
                self.left_over.insert(place, (*objects, *tasks, *actors));
            }
            Event::Sent { stream, seq, operation } => {
                let message = Message { by: place, operation: *operation, outcome: None };
                let known = self.stream(*stream).sent.insert(*seq, message);
                debug_assert!(known.is_none(), "numbers are given once");
            }
            Event::Outcome { stream, seq, outcome } => {
                self.counts.count(outcome);
                if let Some(message) = self.stream(*stream).sent.get_mut(seq) {
                    message.outcome = Some(outcome.clone());
                }
            }
            Event::Effect { stream, seq } => {
                self.counts.effects += 1;
                self.stream(*stream).effects.push((place, *seq));
            }
            Event::Closed { stream, count } => {
                self.counts.streams_closed += 1;
                self.stream(*stream).closed = Some(*count);
            }
            Event::Watched { watch, stream } => {
                let entry = Watch { by: place, stream: *stream, fired: 0 };
                self.watches.insert(*watch, entry);
            }
            Event::Fired { watch, .. } => {
                self.counts.monitors_fired += 1;
                if let Some(entry) = self.watches.get_mut(watch) {
                    entry.fired += 1;
                    let stream = self.streams.entry(entry.stream).or_default();
                    stream.is_broken |= stream.closed.is_none();
                }
            }
            Event::Begun { wait, what } => {
                let pending = Pending { by: place, what: what.clone(), end: None };
                self.waits.insert(*wait, pending);
            }
            Event::Ended { wait, end } => {
                if let Some(pending) = self.waits.get_mut(wait) {
                    self.counts.count_end(&pending.what, end);
                    pending.end = Some(end.clone());
                }
            }
            Event::Ran { task } => *self.runs.entry(*task).or_default() += 1,
            Event::Opened { .. } => self.counts.streams_opened += 1,
            Event::Failed { .. }
            | Event::Joined { .. }
            | Event::Seen { .. }
            | Event::Gone { .. }
            | Event::Tasked { .. }
            | Event::Drained => {}
        }
    }

    fn stream(&mut self, number: u64) -> &mut Stream {
        self.streams.entry(number).or_default()
    }

    fn judge(mut self, history: &History) -> Verdict {
        for (place, fate) in &history.fates {
            if let Fate::Fell { how } = fate {
                self.violations.push(Violation::Fell { place: *place, how: how.clone() });
            }
        }
        let owes = |place: Place| history.fates.get(&place) != Some(&Fate::Killed);
        for (number, stream) in &self.streams {
            self.violations.extend(stream.judge(*number, &owes));
        }
        self.operations();
        for (number, watch) in &self.watches {
            let (watch, watcher, times) = (*number, watch.by, watch.fired);
            if times > 1 || (times == 0 && owes(watcher)) {
                self.violations.push(Violation::Fired { watch, watcher, times });
            }
        }
        for (number, pending) in &self.waits {
            if let Some(violation) = pending.judge(*number, &self.runs, &owes) {
                self.violations.push(violation);
            }
        }
        self.survivors(history);
        Verdict { violations: self.violations, counts: self.counts }
    }

    /// An operation is sent again only when its message was not delivered: it takes effect once, or as often as
    /// somebody was told that the outcome is unknown.
    fn operations(&mut self) {
        let mut operations: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        for stream in self.streams.values() {
            let done: HashSet<u64> = stream.effects.iter().map(|(_, seq)| *seq).collect();
            for (seq, message) in &stream.sent {
                let (effects, unknown) = operations.entry(message.operation).or_default();
                *effects += u64::from(done.contains(seq));
                *unknown += u64::from(matches!(message.outcome, Some(Outcome::Unknown { .. })));
            }
        }
        for (operation, (effects, unknown)) in operations {
            if effects > 1 + unknown {
                self.violations.push(Violation::Repeated { operation, effects, unknown });
            }
        }
    }

    fn survivors(&mut self, history: &History) {
        let stayed = |place: &Place| history.fates.get(place) == Some(&Fate::Stayed);
        let living: HashSet<u64> =
            self.names.iter().filter(|(place, _)| stayed(place)).map(|(_, node)| *node).collect();
        // Of one that fell, everybody knows.
        let killed: HashSet<u64> = self
            .names
            .iter()
            .filter(|(place, _)| history.fates.get(place) == Some(&Fate::Killed))
            .map(|(_, node)| *node)
            .collect();
        for place in history.fates.keys().filter(|place| stayed(place)) {
            let rows = self.views.get(place).map(Vec::as_slice).unwrap_or_default();
            let alive: HashSet<u64> = rows
                .iter()
                .filter(|(_, status)| status == "alive")
                .map(|(node, _)| *node)
                .collect();
            let missing = living.difference(&alive).count();
            let ghosts = alive.difference(&living).filter(|node| killed.contains(node)).count();
            if missing + ghosts > 0 {
                self.violations.push(Violation::Diverged { place: *place, missing, ghosts });
            }
            let (objects, tasks, actors) = self.left_over.get(place).copied().unwrap_or_default();
            if objects + tasks + actors > 0 {
                self.violations.push(Violation::LeftOver { place: *place, objects, tasks, actors });
            }
        }
    }
}

impl Stream {
    fn judge(&self, stream: u64, owes: &dyn Fn(Place) -> bool) -> Vec<Violation> {
        let mut violations = Vec::new();
        let mut position: HashMap<u64, u64> = HashMap::new();
        let mut newest = None;
        for (index, (place, seq)) in self.effects.iter().enumerate() {
            let seq = *seq;
            if !self.sent.contains_key(&seq) {
                violations.push(Violation::Invented { stream, seq });
            }
            if *place != self.effects[0].0 {
                violations
                    .push(Violation::TwoPlaces { stream, places: (self.effects[0].0, *place) });
            }
            if position.insert(seq, index as u64 + 1).is_some() {
                violations.push(Violation::Duplicated { stream, seq });
            } else if newest.is_some_and(|newest| seq < newest) {
                violations.push(Violation::OutOfOrder { stream, seq, after: newest.unwrap_or(0) });
            }
            newest = newest.max(Some(seq));
        }
        for (seq, message) in &self.sent {
            let (seq, handled) = (*seq, position.get(&seq.clone()).copied());
            match (&message.outcome, handled) {
                (None, _) if owes(message.by) => {
                    violations.push(Violation::NoOutcome { stream, seq, sender: message.by });
                }
                (Some(Outcome::Acked { .. }), None) => {
                    violations.push(Violation::Lost { stream, seq });
                }
                (Some(Outcome::Acked { count }), Some(handled)) if *count != handled => {
                    violations.push(Violation::Misnumbered { stream, seq, told: *count, handled });
                }
                (Some(Outcome::NotDelivered { why }), Some(_)) => {
                    violations.push(Violation::Delivered { stream, seq, why: why.clone() });
                }
                (Some(Outcome::Refused { why }), _) => {
                    violations.push(Violation::Refused { stream, seq, why: why.clone() });
                }
                (Some(Outcome::Taken), None) if self.closed.is_some() && !self.is_broken => {
                    violations.push(Violation::Gap { stream, seq });
                }
                _ => {}
            }
        }
        match self.closed {
            Some(count) if count != self.effects.len() as u64 => {
                violations.push(Violation::Miscounted {
                    stream,
                    told: count,
                    handled: self.effects.len() as u64,
                });
            }
            Some(_) | None => {}
        }
        violations
    }
}

impl Pending {
    fn judge(
        &self,
        wait: u64,
        runs: &HashMap<u64, u64>,
        owes: &dyn Fn(Place) -> bool,
    ) -> Option<Violation> {
        let (place, what) = (self.by, self.what.clone());
        match &self.end {
            None if owes(place) => return Some(Violation::NeverEnded { wait, place, what }),
            Some(End::Value { is_right: false }) => {
                return Some(Violation::WrongValue { wait, place, what });
            }
            None | Some(End::Value { .. } | End::Error { .. }) => {}
        }
        let Wait::Tasks { first, count, runs_max } = self.what else { return None };
        let has_value = matches!(self.end, Some(End::Value { .. }));
        (first..first + count).find_map(|task| {
            let runs = runs.get(&task).copied().unwrap_or(0);
            let is_wrong = runs > runs_max || (has_value && runs == 0);
            is_wrong.then_some(Violation::Runs { task, runs, runs_max })
        })
    }
}

#[cfg(test)]
mod tests;
