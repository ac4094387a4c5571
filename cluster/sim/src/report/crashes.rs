//! Rows about death: one machine goes dark, one process is killed, a third of all is gone at once.
//!
//! Invariant: a row passes only if every survivor learnt of every victim and nobody else was declared down.

use rand::Rng;
use rand::seq::SliceRandom;

use super::measure::{Detection, Subject, detect, median, most};
use super::{Plan, Row, seeds_text, span};
use crate::baseline::FocaNode;
use crate::network::Conditions;
use crate::protocol::Host;
use crate::queue::{MILLISECOND, SECOND, Tick};
use crate::rings::Node;
use crate::world::World;

/// Victims in one world, one after the other.
const VICTIMS: u32 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Death {
    Silent,
    Killed,
}

fn loss_of(loss: f64) -> Conditions {
    Conditions { loss, flood_loss: 0.01 + loss, ..Conditions::default() }
}

fn one_by_one<S: Subject>(
    hosts: u32,
    loss: f64,
    seeds: std::ops::RangeInclusive<u64>,
    death: Death,
    limit: Tick,
) -> Detection {
    let mut found = Detection::default();
    for seed in seeds {
        let mut world = S::steady(hosts, loss_of(loss), seed);
        world.run_until(S::WARM_UP);
        for _ in 0..if hosts >= 5_000 { 1 } else { VICTIMS } {
            let pause = world.rng().random_range(2 * SECOND..3 * SECOND);
            let next = world.now() + pause;
            world.run_until(next);
            let victim = loop {
                let host = Host(world.rng().random_range(0..hosts));
                if world.running(host).is_some() {
                    break host;
                }
            };
            strike(&mut world, victim, death);
            found.add(detect(&mut world, &[victim], limit));
        }
    }
    found
}

fn strike<S: Subject>(world: &mut World<S>, victim: Host, death: Death) {
    match death {
        Death::Silent => world.crash(victim),
        Death::Killed => world.kill(victim),
    }
}

fn text(found: &Detection) -> String {
    let mut text = format!(
        "all know after {} median, {} max (first {})",
        span(median(&found.all_know)),
        span(most(&found.all_know)),
        span(median(&found.first)),
    );
    if found.missing > 0 {
        text.push_str(&format!("; {} never learnt", found.missing));
    }
    if found.false_downs > 0 {
        text.push_str(&format!("; {} false downs", found.false_downs));
    }
    text
}

fn row(scenario: String, goal: Tick, found: &Detection, seeds: String) -> Row {
    let passed = found.missing == 0 && found.false_downs == 0 && most(&found.all_know) <= goal;
    Row {
        scenario,
        goal: format!("≤ {}", span(goal)),
        measured: text(found),
        seeds,
        passed: Some(passed),
    }
}

/// A machine goes dark, at 0 and 5 % loss.
#[must_use]
pub fn silent(plan: &Plan) -> Vec<Row> {
    let mut rows = Vec::new();
    for &hosts in &plan.nodes {
        for loss in [0.0, 0.05] {
            let seeds = plan.seeds_for(hosts);
            let found = one_by_one::<Node>(hosts, loss, seeds.clone(), Death::Silent, 30 * SECOND);
            let scenario = format!("silent crash, N = {hosts}, loss {} %", loss * 100.0);
            rows.push(row(scenario, 3 * SECOND, &found, seeds_text(seeds)));
        }
    }
    rows
}

/// A process is killed and its machine answers for it.
#[must_use]
pub fn killed(plan: &Plan) -> Vec<Row> {
    let mut rows = Vec::new();
    for &hosts in &plan.nodes {
        let seeds = plan.seeds_for(hosts);
        let found = one_by_one::<Node>(hosts, 0.0, seeds.clone(), Death::Killed, 30 * SECOND);
        let scenario = format!("kill -9, N = {hosts}, no loss");
        rows.push(row(scenario, 100 * MILLISECOND, &found, seeds_text(seeds)));
    }
    rows
}

/// Three in ten go dark at once.
#[must_use]
pub fn mass(plan: &Plan) -> Vec<Row> {
    let hosts = plan.large;
    let mut rows = Vec::new();
    for (how, death) in [("go dark", Death::Silent), ("are killed", Death::Killed)] {
        let mut found = Detection::default();
        let seeds = 1..=plan.seeds.min(2);
        for seed in seeds.clone() {
            let mut world = Node::steady(hosts, loss_of(0.0), seed);
            world.run_until(Node::WARM_UP);
            let mut all: Vec<Host> = world.hosts().collect();
            all.shuffle(world.rng());
            all.truncate(hosts as usize * 3 / 10);
            for victim in &all {
                strike(&mut world, *victim, death);
            }
            found.add(detect(&mut world, &all, 120 * SECOND));
        }
        let passed = found.missing == 0 && found.false_downs == 0;
        rows.push(Row {
            scenario: format!("mass failure, N = {hosts}, 30 % {how} at once"),
            goal: "all know, no false down".to_owned(),
            measured: text(&found),
            seeds: seeds_text(seeds),
            passed: Some(passed),
        });
    }
    rows
}

/// The same silent crash with foca.
#[must_use]
pub fn baseline(plan: &Plan) -> Vec<Row> {
    let mut rows = Vec::new();
    for &hosts in plan.nodes.iter().filter(|hosts| **hosts <= 1_000) {
        for loss in [0.0, 0.05] {
            let seeds = 1..=plan.seeds.min(2);
            let found =
                one_by_one::<FocaNode>(hosts, loss, seeds.clone(), Death::Silent, 90 * SECOND);
            rows.push(Row {
                scenario: format!("foca LAN: silent crash, N = {hosts}, loss {} %", loss * 100.0),
                goal: String::new(),
                measured: text(&found),
                seeds: seeds_text(seeds),
                passed: None,
            });
        }
    }
    rows
}
