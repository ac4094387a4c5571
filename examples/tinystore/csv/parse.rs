//! One range of a file becomes one batch.
//!
//! A row is all or nothing: when its seventh cell cannot be read, the six before it are taken back
//! and the row is reported. The rule looks at the row alone, never at the query, so that the same
//! rows are bad whatever is asked.
//!
//! Pure: no clock, no I/O, no tasks.

use std::{collections::BTreeSet, fmt, ops::Range};

use memchr::memchr_iter;
use serde::{Deserialize, Serialize};

use super::{
    super::{
        batch::Batch,
        column::{Column, Dictionary, Interner, NULL},
        moment,
        value::Kind,
    },
    Layout,
    records::{Field, Fields, record_end, without_line_end},
};

/// What one range holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Chunk {
    pub(crate) batch: Batch,
    /// Lines are counted from the start of the range, the first is 0.
    pub(crate) bad_rows: Vec<BadRow>,
    pub(crate) line_count: u64,
    /// Columns of whole numbers in which a fraction was met. If there are any, the chunk is void.
    pub(crate) widenings: Vec<Widening>,
}

/// A row that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BadRow {
    pub(crate) line: u64,
    pub(crate) reason: String,
}

impl fmt::Display for BadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

/// The number of a column that must hold fractions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Widening(pub(crate) usize);

/// Parses the records in `range`, which must begin and end between records.
pub(crate) fn parse(text: &[u8], range: Range<usize>, layout: &Layout) -> Chunk {
    let mut builders: Vec<Builder> = layout.kinds.iter().map(|kind| Builder::new(*kind)).collect();
    let mut bad_rows = Vec::new();
    let mut widenings = BTreeSet::new();
    let (mut line, mut row_count, mut at) = (0, 0, range.start);
    while at < range.end {
        let end = record_end(text, at);
        let record = &text[at..end];
        at = end;
        let blank = without_line_end(record).is_empty() && builders.len() > 1;
        if !blank {
            match parse_row(record, &mut builders, &layout.names) {
                Ok(fractions) => {
                    row_count += 1;
                    widenings.extend(fractions);
                }
                Err(reason) => {
                    builders.iter_mut().for_each(|builder| builder.column.truncate(row_count));
                    bad_rows.push(BadRow { line, reason });
                }
            }
        }
        line += memchr_iter(b'\n', record).count() as u64;
    }
    let columns = builders.into_iter().map(|builder| builder.column).collect();
    Chunk {
        batch: Batch::new(&layout.table, layout.names.clone(), columns),
        bad_rows,
        line_count: line,
        widenings: widenings.into_iter().collect(),
    }
}

/// Appends one cell to every column, or says why not; then some columns may be one cell too long.
fn parse_row(
    record: &[u8],
    builders: &mut [Builder],
    names: &[String],
) -> Result<Option<Widening>, String> {
    let mut fields = Fields::new(record);
    let mut fraction = None;
    for (index, builder) in builders.iter_mut().enumerate() {
        let field = match fields.next() {
            Some(Ok(field)) => field,
            Some(Err(misquoted)) => return Err(misquoted.0.to_owned()),
            None => return Err(format!("{index} fields instead of {}", names.len())),
        };
        match builder.push(&field) {
            Ok(()) => {}
            // One a row is enough: the next pass meets the next one.
            Err(Refused::Fraction) => fraction = Some(Widening(index)),
            Err(Refused::Unreadable(expected)) => {
                let text = field.text();
                let text = String::from_utf8_lossy(&text);
                let excerpt: String = text.chars().take(40).collect();
                return Err(format!("{}: `{excerpt}` is not {expected}", names[index]));
            }
        }
    }
    match fields.count() {
        0 => Ok(fraction),
        more => Err(format!("{} fields instead of {}", names.len() + more, names.len())),
    }
}

/// A column that is being filled.
struct Builder {
    column: Column,
    interner: Interner,
}

enum Refused {
    /// A number with a fraction came to a column of whole numbers; null stands in for it.
    Fraction,
    /// The cell is not what is named here.
    Unreadable(&'static str),
}

impl Builder {
    fn new(kind: Kind) -> Self {
        Self { column: Column::new(kind), interner: Interner::default() }
    }

    #[inline]
    fn push(&mut self, field: &Field<'_>) -> Result<(), Refused> {
        let null = field.is_null();
        match &mut self.column {
            Column::Int(cells) if null => cells.push(NULL),
            Column::Time(cells) if null => cells.push(NULL),
            Column::Float(cells) if null => cells.push(f64::NAN),
            Column::Text(text) if null => text.codes.push(Dictionary::NULL),
            Column::Int(cells) => match read_number(&field.text()) {
                Number::Int(int) => cells.push(int),
                Number::Float(_) => {
                    cells.push(NULL);
                    return Err(Refused::Fraction);
                }
                Number::None => return Err(Refused::Unreadable("a whole number")),
            },
            Column::Float(cells) => match read_number(&field.text()) {
                #[expect(clippy::cast_precision_loss, reason = "a float column holds floats")]
                Number::Int(int) => cells.push(int as f64),
                Number::Float(float) => cells.push(float),
                Number::None => return Err(Refused::Unreadable("a number")),
            },
            Column::Time(cells) => match read_time(&field.text()) {
                Some(time) => cells.push(time),
                None => return Err(Refused::Unreadable("a time")),
            },
            Column::Text(text) => match self.interner.code(&field.text(), &mut text.dictionary) {
                Some(code) => text.codes.push(code),
                None => return Err(Refused::Unreadable("UTF-8 text")),
            },
        }
        Ok(())
    }
}

/// What a cell is as a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    /// A whole number, also when written as `2.0` or `2e3`.
    Int(i64),
    /// A number with a fraction, or one too large for 64 bits. Never NaN, infinite or `-0.0`.
    Float(f64),
    None,
}

#[inline]
pub(super) fn read_number(text: &[u8]) -> Number {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    // Up to 18 digits cannot overflow, and nearly every number is that short.
    if digits.is_empty() || digits.len() > 18 {
        return read_number_slowly(text);
    }
    let mut int = 0i64;
    for byte in digits {
        if !byte.is_ascii_digit() {
            return read_number_slowly(text);
        }
        int = int * 10 + i64::from(byte - b'0');
    }
    Number::Int(if digits.len() == text.len() { int } else { -int })
}

fn read_number_slowly(text: &[u8]) -> Number {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let Ok(text) = std::str::from_utf8(text.trim_ascii()) else {
        return Number::None;
    };
    if let Some(int) = text.parse().ok().filter(|int: &i64| *int != NULL) {
        return Number::Int(int);
    }
    match text.parse::<f64>() {
        #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
        Ok(float) if float.fract() == 0.0 && float.abs() < EXACT => Number::Int(float as i64),
        Ok(float) if float.is_finite() => Number::Float(float),
        Ok(_) | Err(_) => Number::None,
    }
}

pub(super) fn read_time(text: &[u8]) -> Option<i64> {
    moment::parse_time(text.trim_ascii())
}

#[cfg(test)]
mod tests;
