//! mobula on real processes under real faults: what was promised is checked from outside.
//!
//! The simulator (`cluster/sim`) runs the protocols' cores for millions of steps and cannot see sockets, schedulers,
//! signals or a kernel's queues. Here the whole program runs, each node a process of its own, and they are killed,
//! stopped, starved and cut off from each other while they work. Every failure prints the seed of its script.
//!
//! What decides is pure: `script` draws, `shape` says whom a partition cuts off, `checker` judges what was said (`event`).
//! Drivers: `lab` has networks, `fleet` and `process` have processes, `node` is one of them, `trial` runs a script,
//! `measure` takes times, `report` puts them beside their goals.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line talks on them")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, Parser, Subcommand};

mod checker;
mod event;
mod fleet;
mod lab;
mod measure;
mod node;
mod process;
mod report;
mod script;
mod shape;
mod trial;
mod verdict;

use lab::enclosure::{self, Enclosure};
use node::{Mutant, NodeOptions};
use script::{Plan, Script};
use trial::Trial;
use verdict::Counts;

/// Tries mobula on real processes under real faults.
#[derive(Debug, Parser)]
struct Line {
    #[command(subcommand)]
    command: Part,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Runs drawn fault scripts and checks what was promised.
    Check {
        /// How many.
        #[arg(long, default_value_t = 3)]
        seeds: u64,
        /// From which seed.
        #[arg(long, default_value_t = 1)]
        from: u64,
        /// Go on after a failure.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        size: Size,
    },
    /// Runs the script of one seed again.
    Replay {
        /// The seed.
        seed: u64,
        #[command(flatten)]
        size: Size,
    },
    /// Measures what has a goal, checks some scripts, and prints a table. Takes some minutes.
    Report {
        /// Fewer repetitions, scripts and nodes.
        #[arg(long)]
        quick: bool,
    },
    /// A node of a run.
    #[command(hide = true)]
    Node(NodeOptions),
    /// A machine of a run.
    #[command(hide = true)]
    Hold,
    /// Burns CPU beside a run.
    #[command(hide = true)]
    Hog,
}

/// What a run is like.
#[derive(Clone, Copy, Debug, Args)]
struct Size {
    /// How many nodes, 3 to 100.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(3..=100))]
    nodes: u16,
    /// How long faults go on.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// No network of its own: faults of processes only.
    #[arg(long)]
    loopback: bool,
    /// Nobody is silent for longer than a failure detector must stand; nodes are killed all the same.
    #[arg(long)]
    blinks: bool,
    /// A fault of the workload itself, which must be found.
    #[arg(long)]
    mutant: Option<Mutant>,
}

fn main() -> ExitCode {
    match Line::parse().command {
        Part::Check { seeds, from, all, size } => {
            check(from..from.saturating_add(seeds), all, size)
        }
        Part::Replay { seed, size } => check(seed..seed + 1, false, size),
        Part::Report { quick } => report(quick),
        Part::Node(options) => node::run(&options),
        Part::Hold => hold(),
        Part::Hog => hog(),
    }
}

fn check(seeds: std::ops::Range<u64>, all: bool, size: Size) -> ExitCode {
    let has_network = !size.loopback && has_network();
    let began = Instant::now();
    let plan = Plan {
        machines: size.nodes,
        length: Duration::from_secs(size.seconds),
        has_network,
        has_outages: !size.blinks,
    };
    let (mut counts, mut failed, mut ran) = (Counts::default(), 0, 0);
    for seed in seeds.clone() {
        println!("seed {seed}: {} nodes, faults for {} s", size.nodes, size.seconds);
        let script = Script::draw(seed, plan);
        print!("{script}");
        match (Trial { seed, plan, mutant: size.mutant }).run(&script) {
            Ok(finding) => {
                ran += 1;
                println!("  {}", finding.verdict.counts);
                if let Some((forwarded, dropped)) = finding.packets {
                    println!("  packets: {forwarded} carried, {dropped} dropped");
                }
                match finding.settled_after {
                    Some(after) => {
                        println!("  all agree {:.1} s after the last fault", after.as_secs_f64());
                    }
                    None => println!("  they do not agree after the last fault"),
                }
                counts += &finding.verdict.counts;
                if finding.verdict.violations.is_empty() {
                    continue;
                }
                complain(&finding, seed, size);
            }
            Err(error) => eprintln!("seed {seed}: {}", chain(&error)),
        }
        failed += 1;
        if !all {
            break;
        }
    }
    let wall = began.elapsed().as_secs_f64();
    println!(
        "{} of {} scripts passed in {wall:.0} s; {counts}",
        ran - ran.min(failed),
        seeds.end - seeds.start
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Enters a network of its own, or says loudly why there is none.
fn has_network() -> bool {
    match enclosure::enter() {
        Enclosure::Whole => true,
        Enclosure::Loopback { why } => {
            println!("!!! WITHOUT FAULTS OF THE NETWORK, on loopback: {why}");
            false
        }
    }
}

fn report(is_quick: bool) -> ExitCode {
    let extent = report::Extent::of(is_quick, has_network());
    let missed = report::run(extent, &mut |text| print!("{text}"));
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// At most so many violations of a run are shown; the rest are of the same kind.
const SHOWN_MAX: usize = 20;

fn complain(finding: &trial::Finding, seed: u64, size: Size) {
    let violations = &finding.verdict.violations;
    eprintln!("seed {seed}: {} promise(s) not kept:", violations.len());
    for violation in violations.iter().take(SHOWN_MAX) {
        eprintln!("  {violation}");
    }
    if let Some(logs) = &finding.logs {
        eprintln!("  the nodes' logs are in {}", logs.display());
    }
    let Size { nodes, seconds, loopback, blinks, .. } = size;
    let loopback = if loopback { " --loopback" } else { "" };
    let blinks = if blinks { " --blinks" } else { "" };
    eprintln!(
        "again: mobula-chaos replay {seed} --nodes {nodes} --seconds {seconds}{loopback}{blinks}"
    );
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Holds a machine's namespace until whoever asked for it is gone.
fn hold() -> ExitCode {
    if let Err(why) = process::die_with_parent() {
        eprintln!("{why}");
        return ExitCode::FAILURE;
    }
    println!("here");
    // The end of it is the end of the run.
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    ExitCode::SUCCESS
}

/// The longest that a hog burns CPU, whatever happens.
const HOG_LIMIT: Duration = Duration::from_secs(120);

fn hog() -> ExitCode {
    if let Err(why) = process::die_with_parent() {
        eprintln!("{why}");
        return ExitCode::FAILURE;
    }
    let began = Instant::now();
    let mut sum = 0_u64;
    while began.elapsed() < HOG_LIMIT {
        for round in 0..10_000_u64 {
            sum = std::hint::black_box(sum.rotate_left(3) ^ round);
        }
    }
    ExitCode::SUCCESS
}
