//! Whether we hear anybody at all, and what we say if not.
//!
//! A node that hears none of those it watches has lost either the network or, by bad luck, just its eight neighbours.
//! The first is a partition for one, and the layers above must be told that all are down; the second is not, and to say
//! the same would end work that goes well. So before it gives up it asks strangers: members it does not
//! watch, a few at a time, from a random place on.
//!
//! Invariant: while anybody was heard within a window we are not isolated; while we are, nothing is declared down.
//!
//! Pure: no clock, no I/O, no tasks.

use std::time::Duration;

use crate::config::Mutant;
use crate::id::NodeId;
use crate::member::Status;

use super::Membership;
use super::edges::Edge;
use super::output::{MembershipEvent, Output};
use super::rings::NEIGHBOURS_MAX;
use super::turn::Turn;

/// Strangers dialled in one period. From the first suspicion to a vote there are six: a dozen, of whom one must answer.
const STRANGERS_AT_ONCE: usize = 2;

impl Membership {
    fn is_small(&self) -> bool {
        self.view.live_count() <= NEIGHBOURS_MAX + 1
    }

    fn wanted_count(&self) -> usize {
        self.edges.values().filter(|edge| edge.wanted_since.is_some()).count()
    }

    /// Dials members we do not watch if those we watch are all silent.
    pub(super) fn seek_strangers(&mut self, unheard_count: usize, turn: &mut Turn<'_>) {
        if self.is_small()
            || unheard_count < self.wanted_count()
            || self.config.mutant == Mutant::NoStrangers
        {
            self.strangers = None;
            return;
        }
        // One after the other around the ring, from a random place: drawn anew each time, some would be asked twice.
        let (due, mut last) =
            self.strangers.unwrap_or_else(|| (turn.now, NodeId(turn.rng.next_u64())));
        if turn.now < due {
            return;
        }
        let mut left = STRANGERS_AT_ONCE;
        for _ in 0..STRANGERS_AT_ONCE + NEIGHBOURS_MAX {
            let Some(node) = self.view.rings().after(last) else { break };
            last = node;
            let is_known = |edge: &Edge| edge.connected || edge.wanted_since.is_some();
            if node == self.me.node || self.edges.get(&node).is_some_and(is_known) {
                continue;
            }
            if let Some(record) = self.view.get(node) {
                turn.out.push(Output::Connect { node, details: record.details.clone() });
                left -= 1;
            }
            if left == 0 {
                break;
            }
        }
        // Once cut off there is no hurry: what is dialled then finds out that the network is back.
        let pause = if self.is_isolated() { self.config.retry_every } else { Duration::ZERO };
        self.strangers = Some((turn.now + pause, last));
    }

    /// Nobody is heard: for the layers above all are gone, but what the members are to each other we cannot know.
    /// Were it written into the view, the return of one lost node would make all others refute.
    pub(super) fn consider_isolation(
        &mut self,
        alarming_count: usize,
        stretch_percent: u32,
        turn: &mut Turn<'_>,
    ) {
        if self.is_small() || self.is_isolated() || alarming_count < self.wanted_count() {
            return;
        }
        let window = self.config.alert_after;
        let is_lately = |heard| turn.now.since(heard) < window;
        let hears_somebody = self.edges.values().any(|edge| edge.heard.is_some_and(is_lately));
        if stretch_percent > 100 || hears_somebody {
            return;
        }
        self.isolated = Some(self.view.clone());
        for record in self.view.iter().filter(|record| record.node != self.me.node) {
            if record.status.is_live() {
                turn.event(MembershipEvent::Down {
                    node: record.node,
                    incarnation: record.incarnation,
                    observers: Vec::new(),
                });
            }
        }
    }

    /// Somebody is heard again.
    pub(super) fn reunite(&mut self, turn: &mut Turn<'_>) {
        let Some(before) = self.isolated.take() else { return };
        for record in self.view.iter().filter(|record| record.node != self.me.node) {
            let known = before.get(record.node).filter(|known| known.status.is_live());
            let same_life = known.is_some_and(|known| known.details.life == record.details.life);
            if record.status.is_live() {
                turn.event(if same_life {
                    MembershipEvent::Healed(record.member())
                } else {
                    MembershipEvent::Joined(record.member())
                });
                if record.status == Status::Suspect {
                    turn.event(MembershipEvent::Suspected(record.node));
                }
            }
        }
    }
}
