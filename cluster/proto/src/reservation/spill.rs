//! The side that has tasks: who waits, who is asked, and who gets the room that is found.
//!
//! A question per task, each waiting for its own answer, asks a thousand times when a thousand like tasks come.
//! So tasks of one shape (same demand, same function) queue together; for each a node is asked, and the
//! first room that is granted goes to the task that has waited longest. When a task ends its room goes to the
//! next of that shape, without a word.
//! Small tasks would still pay a round trip each, for room stands empty while an answer travels. So as many tasks are
//! bound ahead to one lease as it is seen to finish in a moment: its *window* doubles while answers come at once, and
//! halves when they take long.
//!
//! Invariants, over random histories: every task is pushed at most once at a time; a task is never forgotten; every room
//! that was granted carries a task or is given back; questions outstanding never exceed tasks waiting; no lease carries
//! more than its window.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::id::NodeId;
use crate::time::Time;

use super::GrantId;

mod output;
mod window;

pub use output::Output;

use window::{WINDOW_FIRST, window};

/// How many nodes a task asks before it waits where it is.
pub const HOPS_MAX: usize = 3;
/// How long an answer is awaited: 200 ms.
pub const ANSWER_WITHIN: Duration = Duration::from_millis(200);
/// How long room without a task is kept for the next: 50 ms.
pub const IDLE_LEASE: Duration = Duration::from_millis(50);

#[derive(Clone, Debug)]
struct Waiting<K> {
    task: K,
    /// Whom it may still ask.
    candidates: VecDeque<NodeId>,
    hops: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Lease<K> {
    Asked { until: Time },
    Open { running: Vec<K>, idle_until: Option<Time>, is_closing: bool },
}

#[derive(Clone, Debug)]
struct Held<S, K> {
    at: NodeId,
    shape: S,
    lease: Lease<K>,
    window: usize,
}

/// The tasks of one node that look for room elsewhere. `S` is a shape, `K` names a task.
#[derive(Debug)]
pub struct Spill<S, K> {
    node: NodeId,
    window_max: usize,
    next_number: u64,
    /// Oldest first; each with a question outstanding.
    waiting: BTreeMap<S, VecDeque<Waiting<K>>>,
    held: BTreeMap<u64, Held<S, K>>,
    /// Leases that would carry another task.
    spare: BTreeMap<S, BTreeSet<u64>>,
}

impl<S: Clone + Ord, K: Clone + Ord> Spill<S, K> {
    /// Nothing waits. A lease carries one task at a time.
    #[must_use]
    pub const fn new(node: NodeId) -> Self {
        Self::with_window_max(node, 1)
    }

    /// Nothing waits. A lease carries up to `max` tasks, from 1, if they are small.
    #[must_use]
    pub const fn with_window_max(node: NodeId, max: usize) -> Self {
        Self {
            node,
            window_max: max,
            next_number: 0,
            waiting: BTreeMap::new(),
            held: BTreeMap::new(),
            spare: BTreeMap::new(),
        }
    }

    /// A task looks for room: at these nodes, best first, of which at most [`HOPS_MAX`] are asked.
    /// Room that is held and not filled is used at once.
    pub fn submit(
        &mut self,
        now: Time,
        task: K,
        shape: S,
        candidates: &[NodeId],
        out: &mut Vec<Output<S, K>>,
    ) {
        let candidates = candidates.iter().copied().take(HOPS_MAX).collect();
        let waiting = Waiting { task, candidates, hops: 0 };
        match self.spare.get(&shape).and_then(BTreeSet::first).copied() {
            Some(number) => {
                self.waiting.entry(shape).or_default().push_front(waiting);
                self.fill(now, number, out);
            }
            None => self.ask_next(now, shape, waiting, out),
        }
    }

    /// Whether a task of this shape would be pushed at once.
    #[must_use]
    pub fn has_spare(&self, shape: &S) -> bool {
        self.spare.contains_key(shape)
    }

    /// The node has room under this name.
    pub fn granted(&mut self, now: Time, id: GrantId, out: &mut Vec<Output<S, K>>) {
        // Granted again: a doubled answer.
        if let Some(held) = self.held.get_mut(&id.number)
            && matches!(held.lease, Lease::Asked { .. })
        {
            held.lease = Lease::Open { running: Vec::new(), idle_until: None, is_closing: false };
            self.fill(now, id.number, out);
        }
    }

    /// The node has no room, or has not answered, or did not keep it.
    pub fn refused(&mut self, now: Time, id: GrantId, out: &mut Vec<Output<S, K>>) {
        let is_asked =
            self.held.get(&id.number).is_some_and(|held| matches!(held.lease, Lease::Asked { .. }));
        if is_asked && let Some(held) = self.held.remove(&id.number) {
            self.question_failed(now, held.shape, held.at, out);
        }
    }

    /// The reservation had expired when the task arrived, or the node was lost: the task was not run and looks for
    /// room again, first in line. The driver calls this only when it is known that the task did not start.
    pub fn not_bound(
        &mut self,
        now: Time,
        id: GrantId,
        task: &K,
        candidates: &[NodeId],
        out: &mut Vec<Output<S, K>>,
    ) {
        let Some(held) = self.held.get_mut(&id.number) else { return };
        let (shape, Lease::Open { running, is_closing, .. }) =
            (held.shape.clone(), &mut held.lease)
        else {
            return;
        };
        let Some(index) = running.iter().position(|other| other == task) else { return };
        let task = running.swap_remove(index);
        *is_closing = true;
        self.fill(now, id.number, out);
        let candidates = candidates.iter().copied().take(HOPS_MAX).collect();
        self.ask_next(now, shape, Waiting { task, candidates, hops: 0 }, out);
    }

    /// A task of this lease has ended, `took` after it was pushed: its room goes to the next of its shape. Where the
    /// node says that it has work of its own waiting, the lease ends with what it carries.
    pub fn ended(
        &mut self,
        now: Time,
        (id, task): (GrantId, &K),
        (took, is_welcome): (Duration, bool),
        out: &mut Vec<Output<S, K>>,
    ) {
        let window_max = self.window_max;
        let Some(held) = self.held.get_mut(&id.number) else { return };
        let Lease::Open { running, is_closing, .. } = &mut held.lease else { return };
        let Some(index) = running.iter().position(|other| other == task) else { return };
        running.swap_remove(index);
        *is_closing |= !is_welcome;
        held.window = window(held.window, took).min(window_max);
        self.fill(now, id.number, out);
    }

    /// A task that waits for an answer was cancelled or can run here after all. `false` if it does not wait.
    pub fn withdraw(&mut self, task: &K) -> bool {
        for queue in self.waiting.values_mut() {
            if let Some(index) = queue.iter().position(|waiting| waiting.task == *task) {
                // Its question stays: what it brings goes to another, or back.
                queue.remove(index);
                return true;
            }
        }
        false
    }

    /// The node is down: the tasks that ran there, for the driver to retry or fail.
    pub fn node_down(&mut self, now: Time, node: NodeId, out: &mut Vec<Output<S, K>>) -> Vec<K> {
        let numbers: Vec<u64> =
            self.held.iter().filter(|(_, held)| held.at == node).map(|(&at, _)| at).collect();
        let mut ran = Vec::new();
        for number in numbers {
            let Some(held) = self.held.remove(&number) else {
                continue;
            };
            self.unmark(&held.shape, number);
            match held.lease {
                Lease::Asked { .. } => self.question_failed(now, held.shape, node, out),
                Lease::Open { running, .. } => ran.extend(running),
            }
        }
        ran
    }

    /// Does what is due: questions without an answer have failed, idle room is given back.
    pub fn tick(&mut self, now: Time, out: &mut Vec<Output<S, K>>) {
        let due: Vec<u64> = self
            .held
            .iter()
            .filter(|(_, held)| held.lease.until().is_some_and(|until| until <= now))
            .map(|(&number, _)| number)
            .collect();
        for number in due {
            let Some(held) = self.held.remove(&number) else {
                continue;
            };
            self.unmark(&held.shape, number);
            // Also after a question without an answer: the answer may be under way.
            out.push(Output::Release { to: held.at, id: self.id(number) });
            if matches!(held.lease, Lease::Asked { .. }) {
                self.question_failed(now, held.shape, held.at, out);
            }
        }
    }

    /// When [`Spill::tick`] is next worth calling.
    #[must_use]
    pub fn next_wake(&self) -> Option<Time> {
        self.held.values().filter_map(|held| held.lease.until()).min()
    }

    /// How many tasks wait for an answer.
    #[must_use]
    pub fn waiting_count(&self) -> usize {
        self.waiting.values().map(VecDeque::len).sum()
    }

    /// The numbers of all that is asked for or held at a node, to be listed there after an epoch has ended
    /// ([`super::grants::Grants::reconcile`]).
    #[must_use]
    pub fn held_at(&self, node: NodeId) -> BTreeSet<u64> {
        self.held.iter().filter(|(_, held)| held.at == node).map(|(&number, _)| number).collect()
    }

    /// How many tasks of one shape wait for an answer.
    #[must_use]
    pub fn waiting_for(&self, shape: &S) -> usize {
        self.waiting.get(shape).map_or(0, VecDeque::len)
    }

    /// What this reservation was made for, if it is asked for or held.
    #[must_use]
    pub fn shape_of(&self, id: GrantId) -> Option<&S> {
        self.held.get(&id.number).map(|held| &held.shape)
    }

    /// How many rooms are asked for or held.
    #[must_use]
    pub fn held_count(&self) -> usize {
        self.held.len()
    }

    const fn id(&self, number: u64) -> GrantId {
        GrantId { holder: self.node, number }
    }

    /// Asks the task's next candidate and lines it up; without one the task waits here.
    fn ask_next(
        &mut self,
        now: Time,
        shape: S,
        mut waiting: Waiting<K>,
        out: &mut Vec<Output<S, K>>,
    ) {
        let Some(to) = waiting.candidates.pop_front().filter(|_| waiting.hops < HOPS_MAX) else {
            out.push(Output::QueueHere { task: waiting.task });
            return;
        };
        waiting.hops += 1;
        let number = self.next_number;
        self.next_number += 1;
        let lease = Lease::Asked { until: now + ANSWER_WITHIN };
        let window = WINDOW_FIRST.min(self.window_max);
        self.held.insert(number, Held { at: to, shape: shape.clone(), lease, window });
        out.push(Output::Reserve { to, id: self.id(number), shape: shape.clone() });
        // Who has asked more often has waited longer.
        let queue = self.waiting.entry(shape).or_default();
        let place = queue.iter().position(|other| other.hops < waiting.hops);
        queue.insert(place.unwrap_or(queue.len()), waiting);
    }

    /// A question failed: whoever has waited longest asks the next of his, unless others' questions are enough.
    fn question_failed(&mut self, now: Time, shape: S, node: NodeId, out: &mut Vec<Output<S, K>>) {
        let asked = self
            .held
            .values()
            .filter(|held| held.shape == shape && matches!(held.lease, Lease::Asked { .. }))
            .count();
        let Some(queue) = self.waiting.get_mut(&shape) else {
            return;
        };
        if queue.len() > asked
            && let Some(mut waiting) = queue.pop_front()
        {
            waiting.candidates.retain(|&candidate| candidate != node);
            self.ask_next(now, shape.clone(), waiting, out);
        }
        if self.waiting.get(&shape).is_some_and(VecDeque::is_empty) {
            self.waiting.remove(&shape);
        }
    }

    /// Gives a lease as much as it carries: those that have waited longest. One that carries nothing is kept for a
    /// moment, or given back if it is over.
    fn fill(&mut self, now: Time, number: u64, out: &mut Vec<Output<S, K>>) {
        let id = self.id(number);
        let Some(held) = self.held.get_mut(&number) else { return };
        let (at, shape) = (held.at, held.shape.clone());
        let Lease::Open { running, idle_until, is_closing } = &mut held.lease else { return };
        if let Some(queue) = self.waiting.get_mut(&shape)
            && !*is_closing
        {
            while running.len() < held.window
                && let Some(Waiting { task, .. }) = queue.pop_front()
            {
                running.push(task.clone());
                out.push(Output::Push { to: at, id, shape: shape.clone(), task });
            }
            if queue.is_empty() {
                self.waiting.remove(&shape);
            }
        }
        *idle_until = running.is_empty().then(|| now + IDLE_LEASE);
        let has_spare = !*is_closing && running.len() < held.window;
        if *is_closing && running.is_empty() {
            self.held.remove(&number);
            out.push(Output::Release { to: at, id });
        }
        if has_spare {
            self.spare.entry(shape).or_default().insert(number);
        } else {
            self.unmark(&shape, number);
        }
    }

    fn unmark(&mut self, shape: &S, number: u64) {
        if let Some(numbers) = self.spare.get_mut(shape) {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.spare.remove(shape);
            }
        }
    }
}

impl<K> Lease<K> {
    const fn until(&self) -> Option<Time> {
        match self {
            Self::Asked { until } => Some(*until),
            Self::Open { idle_until, .. } => *idle_until,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    #[test]
    fn a_window_widens_for_small_tasks_and_narrows_for_large_ones() {
        let mut spill = Spill::with_window_max(NodeId(1), 8);
        let mut out = Vec::new();
        for task in 0..40_u64 {
            spill.submit(Time(0), task, (), &[NodeId(2)], &mut out);
        }
        let id = GrantId { holder: NodeId(1), number: 0 };
        out.clear();
        spill.granted(Time(0), id, &mut out);
        let pushed = |out: &mut Vec<Output<(), u64>>| {
            let pushes: Vec<u64> = out
                .drain(..)
                .filter_map(|output| match output {
                    Output::Push { task, .. } => Some(task),
                    _ => None,
                })
                .collect();
            pushes
        };
        assert_eq!(pushed(&mut out), [0]);
        spill.ended(Time(1), (id, &0), (MILLI, true), &mut out);
        assert_eq!(pushed(&mut out), [1, 2]);
        spill.ended(Time(1), (id, &1), (MILLI, true), &mut out);
        assert_eq!(pushed(&mut out), [3, 4, 5]);
        spill.ended(Time(1), (id, &2), (MILLI, true), &mut out);
        assert_eq!(pushed(&mut out), [6, 7, 8, 9, 10]);
        spill.ended(Time(1), (id, &3), (MILLI * 100, true), &mut out);
        assert_eq!(pushed(&mut out), [0; 0], "four at a time now");
        // Its node has work of its own: the lease runs out and is given back.
        for task in 4..=10 {
            spill.ended(Time(1), (id, &task), (MILLI, false), &mut out);
        }
        assert!(out.contains(&Output::Release { to: NodeId(2), id }), "{out:?}");
        assert!(!out.iter().any(|output| matches!(output, Output::Push { .. })), "{out:?}");
    }
}
