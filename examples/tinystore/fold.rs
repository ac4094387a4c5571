//! Answering [`Apply`]: folding batches, merging partial results, finishing.
//!
//! One type does both halves of the work. On a shard it folds batches and is exported as a
//! [`Partial`]; at the end it takes in partials, in whatever order they become ready, and
//! finishes. Sliding windows need no third half: rows are first grouped into *panes* as long as
//! the step, and since states merge, a window is the merge of the panes it covers
//! (Li et al., "No pane, no gain", 2005).
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    aggregate::{Accumulator, AggregationError, Definition, SKIP},
    batch::Batch,
    column::{Column, NULL},
    feature,
    groups::{Groups, Key},
    query::{Answer, Apply, Window},
    value::Value,
};

/// What a few batches say about a question: one state per group and aggregation, as bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Partial {
    keys: Vec<Key>,
    /// For each aggregation, the states of all groups.
    states: Vec<Vec<u8>>,
    /// How many rows were folded.
    pub(crate) row_count: u64,
}

/// An answer in the making.
pub(crate) struct Fold<'q> {
    question: &'q Apply,
    groups: Groups,
    accumulators: Vec<Box<dyn Accumulator>>,
    row_count: u64,
}

impl<'q> Fold<'q> {
    pub(crate) fn new(question: &'q Apply) -> Result<Self, AggregationError> {
        let build =
            |definition: &Definition| definition.build().map(|function| function.accumulator());
        let mut groups = Groups::default();
        if question.by.is_empty() && question.window.is_none() {
            // The group of everything is there even if no row is.
            groups.slot(Key::new());
        }
        Ok(Self {
            question,
            groups,
            accumulators: question.definitions.iter().map(build).collect::<Result<_, _>>()?,
            row_count: 0,
        })
    }

    /// Takes in the rows of a batch that the question is about.
    pub(crate) fn add_batch(&mut self, batch: &Batch) {
        let Apply { rows, feature, by, window, as_of, .. } = self.question;
        let Some(cells) = feature::cells(batch, feature) else {
            return;
        };
        let Some(keys) =
            by.iter().map(|name| feature::cells(batch, name)).collect::<Option<Vec<_>>>()
        else {
            return;
        };
        let mut wanted = rows.mark(batch);
        if let Some(as_of) = as_of {
            let known = feature::known_times(batch, self.question.looks_at());
            for (wanted, known) in wanted.iter_mut().zip(known) {
                *wanted &= known != NULL && known <= *as_of;
            }
        }
        let mut columns: Vec<&Column> = keys.iter().map(|column| &**column).collect();
        let panes = window.map(|window| Column::Time(panes(batch.times(), window, &mut wanted)));
        columns.extend(&panes);
        let slots = self.groups.slots_of_rows(&columns, &wanted);
        for accumulator in &mut self.accumulators {
            accumulator.update(&cells, batch.times(), &slots, self.groups.len());
        }
        self.row_count += slots.iter().filter(|slot| **slot != SKIP).count() as u64;
    }

    /// Takes in what another fold of the same question found out.
    pub(crate) fn add_partial(&mut self, partial: &Partial) -> Result<(), AggregationError> {
        let slots: Vec<u32> =
            partial.keys.iter().map(|key| self.groups.slot(key.clone())).collect();
        let count = self.groups.len();
        let definitions = &self.question.definitions;
        for ((accumulator, states), definition) in
            self.accumulators.iter_mut().zip(&partial.states).zip(definitions)
        {
            accumulator.absorb(states, &slots, count).map_err(|error| AggregationError::State {
                name: definition.name.clone(),
                source: error.into(),
            })?;
        }
        self.row_count += partial.row_count;
        Ok(())
    }

    /// Packs up for the journey.
    pub(crate) fn into_partial(self) -> Result<Partial, AggregationError> {
        let definitions = self.question.definitions.iter();
        let states = self.accumulators.iter().zip(definitions).map(|(accumulator, definition)| {
            let failed = |error: rmp_serde::encode::Error| AggregationError::Export {
                name: definition.name.clone(),
                reason: error.to_string(),
            };
            accumulator.export().map_err(failed)
        });
        Ok(Partial {
            states: states.collect::<Result<_, _>>()?,
            keys: self.groups.keys().to_vec(),
            row_count: self.row_count,
        })
    }

    /// The answer: a row for each group, sorted by key.
    pub(crate) fn finish(mut self) -> Answer {
        if let Some(window) = self.question.window {
            self.slide(window);
        }
        let count = self.groups.len();
        let values: Vec<Vec<Value>> =
            self.accumulators.iter().map(|accumulator| accumulator.finish(count)).collect();
        let mut rows: Vec<Vec<Value>> = Vec::with_capacity(count);
        for (slot, key) in self.groups.keys().iter().enumerate() {
            let of_slot = values.iter().filter_map(|values| values.get(slot).cloned());
            rows.push(key.iter().cloned().chain(of_slot).collect());
        }
        rows.sort();
        let window = self.question.window.map(|_| "window_end".to_owned());
        let names = self.question.definitions.iter().map(|definition| definition.name.clone());
        Answer {
            columns: self.question.by.iter().cloned().chain(window).chain(names).collect(),
            rows,
        }
    }

    /// From panes to windows. Every group gets every window that touches any row at all, so that
    /// quiet hours show up as a count of 0 instead of a gap.
    fn slide(&mut self, window: Window) {
        let mut panes: BTreeMap<(&[Value], i64), u32> = BTreeMap::new();
        for (slot, key) in (0..).zip(self.groups.keys()) {
            if let Some((Value::Time(pane), group)) = key.split_last() {
                panes.insert((group, *pane), slot);
            }
        }
        let starts = || panes.keys().map(|(_, pane)| *pane);
        let (Some(first), Some(last)) = (starts().min(), starts().max()) else {
            return;
        };
        let mut windows = Groups::default();
        let mut moves = Vec::new();
        let mut groups: Vec<&[Value]> = panes.keys().map(|(group, _)| *group).collect();
        groups.dedup();
        for group in groups {
            let mut end = first + window.every;
            while end <= last + window.length {
                let key = group.iter().cloned().chain([Value::Time(end)]).collect();
                let to = windows.slot(key);
                let covered = (group, end - window.length)..(group, end);
                moves.extend(panes.range(covered).map(|(_, from)| (*from, to)));
                end += window.every;
            }
        }
        for accumulator in &mut self.accumulators {
            accumulator.regroup(&moves, windows.len());
        }
        self.groups = windows;
    }
}

/// The start of each row's pane. Rows without event time are in no window.
fn panes(times: &[i64], window: Window, wanted: &mut [bool]) -> Vec<i64> {
    for (wanted, time) in wanted.iter_mut().zip(times) {
        *wanted &= *time != NULL;
    }
    times.iter().map(|time| time - time.rem_euclid(window.every)).collect()
}

#[cfg(test)]
mod tests;
