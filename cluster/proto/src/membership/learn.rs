//! What a piece of news does to us.
//!
//! Merging alone would do, were it not for two things. `Down` travels on two roads: fresh, with its votes, it holds at once;
//! but in an exchange it may be the verdict of the other half of a cut that has just healed, over members that are
//! well. Believed there, every healing would kill all members once. So a `Down` out of an exchange is first held against
//! the accused as a suspicion, which it can refute, and holds when it did not. And the departed are not heard of anew.
//!
//! Invariant: the layers above see of each node an arrival, then a departure, in turns.
//!
//! Pure: no clock, no I/O, no tasks.

use crate::config::Mutant;
use crate::id::NodeId;
use crate::member::{Record, Status};
use crate::time::Time;

use super::Membership;
use super::message::{Fact, Message};
use super::output::MembershipEvent;
use super::turn::Turn;

/// How news came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Road {
    /// As a broadcast: everybody gets it.
    Broadcast,
    /// By this node, over its connection.
    Direct(NodeId),
    /// In an exchange of views.
    Exchange,
    /// We found it ourselves.
    Own,
}

/// A member that is gone and not yet forgotten.
#[derive(Clone, Copy, Debug)]
pub(super) struct Departed {
    pub(super) since: Time,
    /// Whether it may be there all the same.
    pub(super) is_down: bool,
}

impl Membership {
    pub(super) fn learn_facts(
        &mut self,
        facts: Vec<Fact>,
        author: NodeId,
        road: Road,
        turn: &mut Turn<'_>,
    ) {
        for fact in facts {
            match fact {
                Fact::Alert(alert) => {
                    let is_own_word = alert.observer == author;
                    if is_own_word || self.config.mutant == Mutant::VotesFromAnybody {
                        let cases_max = self.config.accused_max;
                        self.votes.file(turn.now, &alert, &self.view, cases_max);
                        self.refute_alert(&alert, turn);
                    }
                }
                Fact::Record(record) => self.learn(record, Vec::new(), road, turn),
                Fact::Down { record, votes } => {
                    // Against what we have heard ourselves it is a claim like any other.
                    let is_doubtful = self.votes.contradict(&record, &votes);
                    let road = if is_doubtful { Road::Exchange } else { road };
                    self.learn(record, votes, road, turn);
                }
            }
        }
    }

    pub(super) fn learn(
        &mut self,
        record: Record,
        votes: Vec<NodeId>,
        road: Road,
        turn: &mut Turn<'_>,
    ) {
        if record.node == self.me.node {
            self.hear_of_myself(&record, turn);
            return;
        }
        let known = self.view.get(record.node);
        let is_live = known.is_some_and(|known| known.status.is_live());
        if known.is_none() && (!record.status.is_live() || !self.make_room()) {
            return;
        }
        if road == Road::Exchange && record.status == Status::Down && is_live {
            self.hold(record, turn);
            return;
        }
        let node = record.node;
        let resurrected = self.apply(&record, votes, turn) == Some(true);
        // Whoever comes back from beyond a cut may be heard by us alone.
        if resurrected && road == Road::Direct(node) {
            self.publish(Fact::Record(record), turn);
        }
    }

    pub(super) fn publish(&mut self, fact: Fact, turn: &Turn<'_>) {
        self.outbox.push(fact, turn.now, self.config.coalesce);
    }

    pub(super) fn declare_down(
        &mut self,
        accused: NodeId,
        observers: Vec<NodeId>,
        turn: &mut Turn<'_>,
    ) {
        if self.isolated.is_some() {
            return;
        }
        let Some(record) = self.view.get(accused) else { return };
        let record = Record { status: Status::Down, ..record.clone() };
        // Everybody counts for itself; two of the voters say it for those who missed a vote.
        let speaks = observers.iter().take(2).any(|observer| *observer == self.me.node);
        let votes = observers.clone();
        self.learn(record.clone(), observers, Road::Own, turn);
        if speaks {
            self.publish(Fact::Down { record, votes }, turn);
        }
    }

    /// Takes held-back `Down`s for true whose time to refute is over.
    pub(super) fn release_held(&mut self, turn: &mut Turn<'_>) {
        let due = |(_, until): &mut (Record, Time)| *until <= turn.now;
        let over: Vec<NodeId> =
            self.held.iter_mut().filter_map(|(node, held)| due(held).then_some(*node)).collect();
        for node in over {
            if let Some((record, _)) = self.held.remove(&node) {
                self.learn(record, Vec::new(), Road::Own, turn);
            }
        }
    }

    /// Forgets who has been gone for long.
    pub(super) fn forget_departed(&mut self, now: Time) {
        let span = self.config.forget_after;
        let view = &mut self.view;
        self.departed.retain(|node, departed| {
            let stays = now.since(departed.since) < span;
            if !stays {
                view.forget(*node);
            }
            stays
        });
    }

    fn hold(&mut self, down: Record, turn: &mut Turn<'_>) {
        let suspect = Record { status: Status::Suspect, ..down.clone() };
        let until = turn.now + self.config.suspect_after;
        let node = suspect.node;
        if let Some((held, _)) = self.held.get_mut(&node) {
            held.merge(&down);
        } else if self.held.len() < self.config.accused_max {
            self.held.insert(node, (down, until));
        } else {
            return;
        }
        if self.apply(&suspect, Vec::new(), turn).is_some() {
            if self.edges.get(&node).is_some_and(|edge| edge.connected) {
                turn.send(node, Message::Facts(vec![Fact::Record(suspect.clone())]));
            }
            self.publish(Fact::Record(suspect), turn);
        }
    }

    /// Forgets the one longest gone if the view is full; whether there is room.
    fn make_room(&mut self) -> bool {
        if self.view.len() < self.config.members_max {
            return true;
        }
        let oldest = self.departed.iter().min_by_key(|(_, departed)| departed.since);
        let Some(oldest) = oldest.map(|(node, _)| *node) else { return false };
        self.departed.remove(&oldest);
        self.view.forget(oldest);
        true
    }

    /// Merges and draws the consequences. `None`: no news; `Some(true)`: a departed member is back.
    pub(super) fn apply(
        &mut self,
        record: &Record,
        observers: Vec<NodeId>,
        turn: &mut Turn<'_>,
    ) -> Option<bool> {
        let before = self.view.merge(record.clone(), self.config.mutant)?;
        let node = record.node;
        let is_live = record.status.is_live();
        self.votes.close(node, record.incarnation, !is_live);
        if self.held.get(&node).is_some_and(|(held, _)| held.precedence(record).is_le()) {
            self.held.remove(&node);
        }
        let was_live = before.as_ref().is_some_and(|before| before.status.is_live());
        if was_live != is_live {
            self.votes.reconsider_around(node, &self.view);
            if is_live {
                self.departed.remove(&node);
            } else {
                let is_down = record.status == Status::Down;
                self.departed.insert(node, Departed { since: turn.now, is_down });
                self.loads.remove(node);
            }
        } else if let Some(departed) = self.departed.get_mut(&node) {
            departed.is_down = record.status == Status::Down;
        }
        if before.as_ref().is_some_and(|before| before.details.life != record.details.life) {
            // It counts its loads anew, and its silence: the last word was the old life's.
            self.loads.remove(node);
            if let Some(edge) = self.edges.get_mut(&node) {
                edge.begin_anew(turn.now);
            }
        }
        let refuted = before.as_ref().is_some_and(|b| b.incarnation < record.incarnation);
        if refuted && let Some(edge) = self.edges.get_mut(&node) {
            // Alerts were on the incarnation before, and this one is a sign of life.
            edge.alerted = None;
            edge.refuted = Some((turn.now, edge.refuted.map_or(1, |(_, times)| times + 1)));
        }
        if node != self.me.node && self.isolated.is_none() {
            tell(before.as_ref(), record, observers, turn);
        }
        Some(before.is_some() && !was_live && is_live)
    }
}

/// What the layers above learn of a change.
fn tell(before: Option<&Record>, after: &Record, observers: Vec<NodeId>, turn: &mut Turn<'_>) {
    let node = after.node;
    let live_before = before.filter(|before| before.status.is_live());
    let same_life = before.is_some_and(|before| before.details.life == after.details.life);
    let departure = |record: &Record, observers| match record.status {
        Status::Left => MembershipEvent::Left(node),
        Status::Down | Status::Alive | Status::Suspect | Status::Leaving => {
            MembershipEvent::Down { node, incarnation: record.incarnation, observers }
        }
    };
    if !after.status.is_live() {
        if live_before.is_some() {
            turn.event(departure(after, observers));
        }
        return;
    }
    let status_before = match live_before {
        Some(before) if same_life => {
            if before.details != after.details {
                turn.event(MembershipEvent::Updated(after.member()));
            }
            before.status
        }
        _ => {
            if let Some(before) = live_before {
                turn.event(departure(before, Vec::new()));
            }
            turn.event(if same_life {
                MembershipEvent::Healed(after.member())
            } else {
                MembershipEvent::Joined(after.member())
            });
            Status::Alive
        }
    };
    match (status_before, after.status) {
        (Status::Suspect, Status::Alive) => turn.event(MembershipEvent::Recovered(node)),
        (Status::Alive, Status::Suspect) => turn.event(MembershipEvent::Suspected(node)),
        (Status::Alive | Status::Suspect, Status::Leaving) => {
            turn.event(MembershipEvent::Leaving(node));
        }
        // Whoever drains does not change its mind; all else is no change of standing.
        (_, _) => {}
    }
}
