//! Tasks that are over: how each ended, for a bounded while.
//!
//! A task that is over is struck off the directory, and with it goes the answer to "why did that fail, an hour
//! ago, in somebody else's program?". To keep all would be a leak; to keep the newest lets a flood of tasks that went
//! well wash away the one that failed. So there are two rings, and each forgets only its own oldest.
//!
//! Invariant: at most [`FINISHED_MAX`] and [`FAILED_MAX`] are remembered; the counts are of all there ever were.
//!
//! Pure: no clock, no I/O, no tasks.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use mobula_actor_core::{ActorId, NodeId};

/// How many that went well are remembered.
pub(crate) const FINISHED_MAX: usize = 4096;
/// How many that did not.
pub(crate) const FAILED_MAX: usize = 1024;

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It has a result.
    Finished,
    /// It has none: its body failed, an input did, or its node was lost.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
}

impl Outcome {
    /// The word for listings.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A task that is over.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EndedTask {
    /// Its id while it lived.
    pub id: ActorId,
    /// Its function's path.
    pub function: &'static str,
    /// The name it was given, if any.
    pub name: Option<Arc<str>>,
    /// How it ended.
    pub outcome: Outcome,
    /// What went wrong, with the causes; `None` if nothing did.
    pub error: Option<Arc<str>>,
    /// How many attempts were begun; 0 if it never ran.
    pub attempts: u32,
    /// When its last attempt began, since the node's start; `None` if it never ran.
    pub began: Option<Duration>,
    /// When it was over, since the node's start.
    pub ended: Duration,
    /// The node its last attempt ran on, if it was another one.
    pub ran_on: Option<NodeId>,
}

/// How many tasks are over, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndedCounts {
    /// Those with a result.
    pub finished: u64,
    /// Those without.
    pub failed: u64,
    /// Those that were cancelled.
    pub cancelled: u64,
}

/// The tasks of one node that are over.
#[derive(Debug, Default)]
pub(crate) struct History {
    finished: VecDeque<EndedTask>,
    failed: VecDeque<EndedTask>,
    counts: EndedCounts,
}

impl History {
    /// Takes a task in; gives the one that is forgotten for it.
    #[must_use = "what is forgotten should be dropped without a lock"]
    pub(crate) fn push(&mut self, task: EndedTask) -> Option<EndedTask> {
        let (ring, max, count) = match task.outcome {
            Outcome::Finished => (&mut self.finished, FINISHED_MAX, &mut self.counts.finished),
            Outcome::Failed => (&mut self.failed, FAILED_MAX, &mut self.counts.failed),
            Outcome::Cancelled => (&mut self.failed, FAILED_MAX, &mut self.counts.cancelled),
        };
        *count += 1;
        let forgotten = if ring.len() >= max { ring.pop_front() } else { None };
        ring.push_back(task);
        forgotten
    }

    /// All that are remembered, in the order of their ends.
    pub(crate) fn list(&self) -> Vec<EndedTask> {
        let mut all: Vec<EndedTask> = self.finished.iter().chain(&self.failed).cloned().collect();
        all.sort_by_key(|task| task.ended);
        all
    }

    /// One of them.
    pub(crate) fn find(&self, id: ActorId) -> Option<EndedTask> {
        self.failed.iter().chain(&self.finished).rev().find(|task| task.id == id).cloned()
    }

    pub(crate) const fn counts(&self) -> EndedCounts {
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(number: u64, outcome: Outcome) -> EndedTask {
        EndedTask {
            id: ActorId::from_u64(number).unwrap(),
            function: "crate::work",
            name: None,
            outcome,
            error: (outcome != Outcome::Finished).then(|| "why".into()),
            attempts: 1,
            began: Some(Duration::from_micros(number)),
            ended: Duration::from_micros(number + 1),
            ran_on: None,
        }
    }

    #[test]
    fn a_flood_of_successes_forgets_successes_only_and_counts_all() {
        let mut history = History::default();
        assert!(history.push(task(1, Outcome::Failed)).is_none());
        let flood = 2..=FINISHED_MAX as u64 + 11;
        let forgotten: Vec<u64> = flood
            .filter_map(|number| history.push(task(number, Outcome::Finished)))
            .map(|task| task.id.as_u64())
            .collect();
        assert_eq!(forgotten, (2..12).collect::<Vec<_>>());
        assert_eq!(history.counts().finished, FINISHED_MAX as u64 + 10);
        assert_eq!(history.list().len(), FINISHED_MAX + 1);
        assert_eq!(history.find(ActorId::from_u64(1).unwrap()).unwrap().outcome, Outcome::Failed);
        assert!(history.find(ActorId::from_u64(2).unwrap()).is_none());
    }

    #[test]
    fn failures_and_cancellations_share_a_bound_and_are_listed_by_their_ends() {
        let mut history = History::default();
        for number in 1..=FAILED_MAX as u64 {
            assert!(history.push(task(number, Outcome::Failed)).is_none());
        }
        let forgotten = history.push(task(9000, Outcome::Cancelled)).unwrap();
        assert_eq!(forgotten.id.as_u64(), 1);
        assert!(history.push(task(8000, Outcome::Finished)).is_none());
        let last: Vec<u64> =
            history.list().iter().rev().take(2).map(|task| task.id.as_u64()).collect();
        assert_eq!(last, [9000, 8000]);
        let counts = history.counts();
        assert_eq!((counts.failed, counts.cancelled), (FAILED_MAX as u64, 1));
    }
}
