//! One call of the core: its time, its randomness, its outputs; and what waits for the next broadcast.
//!
//! Facts come in bursts (a rack dies); a broadcast each would be thousands. They are collected for some milliseconds.
//!
//! Pure: no clock, no I/O, no tasks.

use std::time::Duration;

use rand_core::RngCore;

use crate::id::NodeId;
use crate::time::Time;

use super::message::{FACTS_MAX, Fact, Message};
use super::output::{MembershipEvent, Output};

/// What every rule needs at hand.
pub(super) struct Turn<'a> {
    pub(super) now: Time,
    pub(super) rng: &'a mut dyn RngCore,
    pub(super) out: &'a mut Vec<Output>,
}

impl Turn<'_> {
    pub(super) fn send(&mut self, to: NodeId, message: Message) {
        self.out.push(Output::Send { to, message });
    }

    pub(super) fn event(&mut self, event: MembershipEvent) {
        self.out.push(Output::Event(event));
    }
}

/// Facts that wait to be broadcast together. What is in it is bounded by what one call may bring about.
#[derive(Clone, Debug, Default)]
pub(super) struct Outbox {
    facts: Vec<Fact>,
    due: Option<Time>,
}

impl Outbox {
    pub(super) const fn due(&self) -> Option<Time> {
        self.due
    }

    pub(super) fn push(&mut self, fact: Fact, now: Time, coalesce: Duration) {
        self.facts.push(fact);
        self.due.get_or_insert(now + coalesce);
    }

    pub(super) fn flush_if_due(&mut self, turn: &mut Turn<'_>) {
        if self.due.is_some_and(|at| at <= turn.now) || self.facts.len() >= FACTS_MAX {
            self.flush(turn);
        }
    }

    pub(super) fn flush(&mut self, turn: &mut Turn<'_>) {
        self.due = None;
        let mut facts = std::mem::take(&mut self.facts);
        while !facts.is_empty() {
            let rest = facts.split_off(facts.len().min(FACTS_MAX));
            turn.out.push(Output::Broadcast(Message::Facts(facts)));
            facts = rest;
        }
    }
}
