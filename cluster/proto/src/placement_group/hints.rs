//! What a node knows of the placement groups of others.
//!
//! To ask the owner for each task where the bundles are would put a round trip before all that runs in a group. But what
//! is not asked may be wrong: the group is removed, its owner is lost, a handle is older than the truth.
//! So what is known is a hint. A node that has no room of the group refuses, and then the hint goes; one that came with a
//! handle is worth asking the owner, and one that came from the owner was true when it was told, so that the refusal
//! says what is the matter.
//!
//! Invariants: at most one question about a group is open; what is being asked is not forgotten before the answer; at
//! most so many groups are known, and the one that was used longest ago makes room for another.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::id::NodeId;
use crate::placement::Resources;
use crate::time::Time;

/// Groups of others that one node knows.
pub const HINTS_MAX: usize = 4096;
/// How long a failure to ask is remembered, before the next use asks again: 1 s.
pub const FAILURE_LASTS: Duration = Duration::from_secs(1);

/// A group that is formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What is in each bundle.
    pub bundles: Vec<Resources>,
    /// Where each is; `None` for one whose node is lost.
    pub places: Vec<Option<NodeId>>,
}

/// What the owner says of a group, or that it does not; `W` is why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<W> {
    /// It is being formed: ask again.
    Forming,
    /// It is formed.
    Formed(Plan),
    /// It was removed, and never comes back.
    Removed,
    /// The owner does not answer.
    Failed(W),
}

/// What is known when something is to go into a group.
#[derive(Debug, PartialEq, Eq)]
pub enum Look<'a, W> {
    /// Nothing: ask the owner now, and come back.
    Ask,
    /// The owner is being asked: come back.
    Asked,
    /// The owner said that it is being formed, and is being asked again: come back.
    Forming,
    /// Where it is, and whose turn it is among the bundles.
    Formed(&'a Plan, usize),
    /// That it was removed.
    Removed,
    /// That its owner did not answer a moment ago.
    Failed(&'a W),
    /// Nothing, and there is no room to know more: the owners of as many groups are being asked.
    Full,
}

/// What is known of the groups of others, by their names `K`.
#[derive(Debug)]
pub struct Hints<K, W> {
    max: usize,
    known: BTreeMap<K, Hint<W>>,
    /// Counts uses.
    uses: u64,
}

#[derive(Debug)]
struct Hint<W> {
    owner: NodeId,
    state: State<W>,
    used: u64,
    turn: usize,
}

#[derive(Debug)]
enum State<W> {
    Asked { is_forming: bool },
    Formed { plan: Plan, is_hearsay: bool },
    Removed,
    Failed { why: W, until: Time },
}

impl<K: Copy + Ord, W> Hints<K, W> {
    /// Nothing is known; at most `max` groups ever will be.
    #[must_use]
    pub const fn new(max: usize) -> Self {
        Self { max, known: BTreeMap::new(), uses: 0 }
    }

    /// A handle came along with what its sender knew. What is known already is better.
    pub fn heard(&mut self, group: K, owner: NodeId, plan: Plan) {
        if !self.known.contains_key(&group) && self.has_room() {
            self.enter(group, owner, State::Formed { plan, is_hearsay: true });
        }
    }

    /// Something is to go into a group.
    pub fn look(&mut self, now: Time, group: K, owner: NodeId) -> Look<'_, W> {
        let is_over =
            |hint: &Hint<W>| matches!(hint.state, State::Failed { until, .. } if until <= now);
        if self.known.get(&group).is_some_and(is_over) {
            self.known.remove(&group);
        }
        if !self.known.contains_key(&group) {
            if !self.has_room() {
                return Look::Full;
            }
            self.enter(group, owner, State::Asked { is_forming: false });
            return Look::Ask;
        }
        self.uses += 1;
        let Some(hint) = self.known.get_mut(&group) else { return Look::Full };
        hint.used = self.uses;
        match &hint.state {
            State::Asked { is_forming: true } => Look::Forming,
            State::Asked { is_forming: false } => Look::Asked,
            State::Formed { plan, .. } => {
                hint.turn = hint.turn.wrapping_add(1);
                Look::Formed(plan, hint.turn)
            }
            State::Removed => Look::Removed,
            State::Failed { why, .. } => Look::Failed(why),
        }
    }

    /// What is known of a group's places, without use of it.
    #[must_use]
    pub fn plan(&self, group: &K) -> Option<&Plan> {
        match &self.known.get(group)?.state {
            State::Formed { plan, .. } => Some(plan),
            State::Asked { .. } | State::Removed | State::Failed { .. } => None,
        }
    }

    /// Whether it is known that a group was removed.
    #[must_use]
    pub fn is_removed(&self, group: &K) -> bool {
        self.known.get(group).is_some_and(|hint| matches!(hint.state, State::Removed))
    }

    /// The owner was asked; whether the question is settled.
    pub fn answered(&mut self, now: Time, group: K, answer: Answer<W>) -> bool {
        let Some(hint) = self.known.get_mut(&group) else { return true };
        if matches!(hint.state, State::Removed) {
            // Since the question was asked.
            return true;
        }
        hint.state = match answer {
            Answer::Forming => State::Asked { is_forming: true },
            Answer::Formed(plan) => State::Formed { plan, is_hearsay: false },
            Answer::Removed => State::Removed,
            Answer::Failed(why) => State::Failed { why, until: now + FAILURE_LASTS },
        };
        !matches!(hint.state, State::Asked { .. })
    }

    /// This node has had a group removed.
    pub fn removed(&mut self, group: K, owner: NodeId) {
        if self.known.contains_key(&group) || self.has_room() {
            self.enter(group, owner, State::Removed);
        }
    }

    /// A node has no room of a group that the hint said it has; whether the owner may know better.
    pub fn refused(&mut self, group: &K) -> bool {
        let was_told = |hint: &Hint<W>| {
            matches!(hint.state, State::Formed { is_hearsay: false, .. } | State::Removed)
        };
        let was_told = self.known.get(group).is_some_and(was_told);
        if self.plan(group).is_some() {
            self.known.remove(group);
        }
        !was_told
    }

    /// A node is down: what it owns, or has bundles of, is not known any more.
    pub fn node_down(&mut self, node: NodeId) {
        self.known.retain(|_, hint| match &hint.state {
            // Its own question tells.
            State::Asked { .. } => true,
            State::Formed { plan, .. } => hint.owner != node && !plan.places.contains(&Some(node)),
            State::Removed | State::Failed { .. } => hint.owner != node,
        });
    }

    fn enter(&mut self, group: K, owner: NodeId, state: State<W>) {
        self.uses += 1;
        self.known.insert(group, Hint { owner, state, used: self.uses, turn: 0 });
    }

    /// Makes room for one more.
    fn has_room(&mut self) -> bool {
        if self.known.len() < self.max {
            return true;
        }
        let idle = self.known.iter().filter(|(_, hint)| !matches!(hint.state, State::Asked { .. }));
        let oldest = idle.min_by_key(|(_, hint)| hint.used).map(|(group, _)| *group);
        oldest.is_some_and(|oldest| self.known.remove(&oldest).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placement::resources::{CPU, ONE};

    const A: NodeId = NodeId(1);
    const B: NodeId = NodeId(2);

    fn plan(places: &[NodeId]) -> Plan {
        Plan {
            bundles: vec![Resources::of([(CPU, ONE)]); places.len()],
            places: places.iter().copied().map(Some).collect(),
        }
    }

    fn hints(max: usize) -> Hints<u32, &'static str> {
        Hints::new(max)
    }

    #[test]
    fn the_owner_is_asked_once_and_believed() {
        let mut hints = hints(8);
        assert_eq!(hints.look(Time(0), 7, A), Look::Ask);
        assert_eq!(hints.look(Time(0), 7, A), Look::Asked, "one question");
        assert!(!hints.answered(Time(1), 7, Answer::Forming), "asked again");
        assert_eq!(hints.look(Time(1), 7, A), Look::Forming);
        assert!(hints.answered(Time(2), 7, Answer::Formed(plan(&[A, B]))));
        assert_eq!(hints.look(Time(2), 7, A), Look::Formed(&plan(&[A, B]), 1));
        assert_eq!(hints.look(Time(2), 7, A), Look::Formed(&plan(&[A, B]), 2), "in turn");
        hints.heard(7, A, plan(&[B]));
        assert_eq!(hints.plan(&7), Some(&plan(&[A, B])), "a handle knows less than the owner");
    }

    #[test]
    fn a_refusal_of_hearsay_is_worth_a_question_and_one_of_the_owners_word_is_not() {
        let mut hints = hints(8);
        hints.heard(7, A, plan(&[B]));
        assert_eq!(hints.look(Time(0), 7, A), Look::Formed(&plan(&[B]), 1));
        assert!(hints.refused(&7));
        assert_eq!(hints.look(Time(0), 7, A), Look::Ask);
        assert!(hints.refused(&7), "one that comes later waits for the same answer");
        assert_eq!(hints.look(Time(0), 7, A), Look::Asked);
        hints.answered(Time(1), 7, Answer::Formed(plan(&[B])));
        assert!(!hints.refused(&7));
        assert_eq!(hints.look(Time(1), 7, A), Look::Ask, "the next one asks");
        hints.answered(Time(2), 7, Answer::Removed);
        assert!(!hints.refused(&7));
        assert_eq!(hints.look(Time(2), 7, A), Look::Removed, "it never comes back");
        assert!(hints.is_removed(&7));
    }

    #[test]
    fn what_was_removed_stays_so_whatever_an_older_question_brings() {
        let mut hints = hints(8);
        assert_eq!(hints.look(Time(0), 7, A), Look::Ask);
        hints.removed(7, A);
        assert!(hints.answered(Time(1), 7, Answer::Formed(plan(&[A]))));
        assert_eq!(hints.look(Time(1), 7, A), Look::Removed);
        hints.heard(7, A, plan(&[A]));
        assert_eq!(hints.plan(&7), None);
    }

    #[test]
    fn a_failure_lasts_a_moment() {
        let mut hints = hints(8);
        assert_eq!(hints.look(Time(0), 7, A), Look::Ask);
        hints.answered(Time(0), 7, Answer::Failed("silent"));
        assert_eq!(hints.look(Time(0), 7, A), Look::Failed(&"silent"));
        assert_eq!(hints.look(Time(0) + FAILURE_LASTS, 7, A), Look::Ask);
    }

    #[test]
    fn what_a_lost_node_owned_or_had_is_asked_for_anew() {
        let mut hints = hints(8);
        hints.heard(1, A, plan(&[B]));
        hints.heard(2, B, plan(&[A]));
        hints.heard(3, A, plan(&[A]));
        assert_eq!(hints.look(Time(0), 4, B), Look::Ask);
        hints.node_down(B);
        assert_eq!(hints.look(Time(0), 1, A), Look::Ask);
        assert_eq!(hints.look(Time(0), 2, B), Look::Ask);
        assert_eq!(hints.look(Time(0), 3, A), Look::Formed(&plan(&[A]), 1));
        assert_eq!(hints.look(Time(0), 4, B), Look::Asked, "its own question tells");
    }

    #[test]
    fn the_one_that_was_used_longest_ago_makes_room_and_a_question_never_does() {
        let mut hints = hints(2);
        hints.heard(1, A, plan(&[A]));
        hints.heard(2, A, plan(&[A]));
        assert!(matches!(hints.look(Time(0), 1, A), Look::Formed(..)));
        assert_eq!(hints.look(Time(0), 3, A), Look::Ask);
        assert!(hints.plan(&1).is_some() && hints.plan(&2).is_none());
        assert_eq!(hints.look(Time(0), 4, A), Look::Ask);
        assert_eq!(hints.look(Time(0), 5, A), Look::Full);
        hints.heard(6, A, plan(&[A]));
        assert!(hints.plan(&6).is_none());
        hints.answered(Time(0), 3, Answer::Removed);
        assert_eq!(hints.look(Time(0), 5, A), Look::Ask);
        assert!(hints.answered(Time(0), 3, Answer::Removed), "an answer too late for anybody");
    }
}
