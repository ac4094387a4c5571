//! Interleaving: every framework runs the pattern once before any runs it again.
//!
//! Machines drift; a framework that ran alone in a quiet minute would win. So within a repetition
//! the frameworks follow one another in an order that rotates from repetition to repetition, each
//! on a fresh executor, and the median over the repetitions is reported.

use clap::ValueEnum;

use crate::contender::{Contender, Executor};
use crate::contenders::{actix::Actix, kameo::Kameo, ractor::Ractor, tokio_mpsc::TokioMpsc};
use crate::error::BenchError;
use crate::memory;
use crate::pattern::{Pattern, Unit, play};

/// Who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Framework {
    /// actix 0.13.
    Actix,
    /// ractor 0.16.
    Ractor,
    /// kameo 0.22.
    Kameo,
    /// No framework: a tokio task that reads a bounded tokio channel.
    TokioMpsc,
}

impl Framework {
    /// Every framework, in the order of the report.
    pub(crate) const ALL: &'static [Self] =
        &[Self::Actix, Self::Ractor, Self::Kameo, Self::TokioMpsc];

    /// The name in flags and reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Actix => "actix",
            Self::Ractor => "ractor",
            Self::Kameo => "kameo",
            Self::TokioMpsc => "tokio_mpsc",
        }
    }

    /// What a reader must know before comparing this column.
    pub(crate) const fn caveat(self) -> &'static str {
        match self {
            Self::Actix => {
                "tells by do_send, which ignores the mailbox bound (actix has no tell that waits); \
                 on multi: a System with 2 arbiters, the driver on the first, actors spread \
                 round-robin from the second on, so talking pairs are split across threads"
            }
            Self::Ractor => "mailboxes are unbounded; arbiter means a current-thread tokio runtime",
            Self::Kameo => "bounded mailboxes; arbiter means a current-thread tokio runtime",
            Self::TokioMpsc => {
                "no actors: a task and a bounded channel, without panic isolation, names or exits"
            }
        }
    }

    /// Runs a pattern once, in this process.
    pub(crate) fn run(
        self,
        pattern: Pattern,
        executor: Executor,
        load: u64,
    ) -> Result<Vec<f64>, BenchError> {
        match self {
            Self::Actix => run::<Actix>(pattern, executor, load),
            Self::Ractor => run::<Ractor>(pattern, executor, load),
            Self::Kameo => run::<Kameo>(pattern, executor, load),
            Self::TokioMpsc => run::<TokioMpsc>(pattern, executor, load),
        }
    }
}

fn run<C: Contender>(
    pattern: Pattern,
    executor: Executor,
    load: u64,
) -> Result<Vec<f64>, BenchError> {
    C::run(executor, move |lab: C| play(lab, pattern, load))
}

/// The medians of one pattern on one executor in one unit.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// What ran.
    pub(crate) pattern: Pattern,
    /// What the figures mean.
    pub(crate) unit: Unit,
    /// Where it ran.
    pub(crate) executor: Executor,
    /// The median of each framework that took part.
    pub(crate) medians: Vec<(Framework, f64)>,
}

/// Plays one pattern on one executor, interleaved; one row for each of the pattern's units.
pub(crate) fn compare(
    pattern: Pattern,
    executor: Executor,
    frameworks: &[Framework],
    repetitions: usize,
    quick: bool,
) -> Result<Vec<Row>, BenchError> {
    let load = pattern.load(quick);
    let units = pattern.units();
    let mut figures = vec![vec![Vec::with_capacity(repetitions); frameworks.len()]; units.len()];
    for repetition in 0..repetitions {
        for turn in 0..frameworks.len() {
            let seat = (repetition + turn) % frameworks.len();
            let framework = frameworks[seat];
            let outcome = match pattern {
                Pattern::BytesPerActor => memory::weigh_in_child(framework, executor, load),
                _ => framework.run(pattern, executor, load),
            };
            let outcome = outcome.map_err(|source| BenchError::Run {
                framework: framework.name(),
                pattern: pattern.name(),
                executor: executor.name(),
                source: Box::new(source),
            })?;
            for (unit, figure) in outcome.into_iter().enumerate() {
                figures[unit][seat].push(figure);
            }
        }
    }
    Ok(units
        .iter()
        .zip(figures)
        .map(|(&unit, seats)| Row {
            pattern,
            unit,
            executor,
            medians: frameworks
                .iter()
                .copied()
                .zip(seats.into_iter().map(median))
                .collect(),
        })
        .collect())
}

/// The middle figure, or the mean of the two in the middle.
fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    match figures.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => figures[middle],
        _ => f64::midpoint(figures[middle - 1], figures[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn median_ignores_order_and_averages_the_middle_pair() {
        assert_eq!(median(vec![9.0, 1.0, 5.0]).to_bits(), 5.0_f64.to_bits());
        assert_eq!(
            median(vec![4.0, 1.0, 2.0, 9.0]).to_bits(),
            3.0_f64.to_bits()
        );
    }
}
