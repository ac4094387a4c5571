//! Answers as a table for people: columns as wide as their cells, numbers to the right.
//!
//! Pure: no clock, no I/O, no tasks.

use super::{query::Answer, value::Value};

/// The table, one line per row, each indented by two spaces.
pub(crate) fn render(answer: &Answer) -> String {
    let cells: Vec<Vec<String>> =
        answer.rows.iter().map(|row| row.iter().map(ToString::to_string).collect()).collect();
    let widths: Vec<usize> = (0..answer.columns.len())
        .map(|column| {
            let of_rows = cells.iter().filter_map(|row| row.get(column));
            of_rows.chain(answer.columns.get(column)).map(|cell| cell.chars().count()).max()
        })
        .map(Option::unwrap_or_default)
        .collect();
    let numeric = |column: usize| {
        answer.rows.iter().any(|row| row.get(column).is_some_and(|cell| cell.as_f64().is_some()))
    };
    let right: Vec<bool> = (0..widths.len()).map(numeric).collect();
    let line = |cells: &[String]| {
        let mut line = String::new();
        for ((cell, width), right) in cells.iter().zip(&widths).zip(&right) {
            let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
            line.push_str("  ");
            line.push_str(&if *right { padding + cell } else { format!("{cell}{padding}") });
        }
        format!("{}\n", line.trim_end())
    };
    let rule: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
    let mut table = line(&answer.columns) + &line(&rule);
    cells.iter().for_each(|row| table.push_str(&line(row)));
    table
}

/// A table from texts.
pub(crate) fn of_texts<const N: usize>(
    columns: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> Answer {
    Answer {
        columns: columns.map(str::to_owned).to_vec(),
        rows: rows.into_iter().map(|row| row.map(Value::Text).to_vec()).collect(),
    }
}

/// `1234567` as `1 234 567`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_right_and_text_is_left() {
        let answer = Answer {
            columns: vec!["origin".into(), "count".into()],
            rows: vec![
                vec![Value::Text("EWR".into()), Value::Int(12)],
                vec![Value::Null, Value::Int(5)],
            ],
        };
        assert_eq!(
            render(&answer),
            "  origin  count\n  ──────  ─────\n  EWR        12\n  -           5\n"
        );
        assert_eq!(thousands(1_234_567), "1 234 567");
    }
}
