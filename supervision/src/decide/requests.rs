//! What people ask of a supervisor: add, terminate, restart, delete a child.
//!
//! The answers follow OTP's `start_child`, `terminate_child`, `restart_child` and `delete_child`:
//! terminating is about the actor, deleting about the spec, and the two are never mixed. A request
//! is dealt with only when the supervisor is free, so it never meets a child halfway through a
//! group's restart; under `one_for_one` it may meet one that is starting, and overrules that start.
//!
//! Pure: no clock, no I/O, no tasks.

use super::{
    Core,
    event::{Request, RequestId},
    work::Purpose,
};
use crate::{
    child_rules::ChildRules,
    children::{ChildKey, ChildState},
    error::Refusal,
};

impl Core {
    pub(super) fn request(&mut self, request: RequestId, what: Request) {
        match what {
            Request::Add { child, rules } => self.add(request, child, rules),
            Request::Terminate(child) => self.terminate(request, child),
            Request::Restart(child) => self.revive(request, child),
            Request::Delete(child) => self.delete(request, child),
        }
    }

    fn add(&mut self, request: RequestId, key: ChildKey, rules: ChildRules) {
        let namesake = self.children.by_name(&rules.name).and_then(|key| self.children.get(key));
        let refusal = match namesake.map(|child| child.state) {
            Some(ChildState::Down) => Some(Refusal::AlreadyPresent),
            Some(_) => Some(Refusal::Running),
            None => None,
        };
        if let Some(refusal) = refusal {
            return self.answer(request, Err(refusal));
        }
        if self.settings.children_max.is_some_and(|max| self.children.len() >= max) {
            return self.answer(request, Err(Refusal::Full));
        }
        self.children.insert(key, rules);
        self.work(Purpose::Add { child: key, request }, Vec::new(), [key].into());
    }

    fn terminate(&mut self, request: RequestId, key: ChildKey) {
        let Some(child) = self.children.get(key) else {
            return self.answer(request, Err(Refusal::NotFound));
        };
        let work = child.work;
        match child.state {
            ChildState::Down => self.answer(request, Ok(key)),
            ChildState::Waiting | ChildState::Ended { .. } => {
                // It waits out a back-off; the others of its group go on without it.
                if let Some(work) = work.and_then(|id| self.works.get_mut(&id)) {
                    work.start.retain(|member| *member != key);
                }
                self.lay_down(key);
                self.answer(request, Ok(key));
            }
            ChildState::Starting | ChildState::Running { .. } => {
                let overruled = work.and_then(|id| self.abandon(id));
                let purpose = Purpose::Terminate { child: key, requests: vec![request] };
                self.work(purpose, vec![key], [].into());
                for earlier in overruled.iter().flat_map(|work| work.purpose.askers()) {
                    self.answer(*earlier, Err(Refusal::Terminated));
                }
            }
            ChildState::Stopping { .. } => {
                let work = work.and_then(|id| self.works.get_mut(&id));
                if let Some(Purpose::Terminate { requests, .. }) = work.map(|w| &mut w.purpose) {
                    requests.push(request);
                }
            }
        }
    }

    fn revive(&mut self, request: RequestId, key: ChildKey) {
        match self.obstacle(key) {
            Some(refusal) => self.answer(request, Err(refusal)),
            None => {
                let purpose = Purpose::Revive { child: key, request };
                self.work(purpose, Vec::new(), [key].into());
            }
        }
    }

    fn delete(&mut self, request: RequestId, key: ChildKey) {
        match self.obstacle(key) {
            Some(refusal) => self.answer(request, Err(refusal)),
            None => {
                self.forget(key);
                self.answer(request, Ok(key));
            }
        }
    }

    /// Why a child cannot be started or deleted: both need one that is down.
    fn obstacle(&self, key: ChildKey) -> Option<Refusal> {
        match self.children.get(key).map(|child| child.state) {
            None => Some(Refusal::NotFound),
            Some(ChildState::Down) => None,
            Some(ChildState::Running { .. } | ChildState::Stopping { .. }) => {
                Some(Refusal::Running)
            }
            Some(ChildState::Waiting | ChildState::Starting | ChildState::Ended { .. }) => {
                Some(Refusal::Restarting)
            }
        }
    }
}
