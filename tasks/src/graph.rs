//! Which objects a task still waits for.
//!
//! A map from objects to waiting tasks under one lock would serialise every submission with every
//! completion in the node. The edges are kept where they are used instead: each object tells its
//! listeners when it is there, and each task keeps the short list of what it still misses.
//!
//! An object may arrive while the task is still registering with the next one, so a task is complete
//! only once it is *armed*: nothing is reported before all registrations are done.
//!
//! Invariant: [`Progress::Complete`] or [`Progress::Failed`] is reported at most once per task.
//!
//! Pure: no clock, no I/O, no tasks.

use std::fmt::Write as _;

/// What a change did to a waiting task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Progress {
    /// Still missing something, or already reported.
    Waiting,
    /// All inputs are there; the task may be queued.
    Complete,
    /// An input failed; the task will never run. Reported at the first failure, without waiting for
    /// the others.
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Registering,
    Armed,
    Reported,
}

/// The inputs of one task that are not there yet; `K` names an object.
#[derive(Debug)]
pub(crate) struct OpenInputs<K> {
    missing: Vec<K>,
    stage: Stage,
    has_failed: bool,
}

impl<K: PartialEq + std::fmt::Display> OpenInputs<K> {
    /// Nothing is missing yet, nothing is reported yet.
    pub(crate) const fn new() -> Self {
        Self { missing: Vec::new(), stage: Stage::Registering, has_failed: false }
    }

    /// One more object is needed; the same one may be needed several times.
    pub(crate) fn add(&mut self, object: K) {
        self.missing.push(object);
    }

    /// One needed object arrived, or failed.
    pub(crate) fn arrived(&mut self, object: &K, failed: bool) -> Progress {
        if let Some(at) = self.missing.iter().position(|missing| missing == object) {
            self.missing.swap_remove(at);
        }
        self.has_failed |= failed;
        self.report()
    }

    /// All inputs have been added.
    pub(crate) fn arm(&mut self) -> Progress {
        if self.stage == Stage::Registering {
            self.stage = Stage::Armed;
        }
        self.report()
    }

    /// What is missing, as text: `o12 and o15`; the first few of many.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for (at, object) in self.missing.iter().take(3).enumerate() {
            let joint = if at == 0 { "" } else { " and " };
            // Writing to a String cannot fail.
            let _ = write!(text, "{joint}{object}");
        }
        if self.missing.len() > 3 {
            let _ = write!(text, " and {} more", self.missing.len() - 3);
        }
        text
    }

    fn report(&mut self) -> Progress {
        let outcome = if self.has_failed {
            Progress::Failed
        } else if self.missing.is_empty() {
            Progress::Complete
        } else {
            return Progress::Waiting;
        };
        match self.stage {
            Stage::Registering | Stage::Reported => Progress::Waiting,
            Stage::Armed => {
                self.stage = Stage::Reported;
                outcome
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complete_is_said_once_and_only_after_arming() {
        let mut inputs = OpenInputs::new();
        inputs.add("o1");
        inputs.add("o2");
        assert_eq!(inputs.arrived(&"o1", false), Progress::Waiting);
        assert_eq!(inputs.arm(), Progress::Waiting);
        assert_eq!(inputs.text(), "o2");
        assert_eq!(inputs.arrived(&"o2", false), Progress::Complete);
        assert_eq!(inputs.arrived(&"o2", false), Progress::Waiting);
    }

    #[test]
    fn arrivals_before_arming_are_not_lost() {
        let mut inputs = OpenInputs::new();
        inputs.add("o1");
        assert_eq!(inputs.arrived(&"o1", false), Progress::Waiting);
        assert_eq!(inputs.arm(), Progress::Complete);
    }

    #[test]
    fn the_first_failure_is_reported_without_waiting_for_the_rest() {
        let mut inputs = OpenInputs::new();
        for object in ["o1", "o1", "o2", "o3", "o4"] {
            inputs.add(object);
        }
        assert_eq!(inputs.text(), "o1 and o1 and o2 and 2 more");
        assert_eq!(inputs.arm(), Progress::Waiting);
        assert_eq!(inputs.arrived(&"o3", true), Progress::Failed);
        assert_eq!(inputs.arrived(&"o1", false), Progress::Waiting);
    }
}
