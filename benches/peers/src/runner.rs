//! Interleaving: every framework runs the pattern once before any runs it again.
//!
//! Machines drift; a framework that ran alone in a quiet minute would win. So within a repetition
//! the frameworks follow one another in an order that rotates from repetition to repetition, each
//! on a fresh executor, and the median over the repetitions is reported.

use crate::contender::Executor;
use crate::error::BenchError;
use crate::framework::Framework;
use crate::memory;
use crate::pattern::{Pattern, Unit};

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
    if frameworks.is_empty() {
        return Ok(Vec::new());
    }
    let load = pattern.load(quick);
    let units = pattern.units();
    let mut figures = vec![vec![Vec::with_capacity(repetitions); frameworks.len()]; units.len()];
    for repetition in 0..repetitions {
        for turn in 0..frameworks.len() {
            let seat = (repetition + turn) % frameworks.len();
            let framework = frameworks[seat];
            let outcome = match pattern {
                Pattern::BytesPerActor => memory::weigh_in_child(framework.name(), executor, load),
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
            medians: frameworks.iter().copied().zip(seats.into_iter().map(median)).collect(),
        })
        .collect())
}

/// The middle figure, or the mean of the two in the middle.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
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
        assert_eq!(median(vec![4.0, 1.0, 2.0, 9.0]).to_bits(), 3.0_f64.to_bits());
    }
}
