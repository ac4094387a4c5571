//! The mutation gate: each rule of the membership, taken away, breaks some invariant; with all rules nothing breaks.
//!
//! A test that no bug can fail protects nothing. So every rule has a seeded bug, and the scenarios here must notice.
//! Each bug is looked for where its rule matters: most need no more than a drawn script, some a special day.

use mobula_proto::config::{Config, Mutant};
use mobula_sim::faults::{Fault, Hosts, Script, Shape};
use mobula_sim::network::Conditions;
use mobula_sim::queue::{MILLISECOND, SECOND};
use mobula_sim::trial::Trial;

fn trial(hosts: u32, seed: u64, conditions: Conditions, script: Script, mutant: Mutant) -> Trial {
    let mut config = Config::default();
    config.mutant = mutant;
    Trial { hosts, seed, config, conditions, script }
}

fn booted(hosts: u32) -> Script {
    let mut script = Script::default();
    script.add(0, Fault::Boot(Hosts::of([0])));
    script.add(10 * MILLISECOND, Fault::Boot(Hosts::of(1..hosts)));
    script
}

fn halves(hosts: u32) -> Vec<Hosts> {
    vec![Hosts::of(0..hosts / 2), Hosts::of(hosts / 2..hosts)]
}

/// The days on which mutants are looked for; the protocol as meant passes all of them.
fn days(seed: u64, mutant: Mutant) -> Vec<(&'static str, Trial)> {
    let calm = Conditions::default;
    let mut days = Vec::new();
    // Bad weather, and stalls below the window, of accused and of observers.
    let mut weather = booted(16);
    weather.add(10 * SECOND, Fault::Weather(0.08, 0.02, 0.08));
    for second in 12..50 {
        let host = u32::try_from((second * 7 + seed) % 16).unwrap_or(0);
        let few = Hosts::of([host, (host + 5) % 16]);
        weather.add(second * SECOND, Fault::Stall(few, 1_900 * MILLISECOND));
    }
    days.push(("weather", trial(16, seed, Conditions::lossy(0.08), weather, mutant)));
    // A partition in halves that lasts, and heals.
    let mut partition = booted(20);
    partition.add(20 * SECOND, Fault::Cut(1, Shape::Clean, halves(20)));
    partition.add(60 * SECOND, Fault::Lift(1));
    days.push(("partition", trial(20, seed, calm(), partition, mutant)));
    // A mass failure: most observers of some victims die with them.
    let mut mass = booted(24);
    mass.add(20 * SECOND, Fault::Crash(Hosts::of((0..24).filter(|host| host % 2 == 0))));
    days.push(("mass failure", trial(24, seed, calm(), mass, mutant)));
    // A long stall is declared down and returns; restarts come while the old life is still believed.
    let mut returns = booted(12);
    returns.add(20 * SECOND, Fault::Stall(Hosts::of([3]), 8 * SECOND));
    returns.add(21 * SECOND, Fault::Crash(Hosts::of([5, 6])));
    returns.add(21 * SECOND + 300 * MILLISECOND, Fault::Boot(Hosts::of([5, 6])));
    returns.add(35 * SECOND, Fault::Kill(Hosts::of([8])));
    returns.add(35 * SECOND + 5 * MILLISECOND, Fault::Boot(Hosts::of([8])));
    days.push(("returns", trial(12, seed, calm(), returns, mutant)));
    // Links are reset although both ends live.
    let mut one_way = booted(16);
    one_way.add(20 * SECOND, Fault::Cut(1, Shape::OneWay, vec![Hosts::of([2]), Hosts::of([9])]));
    one_way.add(45 * SECOND, Fault::Lift(1));
    days.push(("one way", trial(16, seed, calm(), one_way, mutant)));
    // Broadcasts are lost by the dozen: only anti-entropy makes up for them.
    let deaf = Conditions { flood_loss: 0.9, ..calm() };
    let mut quiet = booted(24);
    quiet.add(20 * SECOND, Fault::Kill(Hosts::of([4, 11])));
    quiet.add(25 * SECOND, Fault::Boot(Hosts::of([4])));
    days.push(("lost broadcasts", trial(24, seed, deaf, quiet, mutant)));
    days.push(("drawn", {
        let drawn = Trial::drawn(seed, None);
        let mut config = Config::default();
        config.mutant = mutant;
        Trial { config, ..drawn }
    }));
    days
}

#[test]
fn the_protocol_as_meant_passes_every_day() {
    for seed in 1..=2 {
        for (name, day) in days(seed, Mutant::None) {
            if let Err(message) = day.explained() {
                panic!("{name}: {message}");
            }
        }
    }
}

const ALL: [Mutant; 13] = [
    Mutant::NoRefutation,
    Mutant::QuorumOverAllObservers,
    Mutant::NoImplicitAlerts,
    Mutant::NoSelfHealth,
    Mutant::NoEdgeGrace,
    Mutant::StatusBeatsIncarnation,
    Mutant::OneObserverDecides,
    Mutant::NoAntiEntropy,
    Mutant::NoHealDial,
    Mutant::NoRetraction,
    Mutant::VotesFromAnybody,
    Mutant::NoRepair,
    Mutant::ResetIsHardEvidence,
];

#[test]
fn every_seeded_bug_is_caught() {
    let mut survivors = Vec::new();
    for mutant in ALL {
        let caught = (1..=6).find_map(|seed| {
            days(seed, mutant)
                .into_iter()
                .find_map(|(name, day)| day.run().err().map(|violation| (seed, name, violation)))
        });
        match caught {
            Some((seed, name, violation)) => {
                println!("{mutant:?}: {name}, seed {seed}: {violation}");
            }
            None => survivors.push(mutant),
        }
    }
    assert!(survivors.is_empty(), "no scenario notices {survivors:?}");
}
