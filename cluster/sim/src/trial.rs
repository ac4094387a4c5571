//! One run of the membership core under a script, with every invariant looking on.
//!
//! Invariant: a trial ends, with a violation or with how long the cluster took to heal.

use std::fmt::Write;

use mobula_proto::config::Config;
use mobula_proto::membership::MembershipEvent;

use crate::faults::draw::{self, Family};
use crate::faults::{Hosts, Script};
use crate::invariants::{self, Invariant, Scene, Violation};
use crate::network::Conditions;
use crate::protocol::Host;
use crate::queue::{SECOND, Tick};
use crate::rings::{self, Node};
use crate::shrink::shrink;
use crate::world::World;

/// How long the cluster may take to heal after the last fault.
pub const HEAL_MAX: Tick = 120 * SECOND;
/// How long agreement must then last.
const STEADY: Tick = 5 * SECOND;
/// Runs that shrinking may take.
const SHRINK_RUNS: usize = 120;

/// What to run.
#[derive(Debug, Clone)]
pub struct Trial {
    /// Machines.
    pub hosts: u32,
    /// Seed of world and network.
    pub seed: u64,
    /// The protocol's numbers, and a mutant for tests of the tests.
    pub config: Config,
    /// The network before any fault.
    pub conditions: Conditions,
    /// What goes wrong.
    pub script: Script,
}

/// How a run without violation went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passed {
    /// Events handled.
    pub events: u64,
    /// From the last fault until all agreed, and went on agreeing.
    pub healed_after: Tick,
}

impl Trial {
    /// The trial of a seed: size, clocks, weather and script are all drawn from it.
    #[must_use]
    pub fn drawn(seed: u64, family: Option<Family>) -> Self {
        let hosts = [5, 8, 9, 10, 12, 16, 24, 32][usize::try_from(seed % 8).unwrap_or(0)];
        let (_, script) = draw::script(seed, hosts, 60 * SECOND, family);
        let conditions = Conditions { clock_skew_ppm: 100_000, ..Conditions::default() };
        Self { hosts, seed, config: Config::default(), conditions, script }
    }

    /// Runs it.
    ///
    /// # Errors
    /// The first broken invariant.
    pub fn run(&self) -> Result<Passed, Violation> {
        let seeds = (0..draw::SEEDS.min(self.hosts)).map(Host).collect();
        let factory = rings::joining(self.config.clone(), seeds);
        let mut run = Run {
            world: World::new(self.hosts, self.conditions.clone(), self.seed, factory),
            scene: Scene::default(),
            invariants: invariants::all(self.hosts),
            notices: Vec::new(),
        };
        for (at, fault) in &self.script.0 {
            run.until(*at)?;
            fault.strike(&mut run.world);
            run.scene.note(*at, fault);
            run.judge(None)?;
        }
        run.heal()
    }

    /// Runs it, and on failure says all that is needed to see it again, with a script as small as could be found.
    ///
    /// # Errors
    /// The message.
    pub fn explained(&self) -> Result<Passed, String> {
        self.run().map_err(|violation| {
            let again = |script: &Script| {
                let trial = Self { script: script.clone(), ..self.clone() };
                trial.run().is_err_and(|other| other.invariant == violation.invariant)
            };
            let small = shrink(&self.script, SHRINK_RUNS, again);
            let seen = Self { script: small.clone(), ..self.clone() }.run();
            let mut message = format!("seed {}, {} hosts: {violation}\n", self.seed, self.hosts);
            if let Err(last) = seen {
                let _ = writeln!(message, "shrunk to {} faults: {last}", small.0.len());
            }
            let _ = write!(message, "script:\n{small}");
            message
        })
    }

    /// The hosts of this trial.
    #[must_use]
    pub fn all_hosts(&self) -> Hosts {
        Hosts::of(0..self.hosts)
    }
}

struct Run {
    world: World<Node>,
    scene: Scene,
    invariants: Vec<Box<dyn Invariant>>,
    notices: Vec<MembershipEvent>,
}

impl Run {
    /// Judges what the world has told since the last time; `host` was touched even if it told nothing.
    fn judge(&mut self, host: Option<Host>) -> Result<(), Violation> {
        let told: Vec<(Host, MembershipEvent)> = self.world.take_notices().collect();
        let mut hosts: Vec<Host> = told.iter().map(|(host, _)| *host).chain(host).collect();
        hosts.sort_unstable();
        hosts.dedup();
        for host in hosts {
            self.notices.clear();
            let of_host = told.iter().filter(|(by, _)| *by == host);
            self.notices.extend(of_host.map(|(_, notice)| notice.clone()));
            for invariant in &mut self.invariants {
                let held = invariant.step(&self.world, &self.scene, host, &self.notices);
                held.map_err(|seen| Violation {
                    invariant: invariant.name(),
                    at: self.world.now(),
                    seen,
                })?;
            }
        }
        Ok(())
    }

    fn until(&mut self, until: Tick) -> Result<(), Violation> {
        while let Some(host) = self.world.step(until) {
            self.judge(Some(host))?;
        }
        Ok(())
    }

    fn quiet(&self) -> Result<(), Violation> {
        for invariant in &self.invariants {
            invariant.quiet(&self.world).map_err(|seen| Violation {
                invariant: invariant.name(),
                at: self.world.now(),
                seen,
            })?;
        }
        Ok(())
    }

    fn heal(&mut self) -> Result<Passed, Violation> {
        let last_fault = self.world.now();
        let mut agreed_at = None;
        loop {
            self.until(self.world.now() + SECOND / 2)?;
            let now = self.world.now();
            match self.quiet() {
                Ok(()) => {
                    let since = *agreed_at.get_or_insert(now);
                    if now - since >= STEADY {
                        let healed_after = since - last_fault;
                        return Ok(Passed { events: self.world.events(), healed_after });
                    }
                }
                Err(violation) if now - last_fault >= HEAL_MAX => return Err(violation),
                Err(_not_yet) => agreed_at = None,
            }
        }
    }
}
