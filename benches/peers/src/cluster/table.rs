//! One line per row, as soon as the row is there: JSON for programs, a table for people.
//!
//! A figure that does not exist, because messages were lost or the contender failed, is `none` in the table and `null` in
//! JSON; standard error says which.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::Row;
use super::entrant::Entrant;
use super::pattern::Goal;
use crate::report::short;

/// `{"pattern":…,"unit":…,"<contender>":…,"goals":[…]}` with the keys in that order.
pub(crate) fn json_line(row: &Row) -> String {
    let mut line = format!(r#"{{"pattern":"{}","unit":"{}""#, row.pattern.name(), row.unit.name);
    for (entrant, median) in &row.medians {
        let figure = if median.is_nan() { "null".to_owned() } else { format!("{median:.3}") };
        let _ = write!(line, r#","{}":{figure}"#, entrant.name());
    }
    let goals: Vec<String> = judged(row)
        .map(|(goal, is_met)| format!(r#"{{"goal":"{goal}","met":{is_met}}}"#))
        .collect();
    let _ = write!(line, r#","goals":[{}]}}"#, goals.join(","));
    line
}

/// Prints the head of the table.
pub(crate) fn head(out: &mut impl Write, entrants: &[Entrant]) -> io::Result<()> {
    write!(out, "{:<18} {:<16}", "pattern", "unit")?;
    for entrant in entrants {
        write!(out, " {:>10}", entrant.name())?;
    }
    writeln!(out, "  goal")?;
    writeln!(out, "{}", "-".repeat(41 + 11 * entrants.len()))
}

/// Prints one row; the best of those who compete carries a star, and who does not play has a dash.
pub(crate) fn row(out: &mut impl Write, entrants: &[Entrant], row: &Row) -> io::Result<()> {
    let better = |a: f64, b: f64| if row.unit.more_is_better { a > b } else { a < b };
    let competing = row.medians.iter().filter(|(one, figure)| one.competes() && !figure.is_nan());
    let best = competing
        .clone()
        .map(|(_, median)| *median)
        .reduce(|best, median| if better(median, best) { median } else { best });
    let is_contest = competing.count() > 1;
    write!(out, "{:<18} {:<16}", row.pattern.name(), row.unit.name)?;
    for entrant in entrants {
        let cell = match row.medians.iter().find(|(player, _)| player == entrant) {
            Some((_, median)) if median.is_nan() => "none".to_owned(),
            Some((_, median)) if is_contest && entrant.competes() && best == Some(*median) => {
                format!("{}*", short(*median))
            }
            Some((_, median)) => short(*median),
            None => "-".to_owned(),
        };
        write!(out, " {cell:>10}")?;
    }
    for (goal, is_met) in judged(row) {
        write!(out, "  {goal}{}", if is_met { "" } else { " MISSED" })?;
    }
    writeln!(out)
}

/// Prints what a reader must know before comparing columns.
pub(crate) fn footnotes(
    out: &mut impl Write,
    entrants: &[Entrant],
    repetitions: usize,
) -> io::Result<()> {
    writeln!(
        out,
        "\nTwo processes on loopback for each run, messages of 100 bytes; medians of {repetitions} \
         interleaved repetitions; * marks the best of those who compete. Goals are mobula's; \
         MISSED says what it did not reach in this run."
    )?;
    for entrant in entrants {
        writeln!(out, "{}: {}.", entrant.name(), entrant.caveat())?;
    }
    Ok(())
}

/// Each goal of the row as text, and whether mobula reached it; none if mobula did not play.
fn judged(row: &Row) -> impl Iterator<Item = (String, bool)> {
    let figure = |of: Entrant| {
        row.medians.iter().find(|(entrant, _)| *entrant == of).map(|(_, median)| *median)
    };
    let (ours, lane) = (figure(Entrant::Mobula), figure(Entrant::Lane));
    row.unit.goals.iter().filter_map(move |goal| {
        let ours = ours?;
        Some(match *goal {
            Goal::AtMost(most) => (format!("≤ {}", short(most)), ours <= most),
            Goal::AtLeast(least) => (format!("≥ {}", short(least)), ours >= least),
            Goal::TimesLane(times) => {
                let is = ours / lane?;
                (format!("{is:.2} × lane, ≤ {times}"), is <= times)
            }
            Goal::ShareOfLane(share) => {
                let is = ours / lane?;
                (format!("{is:.2} × lane, ≥ {share}"), is >= share)
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::pattern::FarPattern;

    fn asked(ours: f64, lane: f64) -> Row {
        let pattern = FarPattern::RemoteAsk;
        let medians =
            vec![(Entrant::Mobula, ours), (Entrant::Lane, lane), (Entrant::Kameo, f64::NAN)];
        Row { pattern, unit: pattern.units()[0], medians }
    }

    #[test]
    fn a_json_line_is_json_and_says_what_was_lost_and_missed() {
        let line = json_line(&asked(80.0, 50.0));
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["mobula"], 80.0);
        assert!(read["kameo"].is_null());
        assert_eq!(read["goals"][0]["met"], false);
    }

    #[test]
    fn a_row_shows_who_lost_and_which_goal_was_reached() {
        let mut out = Vec::new();
        row(&mut out, &[Entrant::Mobula, Entrant::Kameo], &asked(60.0, 50.0)).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("none") && text.contains("1.20 × lane"), "{text}");
        assert!(!text.contains("MISSED"), "{text}");
    }
}
