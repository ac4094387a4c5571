//! Ending a task from outside: cancelled, out of time, or without an input.
//!
//! What that means depends on where the task stands. One that does not run is over at once. One that runs
//! has its results failed at once, and its body ends when it can: a future at its await, a plain function
//! when it looks at its token, or not before its end.

use std::sync::Arc;

use mobula_store::{Canceller, TaskError};

use super::{OneShot, Phase};

impl OneShot {
    /// Cancels this task, and those it submitted if `recursive`; `false` if it was over.
    pub(crate) fn cancel(&self, recursive: bool) -> bool {
        self.stop(recursive, || TaskError::Cancelled { task: self.label() })
    }

    /// Ends this task and its children: the placement group that it was to run in is not there, for this reason.
    pub(crate) fn lose_group(&self, why: &str) {
        self.stop(true, || TaskError::GroupGone { task: self.label(), text: why.into() });
    }

    /// Ends this task with an error, wherever it stands, and its children as cancelled.
    pub(crate) fn stop(&self, recursive: bool, error: impl FnOnce() -> TaskError) -> bool {
        if self.phase() == Phase::Done {
            return false;
        }
        // The verdict first: a body that looks at its token all the time could else return a result before it falls.
        let was_alive = self.stop_alone(error);
        if !was_alive && self.phase() == Phase::Done {
            return false;
        }
        let mut children = self.tree.cancel(recursive);
        // A list instead of recursion: nesting may be deeper than the stack.
        while let Some(child) = children.pop() {
            if child.phase() == Phase::Done {
                continue;
            }
            child.stop_alone(|| TaskError::Cancelled { task: child.label() });
            children.extend(child.tree.cancel(true));
        }
        was_alive
    }

    fn stop_alone(&self, error: impl FnOnce() -> TaskError) -> bool {
        loop {
            let phase = self.phase();
            match phase {
                Phase::Waiting | Phase::Queued | Phase::BackingOff => {
                    if self.advance(phase, Phase::Done) {
                        Arc::clone(&self.host).forget_unstarted(
                            self,
                            phase == Phase::Queued,
                            &error(),
                        );
                        return true;
                    }
                }
                Phase::Running => {
                    let mut verdict = self.verdict.lock();
                    if self.advance(Phase::Running, Phase::Abandoned) {
                        let error = error();
                        *verdict = Some(Box::new(error.clone()));
                        drop(verdict);
                        self.fail_outputs(&error);
                        self.driver.wake();
                        return true;
                    }
                }
                Phase::Abandoned | Phase::Done => return false,
            }
        }
    }

    /// What an abandoned task was ended with.
    pub(crate) fn verdict(&self) -> Option<TaskError> {
        self.verdict.lock().as_deref().cloned()
    }

    /// Fails the results of an abandoned task, unless whoever abandoned it was faster.
    pub(crate) fn fail_abandoned(&self) {
        let verdict = self.verdict.lock().take();
        if let Some(error) = verdict {
            self.fail_outputs(&error);
        }
    }
}

impl Canceller for OneShot {
    fn cancel(&self, recursive: bool) -> bool {
        Self::cancel(self, recursive)
    }
}
