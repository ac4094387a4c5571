//! Borrow counts over associations over links that break, in the simulator.

use mobula_proto::borrow::Mutant;
use mobula_sim::borrowing::ledger::Ledger;
use mobula_sim::borrowing::{self, Holder, Wish};
use mobula_sim::faults::{Fault, Hosts, Shape};
use mobula_sim::network::Conditions;
use mobula_sim::protocol::Host;
use mobula_sim::queue::{MILLISECOND, SECOND, Tick};
use mobula_sim::world::World;
use rand::Rng;
use rand::seq::IndexedRandom;

const HOSTS: u32 = 4;

struct Run {
    world: World<Holder>,
    ledger: Ledger,
    number: u64,
}

impl Run {
    fn note(&mut self) -> Result<(), String> {
        let told: Vec<_> = self.world.take_notices().collect();
        for (host, told) in told {
            self.ledger.enter(&self.world, host, &told)?;
        }
        Ok(())
    }

    fn pass(&mut self, until: Tick) -> Result<(), String> {
        self.note()?;
        while self.world.step(until).is_some() {
            self.note()?;
        }
        Ok(())
    }

    fn work(&mut self) -> Result<(), String> {
        let host = Host(self.world.rng().random_range(0..HOSTS));
        let to = Host(self.world.rng().random_range(0..HOSTS));
        let held = self.ledger.held_by(&self.world, host);
        let thing = held.choose(self.world.rng()).copied();
        let wish = match (self.world.rng().random_range(0..10), thing) {
            (0..2, _) | (_, None) => {
                self.number += 1;
                Wish::Own(self.number)
            }
            (2..6, Some(thing)) if to != host => Wish::Pass(thing, to),
            (_, Some(thing)) => Wish::Drop(thing),
        };
        self.world.command(host, wish);
        self.note()
    }

    fn fault(&mut self) -> Result<(), String> {
        let host = Host(self.world.rng().random_range(0..HOSTS));
        let span = self.world.rng().random_range(MILLISECOND..12 * SECOND);
        match self.world.rng().random_range(0..5) {
            0 => self.world.stall(host, span.min(3 * SECOND)),
            1 | 2 => self.world.drop_links(host),
            3 => {
                let others = (0..HOSTS).filter(|other| *other != host.0);
                let parts = vec![Hosts::of([host.0]), Hosts::of(others)];
                Fault::Cut(1, Shape::Clean, parts).strike(&mut self.world);
                let lifted = self.world.now() + span;
                self.pass(lifted)?;
                Fault::Lift(1).strike(&mut self.world);
            }
            _ => {
                self.world.kill(host);
                let back = self.world.now() + span;
                self.pass(back)?;
                if span > 5 * SECOND {
                    self.declare_down(host)?;
                }
                self.world.boot(host);
            }
        }
        self.note()
    }

    fn declare_down(&mut self, host: Host) -> Result<(), String> {
        for other in (0..HOSTS).map(Host).filter(|other| *other != host) {
            // A stalled process learns it when it goes on; here it must not be stalled.
            while self.world.machine(other).is_stalled() {
                let until = self.world.now() + MILLISECOND;
                self.pass(until)?;
            }
            self.world.command(other, Wish::Down(host));
            self.note()?;
        }
        Ok(())
    }

    fn give_all_up(&mut self) -> Result<(), String> {
        // What is under way must arrive before everybody can drop it; once more for what arrives late.
        for _ in 0..3 {
            let until = self.world.now() + 20 * SECOND;
            self.pass(until)?;
            for host in self.world.hosts() {
                while let Some(thing) = self.ledger.held_by(&self.world, host).first().copied() {
                    self.world.command(host, Wish::Drop(thing));
                    self.note()?;
                }
            }
        }
        let until = self.world.now() + 20 * SECOND;
        self.pass(until)
    }
}

fn run(seed: u64, mutant: Mutant) -> Result<(usize, usize), String> {
    let conditions = Conditions {
        loss: if seed.is_multiple_of(2) { 0.0 } else { 0.05 },
        clock_skew_ppm: 100_000,
        ..Conditions::default()
    };
    let world = World::new(HOSTS, conditions, seed, borrowing::holders(HOSTS, mutant));
    let mut run = Run { world, ledger: Ledger::default(), number: 0 };
    for host in run.world.hosts() {
        run.world.boot(host);
    }
    while run.world.now() < 30 * SECOND {
        let until = run.world.now() + run.world.rng().random_range(0..10 * MILLISECOND);
        run.pass(until)?;
        run.work()?;
        if run.world.rng().random_bool(0.01) {
            run.fault()?;
        }
    }
    Fault::LiftAll.strike(&mut run.world);
    run.give_all_up()?;
    run.ledger.settle(&run.world)?;
    Ok(run.ledger.counts())
}

#[test]
fn a_thing_is_never_freed_while_referenced_and_freed_in_the_end() {
    let mut sum = 0;
    for seed in 0..25 {
        let (_, freed) =
            run(seed, Mutant::None).unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
        sum += freed;
    }
    assert!(sum > 2_000, "the runs must show something: {sum}");
}

#[test]
fn seeded_bugs_are_caught() {
    for mutant in Mutant::ALL {
        let caught = (0..60).find_map(|seed| run(seed, mutant).err());
        let caught = caught.unwrap_or_else(|| panic!("{mutant:?} survives"));
        println!("{mutant:?}: {caught}");
    }
}
