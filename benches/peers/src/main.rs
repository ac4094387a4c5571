//! mobula beside its peers, in one interleaved run.
//!
//! Figures taken on different days do not compare. This program runs actix, ractor, kameo, a bare
//! tokio channel and mobula through the same patterns in one process, by turns. Read `contender.rs`
//! for what a framework offers, `play.rs` for what is asked of it, `runner.rs` for the turns; and `cluster.rs` for the
//! other suite, between processes.

mod error;
mod latch;
mod contender;
mod pattern;
mod memory;
mod play;
mod tasks;
mod contenders;
mod framework;
mod runner;
mod report;
mod cluster;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::cluster::{Entrant, FarFlags, FarPattern};
use crate::contender::{Executor, MAILBOX_BOUND};
use crate::error::BenchError;
use crate::framework::Framework;
use crate::pattern::Pattern;
use crate::runner::compare;

/// Runs mobula and its peers through the same patterns.
#[derive(Debug, Parser)]
#[command(name = "mobula-peers", args_conflicts_with_subcommands = true)]
struct Flags {
    /// What is compared.
    #[arg(long, value_enum, default_value = "local")]
    suite: Suite,
    #[command(flatten)]
    far: FarFlags,
    /// Print one JSON object per row instead of a table.
    #[arg(long)]
    json: bool,
    /// Interleaved repetitions; the median is reported [default: 5, with --quick 1].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    reps: Option<u16>,
    /// Only these patterns (comma separated or repeated).
    #[arg(long = "pattern", value_delimiter = ',')]
    patterns: Vec<Pattern>,
    /// Only these executors.
    #[arg(long = "executor", value_delimiter = ',')]
    executors: Vec<Executor>,
    /// Only these frameworks.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Framework>,
    /// A tenth of the work: to see that everything runs, not to compare.
    #[arg(long)]
    quick: bool,
    #[command(subcommand)]
    part: Option<Part>,
}

/// The two comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Suite {
    /// Actors of one process, and tasks of one node.
    Local,
    /// What is called lives in another process.
    Cluster,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Weighs the actors of one framework in this process.
    #[command(hide = true)]
    Memory { framework: Framework, executor: Executor, actors: u64 },
    /// The far side of a run between two processes.
    #[command(hide = true)]
    Far { entrant: Entrant },
    /// The near side of a run between two processes.
    #[command(hide = true)]
    Near { entrant: Entrant, pattern: FarPattern, load: u64, address: String },
    /// One node of a fleet.
    #[command(hide = true)]
    Member { join: Vec<String> },
}

fn main() -> ExitCode {
    match run(&Flags::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut text = format!("error: {error}");
            let mut cause = std::error::Error::source(&error);
            while let Some(inner) = cause {
                text.push_str(&format!(": {inner}"));
                cause = inner.source();
            }
            // Nothing is left to do when even standard error is closed.
            let _ = writeln!(std::io::stderr(), "{text}");
            ExitCode::FAILURE
        }
    }
}

fn run(flags: &Flags) -> Result<(), BenchError> {
    if let Some(part) = &flags.part {
        return play_part(part);
    }
    let mut out = std::io::stdout().lock();
    let repetitions = usize::from(flags.reps.unwrap_or(if flags.quick { 1 } else { 5 }));
    if flags.suite == Suite::Cluster {
        return cluster::compare(&mut out, &flags.far, (repetitions, flags.quick, flags.json));
    }

    let frameworks = chosen(Framework::ALL, &flags.only);
    let patterns = chosen(Pattern::value_variants(), &flags.patterns);
    let executors = chosen(Executor::value_variants(), &flags.executors);
    let mut played = false;
    if !flags.json {
        report::table_head(&mut out, &frameworks)?;
    }
    for &pattern in &patterns {
        for &executor in &executors {
            let players: Vec<Framework> = frameworks
                .iter()
                .copied()
                .filter(|framework| framework.plays(pattern, executor))
                .collect();
            played |= !players.is_empty();
            for row in compare(pattern, executor, &players, repetitions, flags.quick)? {
                if flags.json {
                    writeln!(out, "{}", report::json_line(&row))?;
                } else {
                    report::table_row(&mut out, &frameworks, &row)?;
                }
                out.flush()?;
            }
        }
    }
    if !played {
        return Err(BenchError::NothingToRun(
            "only mobula plays tasks, and only on the executor multi",
        ));
    }
    if !flags.json {
        report::footnotes(&mut out, &frameworks, repetitions, MAILBOX_BOUND)?;
    }
    Ok(())
}

/// What this program is when it has started itself.
fn play_part(part: &Part) -> Result<(), BenchError> {
    let figures = match part {
        Part::Memory { framework, executor, actors } => {
            framework.run(Pattern::BytesPerActor, *executor, *actors)?
        }
        Part::Near { entrant, pattern, load, address } => {
            cluster::near(*entrant, *pattern, *load, address)?
        }
        Part::Far { entrant } => return cluster::far(*entrant),
        Part::Member { join } => return cluster::member(join.clone()),
    };
    let mut out = std::io::stdout().lock();
    for figure in figures {
        writeln!(out, "{figure}")?;
    }
    Ok(())
}

/// The wanted ones in the order of the report, or all when none is named.
fn chosen<T: Copy + PartialEq>(all: &[T], wanted: &[T]) -> Vec<T> {
    all.iter().copied().filter(|item| wanted.is_empty() || wanted.contains(item)).collect()
}
