//! One thing a supervisor is doing that takes time: stop these, wait, start those.
//!
//! Every operation of a supervisor, from the first start to its own end, has this one shape, and a
//! state per operation would repeat it six times. Invariant: `stop` and `start` are in start order;
//! stopping takes from the end of `stop`, starting from the front of `start`, and no child is
//! started before the last one has stopped.
//!
//! Pure: no clock, no I/O, no tasks.

use std::{collections::VecDeque, slice, time::Duration};

use super::{
    Core,
    event::{Action, Ending, Incident, RequestId, TimerToken},
};
use crate::{
    children::{ChildKey, ChildState, WorkId},
    restart::{ExitClass, Restart},
};

/// Stop these, wait, start those; and what for.
#[derive(Clone, Debug)]
pub(super) struct Work {
    pub(super) purpose: Purpose,
    pub(super) phase: Phase,
    pub(super) stop: Vec<ChildKey>,
    pub(super) start: VecDeque<ChildKey>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The first start of all. A failure ends the supervisor.
    Begin,
    /// A restart after a fault, after this back-off. A failed start is the next fault.
    Restart { delay: Duration },
    /// A new child. If its start fails, it is forgotten.
    Add { child: ChildKey, request: RequestId },
    /// A child that was down. If its start fails, it is down again.
    Revive { child: ChildKey, request: RequestId },
    /// A child that somebody wants down.
    Terminate { child: ChildKey, requests: Vec<RequestId> },
    /// The end of the supervisor.
    End(Ending),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Stopping,
    Delay,
    Starting,
}

impl Purpose {
    /// Who waits for the outcome.
    pub(super) fn askers(&self) -> &[RequestId] {
        match self {
            Self::Begin | Self::Restart { .. } | Self::End(_) => &[],
            Self::Add { request, .. } | Self::Revive { request, .. } => slice::from_ref(request),
            Self::Terminate { requests, .. } => requests,
        }
    }
}

impl Core {
    /// Opens a work and takes its first step.
    pub(super) fn work(
        &mut self,
        purpose: Purpose,
        stop: Vec<ChildKey>,
        start: VecDeque<ChildKey>,
    ) {
        self.next_work += 1;
        let id = WorkId(self.next_work);
        let exclusive = self.settings.strategy.is_group()
            || matches!(purpose, Purpose::Begin | Purpose::End(_));
        for key in stop.iter().chain(&start) {
            if let Some(child) = self.children.get_mut(*key) {
                child.work = Some(id);
                if child.state == ChildState::Down && !start.is_empty() {
                    child.state = ChildState::Waiting;
                }
            }
        }
        self.works.insert(id, Work { purpose, phase: Phase::Stopping, stop, start });
        if exclusive {
            self.busy = Some(id);
        }
        self.advance(id);
    }

    /// Takes as many steps of a work as can be taken without waiting.
    pub(super) fn advance(&mut self, id: WorkId) {
        while let Some(work) = self.works.get(&id) {
            match work.phase {
                Phase::Delay => return,
                Phase::Stopping => match work.stop.last().copied() {
                    Some(key) if self.is_alive(key) => return self.stop(key),
                    Some(key) => self.retire(id, key),
                    None => self.all_stopped(id),
                },
                Phase::Starting => match work.start.front().copied() {
                    Some(key) if self.is_waiting(key) => return self.start(key),
                    Some(key) if self.is_alive(key) => return,
                    // Forgotten on the way.
                    Some(_) => {
                        self.works.get_mut(&id).map(|work| work.start.pop_front());
                    }
                    None => self.all_started(id),
                },
            }
        }
    }

    /// A child of a work that stops things is down: what is it now?
    fn retire(&mut self, id: WorkId, key: ChildKey) {
        let Some(work) = self.works.get_mut(&id) else {
            return;
        };
        work.stop.pop();
        let restarting = matches!(work.purpose, Purpose::Restart { .. });
        let Some(child) = self.children.get_mut(key) else {
            return;
        };
        let temporary = child.rules.restart == Restart::Temporary;
        if child.state == (ChildState::Ended { exit: ExitClass::Abnormal }) {
            self.report(key, Incident::EndedBadly);
        }
        match (restarting, temporary) {
            (true, true) => self.forget(key),
            (true, false) => self.set_state(key, ChildState::Waiting),
            (false, _) => self.lay_down(key),
        }
    }

    /// The stopping part of a work is over.
    fn all_stopped(&mut self, id: WorkId) {
        let Some(work) = self.works.get_mut(&id) else {
            return;
        };
        work.phase = Phase::Starting;
        match work.purpose.clone() {
            Purpose::Begin | Purpose::Add { .. } | Purpose::Revive { .. } => {}
            Purpose::Restart { delay } if delay.is_zero() => {}
            Purpose::Restart { delay } => {
                work.phase = Phase::Delay;
                let token = TimerToken::Backoff(id);
                self.actions.push(Action::StartTimer { token, after: delay });
                self.busy = self.busy.filter(|busy| *busy != id);
            }
            Purpose::Terminate { child, requests } => {
                self.abandon(id);
                for request in requests {
                    self.answer(request, Ok(child));
                }
            }
            Purpose::End(ending) => {
                // Busy with a work that is gone: nothing that comes is dealt with any more.
                self.works.clear();
                self.actions.push(Action::Done(ending));
            }
        }
    }

    /// The starting part of a work is over.
    fn all_started(&mut self, id: WorkId) {
        let Some(work) = self.abandon(id) else { return };
        match work.purpose {
            Purpose::Begin => self.actions.push(Action::Ready),
            Purpose::Add { child, request } | Purpose::Revive { child, request } => {
                self.answer(request, Ok(child));
            }
            Purpose::Restart { .. } | Purpose::Terminate { .. } | Purpose::End(_) => {}
        }
    }
}
