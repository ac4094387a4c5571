//! What a node does about what is said of itself, and about its own weakness.
//!
//! A node that is suspected is the best witness against it: it answers with a higher incarnation. One that is
//! declared down comes back the same way, at once the first time; but one that is declared down again and again
//! (it can be heard, and cannot hear; or the network is cut but for a bridge) would shake everybody, so it waits longer each time.
//! And a node whose own clockwork stopped hears nobody: it distrusts its ears for a while, not the others.
//!
//! Invariant: our incarnation never falls, and what we say of ourselves is above all that others say.
//! Sources: SWIM, section 4.2; Lifeguard (local health).
//!
//! Pure: no clock, no I/O, no tasks.

use std::time::Duration;

use crate::config::Mutant;
use crate::id::Incarnation;
use crate::member::{Record, Status};
use crate::time::Time;

use super::message::{Alert, Fact, Message};
use super::output::MembershipEvent;
use super::turn::Turn;
use super::{Membership, Phase};

/// How far we trust our own ears.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Health {
    /// When all windows began anew.
    pub(super) restarted: Time,
    doubt_until: Option<Time>,
}

impl Health {
    /// By how much windows are stretched at `now`: from 200 % right after a stall back to 100 %.
    pub(super) fn stretch_percent(&self, now: Time, span: Duration) -> u32 {
        let left = self.doubt_until.map_or(Duration::ZERO, |until| until.since(now));
        let percent = (left.as_micros() * 100).checked_div(span.as_micros()).unwrap_or(0);
        100 + u32::try_from(percent).unwrap_or(100).min(100)
    }
}

/// How often we were declared down, and when we come back.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Exile {
    pub(super) return_at: Option<Time>,
    last: Option<Time>,
    times: u32,
    /// The highest incarnation of ours that we know was declared down.
    declared: Option<Incarnation>,
}

impl Membership {
    /// Whether others count us out at the moment.
    pub(super) const fn in_exile(&self) -> bool {
        self.exile.return_at.is_some()
    }

    pub(super) fn check_own_health(&mut self, turn: &mut Turn<'_>) {
        let late = turn.now.since(self.next_beat);
        if late <= self.config.heartbeat * 2 || self.config.mutant == Mutant::NoSelfHealth {
            return;
        }
        self.health.restarted = turn.now;
        self.health.doubt_until = Some(turn.now + self.config.self_doubt);
        turn.event(MembershipEvent::SelfStalled);
        self.withhold_alerts(turn);
    }

    pub(super) fn hear_of_myself(&mut self, said: &Record, turn: &mut Turn<'_>) {
        if self.config.mutant == Mutant::NoRefutation {
            return;
        }
        self.note_own_down(said, turn);
        if said.incarnation < self.me.incarnation {
            return;
        }
        if said.incarnation > self.me.incarnation {
            // Of an earlier life whose clock was ahead, or of one that shares our key.
            self.me.incarnation = said.incarnation;
            self.come_back(turn);
            return;
        }
        let standing = self.view.get(self.me.node).map_or(Status::Alive, |record| record.status);
        match said.status {
            Status::Alive | Status::Leaving => {}
            Status::Suspect => {
                if standing == Status::Alive {
                    self.me.incarnation = self.me.incarnation.next();
                    self.say_again(turn);
                }
            }
            Status::Down | Status::Left => {
                if standing.is_live() {
                    self.go_into_exile(turn);
                }
            }
        }
    }

    /// Tells the layers above, once; also of an incarnation that we have meanwhile left behind.
    fn note_own_down(&mut self, said: &Record, turn: &mut Turn<'_>) {
        let is_of_this_life = said.incarnation >= self.me.details.life
            && said.incarnation <= self.me.incarnation
            && said.details.life == self.me.details.life;
        let is_new = self.exile.declared.is_none_or(|known| known < said.incarnation);
        if said.status == Status::Down && is_of_this_life && is_new {
            self.exile.declared = Some(said.incarnation);
            turn.event(MembershipEvent::SelfDeclaredDown { incarnation: said.incarnation });
        }
    }

    /// An alert on us is as good as a suspicion.
    pub(super) fn refute_alert(&mut self, alert: &Alert, turn: &mut Turn<'_>) {
        let is_on_us = alert.accused == self.me.node
            && alert.incarnation == self.me.incarnation
            && alert.on
            && alert.observer != self.me.node;
        if is_on_us && !self.in_exile() && self.config.mutant != Mutant::NoRefutation {
            self.me.incarnation = self.me.incarnation.next();
            self.say_again(turn);
        }
    }

    fn go_into_exile(&mut self, turn: &mut Turn<'_>) {
        let longest = self.config.return_after_max;
        if self.exile.last.is_some_and(|last| turn.now.since(last) >= longest) {
            self.exile.times = 0;
        }
        let doubled = 1_u32 << self.exile.times.saturating_sub(1).min(20);
        let wait = match self.exile.times {
            0 => Duration::ZERO,
            _ => self.config.return_after.saturating_mul(doubled).min(longest),
        };
        self.exile.times = self.exile.times.saturating_add(1);
        self.exile.last = Some(turn.now);
        self.exile.return_at = Some(turn.now + wait);
        self.apply(&Record { status: Status::Down, ..Record::alive(&self.me) }, Vec::new(), turn);
        self.return_if_due(turn);
    }

    pub(super) fn return_if_due(&mut self, turn: &mut Turn<'_>) {
        if self.exile.return_at.is_some_and(|at| at <= turn.now) && self.would_be_heard(turn.now) {
            self.come_back(turn);
        }
    }

    /// Whether so many of those who will watch us are within hearing that they will not vote us down again.
    fn would_be_heard(&self, now: Time) -> bool {
        let wanted = self.edges.values().filter(|edge| edge.wanted_since.is_some());
        let window = self.config.alert_after;
        let is_silent = |heard: Option<Time>| heard.is_none_or(|at| now.since(at) >= window);
        let silent: Vec<bool> = wanted.map(|edge| is_silent(edge.heard)).collect();
        let quorum = (silent.len() * 5).div_ceil(8).max(1);
        silent.iter().filter(|silent| **silent).count() < quorum
    }

    fn come_back(&mut self, turn: &mut Turn<'_>) {
        self.exile.return_at = None;
        let was_out = self.view.get(self.me.node).is_some_and(|own| !own.status.is_live());
        // The others have stopped talking to us: their silence means nothing.
        self.health.restarted = turn.now;
        self.me.incarnation = self.me.incarnation.next();
        self.say_again(turn);
        if was_out {
            turn.event(MembershipEvent::SelfReturned { incarnation: self.me.incarnation });
        }
    }

    /// The members know us under `known`: go beyond it.
    pub(super) fn outgrow(&mut self, known: Incarnation, turn: &mut Turn<'_>) {
        if known < self.me.incarnation {
            return;
        }
        if known > self.me.incarnation || matches!(self.phase, Phase::Joining(_)) {
            self.me.incarnation = known.next();
            self.say_again(turn);
        }
        if matches!(self.phase, Phase::Joining(_)) {
            self.ask_to_join(turn);
        }
    }

    /// Says what we are, with the incarnation risen.
    pub(super) fn say_again(&mut self, turn: &mut Turn<'_>) {
        let standing = self.view.get(self.me.node).map_or(Status::Alive, |record| record.status);
        let mut record = Record::alive(&self.me);
        if standing == Status::Leaving {
            record.status = Status::Leaving;
        }
        self.say_of_myself(record, turn);
    }

    /// Tells all, and those we are connected with at once.
    pub(super) fn say_of_myself(&mut self, record: Record, turn: &mut Turn<'_>) {
        // What we count goes on above all that earlier lives counted.
        self.sequence = self.sequence.max(self.me.incarnation.0);
        self.apply(&record, Vec::new(), turn);
        let connected = self.edges.iter().filter(|(_, edge)| edge.connected);
        for to in connected.map(|(node, _)| *node).collect::<Vec<_>>() {
            turn.send(to, Message::Facts(vec![Fact::Record(record.clone())]));
        }
        self.publish(Fact::Record(record), turn);
    }
}
