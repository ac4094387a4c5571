//! Strategy x restart type x exit class, complete: `tests/data/restarts.txt`; and the significant
//! children: `tests/data/auto_shutdown.txt`.

use std::{collections::BTreeSet, time::Duration};

use mobula_supervision::{
    auto_shutdown::AutoShutdown,
    child_rules::ChildRules,
    intensity::Intensity,
    restart::{ExitClass, Restart},
    settings::Settings,
    strategy::Strategy,
};

use crate::stage::{Stage, child};

fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split('|').map(str::trim).collect())
}

fn named<T: ToString + Copy>(all: &[T], name: &str) -> T {
    let found = all.iter().find(|value| value.to_string() == name);
    *found.unwrap_or_else(|| panic!("no such word: {name}"))
}

/// What happens when `b` of `a b c` ends; `c` is temporary and `a` permanent.
fn outcome(strategy: Strategy, restart: Restart, exit: ExitClass, restarts: u32) -> String {
    let intensity = Intensity::new(restarts, Duration::from_secs(5));
    let settings = Settings { strategy, intensity, ..Settings::default() };
    let children = vec![
        child("a", Restart::Permanent),
        child("b", restart),
        child("c", Restart::Temporary),
        child("d", Restart::Transient),
    ];
    let mut stage = Stage::begun(settings, children);
    stage.exit("b", exit);
    let log = stage.take_log();
    if log.is_empty() { "-".to_owned() } else { log }
}

#[test]
fn every_strategy_restart_type_and_exit_does_what_the_table_says() {
    let mut seen = BTreeSet::new();
    for row in rows(include_str!("../data/restarts.txt")) {
        let [strategy, restart, exit, allowed, exceeded] = row[..] else {
            panic!("a row has five columns: {row:?}");
        };
        let strategy_ = named(&Strategy::ALL, strategy);
        let restart_ = named(&Restart::ALL, restart);
        let exit_ = named(&ExitClass::ALL, exit);
        assert_eq!(outcome(strategy_, restart_, exit_, 1), allowed, "{row:?}");
        assert_eq!(outcome(strategy_, restart_, exit_, 0), exceeded, "intensity 0: {row:?}");
        assert!(seen.insert((strategy, restart, exit)), "twice: {row:?}");
    }
    assert_eq!(seen.len(), 27, "the table is complete");
}

#[test]
fn significant_children_end_the_supervisor_as_the_table_says() {
    let mut seen = BTreeSet::new();
    for row in rows(include_str!("../data/auto_shutdown.txt")) {
        let [auto, restart, exit, first, second] = row[..] else {
            panic!("a row has five columns: {row:?}");
        };
        let auto_shutdown = match auto {
            "any" => AutoShutdown::AnySignificant,
            "all" => AutoShutdown::AllSignificant,
            other => panic!("no such word: {other}"),
        };
        let significant = |name| ChildRules {
            significant: true,
            ..child(name, named(&[Restart::Transient, Restart::Temporary], restart))
        };
        let children = vec![child("a", Restart::Permanent), significant("b"), significant("c")];
        let intensity = Intensity::new(9, Duration::from_secs(5));
        let settings = Settings { auto_shutdown, intensity, ..Settings::default() };
        let mut stage = Stage::begun(settings, children);
        for (name, expected) in [("b", first), ("c", second)] {
            if expected == "over" {
                assert!(stage.core.ending().is_some(), "{row:?}");
                continue;
            }
            stage.exit(name, named(&ExitClass::ALL, exit));
            let log = stage.take_log();
            assert_eq!(if log.is_empty() { "-" } else { &log }, expected, "{name} of {row:?}");
        }
        assert!(seen.insert((auto, restart, exit)), "twice: {row:?}");
    }
    assert_eq!(seen.len(), 12, "the table is complete");
}
