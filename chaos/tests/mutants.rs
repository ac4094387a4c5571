//! Faults that are put into the workload on purpose are found on real processes, each by its own rule; and without one
//! the same run passes.

#![allow(clippy::unwrap_used, reason = "a test may fail by a panic")]

use std::process::{Command, Output};

/// Three processes on loopback under a short script; the fault of the workload, if any.
fn run(mutant: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mobula-chaos"));
    command.args(["check", "--seeds", "1", "--nodes", "3", "--seconds", "3", "--loopback"]);
    if let Some(mutant) = mutant {
        command.args(["--mutant", mutant]);
    }
    command.output().unwrap()
}

fn is_caught(mutant: &str, by: &str) {
    let run = run(Some(mutant));
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(!run.status.success() && said.contains(by), "{mutant}: {said}");
    assert!(said.contains("again: mobula-chaos replay 1 "), "it says how to have it again: {said}");
}

#[test]
fn without_a_fault_of_the_workload_the_run_passes() {
    let run = run(None);
    let (said, complained) =
        (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{said}\n{complained}");
    assert!(!said.contains(" 0 asks acknowledged"), "nothing was tried: {said}");
}

#[test]
fn messages_that_are_handled_twice_are_caught() {
    is_caught("duplicate", "was handled twice");
}

#[test]
fn messages_that_are_acknowledged_and_forgotten_are_caught() {
    is_caught("forget", "was acknowledged and never handled");
}

#[test]
fn messages_that_change_places_are_caught() {
    is_caught("swap", "was handled after");
}

#[test]
fn monitors_that_are_never_heard_are_caught() {
    is_caught("deaf", "fired 0 times");
}

#[test]
fn values_that_are_read_wrongly_are_caught() {
    is_caught("misread", "ended with a wrong value");
}
