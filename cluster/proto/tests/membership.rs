//! The membership rules, each shown by a handful of nodes.

#[path = "membership/net.rs"]
mod net;

use std::time::Duration;

use mobula_proto::config::Config;
use mobula_proto::id::NodeId;
use mobula_proto::member::Status;
use mobula_proto::membership::{Input, LoadDigest, MembershipEvent};

use crate::net::Net;

const SECOND: Duration = Duration::from_secs(1);

fn settled(count: u64) -> Net {
    Net::settled(Config::default(), count, count)
}

fn others(net: &Net, node: u64) -> Vec<u64> {
    net.running().into_iter().filter(|other| *other != node).collect()
}

#[test]
fn five_nodes_find_each_other_through_one() {
    let net = settled(5);
    for node in net.running() {
        assert_eq!(net.core(node).neighbours().len(), 4);
        assert_eq!(net.core(node).live_count(), 5);
    }
}

#[test]
fn a_silent_crash_is_known_to_all_after_the_window_and_within_three_seconds() {
    for count in [2, 3, 5, 9, 10, 30] {
        let mut net = settled(count);
        net.darken(2);
        let watching = others(&net, 2);
        let took = net.run_until(SECOND * 10, |net| net.all_down(&watching, &[2]));
        let took = took.unwrap_or_else(|| panic!("never with {count} nodes: {}", net.picture()));
        assert!(took > Duration::from_millis(2_200) && took < SECOND * 3, "{count}: {took:?}");
        assert!(net.downs().iter().all(|(_, node)| *node == NodeId(2)), "{:?}", net.downs());
    }
}

#[test]
fn a_killed_process_is_known_to_all_at_once() {
    for count in [2, 3, 5, 9, 10, 30] {
        let mut net = settled(count);
        net.kill(2);
        let watching = others(&net, 2);
        let took = net.run_until(SECOND, |net| net.all_down(&watching, &[2]));
        assert!(took.is_some_and(|took| took <= Duration::from_millis(50)), "{count}: {took:?}");
    }
}

/// A listener that is closed after the connections takes a dial, and cuts it off: that is no refusal.
#[test]
fn a_killed_process_is_known_to_all_soon_though_its_listener_is_closed_last() {
    for count in [2, 3, 5, 9, 10, 30] {
        for millis in [1, 5, 30] {
            let mut net = settled(count);
            net.kill_slowly(2, Duration::from_millis(millis));
            let watching = others(&net, 2);
            let took = net.run_until(SECOND * 2, |net| net.all_down(&watching, &[2]));
            let limit = Duration::from_millis(50 + 2 * millis);
            assert!(took.is_some_and(|took| took <= limit), "{count}, {millis} ms: {took:?}");
        }
    }
}

#[test]
fn who_cuts_off_every_dial_is_not_dialed_without_end() {
    let mut net = settled(5);
    net.kill_slowly(2, SECOND * 10);
    let before = net.dials;
    net.run(SECOND * 2);
    // Four observers: some quick dials of each, then one a second.
    let dials = net.dials - before;
    assert!((4..=4 * 11).contains(&dials), "{dials}");
    net.run(SECOND * 3);
    assert!(net.all_down(&others(&net, 2), &[2]), "silence decides");
}

#[test]
fn the_observers_that_voted_are_named() {
    let mut net = settled(5);
    net.kill(2);
    net.run(SECOND);
    let named = net.notices.iter().find_map(|notice| match &notice.event {
        MembershipEvent::Down { observers, .. } => Some(observers.clone()),
        _ => None,
    });
    assert!(named.is_some_and(|observers| observers.len() >= 3 && !observers.contains(&NodeId(2))));
}

#[test]
fn a_stall_below_the_window_kills_nobody() {
    let mut net = settled(12);
    for round in 0..12 {
        net.stall(round % 12 + 1, Duration::from_millis(1_990));
        net.run(Duration::from_millis(1_300));
    }
    net.run(SECOND * 5);
    assert_eq!(net.downs(), []);
    net.assert_all_know_all();
}

#[test]
fn a_long_stall_is_a_down_and_the_sleeper_blames_itself() {
    let mut net = settled(12);
    net.stall(3, SECOND * 6);
    net.run(SECOND * 5);
    assert!(net.all_down(&others(&net, 3), &[3]));
    net.run(SECOND * 20);
    assert!(net.downs().iter().all(|(_, node)| *node == NodeId(3)), "{:?}", net.downs());
    let told = |expected: fn(&MembershipEvent) -> bool| {
        net.notices.iter().any(|notice| notice.by == 3 && expected(&notice.event))
    };
    assert!(told(|event| matches!(event, MembershipEvent::SelfStalled)));
    assert!(told(|event| matches!(event, MembershipEvent::SelfDeclaredDown { .. })));
    let healed = |notice: &&net::Notice| matches!(notice.event, MembershipEvent::Healed(_));
    assert_eq!(net.notices.iter().filter(healed).count(), 11, "all the others see it healed");
    net.assert_all_know_all();
}

#[test]
fn who_leaves_is_never_suspected() {
    let mut net = settled(6);
    net.give(4, Input::Drain);
    net.run(SECOND);
    assert!(others(&net, 4).iter().all(|by| net.status(*by, 4) == Some(Status::Leaving)));
    net.give(4, Input::Leave);
    let watching = others(&net, 4);
    let took = net.run_until(SECOND, |net| {
        watching.iter().all(|by| net.status(*by, 4) == Some(Status::Left))
    });
    assert!(took.is_some_and(|took| took <= Duration::from_millis(50)), "{took:?}");
    net.darken(4);
    net.run(SECOND * 10);
    let bad = |notice: &&net::Notice| {
        matches!(notice.event, MembershipEvent::Suspected(_) | MembershipEvent::Down { .. })
    };
    assert_eq!(net.notices.iter().find(bad), None);
    assert_eq!(net.core(4).next_wake(), None);
}

#[test]
fn halves_of_a_cut_part_and_heal_without_killing_their_own() {
    for half in [1, 2, 3, 6, 15] {
        let mut net = settled(half * 2);
        let left: Vec<u64> = (1..=half).collect();
        let right: Vec<u64> = (half + 1..=half * 2).collect();
        net.cut_between(&left, &right);
        let took = net.run_until(SECOND * 60, |net| {
            net.all_down(&left, &right) && net.all_down(&right, &left)
        });
        assert!(took.is_some(), "{half}: {}", net.picture());
        let own = |(by, node): &(u64, NodeId)| left.contains(by) == left.contains(&node.0);
        assert!(!net.downs().iter().any(own), "{half}: {:?}", net.downs());
        net.notices.clear();
        net.mend();
        let all = net.running();
        let took = net.run_until(SECOND * 30, |net| net.all_alive(&all, &all));
        assert!(took.is_some(), "{half}: {}", net.picture());
        net.run(SECOND * 20);
        assert_eq!(net.downs(), [], "{half}: the healing itself kills nobody");
        net.assert_all_know_all();
    }
}

#[test]
fn a_bridge_between_halves_resolves_and_heals() {
    for half in [2, 5, 8] {
        let mut net = settled(half * 2 + 1);
        let left: Vec<u64> = (1..=half).collect();
        let right: Vec<u64> = (half + 1..=half * 2).collect();
        net.cut_between(&left, &right);
        net.run(SECOND * 120);
        let late = net.downs().len();
        net.run(SECOND * 60);
        let flaps = net.downs().len() - late;
        assert!(flaps as u64 <= half * half * 8, "{half}: {flaps} downs in the third minute");
        net.mend();
        let all = net.running();
        let took = net.run_until(SECOND * 400, |net| net.all_alive(&all, &all));
        assert!(took.is_some(), "{half}: {}", net.picture());
    }
}

#[test]
fn one_deaf_link_is_no_death() {
    let mut net = settled(12);
    let neighbour = net.core(1).neighbours()[0].0;
    net.cut_one_way(1, neighbour);
    net.run(SECOND * 60);
    assert_eq!(net.downs(), []);
    let refutations = net
        .notices
        .iter()
        .filter(|notice| notice.by == 5 && matches!(notice.event, MembershipEvent::Suspected(_)));
    let count = refutations.count();
    // Windows grow to four seconds; without that there would be one each second.
    assert!(count <= 20, "suspicions of a member that refutes get rarer, and there were {count}");
}

#[test]
fn a_third_dies_at_once_and_no_one_else() {
    for seed in 0..10 {
        let mut net = Net::settled(Config::default(), 40, seed);
        let dead: Vec<u64> = (1..=12).map(|step| (step * 7 + seed) % 40 + 1).collect();
        for node in &dead {
            net.darken(*node);
        }
        let living = net.running();
        let took = net.run_until(SECOND * 30, |net| net.all_down(&living, &dead));
        assert!(took.is_some_and(|took| took < SECOND * 9), "seed {seed}: {took:?}");
        net.run(SECOND * 10);
        assert!(net.downs().iter().all(|(_, node)| dead.contains(&node.0)), "seed {seed}");
        net.assert_all_know_all();
    }
}

#[test]
fn a_new_life_follows_the_end_of_the_old_one() {
    let mut net = settled(5);
    net.kill(2);
    net.run(Duration::from_millis(3));
    net.start(2, 2_000);
    net.join(2, 1);
    net.run(SECOND * 3);
    let seen: Vec<&MembershipEvent> =
        net.notices.iter().filter(|notice| notice.by == 3).map(|notice| &notice.event).collect();
    let is_of_two = |event: &&&MembershipEvent| match event {
        MembershipEvent::Down { node, .. } => *node == NodeId(2),
        MembershipEvent::Joined(member) => member.node == NodeId(2),
        _ => false,
    };
    let story: Vec<bool> = seen
        .iter()
        .filter(is_of_two)
        .map(|event| matches!(event, MembershipEvent::Joined(_)))
        .collect();
    assert_eq!(story, [false, true], "{seen:?}");
    net.assert_all_know_all();
}

#[test]
fn a_life_with_a_clock_put_back_goes_beyond_the_known_incarnation() {
    let mut net = settled(5);
    net.kill(2);
    net.run(SECOND);
    net.start(2, 7);
    net.join(2, 1);
    net.run(SECOND * 3);
    net.assert_all_know_all();
    net.kill(2);
    assert!(net.run_until(SECOND, |net| net.all_down(&[1, 3, 4, 5], &[2])).is_some());
}

#[test]
fn what_no_broadcast_brings_an_exchange_does() {
    let mut net = settled(12);
    net.deaf_to_broadcasts.insert(5);
    net.darken(2);
    let took = net.run_until(SECOND * 20, |net| net.all_down(&[5], &[2]));
    assert!(took.is_some_and(|took| took < SECOND * 6), "{took:?}");
    net.start(99, 5_000);
    net.join(99, 1);
    let took = net.run_until(SECOND * 20, |net| net.all_alive(&[5], &[99]));
    assert!(took.is_some_and(|took| took < SECOND * 3), "{took:?}");
}

#[test]
fn five_percent_loss_kills_nobody_in_half_an_hour() {
    let mut net = settled(12);
    net.loss = 0.05;
    net.run(SECOND * 1_800);
    assert_eq!(net.downs(), []);
    net.loss = 0.0;
    net.run(SECOND * 3);
    net.assert_all_know_all();
}

#[test]
fn loads_become_known_without_being_asked() {
    let mut net = settled(12);
    for node in 1..=12 {
        net.give(node, Input::Load(LoadDigest([u8::try_from(node).unwrap(); 12])));
    }
    net.run(SECOND * 3);
    for node in net.running() {
        assert_eq!(net.core(node).loads().count(), 11);
    }
}
