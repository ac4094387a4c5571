//! The small steps decisions are made of: change one row, name one action.
//!
//! Kept apart from the decisions so that those read as rules. Invariant: a child's state and the
//! actions about it change together, here and nowhere else.
//!
//! Pure: no clock, no I/O, no tasks.

use super::{
    Core,
    event::{Action, Incident, RequestId, TimerToken},
    work::Work,
};
use crate::{
    children::{Child, ChildKey, ChildState, WorkId},
    error::Refusal,
    shutdown::Shutdown,
};

impl Core {
    /// The child, if the event speaks of its present life.
    pub(super) fn current(&mut self, key: ChildKey, generation: u64) -> Option<&mut Child> {
        self.children.get_mut(key).filter(|child| child.generation == generation)
    }

    pub(super) fn is_alive(&self, key: ChildKey) -> bool {
        self.children.get(key).is_some_and(|child| child.state.is_alive())
    }

    pub(super) fn is_waiting(&self, key: ChildKey) -> bool {
        self.children.get(key).is_some_and(|child| child.state == ChildState::Waiting)
    }

    pub(super) fn set_state(&mut self, key: ChildKey, state: ChildState) {
        if let Some(child) = self.children.get_mut(key) {
            child.state = state;
        }
    }

    /// Orders the next life of a child.
    pub(super) fn start(&mut self, key: ChildKey) {
        if let Some(child) = self.children.get_mut(key) {
            child.state = ChildState::Starting;
            child.generation += 1;
            let generation = child.generation;
            self.actions.push(Action::StartChild { child: key, generation });
        }
    }

    /// Tells a living child to stop, once.
    pub(super) fn stop(&mut self, key: ChildKey) {
        let Some(child) = self.children.get_mut(key) else {
            return;
        };
        match child.state {
            ChildState::Starting | ChildState::Running { .. } => {}
            ChildState::Down
            | ChildState::Waiting
            | ChildState::Ended { .. }
            | ChildState::Stopping { .. } => return,
        }
        let killed = child.rules.shutdown == Shutdown::BrutalKill;
        child.state = ChildState::Stopping { killed };
        let token = TimerToken::Deadline { child: key, generation: child.generation };
        match child.rules.shutdown {
            Shutdown::BrutalKill => self.actions.push(Action::KillChild { child: key }),
            Shutdown::Infinity => {
                self.actions.push(Action::StopChild { child: key, deadline: None });
            }
            Shutdown::Deadline(after) => {
                self.actions.push(Action::StopChild { child: key, deadline: Some(after) });
                self.actions.push(Action::StartTimer { token, after });
            }
        }
    }

    /// The child is down for now; its spec stays, unless nothing is to remain of it.
    pub(super) fn lay_down(&mut self, key: ChildKey) {
        let ending = self.ending.is_some();
        let Some(child) = self.children.get_mut(key) else {
            return;
        };
        if child.state == ChildState::Down {
            return;
        }
        if child.rules.is_forgotten_when_down() && !ending {
            return self.forget(key);
        }
        child.state = ChildState::Down;
        child.work = None;
        self.actions.push(Action::Release { child: key });
    }

    pub(super) fn forget(&mut self, key: ChildKey) {
        if self.children.remove(key).is_some() {
            self.actions.push(Action::Forget { child: key });
        }
    }

    /// Drops a work; its members are nobody's business until the next one.
    pub(super) fn abandon(&mut self, id: WorkId) -> Option<Work> {
        let work = self.works.remove(&id)?;
        for key in work.stop.iter().chain(&work.start) {
            if let Some(child) = self.children.get_mut(*key)
                && child.work == Some(id)
            {
                child.work = None;
            }
        }
        self.busy = self.busy.filter(|busy| *busy != id);
        Some(work)
    }

    pub(super) fn report(&mut self, key: ChildKey, what: Incident) {
        self.actions.push(Action::Report { child: key, what });
    }

    pub(super) fn answer(&mut self, request: RequestId, result: Result<ChildKey, Refusal>) {
        self.actions.push(Action::Answer { request, result });
    }
}
