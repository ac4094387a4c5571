//! One line per row, as soon as the row is there: JSON for programs, a table for people.

use std::fmt::Write as _;
use std::io::{self, Write};

use crate::framework::Framework;
use crate::runner::Row;

/// `{"pattern":…,"unit":…,"executor":…,"<framework>":…}` with the keys in that order.
pub(crate) fn json_line(row: &Row) -> String {
    let mut line = format!(
        r#"{{"pattern":"{}","unit":"{}","executor":"{}""#,
        row.pattern.name(),
        row.unit.name,
        row.executor.name()
    );
    for (framework, median) in &row.medians {
        let _ = write!(line, r#","{}":{:.1}"#, framework.name(), median);
    }
    line.push('}');
    line
}

/// Prints the head of the table.
pub(crate) fn table_head(out: &mut impl Write, frameworks: &[Framework]) -> io::Result<()> {
    write!(out, "{:<18} {:<8} {:<18}", "pattern", "executor", "unit")?;
    for framework in frameworks {
        write!(out, " {:>12}", framework.name())?;
    }
    writeln!(out)?;
    writeln!(out, "{}", "-".repeat(46 + 13 * frameworks.len()))
}

/// Prints one row of the table; the best figure carries a star, and who does not play has a dash.
pub(crate) fn table_row(
    out: &mut impl Write,
    frameworks: &[Framework],
    row: &Row,
) -> io::Result<()> {
    let better = |a: f64, b: f64| {
        if row.unit.more_is_better { a > b } else { a < b }
    };
    let best = row
        .medians
        .iter()
        .map(|(_, median)| *median)
        .reduce(|best, median| if better(median, best) { median } else { best });
    write!(out, "{:<18} {:<8} {:<18}", row.pattern.name(), row.executor.name(), row.unit.name)?;
    for framework in frameworks {
        let played = row.medians.iter().find(|(player, _)| player == framework);
        let cell = match played {
            Some((_, median)) if row.medians.len() > 1 && best == Some(*median) => {
                format!("{}*", short(*median))
            }
            Some((_, median)) => short(*median),
            None => "-".to_owned(),
        };
        write!(out, " {cell:>12}")?;
    }
    if let Some(ray) = row.pattern.ray_recorded() {
        write!(out, "  Ray {} (recorded, not of this run)", short(ray))?;
    }
    writeln!(out)
}

/// Prints what a reader must know before comparing columns.
pub(crate) fn footnotes(
    out: &mut impl Write,
    frameworks: &[Framework],
    repetitions: usize,
    bound: usize,
) -> io::Result<()> {
    writeln!(
        out,
        "\nMedians of {repetitions} interleaved repetitions; * marks the best of a row. Where \
         mailboxes are bounded, the bound is {bound}."
    )?;
    for framework in frameworks {
        writeln!(out, "{}: {}.", framework.name(), framework.caveat())?;
    }
    Ok(())
}

/// Three significant digits with a magnitude.
pub(crate) fn short(figure: f64) -> String {
    let (scaled, magnitude) = match figure {
        f if f >= 1e6 => (f / 1e6, "M"),
        f if f >= 1e4 => (f / 1e3, "k"),
        f => (f, ""),
    };
    let decimals = match scaled {
        s if s >= 100.0 => 0,
        s if s >= 10.0 => 1,
        _ => 2,
    };
    format!("{scaled:.decimals$}{magnitude}")
}

#[cfg(test)]
mod tests {
    use super::{json_line, short};
    use crate::contender::Executor;
    use crate::framework::Framework;
    use crate::pattern::Pattern;
    use crate::runner::Row;

    #[test]
    fn a_json_line_is_json_and_keeps_the_order_of_its_keys() {
        let row = Row {
            pattern: Pattern::Tell1To1,
            unit: Pattern::Tell1To1.units()[0],
            executor: Executor::Multi,
            medians: vec![(Framework::Actix, 2.5e6), (Framework::TokioMpsc, 12.0)],
        };
        let line = json_line(&row);
        assert_eq!(
            line,
            r#"{"pattern":"tell_1_1","unit":"msgs/s","executor":"multi","actix":2500000.0,"tokio_mpsc":12.0}"#
        );
        assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok());
    }

    #[test]
    fn figures_keep_three_digits() {
        assert_eq!(short(18_943_210.0), "18.9M");
        assert_eq!(short(422.4), "422");
        assert_eq!(short(12_345.0), "12.3k");
    }
}
