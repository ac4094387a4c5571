//! The suite of the cluster: what is called lives in another process, on loopback.
//!
//! Two nodes in one process would share an allocator, an executor and a cache, and measure no network. So for every
//! run this program starts itself twice: as the far side, which counts what it is sent, and as the near side, which
//! sends and takes the time. Neither has run anything before, and contenders with state of the whole process (kameo)
//! meet the same conditions as all others. The turns rotate as in `runner.rs`.
//!
//! - `caller`: what a contender must be able to do; `play`: what is asked of it.
//! - `pattern`: the patterns, their units and goals.
//! - `entrant`: the contenders by name; `entrants`: one file for each.
//! - `sides`: the two processes of a run; `ground`: what they stand on; `measure`: from times to figures.
//! - `fleet`: patterns of many nodes, which mobula alone plays; `member`: one node of a fleet.
//! - `table`: what is printed.

mod caller;
mod entrant;
mod entrants;
mod fleet;
mod ground;
mod measure;
mod member;
mod pattern;
mod play;
mod sides;
mod table;

use std::io::Write;

use clap::Args;

pub(crate) use entrant::Entrant;
use entrants::erlang::Home;
pub(crate) use pattern::FarPattern;

use crate::error::BenchError;
use crate::runner::median;

/// Flags of this suite alone.
#[derive(Debug, Args)]
pub(crate) struct FarFlags {
    /// Only these patterns of the cluster's suite.
    // The other suite has a field of the same name, which would be the same argument.
    #[arg(id = "far_patterns", long = "far-pattern", value_delimiter = ',')]
    patterns: Vec<FarPattern>,
    /// Only these contenders of the cluster's suite.
    #[arg(id = "far_only", long = "far-only", value_delimiter = ',')]
    only: Vec<Entrant>,
}

/// Plays all that was chosen and prints a row for each unit.
pub(crate) fn compare(
    out: &mut impl Write,
    flags: &FarFlags,
    (repetitions, quick, json): (usize, bool, bool),
) -> Result<(), BenchError> {
    let patterns = crate::chosen(clap::ValueEnum::value_variants(), &flags.patterns);
    let chosen = crate::chosen(clap::ValueEnum::value_variants(), &flags.only);
    let erlang = if chosen.contains(&Entrant::Erlang) { Home::make()? } else { None };
    let is_here = |one: &Entrant| *one != Entrant::Erlang || erlang.is_some();
    let entrants: Vec<Entrant> = chosen.into_iter().filter(is_here).collect();
    if !json {
        table::head(out, &entrants)?;
    }
    let mut played = false;
    for pattern in patterns {
        let players: Vec<Entrant> =
            entrants.iter().copied().filter(|one| one.plays(pattern)).collect();
        if players.is_empty() {
            continue;
        }
        played = true;
        for row in rows(pattern, &players, erlang.as_ref(), (repetitions, quick))? {
            if json {
                writeln!(out, "{}", table::json_line(&row))?;
            } else {
                table::row(out, &entrants, &row)?;
            }
            out.flush()?;
        }
    }
    if !played {
        return Err(BenchError::NothingToRun("no contender that was chosen plays what was chosen"));
    }
    if !json {
        table::footnotes(out, &entrants, repetitions)?;
    }
    Ok(())
}

/// The near side of one run, in this process: one figure for each of the pattern's units.
pub(crate) fn near(
    entrant: Entrant,
    pattern: FarPattern,
    load: u64,
    address: &str,
) -> Result<Vec<f64>, BenchError> {
    entrant.near(pattern, load, address.to_owned())
}

/// The far side of one run, in this process, until standard input ends.
pub(crate) fn far(entrant: Entrant) -> Result<(), BenchError> {
    entrant.far()
}

/// One node of a fleet, in this process, until standard input ends.
pub(crate) fn member(join: Vec<String>) -> Result<(), BenchError> {
    member::live(join)
}

/// The medians of one pattern in one unit.
pub(crate) struct Row {
    pattern: FarPattern,
    unit: pattern::FarUnit,
    medians: Vec<(Entrant, f64)>,
}

fn rows(
    pattern: FarPattern,
    players: &[Entrant],
    erlang: Option<&Home>,
    (repetitions, quick): (usize, bool),
) -> Result<Vec<Row>, BenchError> {
    let units = pattern.units();
    let mut figures = vec![vec![Vec::with_capacity(repetitions); players.len()]; units.len()];
    for repetition in 0..repetitions {
        for turn in 0..players.len() {
            let seat = (repetition + turn) % players.len();
            let entrant = players[seat];
            let load = entrant.load(pattern, quick);
            let played = if pattern.is_of_a_fleet() {
                fleet::play(pattern, quick)
            } else {
                sides::run(entrant, erlang, (pattern, load))
            };
            let outcome = match played {
                // What others cannot do is for the reader to see; it must not hide what the rest can.
                Err(error) if entrant.competes() && entrant != Entrant::Mobula => {
                    let (name, pattern) = (entrant.name(), pattern.name());
                    let _ = writeln!(std::io::stderr(), "FAILED: {name} on {pattern}: {error}");
                    vec![f64::NAN; units.len()]
                }
                other => other.map_err(|source| BenchError::Run {
                    framework: entrant.name(),
                    pattern: pattern.name(),
                    executor: "two processes",
                    source: Box::new(source),
                })?,
            };
            if outcome.len() != units.len() {
                return Err(BenchError::Figures { expected: units.len(), got: outcome.len() });
            }
            for (unit, figure) in outcome.into_iter().enumerate() {
                figures[unit][seat].push(figure);
            }
        }
    }
    let row = |(unit, seats): (&pattern::FarUnit, Vec<Vec<f64>>)| Row {
        pattern,
        unit: *unit,
        medians: players.iter().copied().zip(seats.into_iter().map(median)).collect(),
    };
    Ok(units.iter().zip(figures).map(row).collect())
}
