//! One situation each: who says what, and what comes of it.

use super::*;
use crate::id::{Incarnation, NodeId};

fn voter(seed: u16, life: u64) -> VoterId {
    VoterId { node: NodeId(100 + u64::from(seed)), life: Incarnation(life) }
}

fn ballot(round: u32, seed: u16) -> Ballot {
    Ballot { round, seed: Seed(seed), life: Incarnation(1) }
}

/// Three seeds; messages arrive in order, except to whom nothing arrives.
struct World {
    seeds: Vec<Genesis>,
    deaf: BTreeSet<u16>,
    founded: Vec<(u16, ClusterId)>,
    alarms: Vec<ForeignCluster>,
}

impl World {
    fn new() -> Self {
        let seed = |seed| Genesis::new(Seed(seed), voter(seed, 1), 3, Start::First);
        let (deaf, founded, alarms) = (BTreeSet::new(), Vec::new(), Vec::new());
        Self { seeds: (0..3).map(seed).collect(), deaf, founded, alarms }
    }

    fn restart(&mut self, seed: u16) {
        let (of, start) = (voter(seed, 2), Start::Again);
        self.seeds[usize::from(seed)] = Genesis::new(Seed(seed), of, 3, start);
    }

    fn attempt(&mut self, seed: u16, cluster: u64) {
        let mut out = Vec::new();
        self.seeds[usize::from(seed)].attempt(ClusterId(cluster), &mut out);
        let mut waiting: std::collections::VecDeque<_> =
            out.into_iter().map(|output| (seed, output)).collect();
        while let Some((from, output)) = waiting.pop_front() {
            match output {
                Output::Send { to, message } if !self.deaf.contains(&to.0) => {
                    let mut out = Vec::new();
                    self.seeds[usize::from(to.0)].handle_message(Seed(from), message, &mut out);
                    waiting.extend(out.into_iter().map(|output| (to.0, output)));
                }
                Output::Send { .. } => {}
                Output::Founded(founding) => self.founded.push((from, founding.cluster)),
                Output::Foreign(foreign) => self.alarms.push(foreign),
            }
        }
    }
}

#[test]
fn a_majority_founds_and_who_comes_later_hears_of_it() {
    let mut world = World::new();
    world.deaf.insert(2);
    world.attempt(0, 7);
    assert_eq!(world.founded, [(0, ClusterId(7)), (1, ClusterId(7))]);
    let founding = world.seeds[0].founding().unwrap();
    assert_eq!(founding.voters, [voter(0, 1), voter(1, 1)].into());
    world.deaf.clear();
    world.attempt(2, 8);
    assert_eq!(world.founded.last(), Some(&(2, ClusterId(7))));
}

#[test]
fn a_minority_founds_nothing() {
    let mut world = World::new();
    world.deaf.extend([1, 2]);
    world.attempt(0, 7);
    world.attempt(0, 8);
    assert_eq!(world.founded, []);
}

#[test]
fn a_later_ballot_takes_over_what_was_accepted() {
    let mut one = Genesis::new(Seed(1), voter(1, 1), 3, Start::First);
    let mut out = Vec::new();
    let founding = Founding { cluster: ClusterId(7), voters: [voter(0, 1)].into() };
    let accept = Message::Accept { ballot: ballot(1, 0), founding: founding.clone() };
    one.handle_message(Seed(0), accept.clone(), &mut out);
    let accepted = Message::Accepted { ballot: ballot(1, 0) };
    assert_eq!(out, [Output::Send { to: Seed(0), message: accepted }]);
    out.clear();
    one.attempt(ClusterId(8), &mut out);
    let prepare = Message::Prepare { ballot: ballot(2, 1) };
    let to = |to, message: &Message| Output::Send { to: Seed(to), message: message.clone() };
    assert_eq!(out, [to(0, &prepare), to(2, &prepare)]);
    out.clear();
    let promise = Message::Promise { ballot: ballot(2, 1), accepted: None, voter: voter(2, 1) };
    one.handle_message(Seed(2), promise, &mut out);
    let again = Message::Accept { ballot: ballot(2, 1), founding };
    assert_eq!(out, [to(0, &again), to(2, &again)]);
    // What is below the promise is not accepted any more.
    out.clear();
    one.handle_message(Seed(0), accept, &mut out);
    let reject = Message::Reject { ballot: ballot(1, 0), promised: ballot(2, 1) };
    assert_eq!(out, [to(0, &reject)]);
    // Who is rejected goes beyond.
    let mut zero = Genesis::new(Seed(0), voter(0, 1), 3, Start::First);
    zero.attempt(ClusterId(9), &mut Vec::new());
    zero.handle_message(Seed(1), reject, &mut Vec::new());
    out.clear();
    zero.attempt(ClusterId(9), &mut out);
    let prepare = Message::Prepare { ballot: ballot(3, 0) };
    assert_eq!(out, [to(1, &prepare), to(2, &prepare)]);
}

#[test]
fn a_seed_that_restarted_is_silent_until_a_majority_of_the_others_has_answered() {
    let mut world = World::new();
    world.restart(1);
    world.deaf.insert(2);
    world.attempt(0, 7);
    assert_eq!(world.founded, []);
    // One other is not enough to know.
    world.attempt(1, 8);
    assert!(!world.seeds[1].may_vote());
    world.deaf.clear();
    world.attempt(1, 8);
    assert!(world.seeds[1].may_vote());
    assert_eq!(world.founded, []);
    world.attempt(1, 8);
    assert_eq!(world.founded.len(), 3);
}

#[test]
fn two_clusters_are_not_merged() {
    let (ours, theirs) = (ClusterId(7), ClusterId(8));
    assert_eq!(meet(ours, ours), Ok(()));
    assert_eq!(meet(ours, theirs), Err(ForeignCluster { ours, theirs }));
    let mut world = World::new();
    world.attempt(0, 7);
    let founding = Founding { cluster: theirs, voters: BTreeSet::new() };
    let mut out = Vec::new();
    world.seeds[1].handle_message(Seed(2), Message::Founded { founding }, &mut out);
    assert_eq!(out, [Output::Foreign(ForeignCluster { ours, theirs })]);
    assert_eq!(world.seeds[1].founding().map(|founding| founding.cluster), Some(ours));
    assert_eq!(world.alarms, []);
}
