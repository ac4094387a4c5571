//! Random concurrent coordinators of placement groups: no deadlock, nothing held twice, nothing held for ever.
//!
//! Messages are delayed and lost, coordinators and nodes die. `GROUP_SEED=n` runs one seed alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mobula_proto::error::GroupError;
use mobula_proto::id::NodeId;
use mobula_proto::placement::Resources;
use mobula_proto::placement::resources::{CPU, ONE};
use mobula_proto::placement_group::arrange::Room;
use mobula_proto::placement_group::{Group, Output, Strategy, TTL};
use mobula_proto::reservation::GrantId;
use mobula_proto::reservation::grants::{Answer, Grants};
use mobula_proto::time::Time;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

const NODES: u64 = 4;
const CPUS: u64 = 4;
/// Coordinators have names of their own: they are nodes without room.
const FIRST_COORDINATOR: u64 = 100;

#[derive(Clone, Debug)]
enum Packet {
    Ask(Output),
    Agreed(GrantId),
    Refused(GrantId),
}

#[derive(Debug)]
struct Coordinator {
    group: Group,
    outcome: Option<Result<Vec<(NodeId, GrantId)>, GroupError>>,
}

struct World {
    rng: SmallRng,
    now: Time,
    is_lossy: bool,
    nodes: BTreeMap<u64, Grants>,
    coordinators: BTreeMap<u64, Coordinator>,
    /// Coordinators whose death nobody has noticed.
    vanished: BTreeSet<u64>,
    /// What is under way: when it arrives, a number against ties, to whom, from whom.
    wire: BTreeMap<(Time, u64), (u64, u64, Packet)>,
    /// Per pair, order is kept.
    last: BTreeMap<(u64, u64), Time>,
    number: u64,
}

fn cpus(count: u64) -> Resources {
    Resources::of([(CPU, count * ONE)])
}

impl World {
    fn new(seed: u64, is_lossy: bool) -> Self {
        let nodes = (0..NODES).map(|id| (id, Grants::new(cpus(CPUS)))).collect();
        Self {
            rng: SmallRng::seed_from_u64(seed),
            now: Time(1),
            is_lossy,
            nodes,
            coordinators: BTreeMap::new(),
            vanished: BTreeSet::new(),
            wire: BTreeMap::new(),
            last: BTreeMap::new(),
            number: 0,
        }
    }

    fn add(&mut self, strategy: Strategy, bundles: &[u64]) {
        let id = FIRST_COORDINATOR + self.coordinators.len() as u64;
        let bundles = bundles.iter().map(|&count| cpus(count)).collect();
        let group = Group::new(self.now, NodeId(id), 0, strategy, bundles);
        self.coordinators.insert(id, Coordinator { group, outcome: None });
    }

    fn put(&mut self, from: u64, to: u64, packet: Packet) {
        let is_release = matches!(packet, Packet::Ask(Output::Release { .. }));
        if self.is_lossy && !is_release && self.rng.random_range(0..50) == 0 {
            return;
        }
        let delay = Duration::from_micros(self.rng.random_range(100..20_000));
        let last = self.last.entry((from, to)).or_default();
        *last = (*last).max(self.now + delay);
        self.number += 1;
        self.wire.insert((*last, self.number), (to, from, packet));
    }

    /// Goes to the next thing that happens; `false` when nothing will.
    fn step(&mut self) -> bool {
        let wakes = self
            .coordinators
            .iter()
            .filter_map(|(&id, coordinator)| coordinator.group.next_wake().map(|at| (at, id)));
        let wake = wakes.min();
        let arrival = self.wire.first_key_value().map(|(&key, _)| key);
        match (wake, arrival) {
            (None, None) => false,
            (Some((at, id)), arrival) if arrival.is_none_or(|(time, _)| at <= time) => {
                self.now = self.now.max(at);
                let rooms = self.rooms();
                let now = self.now;
                self.call(id, |group, rng, out| group.tick(now, &rooms, rng, out));
                true
            }
            _ => {
                if let Some(((time, _), (to, from, packet))) = self.wire.pop_first() {
                    self.now = self.now.max(time);
                    self.arrive(to, from, packet);
                }
                true
            }
        }
    }

    fn rooms(&mut self) -> Vec<Room> {
        let room = |(&id, grants): (&u64, &Grants)| Room {
            node: NodeId(id),
            free: grants.free().clone(),
            total: cpus(CPUS),
        };
        let mut rooms: Vec<Room> = self.nodes.iter().map(room).collect();
        // Rumours are old: sometimes all look idle.
        if self.rng.random() {
            rooms.iter_mut().for_each(|room| room.free = room.total.clone());
        }
        rooms
    }

    fn arrive(&mut self, to: u64, from: u64, packet: Packet) {
        let now = self.now;
        match packet {
            Packet::Agreed(id) => self.call(to, |group, _, out| group.agreed(now, id, out)),
            Packet::Refused(id) => {
                self.call(to, |group, rng, out| group.refused(now, id, rng, out));
            }
            Packet::Ask(ask) => {
                let Some(grants) = self.nodes.get_mut(&to) else {
                    return;
                };
                grants.expire(now);
                let (id, is_agreed) = match ask {
                    Output::Reserve { id, demand, .. } => {
                        (id, grants.reserve(now, id, &demand, TTL) != Answer::Busy)
                    }
                    Output::Bind { id, .. } => (id, grants.bind(now, id)),
                    Output::Release { id, .. } => return grants.release(id),
                    Output::Ready { .. } | Output::Failed { .. } | Output::Broken { .. } => return,
                };
                let answer = if is_agreed { Packet::Agreed(id) } else { Packet::Refused(id) };
                self.put(to, from, answer);
            }
        }
    }

    fn call(&mut self, id: u64, call: impl FnOnce(&mut Group, &mut SmallRng, &mut Vec<Output>)) {
        let Some(coordinator) = self.coordinators.get_mut(&id) else {
            return;
        };
        let mut out = Vec::new();
        call(&mut coordinator.group, &mut self.rng, &mut out);
        for output in out {
            match &output {
                Output::Reserve { to, .. }
                | Output::Bind { to, .. }
                | Output::Release { to, .. } => {
                    let to = to.0;
                    self.put(id, to, Packet::Ask(output));
                }
                Output::Ready { bundles } => self.end(id, Ok(bundles.clone())),
                Output::Failed { error } => self.end(id, Err(error.clone())),
                Output::Broken { .. } => {}
            }
        }
    }

    fn end(&mut self, id: u64, outcome: Result<Vec<(NodeId, GrantId)>, GroupError>) {
        if let Some(coordinator) = self.coordinators.get_mut(&id) {
            assert!(coordinator.outcome.is_none(), "two outcomes");
            coordinator.outcome = Some(outcome);
        }
    }

    fn kill_coordinator(&mut self, id: u64) {
        self.coordinators.remove(&id);
        self.wire.retain(|_, (to, from, _)| *to != id && *from != id);
        if self.rng.random() {
            self.vanished.insert(id);
            return;
        }
        self.nodes.values_mut().for_each(|grants| {
            grants.holder_down(NodeId(id));
        });
    }

    /// What is held is held by ready groups, whole, and by nobody else.
    fn check(&mut self) -> Result<usize, String> {
        let late = self.now + TTL + TTL;
        self.nodes.values_mut().for_each(|grants| grants.expire(late));
        let mut expected: BTreeSet<(u64, GrantId)> = BTreeSet::new();
        for (id, coordinator) in &self.coordinators {
            match &coordinator.outcome {
                None => return Err(format!("group {id} never ended: {coordinator:?}")),
                Some(Ok(bundles)) => {
                    expected.extend(bundles.iter().map(|(node, grant)| (node.0, *grant)));
                }
                Some(Err(_)) => {}
            }
        }
        // What somebody bound who then vanished is held until his death is noticed; what he only reserved is not.
        for (&node, grants) in &self.nodes {
            let numbered = |&holder: &u64| {
                (0..100).map(move |number| GrantId { holder: NodeId(holder), number })
            };
            let bound = self.vanished.iter().flat_map(numbered).filter(|id| grants.is_bound(*id));
            expected.extend(bound.map(|id| (node, id)));
        }
        for (node, grants) in &self.nodes {
            let of_node = expected.iter().filter(|(at, _)| at == node);
            let count = of_node.clone().count();
            if let Some((_, grant)) = of_node.clone().find(|(_, grant)| !grants.is_bound(*grant)) {
                return Err(format!("{grant:?} of a ready group is not bound at {node}"));
            }
            if grants.count() != count {
                return Err(format!("node {node} holds {} grants for {count}", grants.count()));
            }
        }
        let ready = |coordinator: &&Coordinator| matches!(coordinator.outcome, Some(Ok(_)));
        Ok(self.coordinators.values().filter(ready).count())
    }
}

fn seeds() -> std::ops::Range<u64> {
    let seed = std::env::var("GROUP_SEED").ok().and_then(|seed| seed.parse().ok());
    seed.map_or(0..400, |seed: u64| seed..seed + 1)
}

#[test]
fn concurrent_coordinators_end_and_hold_whole_groups_or_nothing() {
    for seed in seeds() {
        let mut world = World::new(seed, true);
        for _ in 0..world.rng.random_range(1..8) {
            let strategies =
                [Strategy::Pack, Strategy::Spread, Strategy::StrictPack, Strategy::StrictSpread];
            let strategy = strategies[world.rng.random_range(0..4)];
            let count = world.rng.random_range(0..5);
            let bundles: Vec<u64> = (0..count).map(|_| world.rng.random_range(1..4)).collect();
            world.add(strategy, &bundles);
        }
        let mut steps = 0;
        while world.step() {
            steps += 1;
            assert!(steps < 20_000, "seed {seed}: still busy at {:?}", world.now);
            if world.rng.random_range(0..300) == 0 && world.coordinators.len() > 1 {
                let index = world.rng.random_range(0..world.coordinators.len());
                let id = world.coordinators.keys().nth(index).copied();
                world.kill_coordinator(id.unwrap_or_default());
            }
        }
        world.check().unwrap_or_else(|reason| panic!("seed {seed}: {reason}"));
    }
}

#[test]
fn of_those_that_want_everything_somebody_gets_it() {
    for seed in seeds() {
        let mut world = World::new(seed, false);
        for _ in 0..4 {
            world.add(Strategy::StrictSpread, &[CPUS; NODES as usize]);
        }
        while world.step() {}
        let ready = world.check().unwrap_or_else(|reason| panic!("seed {seed}: {reason}"));
        assert_eq!(ready, 1, "seed {seed}");
    }
}

#[test]
fn a_ready_group_says_what_a_lost_node_took_and_gives_the_rest_back() {
    let mut world = World::new(1, false);
    world.add(Strategy::StrictSpread, &[1, 2, 3]);
    while world.step() {}
    assert_eq!(world.check(), Ok(1));
    let coordinator = world.coordinators.get_mut(&FIRST_COORDINATOR).unwrap();
    let Some(Ok(bundles)) = &coordinator.outcome else {
        panic!("the group is ready");
    };
    let lost = bundles[1].0;
    let mut out = Vec::new();
    coordinator.group.node_down(world.now, lost, &mut world.rng, &mut out);
    assert_eq!(out, [Output::Broken { bundles: vec![1] }]);
    out.clear();
    coordinator.group.release(&mut out);
    let told: Vec<NodeId> = out
        .iter()
        .map(|output| match output {
            Output::Release { to, .. } => *to,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told.len(), 2);
    assert!(!told.contains(&lost));
}
