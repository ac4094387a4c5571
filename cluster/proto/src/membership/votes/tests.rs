//! Verdicts by returned values: who may vote, how many must.

use std::sync::Arc;

use super::*;
use crate::member::{Details, Status};

const X: NodeId = NodeId(1_003);
const NOW: Time = Time(60_000_000);

fn record(node: NodeId, status: Status) -> Record {
    Record { node, incarnation: Incarnation(7), status, details: Arc::new(Details::default()) }
}

/// Forty members; the accused and its observers.
fn scene() -> (View, Vec<NodeId>) {
    let view: View =
        (0..40).map(NodeId).chain([X]).map(|node| record(node, Status::Alive)).collect();
    let observers = view.neighbours(X);
    assert_eq!(observers.len(), 8, "this name has eight distinct neighbours");
    (view, observers)
}

fn alert(observer: NodeId, accused: NodeId, sequence: u64, on: bool) -> Alert {
    Alert {
        accused,
        incarnation: Incarnation(7),
        observer,
        observer_incarnation: Incarnation(7),
        sequence,
        reason: super::super::message::Reason::Silence,
        on,
    }
}

fn accuse(votes: &mut Votes, view: &View, observers: &[NodeId], accused: NodeId) {
    for observer in observers {
        votes.file(NOW, &alert(*observer, accused, 1, true), view, 100);
    }
}

fn verdict_at(votes: &Votes, view: &View, now: Time, mutant: Mutant) -> Option<Vec<NodeId>> {
    let config = Config { mutant, ..Config::default() };
    votes.verdict(X, view, view.rings(), now, &config)
}

fn verdict(votes: &Votes, view: &View) -> Option<Vec<NodeId>> {
    verdict_at(votes, view, NOW, Mutant::None)
}

#[test]
fn five_of_eight_decide_and_four_do_not() {
    let (view, observers) = scene();
    let mut votes = Votes::default();
    accuse(&mut votes, &view, &observers[..4], X);
    assert_eq!(verdict(&votes, &view), None);
    assert!(verdict_at(&votes, &view, NOW, Mutant::OneObserverDecides).is_some());
    accuse(&mut votes, &view, &observers[4..5], X);
    assert_eq!(verdict(&votes, &view), Some(observers[..5].to_vec()));
}

#[test]
fn who_is_no_observer_does_not_count() {
    let (view, observers) = scene();
    let mut votes = Votes::default();
    let strangers: Vec<NodeId> =
        (0..40).map(NodeId).filter(|node| !observers.contains(node)).collect();
    accuse(&mut votes, &view, &strangers, X);
    assert_eq!(verdict(&votes, &view), None);
}

#[test]
fn an_alert_taken_back_does_not_count_nor_does_an_older_one_after_it() {
    let (view, observers) = scene();
    let mut votes = Votes::default();
    accuse(&mut votes, &view, &observers[..5], X);
    votes.file(NOW, &alert(observers[0], X, 3, false), &view, 100);
    assert_eq!(verdict(&votes, &view), None);
    votes.file(NOW, &alert(observers[0], X, 2, true), &view, 100);
    assert_eq!(verdict(&votes, &view), None, "a straggler");
}

#[test]
fn the_dead_leave_the_electorate() {
    let (mut view, observers) = scene();
    let elder = view.rings().clone();
    for dead in &observers[3..] {
        view.merge(record(*dead, Status::Down), Mutant::None);
    }
    let mut votes = Votes::default();
    accuse(&mut votes, &view, &observers[..3], X);
    let decided = |mutant| {
        let config = Config { mutant, ..Config::default() };
        votes.verdict(X, &view, &elder, NOW, &config)
    };
    assert_eq!(decided(Mutant::None), Some(observers[..3].to_vec()));
    assert_eq!(decided(Mutant::QuorumOverAllObservers), None);
}

#[test]
fn the_silenced_leave_the_electorate_unless_they_speak() {
    let (view, observers) = scene();
    let mut votes = Votes::default();
    accuse(&mut votes, &view, &observers[..4], X);
    // Two of the other four are accused by three of their own.
    for silenced in &observers[4..6] {
        accuse(&mut votes, &view, &view.neighbours(*silenced)[..3], *silenced);
    }
    assert_eq!(verdict(&votes, &view), Some(observers[..4].to_vec()), "four of six");
    assert_eq!(verdict_at(&votes, &view, NOW, Mutant::NoImplicitAlerts), None);
    for speaker in &observers[4..6] {
        votes.file(NOW, &alert(*speaker, NodeId(3), 1, true), &view, 100);
    }
    assert_eq!(verdict(&votes, &view), None, "four of eight");
}

#[test]
fn the_mute_leave_the_electorate_after_a_window() {
    let (view, observers) = scene();
    let mut votes = Votes::default();
    accuse(&mut votes, &view, &observers[..1], X);
    let later = NOW + Config::default().alert_after;
    assert_eq!(verdict(&votes, &view), None);
    assert_eq!(verdict_at(&votes, &view, later, Mutant::None), Some(observers[..1].to_vec()));
    votes.file(NOW, &alert(observers[1], X, 1, false), &view, 100);
    assert_eq!(verdict_at(&votes, &view, later, Mutant::None), None, "somebody hears it");
}

#[test]
fn a_higher_incarnation_voids_what_was_said_of_the_lower() {
    let (mut view, observers) = scene();
    let mut votes = Votes::default();
    accuse(&mut votes, &view, &observers, X);
    assert!(verdict(&votes, &view).is_some());
    let refuted = Record { incarnation: Incarnation(8), ..record(X, Status::Alive) };
    view.merge(refuted, Mutant::None);
    votes.close(X, Incarnation(8), false);
    assert_eq!(verdict(&votes, &view), None);
    accuse(&mut votes, &view, &observers, X);
    assert!(votes.is_empty(), "late alerts on the old one are not kept");
}

#[test]
fn votes_not_renewed_expire_and_tables_are_bounded() {
    let (view, observers) = scene();
    let mut votes = Votes::default();
    accuse(&mut votes, &view, &observers, X);
    for other in (0..40).map(NodeId) {
        votes.file(NOW, &alert(observers[0], other, 1, true), &view, 10);
    }
    assert_eq!(votes.cases.len(), 10);
    for observer in (0..500).map(NodeId) {
        votes.file(NOW, &alert(observer, X, 1, true), &view, 10);
    }
    assert_eq!(votes.cases[&X].votes.len(), OBSERVERS_MAX);
    let span = Duration::from_secs(5);
    votes.expire(NOW + span, span);
    assert!(!votes.is_empty());
    votes.expire(NOW + span + Duration::from_micros(1), span);
    assert!(votes.is_empty());
}

#[test]
fn a_claim_that_most_who_spoke_contradict_is_doubtful() {
    let (view, observers) = scene();
    let mut votes = Votes::default();
    accuse(&mut votes, &view, &observers[..1], X);
    let down = record(X, Status::Down);
    assert!(!votes.contradict(&down, &observers[..1]));
    votes.file(NOW, &alert(observers[1], X, 1, false), &view, 100);
    assert!(votes.contradict(&down, &observers[..1]));
    assert!(!votes.contradict(&down, &observers[2..7]));
}
