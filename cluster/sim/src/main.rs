//! The simulator's command line: `report`, `check`, `replay`.
//!
//! Every failure it prints can be had again by what it prints: a seed, or a script.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line talks on them")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};
use mobula_sim::faults::Script;
use mobula_sim::queue::SECOND;
use mobula_sim::report::{self, Plan};
use mobula_sim::trial::Trial;

/// Simulates mobula's protocol cores.
#[derive(Debug, Parser)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prints the goals of the membership protocol and what was measured.
    Report {
        /// Fewer seeds, fewer node-hours, up to 1000 nodes.
        #[arg(long)]
        quick: bool,
        /// Runs a row.
        #[arg(long)]
        seeds: Option<u64>,
        /// Cluster sizes.
        #[arg(long, value_delimiter = ',')]
        nodes: Option<Vec<u32>>,
        /// Node-hours of the row about false alarms.
        #[arg(long)]
        node_hours: Option<u64>,
        /// Only rows whose group contains this: silent crash, kill, mass failure, idle traffic, cold start, join storm, leave, partition, false downs, foca.
        #[arg(long)]
        only: Option<String>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Runs drawn fault scripts under all invariants.
    Check {
        /// How many.
        #[arg(long, default_value_t = 100)]
        seeds: u64,
        /// From which seed.
        #[arg(long, default_value_t = 1)]
        from: u64,
        /// Go on after a failure.
        #[arg(long)]
        all: bool,
    },
    /// Runs one seed, or a script from a file with the network of a seed.
    Replay {
        /// The seed.
        seed: u64,
        /// The script; without it the one of the seed.
        script: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    match Line::parse().command {
        Command::Report { quick, seeds, nodes, node_hours, only, json } => {
            let mut plan = if quick { Plan::quick() } else { Plan::full() };
            plan.seeds = seeds.unwrap_or(plan.seeds).max(1);
            plan.nodes = nodes.unwrap_or(plan.nodes);
            plan.node_hours = node_hours.unwrap_or(plan.node_hours);
            plan.only = only;
            print_report(&plan, json)
        }
        Command::Check { seeds, from, all } => check(from, seeds, all),
        Command::Replay { seed, script } => replay(seed, script),
    }
}

fn print_report(plan: &Plan, json: bool) -> ExitCode {
    if !json {
        print!("{}", report::table(&[]));
    }
    let rows = report::measure_all(plan, |row| {
        if !json {
            print!("{}", report::line(row));
        }
    });
    if json {
        match serde_json::to_string_pretty(&rows) {
            Ok(text) => println!("{text}"),
            Err(error) => eprintln!("{error}"),
        }
    }
    let failed = rows.iter().filter(|row| row.passed == Some(false)).count();
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn check(from: u64, seeds: u64, all: bool) -> ExitCode {
    let started = Instant::now();
    let (mut events, mut failed, mut slowest) = (0_u64, 0_u64, (0, 0));
    for seed in from..from + seeds {
        match Trial::drawn(seed, None).explained() {
            Ok(passed) => {
                events += passed.events;
                slowest = slowest.max((passed.healed_after, seed));
            }
            Err(message) => {
                eprintln!("{message}");
                failed += 1;
                if !all {
                    return ExitCode::FAILURE;
                }
            }
        }
    }
    let wall = started.elapsed().as_secs_f64();
    println!(
        "{} of {seeds} scripts passed from seed {from}; slowest to heal: {} s (seed {}); {events} events in {wall:.1} s",
        seeds - failed,
        slowest.0 / SECOND,
        slowest.1,
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn replay(seed: u64, script: Option<PathBuf>) -> ExitCode {
    let mut trial = Trial::drawn(seed, None);
    if let Some(path) = script {
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                eprintln!("{}: {error}", path.display());
                return ExitCode::FAILURE;
            }
        };
        match text.parse::<Script>() {
            Ok(read) => trial.script = read,
            Err(error) => {
                eprintln!("{}: {error}", path.display());
                return ExitCode::FAILURE;
            }
        }
    }
    println!("{}", trial.script);
    match trial.run() {
        Ok(passed) => {
            println!(
                "passed: {} events, healed after {} s",
                passed.events,
                passed.healed_after / SECOND
            );
            ExitCode::SUCCESS
        }
        Err(violation) => {
            println!("{violation}");
            ExitCode::FAILURE
        }
    }
}
