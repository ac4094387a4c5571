//! Random histories of several stores against a model that is too simple to be wrong.
//!
//! Stores pass references around, drop them, hand objects over and crash, while the network loses, doubles, delays
//! and reorders what they say. The model only knows who really holds a reference and which messages carry one.
//! While it says that an object is needed, the object must be kept; once it is not, everything must be let go.

#![expect(clippy::expect_used, reason = "helpers of tests may fail like tests")]

#[path = "ownership/world.rs"]
mod world;

use mobula_store::effect::Mutant;
use world::{Conditions, World};

const SEEDS: u64 = 200;

fn run(conditions: Conditions, seed: u64) -> Result<(), String> {
    let mut world = World::new(conditions, seed);
    world.wander(300)?;
    world.come_to_rest()
}

fn holds(conditions: Conditions) {
    for seed in 0..SEEDS {
        if let Err(broken) = run(conditions, seed) {
            panic!("seed {seed} of {conditions:?}: {broken}");
        }
    }
}

const LOSSY: Conditions = Conditions { losses: true, crashes: false, mutant: Mutant::None };
const CRASHING: Conditions = Conditions { losses: false, crashes: true, mutant: Mutant::None };

#[test]
fn nothing_is_freed_while_needed_and_all_is_freed_in_the_end_on_a_bad_network() {
    holds(LOSSY);
}

#[test]
fn nothing_is_freed_while_needed_and_nobody_waits_for_the_dead_when_stores_crash() {
    holds(CRASHING);
}

/// Each rule is there for a reason: without it, some history goes wrong.
#[test]
fn every_rule_left_out_is_noticed() {
    let crashing =
        [Mutant::DeadKeepBorrowing, Mutant::PinsForTheDead, Mutant::NoGrace, Mutant::NoMargin];
    let lossy = [
        Mutant::OldWordsCount,
        Mutant::UnpinsAtOnce,
        Mutant::NeverReleases,
        Mutant::NeverRepeats,
        Mutant::LateArrivals,
        Mutant::NeverHeals,
    ];
    let worlds = crashing
        .map(|mutant| Conditions { mutant, ..CRASHING })
        .into_iter()
        .chain(lossy.map(|mutant| Conditions { mutant, ..LOSSY }));
    for conditions in worlds {
        let noticed = (0..4 * SEEDS).any(|seed| run(conditions, seed).is_err());
        assert!(noticed, "nobody misses the rule: {conditions:?}");
    }
}
