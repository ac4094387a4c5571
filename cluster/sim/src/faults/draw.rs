//! Scripts from seeds.
//!
//! Faults drawn evenly from one bag make every run alike: always some partition, never a pure storm of stalls.
//! So a seed first draws a family, and the family draws its faults; each family is a place where protocols break.
//! All begin with a cluster that starts, and end with everything put right, so that the cluster must heal.
//!
//! Invariant: the same seed, size and span give the same script on every machine.

use rand::rngs::SmallRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};

use super::{Fault, Hosts, Script, Shape};
use crate::queue::{MILLISECOND, SECOND, Tick};

/// A kind of bad day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Bad weather, resets, and stalls below the window: nobody may be declared down.
    Weather,
    /// Processes and machines die and come back, some in bunches.
    Deaths,
    /// Partitions of every shape, one-sided loss.
    Partitions,
    /// Nodes come, leave and come back.
    Churn,
    /// All of it.
    Chaos,
}

impl Family {
    /// All families.
    pub const ALL: [Self; 5] =
        [Self::Weather, Self::Deaths, Self::Partitions, Self::Churn, Self::Chaos];
}

/// Hosts 0 to 2 are the seed list and boot first.
pub const SEEDS: u32 = 3;
/// From the first boot to the first fault.
const SETTLE: Tick = 15 * SECOND;

struct Draw {
    rng: SmallRng,
    hosts: u32,
    script: Script,
    cuts: u32,
}

/// The script of a seed over `hosts` hosts (at least 4) and `span` ticks, of a given family or of a drawn one.
#[must_use]
pub fn script(seed: u64, hosts: u32, span: Tick, family: Option<Family>) -> (Family, Script) {
    let mut rng = SmallRng::seed_from_u64(seed ^ 0x5eed_0f5c_1237_0000);
    let drawn = Family::ALL.choose(&mut rng).copied().unwrap_or(Family::Chaos);
    let family = family.unwrap_or(drawn);
    let mut draw = Draw { rng, hosts, script: Script::default(), cuts: 0 };
    draw.start();
    let faults = draw.rng.random_range(3..=12);
    for _ in 0..faults {
        let at = SETTLE + draw.rng.random_range(0..span.saturating_sub(SETTLE).max(1));
        match family {
            Family::Weather => draw.weather_or_stall(at, 1_900 * MILLISECOND),
            Family::Deaths => draw.death(at, span),
            Family::Partitions => draw.cut(at, span),
            Family::Churn => draw.churn(at, span),
            Family::Chaos => match draw.rng.random_range(0..4) {
                0 => draw.weather_or_stall(at, 8 * SECOND),
                1 => draw.death(at, span),
                2 => draw.cut(at, span),
                _ => draw.churn(at, span),
            },
        }
    }
    draw.script.add(span, Fault::LiftAll);
    draw.script.add(span, Fault::Weather(0.0, 0.0, 0.0));
    draw.script.sort();
    (family, draw.script)
}

impl Draw {
    fn start(&mut self) {
        self.script.add(0, Fault::Boot(Hosts::of([0])));
        let late = self.rng.random_bool(0.5);
        for host in 1..self.hosts {
            let at = if late { self.rng.random_range(0..2 * SECOND) } else { 10 * MILLISECOND };
            self.script.add(at, Fault::Boot(Hosts::of([host])));
        }
    }

    fn some(&mut self, most: u32) -> Hosts {
        let count = self.rng.random_range(1..=most.clamp(1, self.hosts));
        let mut all: Vec<u32> = (0..self.hosts).collect();
        all.shuffle(&mut self.rng);
        Hosts::of(all.into_iter().take(count as usize))
    }

    fn weather_or_stall(&mut self, at: Tick, stall_max: Tick) {
        if self.rng.random_bool(0.3) {
            let loss = f64::from(self.rng.random_range(0..=10_u32)) / 100.0;
            self.script.add(at, Fault::Weather(loss, loss / 5.0, loss));
        } else if self.rng.random_bool(0.2) {
            let hosts = self.some(self.hosts / 4 + 1);
            self.script.add(at, Fault::Reset(hosts));
        } else {
            let hosts = self.some(self.hosts / 8 + 1);
            let span = self.rng.random_range(50 * MILLISECOND..stall_max);
            self.script.add(at, Fault::Stall(hosts, span));
        }
    }

    fn death(&mut self, at: Tick, span: Tick) {
        let most = if self.rng.random_bool(0.2) { self.hosts * 3 / 10 } else { 2 };
        let hosts = self.some(most);
        let kill = self.rng.random_bool(0.5);
        let fault = if kill { Fault::Kill } else { Fault::Crash };
        self.script.add(at, fault(hosts.clone()));
        if self.rng.random_bool(0.7) {
            let back = at + self.rng.random_range(MILLISECOND..20 * SECOND);
            self.script.add(back.min(span), Fault::Boot(hosts));
        }
    }

    fn cut(&mut self, at: Tick, span: Tick) {
        self.cuts += 1;
        let number = self.cuts;
        let mut all: Vec<u32> = (0..self.hosts).collect();
        all.shuffle(&mut self.rng);
        let fault = match self.rng.random_range(0..5) {
            0 if self.rng.random_bool(0.3) => {
                // A grey failure: one pair, one way.
                let pair = (Hosts::of([all[0]]), Hosts::of([all[1]]));
                Fault::Lossy(number, 1.0, pair.0, pair.1)
            }
            0 => {
                let middle = self.rng.random_range(1..all.len());
                let loss = f64::from(self.rng.random_range(1..=9_u32)) / 10.0;
                let (from, to) = all.split_at(middle);
                Fault::Lossy(
                    number,
                    loss,
                    Hosts::of(from.iter().copied()),
                    Hosts::of(to.iter().copied()),
                )
            }
            shape => {
                let (shape, zones) = match shape {
                    1 => (Shape::Clean, 2),
                    2 => (Shape::Bridge, 3),
                    3 => (Shape::Ring, 4),
                    _ => (Shape::OneWay, 2),
                };
                Fault::Cut(number, shape, self.parts(&all, zones))
            }
        };
        self.script.add(at, fault);
        let lifted = at + self.rng.random_range(500 * MILLISECOND..25 * SECOND);
        self.script.add(lifted.min(span), Fault::Lift(number));
    }

    /// Cuts a shuffled list into so many parts, even or with one small one.
    fn parts(&mut self, all: &[u32], zones: usize) -> Vec<Hosts> {
        let small = self.rng.random_bool(0.4);
        let mut parts = vec![Vec::new(); zones];
        for (index, host) in all.iter().enumerate() {
            let part = if small && index >= zones { 0 } else { index % zones };
            parts[part].push(*host);
        }
        parts.into_iter().map(Hosts::of).collect()
    }

    fn churn(&mut self, at: Tick, span: Tick) {
        let hosts = self.some(self.hosts / 6 + 1);
        let leave = self.rng.random_bool(0.6);
        let fault = if leave { Fault::Leave } else { Fault::Kill };
        self.script.add(at, fault(hosts.clone()));
        if self.rng.random_bool(0.8) {
            let back = at + self.rng.random_range(MILLISECOND..10 * SECOND);
            self.script.add(back.min(span), Fault::Boot(hosts));
        }
    }
}
