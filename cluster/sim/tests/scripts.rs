//! Drawn fault scripts under all invariants; the command line runs as many as one likes (`check`).

use mobula_proto::config::Config;
use mobula_sim::faults::draw::Family;
use mobula_sim::trial::Trial;

/// Seeds of which each once failed, with what it showed.
const FORMER_FAILURES: [u64; 0] = [];

#[test]
fn drawn_scripts_keep_every_invariant() {
    for seed in 1..=16 {
        if let Err(message) = Trial::drawn(seed, None).explained() {
            panic!("{message}");
        }
    }
}

#[test]
fn every_family_of_faults_is_survived() {
    for (seed, family) in (100..).zip(Family::ALL) {
        if let Err(message) = Trial::drawn(seed, Some(family)).explained() {
            panic!("{family:?}: {message}");
        }
    }
}

#[test]
fn seeds_that_once_failed_pass() {
    for seed in FORMER_FAILURES {
        if let Err(message) = Trial::drawn(seed, None).explained() {
            panic!("{message}");
        }
    }
}

#[test]
fn a_run_is_a_function_of_its_seed() {
    let run = || Trial::drawn(3, Some(Family::Chaos)).run();
    assert_eq!(run(), run());
}

/// The message of a failure must suffice to see it again.
#[test]
fn a_failure_names_seed_and_a_shrunk_script() {
    let mut config = Config::default();
    config.mutant = mobula_proto::config::Mutant::NoRefutation;
    let failing = (0..40).find_map(|seed| {
        let trial = Trial { config: config.clone(), ..Trial::drawn(seed, Some(Family::Chaos)) };
        trial.explained().err()
    });
    let message = failing.expect("who never refutes stays suspected");
    assert!(message.contains("seed ") && message.contains("script:"), "{message}");
}
