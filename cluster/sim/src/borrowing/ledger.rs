//! Where references really are, told by those who hold them.
//!
//! - A thing is not freed while a process that runs holds a reference to it.
//! - Nobody receives or holds a reference to a thing that is gone, unless its owner's process is.
//! - When all references are given up, every thing is freed and the cores are empty.
//!
//! Invariant: the ledger knows which process lives; the cores have to find out.

use std::collections::{BTreeMap, BTreeSet};

use super::{Holder, Thing, Told};
use crate::protocol::Host;
use crate::world::World;

/// The ledger of a run.
#[derive(Debug, Default)]
pub struct Ledger {
    /// References by host and life of the holder.
    held: BTreeMap<(Host, u32), BTreeMap<Thing, u64>>,
    freed: BTreeSet<Thing>,
    made: BTreeSet<Thing>,
}

impl Ledger {
    /// Enters what a host told.
    ///
    /// # Errors
    /// What must not happen.
    pub fn enter(&mut self, world: &World<Holder>, host: Host, told: &Told) -> Result<(), String> {
        let life = world.machine(host).life();
        match told {
            Told::Holds(thing) => {
                if self.freed.contains(thing) {
                    return Err(format!("host {host} receives {thing:?}, which is freed"));
                }
                if Host(thing.host) == host {
                    self.made.insert(*thing);
                }
                *self.held.entry((host, life)).or_default().entry(*thing).or_default() += 1;
                Ok(())
            }
            Told::Dropped(thing) => {
                let held = self.held.entry((host, life)).or_default();
                if let Some(count) = held.get_mut(thing) {
                    *count -= 1;
                    if *count == 0 {
                        held.remove(thing);
                    }
                }
                Ok(())
            }
            Told::Freed(thing) => self.free(world, *thing),
            Told::Dangling(thing) if owner_lives(world, *thing) => {
                Err(format!("host {host} is told that {thing:?} is gone, but its owner lives"))
            }
            Told::Dangling(_) => Ok(()),
            Told::Fault(fault) => Err(format!("host {host}: {fault}")),
        }
    }

    fn free(&mut self, world: &World<Holder>, thing: Thing) -> Result<(), String> {
        if !self.freed.insert(thing) {
            return Err(format!("{thing:?} is freed twice"));
        }
        for ((host, life), held) in &self.held {
            let machine = world.machine(*host);
            let lives = machine.running().is_some() && machine.life() == *life;
            if lives && held.contains_key(&thing) {
                return Err(format!("{thing:?} is freed, but host {host} holds it"));
            }
        }
        Ok(())
    }

    /// What the present process of a host holds.
    #[must_use]
    pub fn held_by(&self, world: &World<Holder>, host: Host) -> Vec<Thing> {
        let held = self.held.get(&(host, world.machine(host).life()));
        held.map(|held| held.keys().copied().collect()).unwrap_or_default()
    }

    /// At the end, when nobody holds anything and all has come through.
    ///
    /// # Errors
    /// A thing that was not freed, or a core that is not empty.
    pub fn settle(&self, world: &World<Holder>) -> Result<(), String> {
        for thing in self.made.iter().filter(|thing| owner_lives(world, **thing)) {
            if !self.freed.contains(thing) {
                return Err(format!("{thing:?} is never freed"));
            }
        }
        for host in world.hosts() {
            if world.machine(host).running().is_some_and(|process| !process.is_empty()) {
                return Err(format!("host {host} still remembers something"));
            }
        }
        Ok(())
    }

    /// How many things were made and freed.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.made.len(), self.freed.len())
    }
}

fn owner_lives(world: &World<Holder>, thing: Thing) -> bool {
    let machine = world.machine(Host(thing.host));
    machine.running().is_some() && machine.life() == thing.life
}
