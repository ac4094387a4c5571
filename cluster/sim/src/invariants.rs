//! What must hold, whatever happens: one invariant a file.
//!
//! An assertion at the end of a run says that something went wrong in the last minute; checked after each event it
//! names the event. What only holds in the long run (agreement) is asked for after the last fault, with a limit.
//!
//! - [`false_down`]: nobody who lives and answers is declared down.
//! - [`incarnations`]: they only rise.
//! - [`semilattice`]: knowledge only grows, and merges in any order.
//! - [`transitions`]: each change is told exactly once, in an order that makes sense.
//! - [`overlay`]: nobody watches more than the rings ask for; in the end they are symmetric and stand.
//! - [`agreement`]: when it is quiet, all who live know the same, and it is the truth.
//!
//! Invariant of the invariants: they look at the world, and never change it.

pub mod false_down;
pub mod incarnations;
pub mod semilattice;
pub mod transitions;
pub mod overlay;
pub mod agreement;

use std::collections::BTreeSet;
use std::fmt;

use mobula_proto::membership::MembershipEvent;

use crate::faults::Fault;
use crate::protocol::Host;
use crate::queue::{SECOND, Tick};
use crate::rings::Node;
use crate::world::World;

/// For how long after a partition ended links may still wait for their next retransmission.
pub const AFTERMATH: Tick = 25 * SECOND;

/// What was done to the world, as far as invariants must know.
#[derive(Debug, Clone, Default)]
pub struct Scene {
    /// Layers in force that may make the living look dead.
    excuses: BTreeSet<u32>,
    /// When the last of them was lifted.
    lifted_at: Option<Tick>,
}

impl Scene {
    /// Takes note of a fault.
    ///
    /// What cuts off a single pair is no excuse: that one observer hears nothing must not be enough.
    pub fn note(&mut self, at: Tick, fault: &Fault) {
        match fault {
            Fault::Lossy(_, _, from, to) if from.0.len() == 1 && to.0.len() == 1 => {}
            Fault::Cut(number, ..) | Fault::Lossy(number, ..) => drop(self.excuses.insert(*number)),
            Fault::Lift(number) if self.excuses.remove(number) => self.lifted_at = Some(at),
            Fault::LiftAll if !self.excuses.is_empty() => {
                self.excuses.clear();
                self.lifted_at = Some(at);
            }
            _ => {}
        }
    }

    /// Whether partitions, or what they leave behind, excuse a false alarm now.
    #[must_use]
    pub fn is_disturbed(&self, now: Tick) -> bool {
        !self.excuses.is_empty() || self.lifted_at.is_some_and(|at| now < at + AFTERMATH)
    }
}

/// Something that must hold.
pub trait Invariant {
    /// Its name, for messages.
    fn name(&self) -> &'static str;

    /// Holds after each event; `host` was touched, and told its surroundings `notices`.
    ///
    /// # Errors
    /// What was seen instead.
    fn step(
        &mut self,
        world: &World<Node>,
        scene: &Scene,
        host: Host,
        notices: &[MembershipEvent],
    ) -> Result<(), String>;

    /// Holds some time after the last fault.
    ///
    /// # Errors
    /// What does not hold yet.
    fn quiet(&self, world: &World<Node>) -> Result<(), String> {
        let _ = world;
        Ok(())
    }
}

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub invariant: &'static str,
    /// When, in true time.
    pub at: Tick,
    /// What was seen.
    pub seen: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { invariant, at, seen } = self;
        write!(formatter, "{invariant} broken at {}.{:06} s: {seen}", at / SECOND, at % SECOND)
    }
}

/// All invariants, fresh.
#[must_use]
pub fn all(hosts: u32) -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(false_down::FalseDown),
        Box::new(incarnations::Incarnations::new(hosts)),
        Box::new(semilattice::Semilattice::new(hosts)),
        Box::new(transitions::Transitions::new(hosts)),
        Box::new(overlay::Overlay),
        Box::new(agreement::Agreement),
    ]
}
