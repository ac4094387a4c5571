//! What goes wrong, and when: drawn from a seed, so that a bad run can be had again.
//!
//! Faults that are drawn one by one pile up until nothing works, and then nothing is learned.
//! So a script is made of episodes that begin and end: a machine is in one episode at a time, the network in one, and
//! fewer than half of the machines are in any. Every episode ends within the script, so that what must heal can.
//!
//! Invariant: a script is a function of plan and seed.
//!
//! Pure: no clock, no I/O, no tasks.

use std::fmt;
use std::time::Duration;

use rand::Rng;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::seq::SliceRandom as _;

use crate::shape::{Rules, Shape};

/// One thing that is done to the cluster.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fault {
    /// The machine's node is killed with -9.
    Kill(u16),
    /// It is started again, in a new life.
    Start(u16),
    /// The node is stopped by a signal.
    Freeze(u16),
    /// It goes on.
    Thaw(u16),
    /// So many programs that only burn CPU run beside the nodes.
    Hog(u16),
    /// The network changes.
    Network(Rules),
    /// The machine's link goes down.
    Unplug(u16),
    /// It is up again.
    Plug(u16),
    /// The machine has no route to another.
    Blackhole { at: u16, to: u16 },
    /// It has one again.
    Route { at: u16, to: u16 },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(machine) => write!(f, "kill -9 node {machine}"),
            Self::Start(machine) => write!(f, "start node {machine}"),
            Self::Freeze(machine) => write!(f, "stop node {machine} by a signal"),
            Self::Thaw(machine) => write!(f, "continue node {machine}"),
            Self::Hog(0) => f.write_str("no hogs"),
            Self::Hog(count) => write!(f, "{count} hogs"),
            Self::Network(rules) if *rules == Rules::default() => f.write_str("network mended"),
            Self::Network(Rules { cut: Some(shape), .. }) => write!(f, "partition: {shape}"),
            Self::Network(Rules { loss_percent, delay, jitter, .. }) => {
                write!(f, "loss {loss_percent} %, delay {delay:?} to {:?}", *delay + *jitter)
            }
            Self::Unplug(machine) => write!(f, "link of {machine} down"),
            Self::Plug(machine) => write!(f, "link of {machine} up"),
            Self::Blackhole { at, to } => write!(f, "no route from {at} to {to}"),
            Self::Route { at, to } => write!(f, "route from {at} to {to}"),
        }
    }
}

/// What scripts may contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// At least 3.
    pub(crate) machines: u16,
    pub(crate) length: Duration,
    /// Whether the network can be broken, too.
    pub(crate) has_network: bool,
    /// Whether nodes may be silent for longer than a failure detector must stand.
    pub(crate) has_outages: bool,
}

/// Faults in the order of their time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Script {
    pub(crate) steps: Vec<(Duration, Fault)>,
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in &self.steps {
            writeln!(f, "  {:6.2} s  {fault}", at.as_secs_f64())?;
        }
        Ok(())
    }
}

/// Before the first fault.
const LEAD: Duration = Duration::from_millis(800);

impl Script {
    /// The script of this seed.
    #[must_use]
    pub(crate) fn draw(seed: u64, plan: Plan) -> Self {
        let mut drawing = Drawing {
            plan,
            rng: StdRng::seed_from_u64(seed),
            steps: Vec::new(),
            busy_until: vec![Duration::ZERO; usize::from(plan.machines)],
            network_until: Duration::ZERO,
            hogs_until: Duration::ZERO,
        };
        let mut now = LEAD;
        while now < plan.length {
            drawing.episode(now);
            now += drawing.millis(200..1500);
        }
        let mut steps = drawing.steps;
        steps.sort_by_key(|(at, _)| *at);
        Self { steps }
    }
}

struct Drawing {
    plan: Plan,
    rng: StdRng,
    steps: Vec<(Duration, Fault)>,
    busy_until: Vec<Duration>,
    network_until: Duration,
    hogs_until: Duration,
}

impl Drawing {
    fn episode(&mut self, now: Duration) {
        let kinds: u32 = if self.plan.has_network { 8 } else { 3 };
        match self.rng.random_range(0..kinds) {
            0 => self.kill(now),
            1 => self.freeze(now),
            2 => self.hogs(now),
            3 | 4 => self.partition(now),
            5 => self.weather(now),
            6 => self.unplug(now),
            _ => self.blackhole(now),
        }
    }

    fn kill(&mut self, now: Duration) {
        let down = self.millis(300..4000);
        if let Some((machine, until)) = self.claim(now, down) {
            self.push(now, Fault::Kill(machine));
            self.push(until, Fault::Start(machine));
        }
    }

    fn freeze(&mut self, now: Duration) {
        let length = self.blink();
        if let Some((machine, until)) = self.claim(now, length) {
            self.push(now, Fault::Freeze(machine));
            self.push(until, Fault::Thaw(machine));
        }
    }

    fn hogs(&mut self, now: Duration) {
        if now < self.hogs_until {
            return;
        }
        let count = self.rng.random_range(1..=6);
        let length = self.millis(500..3000);
        self.hogs_until = self.end(now + length);
        self.push(now, Fault::Hog(count));
        self.push(self.hogs_until, Fault::Hog(0));
    }

    fn partition(&mut self, now: Duration) {
        let machines = self.plan.machines;
        let mut all: Vec<u16> = (0..machines).collect();
        all.shuffle(&mut self.rng);
        let size = usize::from(self.rng.random_range(1..=machines / 2));
        let mut side = all[..size].to_vec();
        side.sort_unstable();
        let cut = match self.rng.random_range(0..4) {
            0 => Shape::Halves(side),
            1 => Shape::OneWay(side),
            2 => Shape::Ring { machines },
            _ => Shape::Bridge { side, middle: all[size] },
        };
        let length = self.blink();
        self.network(now, length, Rules { cut: Some(cut), ..Rules::default() });
    }

    fn weather(&mut self, now: Duration) {
        let rules = Rules {
            cut: None,
            loss_percent: self.rng.random_range(0..=8),
            delay: self.millis(0..15),
            jitter: self.millis(0..20),
        };
        let length = self.millis(1000..4000);
        self.network(now, length, rules);
    }

    fn network(&mut self, now: Duration, length: Duration, rules: Rules) {
        if now < self.network_until {
            return;
        }
        self.network_until = self.end(now + length);
        self.push(now, Fault::Network(rules));
        self.push(self.network_until, Fault::Network(Rules::default()));
    }

    fn unplug(&mut self, now: Duration) {
        let length = self.blink();
        if let Some((machine, until)) = self.claim(now, length) {
            self.push(now, Fault::Unplug(machine));
            self.push(until, Fault::Plug(machine));
        }
    }

    fn blackhole(&mut self, now: Duration) {
        let length = self.blink();
        if let Some((at, until)) = self.claim(now, length) {
            let other = self.rng.random_range(1..self.plan.machines);
            let to = (at + other) % self.plan.machines;
            self.push(now, Fault::Blackhole { at, to });
            self.push(until, Fault::Route { at, to });
        }
    }

    /// A machine that is in no episode, if fewer than half are.
    fn claim(&mut self, now: Duration, length: Duration) -> Option<(u16, Duration)> {
        let free: Vec<u16> = (0..self.plan.machines)
            .filter(|machine| self.busy_until[usize::from(*machine)] <= now)
            .collect();
        let busy_max = usize::from((self.plan.machines - 1) / 2);
        if self.busy_until.len() - free.len() >= busy_max {
            return None;
        }
        let machine = *free.choose(&mut self.rng)?;
        let until = self.end(now + length);
        // It has some time to be well again.
        self.busy_until[usize::from(machine)] = until + Duration::from_millis(500);
        Some((machine, until))
    }

    /// Shorter than what a failure detector must stand, or longer.
    fn blink(&mut self) -> Duration {
        if self.plan.has_outages && self.rng.random_bool(0.5) {
            return self.millis(3000..6000);
        }
        self.millis(200..1200)
    }

    fn millis(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.rng.random_range(range))
    }

    fn end(&self, at: Duration) -> Duration {
        at.min(self.plan.length)
    }

    fn push(&mut self, at: Duration, fault: Fault) {
        self.steps.push((at, fault));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const PLAN: Plan =
        Plan { machines: 5, length: Duration::from_secs(20), has_network: true, has_outages: true };

    #[test]
    fn a_seed_is_a_script_and_another_seed_another() {
        assert_eq!(Script::draw(7, PLAN), Script::draw(7, PLAN));
        assert_ne!(Script::draw(7, PLAN), Script::draw(8, PLAN));
    }

    #[test]
    fn every_episode_ends_within_the_script_and_most_machines_are_well() {
        for seed in 0..500 {
            let script = Script::draw(seed, PLAN);
            let (mut ill, mut network, mut hogs) = (BTreeSet::new(), false, 0);
            for (at, fault) in &script.steps {
                assert!(*at <= PLAN.length, "seed {seed}: {fault} at {at:?}");
                match fault {
                    Fault::Kill(machine) | Fault::Freeze(machine) | Fault::Unplug(machine) => {
                        assert!(ill.insert(*machine), "seed {seed}: {fault} twice");
                    }
                    Fault::Blackhole { at, .. } => {
                        assert!(ill.insert(*at), "seed {seed}: {fault} twice");
                    }
                    Fault::Start(machine) | Fault::Thaw(machine) | Fault::Plug(machine) => {
                        assert!(ill.remove(machine), "seed {seed}: {fault} of a well one");
                    }
                    Fault::Route { at, .. } => {
                        assert!(ill.remove(at), "seed {seed}: {fault} of a well one");
                    }
                    Fault::Network(rules) => network = *rules != Rules::default(),
                    Fault::Hog(count) => hogs = *count,
                }
                assert!(ill.len() <= 2, "seed {seed}: {ill:?}");
            }
            assert!(ill.is_empty() && !network && hogs == 0, "seed {seed}\n{script}");
        }
    }

    #[test]
    fn without_outages_nobody_is_silent_for_long() {
        let script = |seed| Script::draw(seed, Plan { has_outages: false, ..PLAN });
        for (seed, script) in (0..200).map(|seed| (seed, script(seed))) {
            let mut since = std::collections::BTreeMap::new();
            for (at, fault) in script.steps {
                match fault {
                    Fault::Freeze(machine) | Fault::Unplug(machine) => {
                        since.insert(machine, at);
                    }
                    Fault::Thaw(machine) | Fault::Plug(machine) => {
                        let length = at - since.remove(&machine).expect("it began");
                        assert!(length <= Duration::from_millis(1200), "seed {seed}: {length:?}");
                    }
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn every_kind_of_fault_is_drawn_and_without_a_network_none_of_its_own() {
        let kinds = |plan| -> std::collections::HashSet<std::mem::Discriminant<Fault>> {
            let scripts = (0..100).map(|seed| Script::draw(seed, plan));
            scripts
                .flat_map(|script| script.steps)
                .map(|(_, f)| std::mem::discriminant(&f))
                .collect()
        };
        assert_eq!(kinds(PLAN).len(), 10);
        assert_eq!(kinds(Plan { has_network: false, ..PLAN }).len(), 5);
    }
}
