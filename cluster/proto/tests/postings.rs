//! Random histories of postings on nodes that come, go, return and part, over links that lose, double and reorder,
//! against the plain truth: what each node has posted.
//!
//! A failing run prints its seed; `POSTINGS_SEED=n` runs that one alone.

#![expect(clippy::expect_used, reason = "a test stops at the first surprise")]

use std::collections::{BTreeMap, BTreeSet};

use mobula_proto::id::{Incarnation, NodeId};
use mobula_proto::postings::{Input, Message, Mutant, Output, Postings, SUMMARY_EVERY};
use mobula_proto::time::Time;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

type Entry = u32;

const NODES: u64 = 6;

struct Machine {
    life: u64,
    core: Postings<Entry>,
    /// The truth.
    posted: BTreeSet<Entry>,
    /// What the core's outputs add up to.
    told: BTreeMap<u64, (u64, BTreeSet<Entry>)>,
    /// The members it was told of.
    view: BTreeMap<u64, u64>,
}

struct World {
    rng: SmallRng,
    mutant: Mutant,
    now: Time,
    machines: BTreeMap<u64, Machine>,
    /// Members die and return in a new life, and not everybody hears at once.
    next_life: u64,
    in_flight: Vec<(u64, u64, Message<Entry>)>,
    /// Pairs that do not hear each other.
    parted: BTreeSet<(u64, u64)>,
    is_quiet: bool,
}

impl World {
    fn new(seed: u64, mutant: Mutant) -> Result<Self, String> {
        let mut world = Self {
            rng: SmallRng::seed_from_u64(seed),
            mutant,
            now: Time::ZERO,
            machines: BTreeMap::new(),
            next_life: 1,
            in_flight: Vec::new(),
            parted: BTreeSet::new(),
            is_quiet: false,
        };
        for id in 0..NODES {
            world.start(id)?;
        }
        Ok(world)
    }

    /// A new process with this name. The others learn of it later.
    fn start(&mut self, id: u64) -> Result<(), String> {
        let life = self.next_life;
        self.next_life += 1;
        let core = Postings::new(NodeId(id), Incarnation(life)).with_mutant(self.mutant);
        let machine = Machine {
            life,
            core,
            posted: BTreeSet::new(),
            told: BTreeMap::new(),
            view: BTreeMap::new(),
        };
        self.machines.insert(id, machine);
        for other in neighbours(id) {
            self.input(id, Input::Connected { node: NodeId(other) })?;
            if self.machines.contains_key(&other) {
                self.input(other, Input::Disconnected { node: NodeId(id) })?;
                self.input(other, Input::Connected { node: NodeId(id) })?;
            }
        }
        Ok(())
    }

    fn pick(&mut self) -> u64 {
        let ids: Vec<u64> = self.machines.keys().copied().collect();
        ids[self.rng.random_range(0..ids.len())]
    }

    fn step(&mut self) -> Result<(), String> {
        match self.rng.random_range(0..1_000) {
            0..150 => {
                let (id, entry) = (self.pick(), self.rng.random_range(0..40));
                self.post(id, entry)?;
            }
            150..250 => {
                let (id, entry) = (self.pick(), self.rng.random_range(0..40));
                self.withdraw(id, entry)?;
            }
            250..700 => self.deliver_one()?,
            700..740 => {
                // Lost.
                if !self.in_flight.is_empty() {
                    let index = self.rng.random_range(0..self.in_flight.len());
                    self.in_flight.swap_remove(index);
                }
            }
            740..880 => {
                self.now = self.now + SUMMARY_EVERY / 50;
                let id = self.pick();
                self.input(id, Input::Tick)?;
            }
            880..960 => {
                let (at, of) = (self.pick(), self.rng.random_range(0..NODES));
                self.learn(at, of)?;
            }
            960..970 => {
                let (one, other) = (self.pick(), self.pick());
                self.parted.insert((one.min(other), one.max(other)));
            }
            970..980 => self.parted.clear(),
            980..985 => {
                // A silent death; the others still believe in it.
                let id = self.pick();
                if self.machines.len() > 2 {
                    self.machines.remove(&id);
                }
            }
            985..993 => {
                let id = self.rng.random_range(0..NODES);
                if !self.machines.contains_key(&id) {
                    self.start(id)?;
                }
            }
            _ => {
                // Contact is lost, and nobody has died.
                let (at, of) = (self.pick(), self.rng.random_range(0..NODES));
                if at != of && self.machine(at).view.remove(&of).is_some() {
                    self.input(at, Input::Lost { node: NodeId(of) })?;
                }
            }
        }
        Ok(())
    }

    fn machine(&mut self, id: u64) -> &mut Machine {
        self.machines.get_mut(&id).expect("picked among them")
    }

    fn post(&mut self, id: u64, entry: Entry) -> Result<(), String> {
        let now = self.now;
        let machine = self.machine(id);
        let is_new = machine.core.post(now, entry).map_err(|error| error.to_string())?;
        if is_new == machine.posted.insert(entry) { Ok(()) } else { Err("posted twice".into()) }
    }

    fn withdraw(&mut self, id: u64, entry: Entry) -> Result<(), String> {
        let now = self.now;
        let machine = self.machine(id);
        let was_there = machine.core.withdraw(now, &entry);
        if was_there == machine.posted.remove(&entry) {
            Ok(())
        } else {
            Err("withdrawn without being there".into())
        }
    }

    /// A node learns how another one really stands.
    fn learn(&mut self, at: u64, of: u64) -> Result<(), String> {
        if at == of {
            return Ok(());
        }
        let truth = self.machines.get(&of).map(|machine| machine.life);
        let believed = self.machine(at).view.get(&of).copied();
        if truth == believed {
            return Ok(());
        }
        let node = NodeId(of);
        if believed.is_some() && (truth.is_none() || self.rng.random_bool(0.5)) {
            self.machine(at).view.remove(&of);
            self.input(at, Input::Lost { node })?;
        }
        if let Some(life) = truth {
            self.machine(at).view.insert(of, life);
            self.input(at, Input::Member { node, life: Incarnation(life) })?;
        }
        Ok(())
    }

    fn deliver_one(&mut self) -> Result<(), String> {
        if self.in_flight.is_empty() {
            return Ok(());
        }
        // Any of the first few: reordered, and some come twice, now or much later.
        let near = self.in_flight.len().min(8);
        let index = self.rng.random_range(0..near);
        let comes_again = !self.is_quiet && self.rng.random_bool(0.1);
        let (from, to, message) =
            if comes_again { self.in_flight[index].clone() } else { self.in_flight.remove(index) };
        let is_parted = self.parted.contains(&(from.min(to), from.max(to)));
        if is_parted || !self.machines.contains_key(&to) {
            return Ok(());
        }
        self.input(to, Input::Received { from: NodeId(from), message })
    }

    fn input(&mut self, at: u64, input: Input<Entry>) -> Result<(), String> {
        let now = self.now;
        let mut rng = SmallRng::seed_from_u64(self.rng.random());
        let machine = self.machine(at);
        let mut out = Vec::new();
        machine.core.on(now, input, &mut rng, &mut out);
        let mut sent = Vec::new();
        for output in out {
            match output {
                Output::Send { to, message } => sent.push((at, to.0, message)),
                Output::Changed { owner, life, added, removed } => {
                    let told = machine.told.entry(owner.0).or_insert((life.0, BTreeSet::new()));
                    if told.0 != life.0 || machine.view.get(&owner.0) != Some(&life.0) {
                        return Err(format!("{at} takes up life {life} of {owner}"));
                    }
                    for entry in removed {
                        if !told.1.remove(&entry) {
                            return Err(format!("{at}: {entry} of {owner} went and was not there"));
                        }
                    }
                    for entry in added {
                        if !told.1.insert(entry) {
                            return Err(format!("{at}: {entry} of {owner} came and was there"));
                        }
                    }
                }
                Output::Gone { owner, life } => {
                    if machine.told.remove(&owner.0).is_some_and(|told| told.0 != life.0) {
                        return Err(format!("{at}: another life of {owner} is gone"));
                    }
                }
            }
        }
        self.in_flight.extend(sent);
        self.check(at)
    }

    /// What the outputs add up to is what the core says it knows, of members alone.
    fn check(&self, at: u64) -> Result<(), String> {
        let machine = &self.machines[&at];
        for other in 0..NODES {
            let known: BTreeSet<Entry> = machine.core.entries_of(NodeId(other)).copied().collect();
            if other == at {
                if known != machine.posted {
                    return Err(format!("{at} does not know its own page"));
                }
                continue;
            }
            let told = machine.told.get(&other).map(|(_, entries)| entries.clone());
            if known != told.unwrap_or_default() {
                return Err(format!("{at} knows {known:?} of {other}, and told otherwise"));
            }
            if !known.is_empty() && !machine.view.contains_key(&other) {
                return Err(format!("{at} keeps the page of {other}, which is gone"));
            }
        }
        Ok(())
    }

    /// Nothing changes any more, everything arrives, everybody knows who is there: all must know the same.
    fn quiet(&mut self) -> Result<(), String> {
        self.is_quiet = true;
        self.parted.clear();
        let ids: Vec<u64> = self.machines.keys().copied().collect();
        for &at in &ids {
            for of in 0..NODES {
                self.learn(at, of)?;
                // The overlay has closed the gaps that the dead left.
                let is_near = at != of && self.machines.contains_key(&of);
                let node = NodeId(of);
                self.input(at, Input::Disconnected { node })?;
                if is_near {
                    self.input(at, Input::Connected { node })?;
                }
            }
        }
        for _ in 0..15 {
            self.now = self.now + SUMMARY_EVERY;
            for &id in &ids {
                self.input(id, Input::Tick)?;
            }
            // Answers give rise to turns, turns to news.
            for _ in 0..8 {
                while !self.in_flight.is_empty() {
                    self.deliver_one()?;
                }
                self.now = self.now + SUMMARY_EVERY / 20;
                for &id in &ids {
                    self.input(id, Input::Tick)?;
                }
            }
        }
        for &at in &ids {
            for &of in &ids {
                let known: BTreeSet<Entry> =
                    self.machines[&at].core.entries_of(NodeId(of)).copied().collect();
                let truth = &self.machines[&of].posted;
                if known != *truth {
                    return Err(format!("{at} knows {known:?} of {of}, which posted {truth:?}"));
                }
            }
        }
        let hashes: BTreeSet<u64> = self.machines.values().map(|one| one.core.hash()).collect();
        if hashes.len() == 1 { Ok(()) } else { Err(format!("hashes differ: {hashes:?}")) }
    }
}

/// A ring with chords: dead nodes of the overlay are replaced in the real one, so that this one is dense enough.
fn neighbours(id: u64) -> Vec<u64> {
    let steps = [1, 2, NODES - 1, NODES - 2];
    steps.iter().map(|step| (id + step) % NODES).collect()
}

fn run(seed: u64, mutant: Mutant) -> Result<(), String> {
    let mut world = World::new(seed, mutant)?;
    for step in 0..1_500 {
        world.step().map_err(|reason| format!("seed {seed}, step {step}: {reason}"))?;
    }
    world.quiet().map_err(|reason| format!("seed {seed}, in the end: {reason}"))
}

#[test]
fn all_members_know_the_same_once_it_is_quiet() {
    let seed = std::env::var("POSTINGS_SEED").ok().and_then(|seed| seed.parse().ok());
    for seed in seed.map_or(0..100, |seed: u64| seed..seed + 1) {
        run(seed, Mutant::None).unwrap();
    }
}

#[test]
fn every_seeded_bug_is_caught() {
    for mutant in Mutant::ALL {
        let caught = (0..200).find_map(|seed| run(seed, mutant).err());
        println!("{mutant:?}: {caught:.120?}");
        assert!(caught.is_some(), "{mutant:?} passes");
    }
}

/// Half of the cluster cannot hear the other half, changes go on, and then it can.
#[test]
fn halves_that_parted_agree_after_they_heal() {
    for seed in 0..10 {
        let mut world = World::new(seed, Mutant::None).unwrap();
        for at in 0..NODES {
            for of in 0..NODES {
                world.learn(at, of).unwrap();
            }
        }
        for one in 0..NODES / 2 {
            for other in NODES / 2..NODES {
                world.parted.insert((one, other));
            }
        }
        for entry in 0..200 {
            let id = world.pick();
            world.post(id, entry).unwrap();
            world.now = world.now + SUMMARY_EVERY / 50;
            for at in 0..NODES {
                world.input(at, Input::Tick).unwrap();
            }
            while !world.in_flight.is_empty() {
                world.deliver_one().unwrap();
            }
        }
        world.quiet().unwrap_or_else(|reason| panic!("seed {seed}: {reason}"));
    }
}
