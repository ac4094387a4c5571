//! One column of a batch: a typed vector with its nulls inside.
//!
//! A `Vec<Option<i64>>` doubles the memory and a bitmap beside the vector costs a second lookup
//! per cell, so null is a value that no file can contain: `i64::MIN` for whole numbers and times
//! (the parser refuses it), NaN for floats, [`Dictionary::NULL`] for text.
//! Text is stored once per batch in a dictionary, and cells are its codes: grouping a million
//! rows by airport compares small integers.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::value::{FnvBuilder, Kind, Scalar};

/// Null among whole numbers and times.
pub(crate) const NULL: i64 = i64::MIN;

/// A typed vector of cells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Column {
    Int(Vec<i64>),
    Float(Vec<f64>),
    Text(TextColumn),
    Time(Vec<i64>),
}

/// Codes into a dictionary of distinct texts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TextColumn {
    pub(crate) codes: Vec<u32>,
    pub(crate) dictionary: Dictionary,
}

impl Column {
    pub(crate) fn new(kind: Kind) -> Self {
        match kind {
            Kind::Int => Self::Int(Vec::new()),
            Kind::Float => Self::Float(Vec::new()),
            Kind::Text => Self::Text(TextColumn::default()),
            Kind::Time => Self::Time(Vec::new()),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Int(cells) | Self::Time(cells) => cells.len(),
            Self::Float(cells) => cells.len(),
            Self::Text(text) => text.codes.len(),
        }
    }

    /// The cell of `row`; null where there is no such row.
    pub(crate) fn cell(&self, row: usize) -> Scalar<'_> {
        match self {
            Self::Int(cells) => match cells.get(row) {
                Some(&int) if int != NULL => Scalar::Int(int),
                _ => Scalar::Null,
            },
            Self::Time(cells) => match cells.get(row) {
                Some(&time) if time != NULL => Scalar::Time(time),
                _ => Scalar::Null,
            },
            Self::Float(cells) => match cells.get(row) {
                Some(&float) if !float.is_nan() => Scalar::Float(float),
                _ => Scalar::Null,
            },
            Self::Text(text) => {
                let code = text.codes.get(row).copied().unwrap_or(Dictionary::NULL);
                text.dictionary.get(code).map_or(Scalar::Null, Scalar::Text)
            }
        }
    }

    /// Appends a number; what does not fit the column's kind becomes null.
    pub(crate) fn push_number(&mut self, cell: Scalar<'_>) {
        match self {
            Self::Int(cells) => match cell {
                Scalar::Int(int) => cells.push(int),
                _ => cells.push(NULL),
            },
            Self::Time(cells) => match cell {
                Scalar::Time(time) => cells.push(time),
                _ => cells.push(NULL),
            },
            Self::Float(cells) => cells.push(cell.as_f64().unwrap_or(f64::NAN)),
            Self::Text(text) => text.codes.push(Dictionary::NULL),
        }
    }

    /// Forgets all rows from `row_count` on: how a half-read bad row is taken back.
    pub(crate) fn truncate(&mut self, row_count: usize) {
        match self {
            Self::Int(cells) | Self::Time(cells) => cells.truncate(row_count),
            Self::Float(cells) => cells.truncate(row_count),
            Self::Text(text) => text.codes.truncate(row_count),
        }
    }

    /// The cells of the given rows, in that order. Rows must exist.
    pub(crate) fn gather(&self, rows: &[u32]) -> Self {
        fn pick<T: Copy>(cells: &[T], rows: &[u32]) -> Vec<T> {
            rows.iter().filter_map(|row| cells.get(*row as usize).copied()).collect()
        }
        match self {
            Self::Int(cells) => Self::Int(pick(cells, rows)),
            Self::Time(cells) => Self::Time(pick(cells, rows)),
            Self::Float(cells) => Self::Float(pick(cells, rows)),
            Self::Text(text) => Self::Text(TextColumn {
                codes: pick(&text.codes, rows),
                dictionary: text.dictionary.clone(),
            }),
        }
    }

    /// Whole numbers, if this is a column of them.
    pub(crate) fn ints(&self) -> Option<&[i64]> {
        match self {
            Self::Int(cells) => Some(cells),
            Self::Float(_) | Self::Text(_) | Self::Time(_) => None,
        }
    }

    /// Times, if this is a column of them.
    pub(crate) fn times(&self) -> Option<&[i64]> {
        match self {
            Self::Time(cells) => Some(cells),
            Self::Float(_) | Self::Text(_) | Self::Int(_) => None,
        }
    }
}

/// Distinct texts, numbered from 0: one string and the ends of its parts, so that a copy is two
/// `memcpy`s however many texts there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dictionary {
    text: String,
    ends: Vec<u32>,
}

impl Dictionary {
    /// The code of null.
    pub(crate) const NULL: u32 = u32::MAX;

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The text of `code`; `None` for null.
    pub(crate) fn get(&self, code: u32) -> Option<&str> {
        let index = code as usize;
        let end = *self.ends.get(index)?;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        self.text.get(start as usize..end as usize)
    }

    /// Every code with its text.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &str)> {
        (0..).map_while(|code| Some((code, self.get(code)?)))
    }

    fn push(&mut self, text: &str) -> Option<u32> {
        let code = u32::try_from(self.ends.len()).ok().filter(|code| *code != Self::NULL)?;
        let end = u32::try_from(self.text.len() + text.len()).ok()?;
        self.text.push_str(text);
        self.ends.push(end);
        Some(code)
    }
}

/// Finds the code of a text while a column is being filled.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    codes: HashMap<Box<[u8]>, u32, FnvBuilder>,
}

impl Interner {
    /// The code of `bytes`, adding it to `dictionary` when new.
    /// `None` if it is not UTF-8 or the dictionary is full (4 GiB of distinct text).
    pub(crate) fn code(&mut self, bytes: &[u8], dictionary: &mut Dictionary) -> Option<u32> {
        if let Some(code) = self.codes.get(bytes) {
            return Some(*code);
        }
        let code = dictionary.push(std::str::from_utf8(bytes).ok()?)?;
        self.codes.insert(bytes.into(), code);
        Some(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dictionary_gives_back_what_was_interned() {
        let (mut interner, mut dictionary) = (Interner::default(), Dictionary::default());
        let codes: Vec<_> = ["EWR", "", "JFK", "EWR", "é"]
            .iter()
            .map(|text| interner.code(text.as_bytes(), &mut dictionary).unwrap())
            .collect();
        assert_eq!(codes, [0, 1, 2, 0, 3]);
        assert_eq!(dictionary.get(1), Some(""));
        assert_eq!(dictionary.get(3), Some("é"));
        assert_eq!(dictionary.get(Dictionary::NULL), None);
        assert_eq!(interner.code(b"\xff", &mut dictionary), None);
        assert_eq!(dictionary.iter().count(), 4);
    }

    #[test]
    fn nulls_are_cells_of_their_own() {
        assert_eq!(Column::Int(vec![NULL, 3]).cell(0), Scalar::Null);
        assert_eq!(Column::Int(vec![NULL, 3]).cell(1), Scalar::Int(3));
        assert_eq!(Column::Float(vec![f64::NAN]).cell(0), Scalar::Null);
        assert_eq!(Column::Time(vec![7]).cell(1), Scalar::Null, "past the end");
    }
}
