//! The point-in-time join: what could have been known at each row's own moment.
//!
//! "Mean departure delay of this origin and carrier in the last 24 hours" looks like a group by
//! with a window, and that is the leak: a flight scheduled at 10:00 that leaves at 14:00 has a
//! delay of four hours, but at 11:00 nobody knows that number. A model trained with it looks
//! brilliant and fails in service.
//!
//! **Invariant:** for a point at time `t`, an event counts only if it happened in
//! `[t - within, t)` *and* its value and its key were known at or before `t`. The row itself never
//! counts. The key of the *point* must be of a sort that is known at the row's own moment: whoever
//! asks at `t` for the past of late flights, because this one will be late, has been told the future.
//!
//! Events are sorted by event time once per key; each point then finds its stretch by binary
//! search and skips in it what was not known yet.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    aggregate::{AggregationError, Definition, Past},
    batch::Batch,
    column::NULL,
    feature::{self, Feature},
    groups::Key,
    query::{self, QueryError},
    value::{Scalar, Value},
};

/// The question: aggregate the past of `feature`, for rows with the same cells in `by`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct History {
    /// The table of the events; it may differ from that of the points.
    pub(crate) table: String,
    pub(crate) feature: String,
    pub(crate) by: Vec<String>,
    pub(crate) definitions: Vec<Definition>,
    /// How far back, in seconds.
    pub(crate) within: i64,
}

/// Events of one key: parallel vectors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Events {
    /// When it happened.
    times: Vec<i64>,
    /// When its value and its key were known.
    known: Vec<i64>,
    values: Vec<Value>,
}

/// Events by key.
pub(crate) type EventsByKey = BTreeMap<Key, Events>;

impl History {
    /// Says what is wrong with the question, asked for rows of the table `points`, if anything.
    pub(crate) fn check(&self, features: &[Feature], points: &str) -> Result<(), QueryError> {
        let feature = query::find(features, &self.table, &self.feature)?;
        for name in &self.by {
            query::find(features, &self.table, name)?;
            let of_point = query::find(features, points, name)?;
            if of_point.known.is_later() {
                let (feature, known) = (name.clone(), of_point.known);
                return Err(QueryError::LateKey { feature, known });
            }
        }
        self.definitions.iter().try_for_each(|definition| definition.check(feature))
    }

    /// Picks from a batch what points at times in `from..to` may need.
    pub(crate) fn collect(&self, batch: &Batch, from: i64, to: i64, events: &mut EventsByKey) {
        let columns: Option<Vec<_>> =
            self.by.iter().map(|name| feature::cells(batch, name)).collect();
        let (Some(columns), Some(cells)) = (columns, feature::cells(batch, &self.feature)) else {
            return;
        };
        if batch.table != self.table {
            return;
        }
        let earliest = from.saturating_sub(self.within);
        let looked_at = [&self.feature].into_iter().chain(&self.by).map(String::as_str);
        let known = feature::known_times(batch, looked_at);
        for (row, (time, known)) in batch.times().iter().zip(known).enumerate() {
            let value = cells.cell(row);
            if value == Scalar::Null || known == NULL || *time == NULL {
                continue;
            }
            if (earliest..to).contains(time) {
                let key: Key = columns.iter().map(|column| column.cell(row).to_value()).collect();
                events.entry(key).or_default().push(*time, known, value.to_value());
            }
        }
    }

    /// The columns that this question adds: `mean_dep_delay_24h`.
    pub(crate) fn columns(&self) -> Vec<String> {
        let span = super::moment::format_span(self.within);
        let name = |definition: &Definition| format!("{}_{}_{span}", definition.name, self.feature);
        self.definitions.iter().map(name).collect()
    }

    /// The answer at each of the `points` of one key: a value for each aggregation.
    pub(crate) fn answer(
        &self,
        events: &mut Events,
        points: &[i64],
    ) -> Result<Vec<Vec<Value>>, AggregationError> {
        events.sort();
        let past = |point: &i64| Past {
            rows: events.before(point.saturating_sub(self.within))..events.before(*point),
            as_of: *point,
        };
        let pasts: Vec<Past> = points.iter().map(past).collect();
        let mut answers = vec![Vec::with_capacity(self.definitions.len()); points.len()];
        for definition in &self.definitions {
            let Events { times, known, values } = &*events;
            let column = definition.build()?.over_pasts(values, times, known, &pasts);
            for (answer, value) in answers.iter_mut().zip(column) {
                answer.push(value);
            }
        }
        Ok(answers)
    }
}

impl Events {
    pub(crate) fn push(&mut self, time: i64, known: i64, value: Value) {
        self.times.push(time);
        self.known.push(known);
        self.values.push(value);
    }

    /// Takes in the events of the same key from another shard.
    pub(crate) fn append(&mut self, mut other: Self) {
        self.times.append(&mut other.times);
        self.known.append(&mut other.known);
        self.values.append(&mut other.values);
    }

    /// By time, and by value at the same time, so that shards may deliver in any order.
    fn sort(&mut self) {
        let mut order: Vec<usize> = (0..self.times.len()).collect();
        order.sort_by(|a, b| {
            let key = |row: usize| (self.times[row], self.known[row], &self.values[row]);
            key(*a).cmp(&key(*b))
        });
        *self = Self {
            times: order.iter().map(|row| self.times[*row]).collect(),
            known: order.iter().map(|row| self.known[*row]).collect(),
            values: order.iter().map(|row| self.values[*row].clone()).collect(),
        };
    }

    /// How many events happened before `time`.
    fn before(&self, time: i64) -> usize {
        self.times.partition_point(|event| *event < time)
    }
}

#[cfg(test)]
mod tests;
