//! Features: what can be asked for, how it is computed, and from when on it may be known.
//!
//! Every column of a table is a feature. Others are *derived*: a plain Rust function of the cells
//! of a row, put into the program's table by one `inventory::submit!` (`feature/flights.rs`).
//!
//! A feature has two times. The *event time* says what moment a row is about: the scheduled
//! departure. The *known time* says when its value came into the world: a delay exists only once
//! the aeroplane has left. Training on values before their known time is the classic leak of
//! feature stores, so the known time belongs to the feature, not to the query.
//!
//! Pure: no clock, no I/O, no tasks.

mod flights;

use std::{borrow::Cow, collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};

use super::{
    batch::{Batch, exact, minutes_later, offset},
    column::{Column, NULL},
    moment::{DAY, HOUR},
    value::{Kind, Scalar},
};

/// When the value of a feature can first be known, reckoned from the row's event time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Known {
    /// At the event time: schedules, routes, measurements of the weather.
    AtEvent,
    /// Once the flight has left: scheduled departure plus `dep_delay`.
    AtDeparture,
    /// Once it has arrived and is reported: departure plus `air_time` plus an hour of taxiing.
    AtArrival,
    /// A day later, when it is certain that a flight no longer leaves.
    NextDay,
}

impl Known {
    /// Whether a value can come after its row's event time.
    pub(crate) fn is_later(self) -> bool {
        self != Self::AtEvent
    }

    /// Known times of all rows; [`NULL`] for "never".
    fn times(self, batch: &Batch) -> Vec<i64> {
        let minutes = |name: &str, times: Vec<i64>| match batch.column(name) {
            Some(minutes) => minutes_later(times, minutes),
            None => vec![NULL; times.len()],
        };
        let later = |seconds: i64, times: Vec<i64>| -> Vec<i64> {
            times.into_iter().map(|time| offset(time, seconds, 1)).collect()
        };
        let event = batch.times().to_vec();
        match self {
            Self::AtEvent => event,
            Self::AtDeparture => minutes("dep_delay", event),
            Self::AtArrival => later(HOUR, minutes("air_time", minutes("dep_delay", event))),
            Self::NextDay => later(DAY, event),
        }
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AtEvent => "at event time",
            Self::AtDeparture => "at departure",
            Self::AtArrival => "after arrival",
            Self::NextDay => "a day later",
        })
    }
}

/// A feature computed from the cells of its row.
#[derive(Debug)]
pub(crate) struct Derived {
    pub(crate) table: &'static str,
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) kind: Kind,
    pub(crate) known: Known,
    /// The columns it is computed from; a cell for each is handed to `compute`.
    pub(crate) inputs: &'static [&'static str],
    pub(crate) compute: fn(&[Scalar<'_>]) -> Scalar<'static>,
}

inventory::collect!(Derived);

/// All derived features linked into this program, by table and name.
pub(crate) fn derived_features() -> Vec<&'static Derived> {
    let mut features: Vec<_> = inventory::iter::<Derived>().collect();
    features.sort_by_key(|feature| (feature.table, feature.name));
    features
}

fn derived(table: &str, name: &str) -> Option<&'static Derived> {
    inventory::iter::<Derived>().find(|feature| feature.table == table && feature.name == name)
}

/// A feature as the registry knows it: plain text on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Feature {
    pub(crate) table: String,
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) known: Known,
    /// What it means; for a plain column, that it is one.
    pub(crate) about: String,
}

impl Feature {
    /// The features of a table with these columns: the columns, then what derives from them.
    pub(crate) fn of_table(table: &str, columns: &[(String, Kind)]) -> Vec<Self> {
        let raw = columns.iter().map(|(name, kind)| Self {
            table: table.to_owned(),
            name: name.clone(),
            kind: *kind,
            known: known_of_column(table, name),
            about: "column".to_owned(),
        });
        let has = |name: &&str| columns.iter().any(|(column, _)| column == name);
        let computed = derived_features()
            .into_iter()
            .filter(|feature| feature.table == table && feature.inputs.iter().all(has))
            .map(|feature| Self {
                table: table.to_owned(),
                name: feature.name.to_owned(),
                kind: feature.kind,
                known: feature.known,
                about: feature.about.to_owned(),
            });
        raw.chain(computed).collect()
    }
}

fn known_of_column(table: &str, column: &str) -> Known {
    match (table, column) {
        ("flights", "dep_time" | "dep_delay") => Known::AtDeparture,
        ("flights", "arr_time" | "arr_delay" | "air_time") => Known::AtArrival,
        _ => Known::AtEvent,
    }
}

/// The cells of a feature, one for each row of the batch; `None` if the batch has no such feature.
pub(crate) fn cells<'b>(batch: &'b Batch, name: &str) -> Option<Cow<'b, Column>> {
    if let Some(column) = batch.column(name) {
        return Some(Cow::Borrowed(column));
    }
    let feature = derived(&batch.table, name)?;
    let inputs: Vec<&Column> =
        feature.inputs.iter().map(|name| batch.column(name)).collect::<Option<_>>()?;
    let mut row_cells = vec![Scalar::Null; inputs.len()];
    let mut computed = Column::new(feature.kind);
    for row in 0..batch.row_count() {
        for (cell, input) in row_cells.iter_mut().zip(&inputs) {
            *cell = input.cell(row);
        }
        computed.push_number((feature.compute)(&row_cells));
    }
    Some(Cow::Owned(computed))
}

/// From when on a question that looks at all of these features may count each row: the latest of
/// their known times; [`NULL`] for "never", if one of them is never known.
///
/// A row that is chosen or grouped by what nobody knew yet leaks it as surely as one that is
/// summed up. However many features share a sort of known time, it is worked out once, so that
/// plain columns beside a plain column cost nothing.
pub(crate) fn known_times<'n>(batch: &Batch, names: impl IntoIterator<Item = &'n str>) -> Vec<i64> {
    let sorts: BTreeSet<Known> = names.into_iter().map(|name| known(batch, name)).collect();
    let later = sorts.iter().filter(|known| known.is_later()).map(|known| known.times(batch));
    let Some(mut latest) = later.reduce(|mut latest, times| {
        put_off(&mut latest, &times);
        latest
    }) else {
        return batch.times().to_vec();
    };
    if sorts.contains(&Known::AtEvent) {
        put_off(&mut latest, batch.times());
    }
    latest
}

/// Moves each time to the other one if that is later, and to [`NULL`] if that is never.
fn put_off(times: &mut [i64], others: &[i64]) {
    for (time, other) in times.iter_mut().zip(others) {
        *time = if *time == NULL || *other == NULL { NULL } else { (*time).max(*other) };
    }
}

fn known(batch: &Batch, name: &str) -> Known {
    match derived(&batch.table, name) {
        Some(feature) if batch.column(name).is_none() => feature.known,
        _ => known_of_column(&batch.table, name),
    }
}

#[cfg(test)]
mod tests;
