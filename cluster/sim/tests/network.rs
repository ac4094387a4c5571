//! The network model against a protocol so simple that every message can be accounted for.

use std::collections::BTreeMap;

use mobula_proto::time::Time;
use mobula_sim::faults::{Fault, Hosts, Shape};
use mobula_sim::network::Conditions;
use mobula_sim::protocol::{Effect, Ending, Host, Input, Protocol};
use mobula_sim::queue::{MILLISECOND, SECOND, Tick};
use mobula_sim::world::World;
use rand::rngs::SmallRng;

/// Does what it is told and reports all it sees.
#[derive(Debug)]
struct Parrot;

#[derive(Debug, Clone)]
enum Order {
    Dial(Host),
    HangUp(Host),
    Send(Host, u32),
    Datagram(Host, u32),
    Flood(u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Received(Host, u32),
    Datagram(Host, u32),
    Flooded(u32),
    Connected(Host),
    Refused(Host),
    Unreachable(Host),
    Ended(Host, Ending),
}

impl Protocol for Parrot {
    type Message = u32;
    type Command = Order;
    type Notice = Seen;

    fn on(
        &mut self,
        _now: Time,
        input: Input<u32, Order>,
        _rng: &mut SmallRng,
        effects: &mut Vec<Effect<u32, Seen>>,
    ) {
        let seen = match input {
            Input::Start | Input::Wake => return,
            Input::Received(from, number) => Seen::Received(from, number),
            Input::Datagram(from, number) => Seen::Datagram(from, number),
            Input::Flooded(_, number) => Seen::Flooded(number),
            Input::Connected(peer) => Seen::Connected(peer),
            Input::Refused(peer) => Seen::Refused(peer),
            Input::Unreachable(peer) => Seen::Unreachable(peer),
            Input::Ended(peer, ending) => Seen::Ended(peer, ending),
            Input::Command(order) => {
                effects.push(match order {
                    Order::Dial(peer) => Effect::Dial(peer),
                    Order::HangUp(peer) => Effect::HangUp(peer),
                    Order::Send(peer, number) => Effect::Send(peer, number),
                    Order::Datagram(peer, number) => Effect::Datagram(peer, number),
                    Order::Flood(number) => Effect::Flood(number),
                });
                return;
            }
        };
        effects.push(Effect::Notice(seen));
    }

    fn next_wake(&self) -> Option<Time> {
        None
    }

    fn size_bytes(_message: &u32) -> u32 {
        4
    }
}

const A: Host = Host(0);
const B: Host = Host(1);

fn world(hosts: u32, conditions: Conditions, seed: u64) -> World<Parrot> {
    let mut world = World::new(hosts, conditions, seed, Box::new(|_, _| Parrot));
    for host in world.hosts() {
        world.boot(host);
    }
    world
}

/// What was seen until `until`, by whom and when.
fn watch(world: &mut World<Parrot>, until: Tick) -> Vec<(Tick, Host, Seen)> {
    let mut seen = Vec::new();
    while world.step(until).is_some() {
        let now = world.now();
        seen.extend(world.take_notices().map(|(host, notice)| (now, host, notice)));
    }
    seen
}

fn only(seen: &[(Tick, Host, Seen)]) -> Vec<(Host, Seen)> {
    seen.iter().map(|(_, host, what)| (*host, *what)).collect()
}

fn linked(conditions: Conditions, seed: u64) -> World<Parrot> {
    let mut world = world(2, conditions, seed);
    world.command(A, Order::Dial(B));
    let seen = only(&watch(&mut world, 20 * SECOND));
    assert_eq!(seen, [(A, Seen::Connected(B)), (B, Seen::Connected(A))], "seed {seed}");
    world
}

/// Dials do not give up, so that a run is about the link.
fn lossy_but_patient(loss: f64) -> Conditions {
    Conditions { loss, dial_limit: 100 * SECOND, give_up: 100 * SECOND, ..Conditions::default() }
}

#[test]
fn a_link_keeps_order_and_loses_nothing_whatever_the_network_loses() {
    for seed in 0..20 {
        let mut world = linked(lossy_but_patient(0.2), seed);
        for number in 0..500 {
            world.command(A, Order::Send(B, number));
        }
        let until = world.now() + 600 * SECOND;
        let seen = only(&watch(&mut world, until));
        let expected: Vec<_> = (0..500).map(|number| (B, Seen::Received(A, number))).collect();
        assert_eq!(seen, expected, "seed {seed}");
    }
}

#[test]
fn both_dial_at_once_and_one_link_comes_about() {
    for seed in 0..50 {
        let mut world = world(2, lossy_but_patient(0.1), seed);
        world.command(A, Order::Dial(B));
        world.command(B, Order::Dial(A));
        watch(&mut world, 20 * SECOND);
        assert_eq!((world.link_count(A), world.link_count(B)), (1, 1), "seed {seed}");
        world.command(B, Order::Send(A, 7));
        let until = world.now() + 30 * SECOND;
        assert_eq!(only(&watch(&mut world, until)), [(A, Seen::Received(B, 7))], "seed {seed}");
    }
}

#[test]
fn a_killed_process_resets_its_links_and_refuses_new_ones() {
    let mut world = linked(Conditions::default(), 1);
    let killed = world.now();
    world.kill(B);
    let seen = watch(&mut world, killed + SECOND);
    assert_eq!(only(&seen), [(A, Seen::Ended(B, Ending::Reset))]);
    assert!(seen[0].0 - killed <= 10 * MILLISECOND, "after {} µs", seen[0].0 - killed);
    world.command(A, Order::Dial(B));
    let until = world.now() + SECOND;
    assert_eq!(only(&watch(&mut world, until)), [(A, Seen::Refused(B))]);
}

#[test]
fn a_dark_machine_says_nothing_until_the_link_is_given_up() {
    let mut world = linked(Conditions::default(), 1);
    world.crash(B);
    world.command(A, Order::Send(B, 1));
    let until = world.now() + 15 * SECOND;
    assert_eq!(only(&watch(&mut world, until)), []);
    let until = world.now() + 60 * SECOND;
    assert_eq!(only(&watch(&mut world, until)), [(A, Seen::Ended(B, Ending::TimedOut))]);
    world.command(A, Order::Dial(B));
    let until = world.now() + 10 * SECOND;
    assert_eq!(only(&watch(&mut world, until)), [(A, Seen::Unreachable(B))]);
}

#[test]
fn who_returned_after_a_crash_resets_links_of_its_former_life() {
    let mut world = linked(Conditions::default(), 1);
    world.crash(B);
    let until = world.now() + SECOND;
    watch(&mut world, until);
    world.boot(B);
    world.command(A, Order::Send(B, 1));
    let until = world.now() + SECOND;
    assert_eq!(only(&watch(&mut world, until)), [(A, Seen::Ended(B, Ending::Reset))]);
}

#[test]
fn a_partition_holds_messages_back_and_delivers_them_after_a_retransmission() {
    let mut world = linked(Conditions::default(), 1);
    let cut = Fault::Cut(1, Shape::OneWay, vec![Hosts::of([0]), Hosts::of([1])]);
    cut.strike(&mut world);
    world.command(A, Order::Send(B, 1));
    world.command(A, Order::Send(B, 2));
    world.command(A, Order::Datagram(B, 3));
    world.command(B, Order::Datagram(A, 4));
    let cut_at = world.now();
    let seen = only(&watch(&mut world, cut_at + 5 * SECOND));
    assert_eq!(seen, [(B, Seen::Datagram(A, 3))], "one way is open, and streams need two");
    Fault::Lift(1).strike(&mut world);
    let seen = watch(&mut world, cut_at + 20 * SECOND);
    assert_eq!(only(&seen), [(B, Seen::Received(A, 1)), (B, Seen::Received(A, 2))]);
    assert!(seen[0].0 >= cut_at + 6 * SECOND, "not before its timer: 0.2 + 0.4 + … + 3.2 s");
}

#[test]
fn a_stalled_process_hears_everything_when_it_goes_on() {
    let mut world = linked(Conditions::default(), 1);
    let stalled = world.now();
    world.stall(B, 2 * SECOND);
    for number in 0..3 {
        world.command(A, Order::Send(B, number));
    }
    assert_eq!(only(&watch(&mut world, stalled + 2 * SECOND - 1)), []);
    let seen = watch(&mut world, stalled + 3 * SECOND);
    assert_eq!(only(&seen), [0, 1, 2].map(|number| (B, Seen::Received(A, number))));
    assert!(seen.iter().all(|(at, ..)| *at == stalled + 2 * SECOND));
}

#[test]
fn datagrams_are_lost_doubled_and_overtake_each_other() {
    let conditions =
        Conditions { loss: 0.1, duplicates: 0.1, reordered: 0.1, ..Conditions::default() };
    let mut world = world(2, conditions, 3);
    let mut arrived = Vec::new();
    for number in 0..1_000 {
        world.command(A, Order::Datagram(B, number));
        let until = world.now() + MILLISECOND;
        arrived.extend(only(&watch(&mut world, until)));
    }
    let numbers: Vec<u32> = arrived
        .iter()
        .filter_map(|(_, seen)| match seen {
            Seen::Datagram(_, number) => Some(*number),
            _ => None,
        })
        .collect();
    let mut copies = BTreeMap::<u32, u32>::new();
    for number in &numbers {
        *copies.entry(*number).or_default() += 1;
    }
    assert!((850..950).contains(&copies.len()), "{} of 1000 arrived", copies.len());
    assert!(copies.values().any(|count| *count == 2));
    assert!(!numbers.is_sorted());
}

/// A line of links 0 – 1 – 2 – … : a flood must be handed on.
fn line(hosts: u32, conditions: Conditions, seed: u64) -> World<Parrot> {
    let mut world = world(hosts, conditions, seed);
    for host in 1..hosts {
        world.command(Host(host - 1), Order::Dial(Host(host)));
    }
    watch(&mut world, 5 * SECOND);
    world
}

#[test]
fn a_flood_goes_from_link_to_link_and_stops_at_a_cut() {
    let whole = Conditions { flood_loss: 0.0, ..Conditions::default() };
    let mut world = line(6, whole, 1);
    world.command(A, Order::Flood(9));
    let until = world.now() + SECOND;
    let seen = only(&watch(&mut world, until));
    assert_eq!(seen, [1, 2, 3, 4, 5].map(|host| (Host(host), Seen::Flooded(9))));
    let parts = vec![Hosts::of([0, 1, 2]), Hosts::of([3, 4, 5])];
    Fault::Cut(1, Shape::Clean, parts).strike(&mut world);
    world.command(A, Order::Flood(10));
    let until = world.now() + SECOND;
    let seen = only(&watch(&mut world, until));
    assert_eq!(seen, [1, 2].map(|host| (Host(host), Seen::Flooded(10))));
}

#[test]
fn a_hang_up_is_told_after_what_was_sent_before() {
    let mut world = linked(Conditions::default(), 1);
    world.command(A, Order::Send(B, 5));
    world.command(A, Order::HangUp(B));
    let until = world.now() + SECOND;
    let seen = only(&watch(&mut world, until));
    assert_eq!(seen, [(B, Seen::Received(A, 5)), (B, Seen::Ended(A, Ending::Closed))]);
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_seed_another() {
    let trace = |seed| {
        let mut world = line(12, Conditions::lossy(0.1), seed);
        for round in 0..200 {
            let from = Host(round % 12);
            world.command(from, Order::Flood(round));
            world.command(from, Order::Datagram(Host((round + 5) % 12), round));
        }
        let until = world.now() + 30 * SECOND;
        watch(&mut world, until)
    };
    assert_eq!(trace(1), trace(1));
    assert_ne!(trace(1), trace(2));
}
