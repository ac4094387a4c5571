//! The side that has tasks: who waits, who is asked, and who gets the room that is found.
//!
//! A question per task, each waiting for its own answer, asks a thousand times when a thousand like tasks come.
//! So tasks of one shape (same demand, same function) queue together; for each a node is asked, and the
//! first room that is granted goes to the task that has waited longest. When a task ends its room goes to the
//! next of that shape, without a word.
//!
//! Invariants, over random histories: every task is pushed at most once at a time; a task is never forgotten; every room
//! that was granted carries a task or is given back; questions outstanding never exceed tasks waiting.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::id::NodeId;
use crate::time::Time;

use super::GrantId;

/// How many nodes a task asks before it waits where it is.
pub const HOPS_MAX: usize = 3;
/// How long an answer is awaited: 200 ms.
pub const ANSWER_WITHIN: Duration = Duration::from_millis(200);
/// How long room without a task is kept for the next: 50 ms.
pub const IDLE_LEASE: Duration = Duration::from_millis(50);

/// What the driver is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output<S, K> {
    /// Ask the node for room for one task of this shape.
    Reserve {
        /// Whom.
        to: NodeId,
        /// The name of the reservation.
        id: GrantId,
        /// For what.
        shape: S,
    },
    /// Send the task; it is bound to this reservation on arrival.
    Push {
        /// Where to.
        to: NodeId,
        /// The reservation.
        id: GrantId,
        /// Which task.
        task: K,
    },
    /// Give the room back.
    Release {
        /// Where.
        to: NodeId,
        /// The reservation.
        id: GrantId,
    },
    /// Nobody had room: the task waits here, and this node advertises its queue. It may be stolen.
    QueueHere {
        /// Which task.
        task: K,
    },
}

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
    Running { task: K },
    Idle { until: Time },
}

#[derive(Clone, Debug)]
struct Held<S, K> {
    at: NodeId,
    shape: S,
    lease: Lease<K>,
}

/// The tasks of one node that look for room elsewhere. `S` is a shape, `K` names a task.
#[derive(Debug)]
pub struct Spill<S, K> {
    node: NodeId,
    next_number: u64,
    /// Oldest first; each with a question outstanding.
    waiting: BTreeMap<S, VecDeque<Waiting<K>>>,
    held: BTreeMap<u64, Held<S, K>>,
}

impl<S: Clone + Ord, K: Clone + Ord> Spill<S, K> {
    /// Nothing waits.
    #[must_use]
    pub const fn new(node: NodeId) -> Self {
        Self { node, next_number: 0, waiting: BTreeMap::new(), held: BTreeMap::new() }
    }

    /// A task looks for room: at these nodes, best first, of which at most [`HOPS_MAX`] are asked.
    /// Room that is held without a task is used at once.
    pub fn submit(
        &mut self,
        now: Time,
        task: K,
        shape: S,
        candidates: &[NodeId],
        out: &mut Vec<Output<S, K>>,
    ) {
        let idle = self
            .held
            .iter_mut()
            .find(|(_, held)| held.shape == shape && matches!(held.lease, Lease::Idle { .. }));
        if let Some((&number, held)) = idle {
            held.lease = Lease::Running { task: task.clone() };
            out.push(Output::Push { to: held.at, id: self.id(number), task });
            return;
        }
        let candidates = candidates.iter().copied().take(HOPS_MAX).collect();
        let waiting = Waiting { task, candidates, hops: 0 };
        self.ask_next(now, shape, waiting, out);
    }

    /// The node has room under this name.
    pub fn granted(&mut self, now: Time, id: GrantId, out: &mut Vec<Output<S, K>>) {
        let held = self.held.get(&id.number).map(|held| (held.at, held.lease.clone()));
        match held {
            Some((_, Lease::Asked { .. })) => self.give_to_next(now, id.number, out),
            // Granted again: a doubled answer.
            Some((_, Lease::Running { .. } | Lease::Idle { .. })) | None => {}
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
        candidates: &[NodeId],
        out: &mut Vec<Output<S, K>>,
    ) {
        let is_running = self
            .held
            .get(&id.number)
            .is_some_and(|held| matches!(held.lease, Lease::Running { .. }));
        if is_running
            && let Some(Held { shape, lease: Lease::Running { task }, .. }) =
                self.held.remove(&id.number)
        {
            let candidates = candidates.iter().copied().take(HOPS_MAX).collect();
            self.ask_next(now, shape, Waiting { task, candidates, hops: 0 }, out);
        }
    }

    /// The task of this reservation has ended: its room goes to the next of its shape.
    pub fn ended(&mut self, now: Time, id: GrantId, out: &mut Vec<Output<S, K>>) {
        let held = self.held.get(&id.number);
        if held.is_some_and(|held| matches!(held.lease, Lease::Running { .. })) {
            self.give_to_next(now, id.number, out);
        }
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
            match held.lease {
                Lease::Asked { .. } => self.question_failed(now, held.shape, node, out),
                Lease::Running { task } => ran.push(task),
                Lease::Idle { .. } => {}
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
        self.held.insert(number, Held { at: to, shape: shape.clone(), lease });
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

    /// Room is there: for the task that has waited longest, or idle for a moment.
    fn give_to_next(&mut self, now: Time, number: u64, out: &mut Vec<Output<S, K>>) {
        let id = self.id(number);
        let Some(held) = self.held.get_mut(&number) else {
            return;
        };
        let next = self.waiting.get_mut(&held.shape).and_then(VecDeque::pop_front);
        if self.waiting.get(&held.shape).is_some_and(VecDeque::is_empty) {
            self.waiting.remove(&held.shape);
        }
        match next {
            Some(Waiting { task, .. }) => {
                held.lease = Lease::Running { task: task.clone() };
                out.push(Output::Push { to: held.at, id, task });
            }
            None => held.lease = Lease::Idle { until: now + IDLE_LEASE },
        }
    }
}

impl<K> Lease<K> {
    const fn until(&self) -> Option<Time> {
        match self {
            Self::Asked { until } | Self::Idle { until } => Some(*until),
            Self::Running { .. } => None,
        }
    }
}
