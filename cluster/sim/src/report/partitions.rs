//! Rows about partitions: does each side come to rest, and are they one again afterwards?
//!
//! "Resolved" is not the same for all shapes. A clean cut is resolved when each side knows exactly itself.
//! With a bridge or a ring everybody still hears of everybody by detours, and no view is the only right one:
//! there the cluster must come to rest, that is no more changes of who is a member for ten seconds.
//!
//! Invariant: healed means that all nodes count all nodes, and say so for five more seconds.

use mobula_proto::membership::MembershipEvent;

use super::measure::{Subject, most, until_all_count};
use super::{Plan, Row, seeds_text, span};
use crate::faults::{Fault, Hosts, Shape};
use crate::network::Conditions;
use crate::queue::{MILLISECOND, SECOND, Tick};
use crate::rings::Node;
use crate::world::World;

const LAST: Tick = 30 * SECOND;
const REST: Tick = 10 * SECOND;
const RESOLVE_MAX: Tick = 60 * SECOND;
const HEAL_MAX: Tick = 180 * SECOND;

struct Outcome {
    resolved: Option<Tick>,
    downs: u64,
    healed: Option<Tick>,
}

/// Lets time pass until nobody was declared down or joined for ten seconds; when the last such change was.
fn until_rest(world: &mut World<Node>) -> (Option<Tick>, u64) {
    let from = world.now();
    let (mut last, mut downs) = (from, 0);
    while world.now() < from + RESOLVE_MAX {
        let next = world.now() + 100 * MILLISECOND;
        while world.step(next).is_some() {
            let now = world.now();
            for (_, notice) in world.take_notices() {
                match notice {
                    MembershipEvent::Down { .. } => {
                        downs += 1;
                        last = now;
                    }
                    MembershipEvent::Joined(_) | MembershipEvent::Healed(_) => last = now,
                    _ => {}
                }
            }
        }
        if world.now() >= last + REST {
            return (Some(last - from), downs);
        }
    }
    (None, downs)
}

fn sides_know_themselves(world: &World<Node>, parts: &[Hosts]) -> bool {
    parts.iter().all(|part| {
        part.0.iter().all(|host| {
            world.running(*host).is_none_or(|process| process.live_count() == part.0.len())
        })
    })
}

fn one(hosts: u32, seed: u64, shape: Shape, parts: &[Hosts]) -> Outcome {
    let mut world = Node::steady(hosts, Conditions::default(), seed);
    world.run_until(Node::WARM_UP);
    let cut_at = world.now();
    Fault::Cut(1, shape, parts.to_vec()).strike(&mut world);
    world.take_notices().for_each(drop);
    let (rest, downs) = until_rest(&mut world);
    let resolved = rest.filter(|_| shape != Shape::Clean || sides_know_themselves(&world, parts));
    let until = world.now().max(cut_at + LAST);
    world.run_until(until);
    Fault::LiftAll.strike(&mut world);
    let healed = until_all_count(&mut world, hosts as usize, 100 * MILLISECOND, HEAL_MAX);
    let steady = world.now() + 5 * SECOND;
    world.run_until(steady);
    let again = until_all_count(&mut world, hosts as usize, SECOND, SECOND);
    Outcome { resolved, downs, healed: healed.filter(|_| again == Some(0)) }
}

fn split(hosts: u32, shares: &[u32]) -> Vec<Hosts> {
    let whole: u32 = shares.iter().sum();
    let part_of = |host: u32| {
        let mut left = host % whole;
        shares
            .iter()
            .position(|share| {
                let here = left < *share;
                left = left.saturating_sub(*share);
                here
            })
            .unwrap_or(0)
    };
    (0..shares.len())
        .map(|part| Hosts::of((0..hosts).filter(|host| part_of(*host) == part)))
        .collect()
}

/// Cuts of every shape, held until they come to rest, then lifted.
#[must_use]
pub fn all(plan: &Plan) -> Vec<Row> {
    let hosts = 100;
    let alone: Vec<Hosts> = vec![Hosts::of([7]), Hosts::of((0..hosts).filter(|host| *host != 7))];
    let cases = [
        ("50/50", Shape::Clean, split(hosts, &[1, 1])),
        ("80/20", Shape::Clean, split(hosts, &[4, 1])),
        ("one node alone", Shape::Clean, alone),
        ("three parts", Shape::Clean, split(hosts, &[1, 1, 1])),
        ("bridge of 10", Shape::Bridge, split(hosts, &[9, 9, 2])),
        ("bridge of 2", Shape::Bridge, {
            let mut parts = split(hosts - 2, &[1, 1]);
            parts.push(Hosts::of([hosts - 2, hosts - 1]));
            parts
        }),
        ("ring of 4", Shape::Ring, split(hosts, &[1, 1, 1, 1])),
        ("one-way", Shape::OneWay, split(hosts, &[1, 1])),
    ];
    let mut rows: Vec<Row> = Vec::new();
    for (name, shape, parts) in cases {
        rows.push(row(plan, hosts, name, shape, &parts));
    }
    if plan.large >= 1_000 {
        let parts = split(plan.large, &[1, 1]);
        rows.push(row(plan, plan.large, "50/50", Shape::Clean, &parts));
    }
    rows
}

fn row(plan: &Plan, hosts: u32, name: &str, shape: Shape, parts: &[Hosts]) -> Row {
    let seeds = plan.seeds.min(if hosts >= 1_000 { 1 } else { 3 });
    let outcomes: Vec<Outcome> = (1..=seeds).map(|seed| one(hosts, seed, shape, parts)).collect();
    let of = |pick: fn(&Outcome) -> Option<Tick>| -> (Tick, usize) {
        let known: Vec<Tick> = outcomes.iter().filter_map(pick).collect();
        (most(&known), outcomes.len() - known.len())
    };
    let (resolved, unresolved) = of(|outcome| outcome.resolved);
    let (healed, unhealed) = of(|outcome| outcome.healed);
    let mut measured = format!(
        "at rest after {}, healed {} after the lift; {} downs told",
        span(resolved),
        span(healed),
        outcomes.iter().map(|outcome| outcome.downs).max().unwrap_or(0),
    );
    if unresolved + unhealed > 0 {
        measured =
            format!("{unresolved} runs did not come to rest, {unhealed} did not heal; {measured}");
    }
    Row {
        scenario: format!("partition {name}, N = {hosts}"),
        goal: "resolves and heals".to_owned(),
        measured,
        seeds: seeds_text(1..=seeds),
        passed: Some(unresolved + unhealed == 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Host;

    fn hosts_of(parts: &[Hosts]) -> Vec<Host> {
        let mut all: Vec<Host> = parts.iter().flat_map(|part| part.0.iter().copied()).collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn parts_hold_every_host_once() {
        for shares in [&[1, 1][..], &[4, 1], &[9, 9, 2], &[1, 1, 1, 1]] {
            let all: Vec<Host> = (0..100).map(Host).collect();
            assert_eq!(hosts_of(&split(100, shares)), all);
        }
        assert_eq!(split(100, &[4, 1])[1].0.len(), 20);
    }
}
