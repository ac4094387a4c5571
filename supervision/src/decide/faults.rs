//! What a fault leads to: a restart, a rest, or the end of the supervisor.
//!
//! The rules of OTP's `do_restart`, `restart` and `terminate` stand here together, because they are
//! one question asked three times: is it worth going on? Invariant: a restart is counted before
//! anything is done about it, and once the supervisor is ending nothing is started any more.
//!
//! Pure: no clock, no I/O, no tasks.

use std::{collections::VecDeque, mem, time::Instant};

use rand::Rng;

use super::{
    Core, Kept,
    event::{Action, Ending, Incident},
    work::Purpose,
};
use crate::{
    children::{Child, ChildKey, ChildState},
    error::Refusal,
    intensity::Allowance,
    restart::{ExitClass, Fate},
    shutdown::StopOrder,
};

impl Core {
    /// A child has ended by itself.
    pub(super) fn ended(
        &mut self,
        key: ChildKey,
        generation: u64,
        now: Instant,
        rng: &mut impl Rng,
    ) {
        let Some(child) = self.current(key, generation) else {
            return;
        };
        let ChildState::Ended { exit } = child.state else {
            return;
        };
        let (significant, fate) = (child.rules.significant, child.rules.restart.after(exit));
        match fate {
            Fate::Restart => return self.restart(key, false, now, rng),
            Fate::Rest => self.lay_down(key),
            Fate::Forget => {
                if exit == ExitClass::Abnormal {
                    self.report(key, Incident::StaysDown);
                }
                self.forget(key);
            }
        }
        self.stays_down(significant);
    }

    /// A child has ended by itself and is not started again: if it was a significant one, that may be the end of all.
    fn stays_down(&mut self, was_significant: bool) {
        let is_up = |child: &Child| child.rules.significant && child.state != ChildState::Down;
        let others_up = self.children.iter().any(|(_, child)| is_up(child));
        if was_significant && self.settings.auto_shutdown.is_due(others_up) {
            self.end(Ending::AutoShutdown);
        }
    }

    /// Restarts the child and whoever shares its fate, unless this is once too often.
    ///
    /// Source: OTP `supervisor.erl`, `restart/2`, `restart/3`, `restart_multiple_children/3`.
    pub(super) fn restart(
        &mut self,
        key: ChildKey,
        start_failed: bool,
        now: Instant,
        rng: &mut impl Rng,
    ) {
        let Some(child) = self.children.get_mut(key) else {
            return;
        };
        child.state = ChildState::Ended { exit: ExitClass::Shutdown };
        if child.rules.budget.is_some_and(|budget| child.restarts >= budget) {
            let significant = child.rules.significant;
            self.report(key, Incident::BudgetUsedUp);
            self.forget(key);
            return self.stays_down(significant);
        }
        let left = match self.window.record(now) {
            Allowance::Exceeded => {
                self.report(key, Incident::IntensityExceeded);
                return self.end(Ending::GaveUp(key));
            }
            Allowance::Left(left) => left,
        };
        let delay = self.settings.backoff.delay(child.attempt, rng);
        child.attempt = child.attempt.saturating_add(1);
        child.restarts = child.restarts.saturating_add(1);
        let budget_left = child.rules.budget.map(|budget| budget.saturating_sub(child.restarts));
        let restarts_left = budget_left.into_iter().chain(left).min();
        self.report(key, Incident::Restarting { delay, restarts_left, start_failed });

        let strategy = self.settings.strategy;
        let group: Vec<_> = match strategy.is_group() {
            // Not a search among ten thousand.
            false => vec![key],
            true => self.children.keys().filter(|other| strategy.affects(&key, other)).collect(),
        };
        // A restart that waits out its back-off, or that has just failed, is part of this one now.
        for member in &group {
            let earlier = self.children.get(*member).and_then(|child| child.work);
            if let Some(id) = earlier {
                self.abandon(id);
            }
        }
        self.work(Purpose::Restart { delay }, group.clone(), group.into());
    }

    /// A start that was ordered has failed, and nobody had told the child to stop.
    pub(super) fn start_failed(&mut self, key: ChildKey, now: Instant, rng: &mut impl Rng) {
        let Some(id) = self.children.get(key).and_then(|child| child.work) else {
            return;
        };
        let Some(purpose) = self.works.get(&id).map(|work| work.purpose.clone()) else {
            return;
        };
        match purpose {
            Purpose::Begin => {
                self.report(key, Incident::StartFailed);
                self.end(Ending::StartFailed(key));
            }
            Purpose::Restart { .. } => {
                self.restart(key, true, now, rng);
                // The group goes on without a child that has no budget left.
                self.advance(id);
            }
            Purpose::Add { request, .. } => {
                self.report(key, Incident::StartFailed);
                self.abandon(id);
                self.forget(key);
                self.answer(request, Err(Refusal::StartFailed));
            }
            Purpose::Revive { request, .. } => {
                self.report(key, Incident::StartFailed);
                self.abandon(id);
                self.lay_down(key);
                self.answer(request, Err(Refusal::StartFailed));
            }
            Purpose::Terminate { .. } | Purpose::End(_) => self.advance(id),
        }
    }

    /// Ends the supervisor: nothing is started any more, everything is stopped.
    pub(super) fn end(&mut self, ending: Ending) {
        if self.ending.is_some() {
            return;
        }
        self.ending = Some(ending);
        self.actions.push(Action::GiveUp(ending));
        for work in mem::take(&mut self.works).into_values() {
            for request in work.purpose.askers() {
                self.answer(*request, Err(Refusal::ShuttingDown));
            }
        }
        for kept in mem::take(&mut self.kept) {
            match kept {
                Kept::Request(request, _) => self.answer(request, Err(Refusal::ShuttingDown)),
                Kept::Exit { .. } | Kept::BackoffOver(_) => {}
            }
        }
        let all: Vec<_> = self.children.keys().collect();
        match self.settings.stop_order {
            StopOrder::Reverse => {}
            StopOrder::Together => all.iter().rev().for_each(|key| self.stop(*key)),
        }
        self.work(Purpose::End(ending), all, VecDeque::new());
    }
}
