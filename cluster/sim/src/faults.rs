//! The fault script: what goes wrong, and when, as a value.
//!
//! Faults drawn while the run goes on cannot be taken away one at a time; a script can, so that a failing run of
//! forty faults becomes one of three.
//! A script is a list of times and faults, with a text form that is printed on failure and read by `replay`.
//!
//! - [`draw`]: scripts from seeds.
//!
//! Invariant: a script read from its own text is the same script.

pub mod draw;
mod text;

use crate::network::Layer;
use crate::protocol::{Host, Protocol};
use crate::queue::Tick;
use crate::world::World;

pub use text::ScriptError;

/// Some hosts, in ascending order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosts(pub Vec<Host>);

impl Hosts {
    /// The hosts of these numbers.
    #[must_use]
    pub fn of(numbers: impl IntoIterator<Item = u32>) -> Self {
        let mut hosts: Vec<Host> = numbers.into_iter().map(Host).collect();
        hosts.sort_unstable();
        hosts.dedup();
        Self(hosts)
    }
}

/// Who can reach whom under a cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// No zone reaches another.
    Clean,
    /// The last zone reaches all, the others only it.
    Bridge,
    /// Each zone reaches the one before and the one after.
    Ring,
    /// The first zone reaches the others, they do not reach it; all else is whole.
    OneWay,
}

/// One thing that goes wrong, or is put right.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// Processes start, for the first time or anew.
    Boot(Hosts),
    /// `kill -9`.
    Kill(Hosts),
    /// The machines go dark.
    Crash(Hosts),
    /// Processes stop for this long and go on.
    Stall(Hosts, Tick),
    /// All links of these hosts are reset, by something in between: both ends live.
    Reset(Hosts),
    /// Processes leave in order.
    Leave(Hosts),
    /// Zones of hosts can no longer reach each other; hosts in no zone count to the first.
    Cut(u32, Shape, Vec<Hosts>),
    /// This share of what the first hosts send to the second is lost.
    Lossy(u32, f64, Hosts, Hosts),
    /// A cut or loss of that number ends.
    Lift(u32),
    /// All cuts and losses end.
    LiftAll,
    /// From now on these shares are lost, doubled and reordered, everywhere.
    Weather(f64, f64, f64),
}

/// Faults by time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Script(pub Vec<(Tick, Fault)>);

impl Script {
    /// Adds a fault at a time.
    pub fn add(&mut self, at: Tick, fault: Fault) {
        self.0.push((at, fault));
    }

    /// Puts the faults in the order of their times; of equal times the first added comes first.
    pub fn sort(&mut self) {
        self.0.sort_by_key(|(at, _)| *at);
    }

    /// The time of the last fault.
    #[must_use]
    pub fn end(&self) -> Tick {
        self.0.iter().map(|(at, _)| *at).max().unwrap_or(0)
    }
}

fn zones(zones: &[Hosts], loss: impl Fn(usize, usize) -> f64) -> Layer {
    let count = zones.len().max(1);
    let mut zone_of = Vec::new();
    for (zone, hosts) in zones.iter().enumerate() {
        for host in &hosts.0 {
            if zone_of.len() <= host.index() {
                zone_of.resize(host.index() + 1, 0);
            }
            zone_of[host.index()] = u16::try_from(zone).unwrap_or(0);
        }
    }
    let pairs = (0..count).flat_map(|from| (0..count).map(move |to| (from, to)));
    let loss = pairs.map(|(from, to)| if from == to { 0.0 } else { loss(from, to) }).collect();
    Layer { zone_of, zones: u16::try_from(count).unwrap_or(u16::MAX), loss }
}

impl Shape {
    fn layer(self, parts: &[Hosts]) -> Layer {
        let last = parts.len().saturating_sub(1);
        zones(parts, |from, to| {
            let passes = match self {
                Self::Clean => false,
                Self::Bridge => from == last || to == last,
                Self::Ring => from.abs_diff(to) == 1 || (from.min(to) == 0 && from.max(to) == last),
                Self::OneWay => to != 0,
            };
            if passes { 0.0 } else { 1.0 }
        })
    }
}

impl Fault {
    /// Lets it happen in a world.
    pub fn strike<P: Protocol>(&self, world: &mut World<P>) {
        match self {
            Self::Boot(hosts) => hosts.0.iter().for_each(|host| world.boot(*host)),
            Self::Kill(hosts) => hosts.0.iter().for_each(|host| world.kill(*host)),
            Self::Crash(hosts) => hosts.0.iter().for_each(|host| world.crash(*host)),
            Self::Stall(hosts, span) => hosts.0.iter().for_each(|host| world.stall(*host, *span)),
            Self::Reset(hosts) => hosts.0.iter().for_each(|host| world.drop_links(*host)),
            Self::Leave(hosts) => hosts.0.iter().for_each(|host| {
                world.leave(*host);
            }),
            Self::Cut(number, shape, parts) => world.network.raise(*number, shape.layer(parts)),
            Self::Lossy(number, loss, from, to) => {
                let parts = [Hosts::default(), from.clone(), to.clone()];
                let layer = zones(&parts, |a, b| if (a, b) == (1, 2) { *loss } else { 0.0 });
                world.network.raise(*number, layer);
            }
            Self::Lift(number) => world.network.lift(*number),
            Self::LiftAll => world.network.lift_all(),
            Self::Weather(loss, duplicates, reordered) => {
                let conditions = &mut world.network.conditions;
                conditions.loss = *loss;
                conditions.duplicates = *duplicates;
                conditions.reordered = *reordered;
                conditions.flood_loss = 0.01 + loss;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Conditions, Network};

    fn cut(shape: Shape, from: u32, to: u32) -> bool {
        let parts: Vec<Hosts> = (0..4).map(|part| Hosts::of([part])).collect();
        let mut network = Network::new(Conditions::default());
        network.raise(1, shape.layer(&parts));
        network.is_cut(Host(from), Host(to))
    }

    #[test]
    fn the_shapes_cut_what_they_say() {
        assert!(cut(Shape::Clean, 0, 3) && cut(Shape::Clean, 2, 1) && !cut(Shape::Clean, 1, 1));
        assert!(cut(Shape::Bridge, 0, 1) && !cut(Shape::Bridge, 0, 3) && !cut(Shape::Bridge, 3, 2));
        assert!(cut(Shape::Ring, 0, 2) && !cut(Shape::Ring, 0, 1) && !cut(Shape::Ring, 3, 0));
        assert!(cut(Shape::OneWay, 1, 0) && !cut(Shape::OneWay, 0, 1) && !cut(Shape::OneWay, 1, 2));
    }
}
