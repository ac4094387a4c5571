//! Group by: from the cells of some columns to one small number per row.
//!
//! A hash of the whole key for each row would hash the same few strings a million times. Here the
//! columns are folded in one after another: a row's slot so far and its code in the next column
//! make a pair, and pairs are numbered as they appear. Keys are spelled out once per distinct
//! group of a batch, not once per row.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::HashMap;

use super::{
    aggregate::SKIP,
    column::{Column, Dictionary},
    value::{FnvBuilder, Scalar, Value},
};

/// The cells of the grouping columns that make one group.
pub(crate) type Key = Vec<Value>;

/// Numbers groups in order of appearance, over any number of batches and partial results.
#[derive(Clone, Debug, Default)]
pub(crate) struct Groups {
    keys: Vec<Key>,
    slots: HashMap<Key, u32, FnvBuilder>,
}

impl Groups {
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(crate) fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The slot of a group, a new one if it is new.
    pub(crate) fn slot(&mut self, key: Key) -> u32 {
        if let Some(slot) = self.slots.get(&key) {
            return *slot;
        }
        // More than 2^32 - 1 groups do not fit in memory; the last slot would take the rest.
        let slot = u32::try_from(self.keys.len()).unwrap_or(SKIP - 1);
        self.keys.push(key.clone());
        self.slots.insert(key, slot);
        slot
    }

    /// The slot of every row; rows that `wanted` leaves out get [`SKIP`].
    pub(crate) fn slots_of_rows(&mut self, columns: &[&Column], wanted: &[bool]) -> Vec<u32> {
        let (mut local, keys) = local_slots(columns, wanted);
        let slots: Vec<u32> = keys.into_iter().map(|key| self.slot(key)).collect();
        for slot in &mut local {
            *slot = slots.get(*slot as usize).copied().unwrap_or(SKIP);
        }
        local
    }
}

/// Numbers the groups of one batch: a slot for each row, and the key of each slot.
fn local_slots(columns: &[&Column], wanted: &[bool]) -> (Vec<u32>, Vec<Key>) {
    let mut keys: Vec<Key> = vec![Vec::new()];
    let mut slots: Vec<u32> = wanted.iter().map(|wanted| if *wanted { 0 } else { SKIP }).collect();
    for column in columns {
        let mut pairs: HashMap<(u32, u64), u32, FnvBuilder> = HashMap::default();
        let mut latest: Option<((u32, u64), u32)> = None;
        let mut longer_keys: Vec<Key> = Vec::new();
        let codes = codes(column);
        for (row, (slot, code)) in slots.iter_mut().zip(codes).enumerate() {
            if *slot == SKIP {
                continue;
            }
            let pair = (*slot, code);
            // Neighbouring rows are often alike.
            if let Some((same, number)) = latest
                && same == pair
            {
                *slot = number;
                continue;
            }
            let number = *pairs.entry(pair).or_insert_with(|| {
                let mut key = keys.get(*slot as usize).cloned().unwrap_or_default();
                key.push(column.cell(row).to_value());
                longer_keys.push(key);
                u32::try_from(longer_keys.len() - 1).unwrap_or(SKIP)
            });
            latest = Some((pair, number));
            *slot = number;
        }
        keys = longer_keys;
    }
    if columns.is_empty() && !wanted.contains(&true) {
        keys.clear();
    }
    (slots, keys)
}

/// A number for each cell, equal exactly if the cells are.
fn codes(column: &Column) -> Box<dyn Iterator<Item = u64> + '_> {
    match column {
        Column::Int(cells) | Column::Time(cells) => {
            Box::new(cells.iter().map(|cell| cell.cast_unsigned()))
        }
        Column::Float(cells) => Box::new(
            cells.iter().map(
                |cell| {
                    if cell.is_nan() { f64::NAN.to_bits() } else { cell.to_bits() }
                },
            ),
        ),
        Column::Text(text) => Box::new(text.codes.iter().map(|code| u64::from(*code))),
    }
}

/// Which cells of a column equal one of the given texts: text as it is, numbers and times by
/// what they mean, and `NA` for null.
pub(crate) fn matches(column: &Column, texts: &[String]) -> Vec<bool> {
    let matches = |cell: Scalar<'_>| {
        texts.iter().any(|text| match cell {
            Scalar::Null => text == "NA",
            Scalar::Text(cell) => cell == text,
            Scalar::Int(cell) => text.parse() == Ok(cell),
            Scalar::Float(cell) => text.parse() == Ok(cell),
            Scalar::Time(cell) => super::moment::parse_time(text.as_bytes()) == Some(cell),
        })
    };
    if let Column::Text(text) = column {
        let null = matches(Scalar::Null);
        let by_code: Vec<bool> =
            text.dictionary.iter().map(|(_, text)| matches(Scalar::Text(text))).collect();
        debug_assert_eq!(by_code.len(), text.dictionary.len());
        let matched = |code: &u32| match *code {
            Dictionary::NULL => null,
            code => by_code.get(code as usize).copied().unwrap_or(false),
        };
        return text.codes.iter().map(matched).collect();
    }
    (0..column.len()).map(|row| matches(column.cell(row))).collect()
}
