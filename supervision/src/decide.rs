//! The decisions of a supervisor: state, event, time and chance in; actions out.
//!
//! OTP's supervisor decides and acts in one breath: while it waits for a child to start or stop, its
//! mailbox waits too. That makes its semantics simple and its waiting total: one slow constructor
//! holds up every other child, and even the request to shut down. Here effects take time and the
//! core never waits. It keeps OTP's semantics by one rule: where children share a fate (group
//! strategies, and every first start) one work goes on at a time, and what happens meanwhile is
//! kept in order until it is done. Only `Shutdown` overtakes. Under `one_for_one` nothing is shared,
//! so every child has its own work and nobody waits for anybody.
//!
//! Invariants:
//! 1. A child is started only when no earlier generation of it is alive.
//! 2. Stops go backwards, starts go forwards in start order, one after the other.
//! 3. Every restart is counted in the window before anything is done about it, failed starts too.
//! 4. Every request is answered exactly once; after `Done` there is no living child.
//!
//! Two deliberate differences to OTP: a back-off may lie between stopping and starting (events are
//! not held up by it), and a failed start counts when it fails, not when it is tried again, so that
//! a back-off does not put off giving up.
//!
//! Pure: no clock, no I/O, no tasks.

pub mod event;
mod effects;
mod faults;
mod requests;
mod work;

use std::{
    collections::{BTreeMap, VecDeque},
    mem,
    time::Instant,
};

use rand::Rng;

use self::{
    event::{Action, Ending, Event, Incident, Request, RequestId, TimerToken},
    work::{Phase, Purpose, Work},
};
use crate::{
    child_rules::ChildRules,
    children::{ChildKey, ChildState, Children, WorkId},
    error::{Refusal, SpecError},
    intensity::Window,
    restart::ExitClass,
    settings::Settings,
};

/// The state of a supervisor, without its actors.
#[derive(Debug)]
pub struct Core {
    settings: Settings,
    children: Children,
    window: Window,
    works: BTreeMap<WorkId, Work>,
    /// The one work that others wait for.
    busy: Option<WorkId>,
    kept: VecDeque<Kept>,
    ending: Option<Ending>,
    next_work: u64,
    actions: Vec<Action>,
}

/// What waits for the supervisor to be free, in order of arrival.
#[derive(Debug)]
enum Kept {
    Exit { child: ChildKey, generation: u64 },
    BackoffOver(WorkId),
    Request(RequestId, Request),
}

impl Core {
    /// A supervisor without children.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            window: Window::new(settings.intensity),
            settings,
            children: Children::default(),
            works: BTreeMap::new(),
            busy: None,
            kept: VecDeque::new(),
            ending: None,
            next_work: 0,
            actions: Vec::new(),
        }
    }

    /// Adds a child before [`Event::Begin`].
    ///
    /// # Errors
    /// [`SpecError`] if the rules contradict themselves, the settings or a sibling's name. The child
    /// was not added.
    pub fn declare(&mut self, rules: ChildRules) -> Result<ChildKey, SpecError> {
        rules.validate(self.settings.auto_shutdown)?;
        if self.children.by_name(&rules.name).is_some() {
            return Err(SpecError::DuplicateName { child: rules.name.to_string() });
        }
        let key = self.children.next_key();
        self.children.insert(key, rules);
        Ok(key)
    }

    /// A key for a child that is about to be added by [`Request::Add`].
    pub fn next_key(&mut self) -> ChildKey {
        self.children.next_key()
    }

    /// The table of children.
    #[must_use]
    pub fn children(&self) -> &Children {
        &self.children
    }

    /// What holds for all children.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Why the supervisor is ending, if it is.
    #[must_use]
    pub fn ending(&self) -> Option<Ending> {
        self.ending
    }

    /// Takes in one event and says what to do, in this order.
    pub fn handle(&mut self, event: Event, now: Instant, rng: &mut impl Rng) -> Vec<Action> {
        match event {
            Event::Begin => self.begin(),
            Event::StartSucceeded { child, generation } => {
                self.start_succeeded(child, generation, now);
            }
            Event::StartFailed { child, generation } => {
                self.child_exited((child, generation), ExitClass::Abnormal, now, rng);
            }
            Event::ChildExited { child, generation, exit } => {
                self.child_exited((child, generation), exit, now, rng);
            }
            Event::TimerFired(token) => self.timer_fired(token),
            Event::Shutdown => self.end(Ending::Shutdown),
            Event::Requested { request, what } if self.ending.is_none() => {
                self.kept.push_back(Kept::Request(request, what));
            }
            Event::Requested { request, .. } => self.answer(request, Err(Refusal::ShuttingDown)),
        }
        self.settle(now, rng);
        mem::take(&mut self.actions)
    }

    fn begin(&mut self) {
        if self.ending.is_some() {
            return;
        }
        let all: Vec<_> = self.children.keys().collect();
        self.work(Purpose::Begin, Vec::new(), all.into());
    }

    fn start_succeeded(&mut self, key: ChildKey, generation: u64, now: Instant) {
        let ending = self.ending.is_some();
        let Some(child) = self.current(key, generation) else {
            return;
        };
        if child.state != ChildState::Starting {
            return;
        }
        child.state = ChildState::Running { since: now };
        if ending {
            return;
        }
        // It was the first in line of a work that starts things: the next one may go.
        if let Some(id) = child.work.take() {
            if let Some(work) = self.works.get_mut(&id) {
                work.start.pop_front();
            }
            self.advance(id);
        }
    }

    fn child_exited(
        &mut self,
        (key, generation): (ChildKey, u64),
        exit: ExitClass,
        now: Instant,
        rng: &mut impl Rng,
    ) {
        let backoff = self.settings.backoff;
        let Some(child) = self.current(key, generation) else {
            return;
        };
        match child.state {
            ChildState::Starting => {
                child.state = ChildState::Ended { exit: ExitClass::Shutdown };
                self.start_failed(key, now, rng);
            }
            ChildState::Running { since } => {
                let ran = now.saturating_duration_since(since);
                child.attempt = backoff.attempt_after(child.attempt, ran);
                child.state = ChildState::Ended { exit };
                self.kept.push_back(Kept::Exit { child: key, generation });
            }
            ChildState::Stopping { killed } => {
                child.state = ChildState::Ended { exit: ExitClass::Shutdown };
                let work = child.work;
                if exit == ExitClass::Abnormal && !killed {
                    self.report(key, Incident::EndedBadly);
                }
                if let Some(id) = work {
                    self.advance(id);
                }
            }
            ChildState::Down | ChildState::Waiting | ChildState::Ended { .. } => {}
        }
    }

    fn timer_fired(&mut self, token: TimerToken) {
        match token {
            TimerToken::Backoff(id) => {
                if self.works.get(&id).is_some_and(|work| work.phase == Phase::Delay) {
                    self.kept.push_back(Kept::BackoffOver(id));
                }
            }
            TimerToken::Deadline { child: key, generation } => {
                let Some(child) = self.current(key, generation) else {
                    return;
                };
                if child.state == (ChildState::Stopping { killed: false }) {
                    child.state = ChildState::Stopping { killed: true };
                    self.report(key, Incident::DeadlineMissed);
                    self.actions.push(Action::KillChild { child: key });
                }
            }
        }
    }

    /// Deals with what was kept, as far as the supervisor is free.
    fn settle(&mut self, now: Instant, rng: &mut impl Rng) {
        while self.busy.is_none() {
            let Some(kept) = self.kept.pop_front() else {
                return;
            };
            match kept {
                Kept::Exit { child, generation } => self.ended(child, generation, now, rng),
                Kept::BackoffOver(id) => self.backoff_over(id),
                Kept::Request(id, request) => self.request(id, request),
            }
        }
    }

    fn backoff_over(&mut self, id: WorkId) {
        if let Some(work) = self.works.get_mut(&id) {
            work.phase = Phase::Starting;
            if self.settings.strategy.is_group() {
                self.busy = Some(id);
            }
            self.advance(id);
        }
    }
}
