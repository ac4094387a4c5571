//! Who knew what when: measurements that are the same for the core and for the baseline.
//!
//! Invariant: a node that never learns is counted as missing, never left out of a median.

use std::collections::BTreeMap;
use std::sync::Arc;

use mobula_proto::config::Config;
use mobula_proto::membership::MembershipEvent;

use crate::baseline::{self, Change, FocaNode};
use crate::network::Conditions;
use crate::protocol::{Host, Protocol};
use crate::queue::{SECOND, Tick};
use crate::rings::{self, Node, host_of};
use crate::world::World;

/// A protocol whose notices say who is up and who is down.
pub trait Subject: Protocol {
    /// Its name in the report.
    const NAME: &'static str;

    /// A world of so many hosts, all booted at 0, all of which know each other.
    fn steady(hosts: u32, conditions: Conditions, seed: u64) -> World<Self>;

    /// How long such a world needs until its timers run as they always will.
    const WARM_UP: Tick;

    /// Who is down, if the notice says that.
    fn down(notice: &Self::Notice) -> Option<Host>;

    /// Members this node takes for live, itself included.
    fn live_count(&self) -> usize;
}

impl Subject for Node {
    const NAME: &'static str = "rings";
    const WARM_UP: Tick = 12 * SECOND;

    fn steady(hosts: u32, conditions: Conditions, seed: u64) -> World<Self> {
        let factory = rings::knowing(Config::default(), hosts, seeds_of(hosts));
        booted(World::new(hosts, conditions, seed, factory))
    }

    fn down(notice: &MembershipEvent) -> Option<Host> {
        match notice {
            MembershipEvent::Down { node, .. } => Some(host_of(*node)),
            _ => None,
        }
    }

    fn live_count(&self) -> usize {
        self.core().live_count()
    }
}

impl Subject for FocaNode {
    const NAME: &'static str = "foca";
    const WARM_UP: Tick = 5 * SECOND;

    fn steady(hosts: u32, conditions: Conditions, seed: u64) -> World<Self> {
        let known: Arc<[Host]> = (0..hosts).map(Host).collect();
        let factory = baseline::lan(hosts, known, seeds_of(hosts));
        booted(World::new(hosts, conditions, seed, factory))
    }

    fn down(notice: &Change) -> Option<Host> {
        match notice {
            Change::Down(host) => Some(*host),
            Change::Up(_) => None,
        }
    }

    fn live_count(&self) -> usize {
        self.member_count() + 1
    }
}

/// The seed list of every cluster here: the first three hosts.
#[must_use]
pub fn seeds_of(hosts: u32) -> Vec<Host> {
    (0..hosts.min(3)).map(Host).collect()
}

fn booted<P: Protocol>(mut world: World<P>) -> World<P> {
    for host in world.hosts() {
        world.boot(host);
    }
    world
}

/// When others learnt that some nodes were gone.
#[derive(Debug, Clone, Default)]
pub struct Detection {
    /// For each pair of a victim and a survivor that learnt of it: how long it took.
    pub spans: Vec<Tick>,
    /// For each victim: how long until all survivors knew.
    pub all_know: Vec<Tick>,
    /// For each victim: how long until the first knew.
    pub first: Vec<Tick>,
    /// Pairs of a victim and a survivor that never learnt.
    pub missing: u64,
    /// Declarations of nodes that ran.
    pub false_downs: u64,
}

impl Detection {
    /// Adds what another run found.
    pub fn add(&mut self, other: Self) {
        self.spans.extend(other.spans);
        self.all_know.extend(other.all_know);
        self.first.extend(other.first);
        self.missing += other.missing;
        self.false_downs += other.false_downs;
    }
}

/// The middle one of some spans.
#[must_use]
pub fn median(spans: &[Tick]) -> Tick {
    let mut sorted = spans.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or(0)
}

/// The greatest of some spans.
#[must_use]
pub fn most(spans: &[Tick]) -> Tick {
    spans.iter().copied().max().unwrap_or(0)
}

/// Lets time pass for up to `limit` after victims fell (they have been struck already), and notes who learns it.
pub fn detect<S: Subject>(world: &mut World<S>, victims: &[Host], limit: Tick) -> Detection {
    let struck = world.now();
    let survivors =
        world.hosts().filter(|host| world.machine(*host).running().is_some()).count() as u64;
    let mut knew: BTreeMap<(Host, Host), Tick> = BTreeMap::new();
    let mut found = Detection::default();
    let wanted = survivors * victims.len() as u64;
    while knew.len() as u64 != wanted && world.step(struck + limit).is_some() {
        let now = world.now();
        let told: Vec<(Host, S::Notice)> = world.take_notices().collect();
        for (host, notice) in told {
            let Some(down) = S::down(&notice) else { continue };
            if victims.contains(&down) {
                knew.entry((down, host)).or_insert(now - struck);
            } else if world.machine(down).running().is_some() {
                found.false_downs += 1;
            }
        }
    }
    for victim in victims {
        let all = knew.range((*victim, Host(0))..=(*victim, Host(u32::MAX)));
        let spans: Vec<Tick> = all.map(|(_, span)| *span).collect();
        found.missing += survivors - spans.len() as u64;
        found.first.extend(spans.iter().min());
        found.all_know.extend(spans.iter().max());
        found.spans.extend(spans);
    }
    found
}

/// Lets time pass until every running node counts `expected` live members, looking every `every` ticks.
///
/// Returns how long that took, or `None` after `limit`.
pub fn until_all_count<S: Subject>(
    world: &mut World<S>,
    expected: usize,
    every: Tick,
    limit: Tick,
) -> Option<Tick> {
    until(world, every, limit, |world| processes(world).all(|one| one.live_count() == expected))
}

/// As [`until_all_count`], until 99 % of all pairs of nodes know each other.
pub fn until_most_count<S: Subject>(
    world: &mut World<S>,
    expected: usize,
    every: Tick,
    limit: Tick,
) -> Option<Tick> {
    until(world, every, limit, |world| {
        let known: usize = processes(world).map(|one| one.live_count().min(expected)).sum();
        known * 100 >= expected * expected * 99
    })
}

fn processes<S: Subject>(world: &World<S>) -> impl Iterator<Item = &S> {
    world.machines().iter().filter_map(|machine| machine.running())
}

fn until<S: Subject>(
    world: &mut World<S>,
    every: Tick,
    limit: Tick,
    holds: impl Fn(&World<S>) -> bool,
) -> Option<Tick> {
    let from = world.now();
    while world.now() < from + limit {
        if holds(world) {
            return Some(world.now() - from);
        }
        let next = world.now() + every;
        world.run_until(next);
    }
    None
}
