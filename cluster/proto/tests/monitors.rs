//! Random histories of watches, ends, lost epochs and lost nodes, against a list of what must be notified.
//!
//! A failing run prints its seed; `MONITORS_SEED=n` runs that one alone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use mobula_proto::id::NodeId;
use mobula_proto::monitors::{Down, Message, Monitors, Mutant, Output};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

type Actor = (u64, u64);

#[derive(Clone, Debug)]
enum Packet {
    Protocol(Message<Actor, u64>),
    NewEpoch,
}

#[derive(Debug, Default)]
struct Link {
    epoch: u64,
    known_epoch: u64,
    queue: VecDeque<(u64, Packet)>,
    said: Vec<Packet>,
}

struct World {
    rng: SmallRng,
    mutant: Mutant,
    /// The name of each node changes with its life.
    nodes: BTreeMap<u64, Monitors<Actor, u64>>,
    links: BTreeMap<(u64, u64), Link>,
    next_node: u64,
    next_actor: u64,
    alive: BTreeSet<Actor>,
    /// Why actors that ended did so.
    ended: BTreeMap<Actor, u64>,
    /// Open monitors of each node: on whom.
    open: BTreeMap<(u64, u64), Actor>,
    /// Monitors that reached their actor while it lived: they are told how it ended.
    reached: BTreeSet<(u64, u64)>,
    dead: BTreeSet<u64>,
}

impl World {
    fn new(seed: u64, mutant: Mutant) -> Self {
        let node = |id| (id, Monitors::new().with_mutant(mutant));
        Self {
            rng: SmallRng::seed_from_u64(seed),
            mutant,
            nodes: (0..3).map(node).collect(),
            links: BTreeMap::new(),
            next_node: 3,
            next_actor: 0,
            alive: BTreeSet::new(),
            ended: BTreeMap::new(),
            open: BTreeMap::new(),
            reached: BTreeSet::new(),
            dead: BTreeSet::new(),
        }
    }

    fn pick(&mut self) -> u64 {
        let ids: Vec<u64> = self.nodes.keys().copied().collect();
        ids[self.rng.random_range(0..ids.len())]
    }

    fn step(&mut self) -> Result<(), String> {
        match self.rng.random_range(0..1_000) {
            0..120 => {
                let at = self.pick();
                self.alive.insert((at, self.next_actor));
                self.next_actor += 1;
            }
            120..330 => self.watch()?,
            330..370 => {
                let open: Vec<(u64, u64)> = self.open.keys().copied().collect();
                if !open.is_empty() {
                    let (at, id) = open[self.rng.random_range(0..open.len())];
                    self.open.remove(&(at, id));
                    let mut is_open = false;
                    self.call(at, |node, out| is_open = node.unwatch(id, out))?;
                    if !is_open {
                        return Err(format!("monitor {id} of node {at} ended in silence"));
                    }
                }
            }
            370..450 => {
                let alive: Vec<Actor> = self.alive.iter().copied().collect();
                if !alive.is_empty() {
                    let actor = alive[self.rng.random_range(0..alive.len())];
                    self.end_actor(actor)?;
                }
            }
            450..940 => {
                let (from, to) = (self.pick(), self.pick());
                self.arrive(from, to)?;
            }
            940..970 => {
                let (from, to) = (self.pick(), self.pick());
                self.end_epoch(from, to)?;
            }
            970..995 => {
                let (from, to) = (self.pick(), self.pick());
                self.repeat(from, to);
            }
            995..998 => {
                let id = self.pick();
                self.replace(id)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn watch(&mut self) -> Result<(), String> {
        let (at, node) = (self.pick(), self.pick());
        if at == node || self.next_actor == 0 {
            return Ok(());
        }
        // Some of them never were, some are of the past.
        let actor = (node, self.rng.random_range(0..self.next_actor));
        let mut id = 0;
        self.call(at, |monitors, out| {
            id = monitors.watch(NodeId(node), actor, out).unwrap_or_default();
        })?;
        self.open.insert((at, id), actor);
        Ok(())
    }

    fn end_actor(&mut self, actor: Actor) -> Result<(), String> {
        let reason = self.rng.random();
        self.alive.remove(&actor);
        self.ended.insert(actor, reason);
        self.call(actor.0, |node, out| node.actor_ended(&actor, &reason, out))
    }

    fn arrive(&mut self, from: u64, to: u64) -> Result<(), String> {
        let Some(link) = self.links.get_mut(&(from, to)) else {
            return Ok(());
        };
        let Some((epoch, packet)) = link.queue.pop_front() else {
            return Ok(());
        };
        let is_new = epoch > link.known_epoch;
        link.known_epoch = epoch;
        if is_new {
            self.call(to, |node, out| node.associated(NodeId(from), out))?;
        }
        if let Packet::Protocol(message) = packet {
            let alive = self.alive.clone();
            let watches = match &message {
                Message::Watch { id, actor } => vec![(*id, *actor)],
                Message::Watches { open, .. } => open.clone(),
                Message::Unwatch { .. } | Message::Down { .. } => Vec::new(),
            };
            let living = watches.into_iter().filter(|(_, actor)| alive.contains(actor));
            self.reached.extend(living.map(|(id, _)| (from, id)));
            self.call(to, |node, out| {
                node.handle_message(NodeId(from), message, |actor| alive.contains(actor), out);
            })?;
        }
        Ok(())
    }

    fn end_epoch(&mut self, from: u64, to: u64) -> Result<(), String> {
        if from == to {
            return Ok(());
        }
        let link = self.links.entry((from, to)).or_default();
        link.queue.truncate(self.rng.random_range(0..=link.queue.len()));
        link.epoch += 1;
        link.queue.push_back((link.epoch, Packet::NewEpoch));
        self.call(from, |node, out| node.associated(NodeId(to), out))
    }

    /// Something that was said before is said again, much later.
    fn repeat(&mut self, from: u64, to: u64) {
        if let Some(link) = self.links.get_mut(&(from, to))
            && !link.said.is_empty()
        {
            let packet = link.said[self.rng.random_range(0..link.said.len())].clone();
            link.queue.push_back((link.epoch, packet));
        }
    }

    /// A node dies; another takes its place.
    fn replace(&mut self, id: u64) -> Result<(), String> {
        self.nodes.remove(&id);
        self.dead.insert(id);
        self.alive.retain(|&(at, _)| at != id);
        self.open.retain(|&(at, _), _| at != id);
        self.links.retain(|&(from, to), _| from != id && to != id);
        for at in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.call(at, |node, out| node.node_down(NodeId(id), out))?;
        }
        self.nodes.insert(self.next_node, Monitors::new().with_mutant(self.mutant));
        self.next_node += 1;
        Ok(())
    }

    fn call(
        &mut self,
        at: u64,
        call: impl FnOnce(&mut Monitors<Actor, u64>, &mut Vec<Output<Actor, u64>>),
    ) -> Result<(), String> {
        let mut out = Vec::new();
        if let Some(node) = self.nodes.get_mut(&at) {
            call(node, &mut out);
        }
        for output in out {
            match output {
                Output::Send { to, .. } if self.dead.contains(&to.0) => {}
                Output::Send { to, message } => {
                    let link = self.links.entry((at, to.0)).or_default();
                    let packet = Packet::Protocol(message);
                    link.said.push(packet.clone());
                    link.queue.push_back((link.epoch, packet));
                }
                Output::Notify { id, reason } => self.notified(at, id, &reason)?,
            }
        }
        Ok(())
    }

    fn notified(&mut self, at: u64, id: u64, reason: &Down<u64>) -> Result<(), String> {
        let Some(actor) = self.open.remove(&(at, id)) else {
            return Err(format!("monitor {id} of node {at} notified again, or though ended"));
        };
        let is_true = match reason {
            Down::Exited(reason) => self.ended.get(&actor) == Some(reason),
            Down::NoActor => !self.alive.contains(&actor) && !self.reached.contains(&(at, id)),
            Down::NodeDown => self.dead.contains(&actor.0),
            Down::Refused => false,
        };
        if is_true { Ok(()) } else { Err(format!("{actor:?} is not {reason:?}")) }
    }

    fn deliver_all(&mut self) -> Result<(), String> {
        while self.links.values().any(|link| !link.queue.is_empty()) {
            for (from, to) in self.links.keys().copied().collect::<Vec<_>>() {
                self.arrive(from, to)?;
            }
        }
        Ok(())
    }

    fn heal(&mut self) -> Result<(), String> {
        self.deliver_all()?;
        if let Some(((at, id), actor)) =
            self.open.iter().find(|(_, actor)| !self.alive.contains(actor))
        {
            return Err(format!("monitor {id} of node {at} on {actor:?} was never notified"));
        }
        for actor in self.alive.clone() {
            self.end_actor(actor)?;
        }
        self.deliver_all()?;
        for (id, node) in &self.nodes {
            let counts = (node.open_count(), node.watched_count());
            if counts != (0, 0) {
                return Err(format!("node {id} remembers {counts:?}: {node:?}"));
            }
        }
        Ok(())
    }
}

fn run(seed: u64, mutant: Mutant) -> Result<(), String> {
    let mut world = World::new(seed, mutant);
    for step in 0..1_500 {
        world.step().map_err(|reason| format!("seed {seed}, step {step}: {reason}"))?;
    }
    world.heal().map_err(|reason| format!("seed {seed}, healing: {reason}"))
}

#[test]
fn each_monitor_is_notified_exactly_once_and_truly() {
    let seed = std::env::var("MONITORS_SEED").ok().and_then(|seed| seed.parse().ok());
    for seed in seed.map_or(0..500, |seed: u64| seed..seed + 1) {
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
