//! A batch: the rows of one stretch of a file, stored by column, and the unit that travels.
//!
//! Batches are immutable objects. A file becomes a handful of them, each is cut into one part per
//! shard by the hash of the entity key, and everything that is ever asked reads whole columns.
//! The event time of each row is worked out once, here, because every query with a time range,
//! a window or a point in time needs it.
//!
//! Pure: no clock, no I/O, no tasks.

use std::hash::BuildHasher;

use serde::{Deserialize, Serialize};

use super::{
    column::{Column, NULL},
    moment,
    value::{FnvBuilder, Scalar},
};

/// Rows of one table, by column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Batch {
    pub(crate) table: String,
    names: Vec<String>,
    columns: Vec<Column>,
    /// Event time of each row in seconds since 1970, [`NULL`] where the file has none.
    times: Vec<i64>,
}

impl Batch {
    /// Puts columns of equal length together under their names.
    pub(crate) fn new(table: &str, names: Vec<String>, columns: Vec<Column>) -> Self {
        let mut batch = Self { table: table.to_owned(), names, columns, times: Vec::new() };
        batch.times = batch.event_times();
        debug_assert!(batch.columns.iter().all(|column| column.len() == batch.times.len()));
        batch
    }

    pub(crate) fn row_count(&self) -> usize {
        self.times.len()
    }

    pub(crate) fn column(&self, name: &str) -> Option<&Column> {
        let index = self.names.iter().position(|known| known == name)?;
        self.columns.get(index)
    }

    pub(crate) fn times(&self) -> &[i64] {
        &self.times
    }

    /// Cuts the batch into `shard_count` parts by the hash of `entity`'s cells, so that all rows
    /// of one entity meet in one shard. Without such a column, rows are dealt out in turn.
    pub(crate) fn partition(&self, entity: Option<&str>, shard_count: usize) -> Vec<Self> {
        let mut rows: Vec<Vec<u32>> = vec![Vec::new(); shard_count.max(1)];
        let shards = self.shard_of_rows(entity, rows.len());
        for (row, shard) in (0..).zip(shards) {
            if let Some(rows) = rows.get_mut(shard) {
                rows.push(row);
            }
        }
        rows.iter().map(|rows| self.gather(rows)).collect()
    }

    fn shard_of_rows(&self, entity: Option<&str>, shard_count: usize) -> Vec<usize> {
        let Some(column) = entity.and_then(|name| self.column(name)) else {
            return (0..self.row_count()).map(|row| row % shard_count).collect();
        };
        if let Column::Text(text) = column {
            // One hash for each distinct text instead of one for each row.
            let null = shard_of(Scalar::Null, shard_count);
            let by_code: Vec<usize> = text
                .dictionary
                .iter()
                .map(|(_, text)| shard_of(Scalar::Text(text), shard_count))
                .collect();
            let shard = |code: &u32| by_code.get(*code as usize).copied().unwrap_or(null);
            return text.codes.iter().map(shard).collect();
        }
        (0..self.row_count()).map(|row| shard_of(column.cell(row), shard_count)).collect()
    }

    fn gather(&self, rows: &[u32]) -> Self {
        Self {
            table: self.table.clone(),
            names: self.names.clone(),
            columns: self.columns.iter().map(|column| column.gather(rows)).collect(),
            times: rows.iter().filter_map(|row| self.times.get(*row as usize).copied()).collect(),
        }
    }

    /// When each row happened, from the columns that are there: `time_hour` plus `minute` (UTC),
    /// which may be a fraction, and must be known if there is such a column; else `year`, `month`, `day` with `sched_dep_time` (HHMM) or `hour`, else the first column
    /// of times, else never.
    fn event_times(&self) -> Vec<i64> {
        let row_count = self.columns.first().map_or(0, Column::len);
        let ints = |name: &str| self.column(name).and_then(Column::ints);
        if let Some(hours) = self.column("time_hour").and_then(Column::times) {
            return match self.column("minute") {
                Some(minutes) => minutes_later(hours.to_vec(), minutes),
                None => hours.to_vec(),
            };
        }
        if let (Some(years), Some(months), Some(days)) = (ints("year"), ints("month"), ints("day"))
        {
            let clock = ints("sched_dep_time");
            let hours = ints("hour");
            return (0..row_count)
                .map(|row| {
                    let date = moment::days_from_date(years[row], months[row], days[row])?;
                    let second =
                        match (clock.map(|cells| cells[row]), hours.map(|cells| cells[row])) {
                            (Some(clock), _) if clock != NULL => {
                                clock / 100 * moment::HOUR + clock % 100 * moment::MINUTE
                            }
                            (_, Some(hour)) if hour != NULL => hour.checked_mul(moment::HOUR)?,
                            _ => 0,
                        };
                    (date * moment::DAY).checked_add(second)
                })
                .map(|time| time.unwrap_or(NULL))
                .collect();
        }
        match self.columns.iter().find_map(Column::times) {
            Some(times) => times.to_vec(),
            None => vec![NULL; row_count],
        }
    }
}

/// `start + count * unit`; null if either is, or if that is no time.
pub(crate) fn offset(start: i64, count: i64, unit: i64) -> i64 {
    if start == NULL || count == NULL {
        return NULL;
    }
    count.checked_mul(unit).and_then(|seconds| start.checked_add(seconds)).unwrap_or(NULL)
}

/// Each time and its cell of minutes, which may be a fraction; [`NULL`] where there is none.
pub(crate) fn minutes_later(times: Vec<i64>, minutes: &Column) -> Vec<i64> {
    match minutes {
        Column::Int(cells) => {
            let later = |(time, cell): (i64, &i64)| offset(time, *cell, moment::MINUTE);
            times.into_iter().zip(cells).map(later).collect()
        }
        Column::Float(cells) => {
            // Rounded up, so that nothing is known a moment too early.
            let seconds = |minutes: f64| exact((minutes * 60.0).ceil()).unwrap_or(NULL);
            let later = |(time, cell): (i64, &f64)| offset(time, seconds(*cell), 1);
            times.into_iter().zip(cells).map(later).collect()
        }
        Column::Text(_) | Column::Time(_) => vec![NULL; times.len()],
    }
}

/// A whole float as the number it is; `None` for NaN, and from 2^53 on, where floats leave some out.
#[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
pub(crate) fn exact(whole: f64) -> Option<i64> {
    const LIMIT: f64 = 9_007_199_254_740_992.0;
    (whole.abs() < LIMIT).then_some(whole as i64)
}

/// Which shard keeps the entity with this key: the same in every process and on every machine.
#[expect(clippy::cast_possible_truncation, reason = "the remainder is below a usize")]
pub(crate) fn shard_of(key: Scalar<'_>, shard_count: usize) -> usize {
    (FnvBuilder::default().hash_one(key.to_value()) % shard_count.max(1) as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::super::column::{Dictionary, Interner, TextColumn};
    use super::*;

    fn text(cells: &[&str]) -> Column {
        let (mut interner, mut column) = (Interner::default(), TextColumn::default());
        for cell in cells {
            let code = interner.code(cell.as_bytes(), &mut column.dictionary);
            column.codes.push(if *cell == "NA" { Dictionary::NULL } else { code.unwrap() });
        }
        Column::Text(column)
    }

    #[test]
    fn every_row_goes_to_exactly_one_shard_and_entities_stay_together() {
        let planes = text(&["N1", "N2", "NA", "N1", "N3", "N2", "NA"]);
        let numbers = Column::Int((0..7).collect());
        let batch =
            Batch::new("flights", vec!["tailnum".into(), "n".into()], vec![planes, numbers]);
        for shard_count in 1..9 {
            let parts = batch.partition(Some("tailnum"), shard_count);
            assert_eq!(parts.len(), shard_count);
            let mut seen: Vec<i64> = parts
                .iter()
                .flat_map(|part| part.column("n").unwrap().ints().unwrap().to_vec())
                .collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..7).collect::<Vec<_>>());
            let home = |row: i64| {
                parts.iter().position(|p| p.column("n").unwrap().ints().unwrap().contains(&row))
            };
            assert_eq!(home(0), home(3), "N1");
            assert_eq!(home(1), home(5), "N2");
            assert_eq!(home(2), home(6), "null");
        }
    }

    #[test]
    fn event_time_comes_from_whatever_columns_there_are() {
        let at = |names: &[&str], columns: Vec<Column>| {
            let names = names.iter().map(ToString::to_string).collect();
            Batch::new("t", names, columns).times().to_vec()
        };
        let int = |cell: i64| Column::Int(vec![cell]);
        assert_eq!(at(&["time_hour", "minute"], vec![Column::Time(vec![7200]), int(15)]), [8100]);
        assert_eq!(at(&["time_hour", "minute"], vec![Column::Time(vec![7200]), int(NULL)]), [NULL]);
        // One fraction makes a column of them; a part of a second is rounded up.
        let fractions = Column::Float(vec![15.0, 15.5, 15.51, f64::NAN]);
        assert_eq!(
            at(&["time_hour", "minute"], vec![Column::Time(vec![7200; 4]), fractions]),
            [8100, 8130, 8131, NULL]
        );
        assert_eq!(at(&["time_hour"], vec![Column::Time(vec![7200])]), [7200]);
        assert_eq!(
            at(
                &["year", "month", "day", "sched_dep_time"],
                vec![int(1970), int(1), int(2), int(115)]
            ),
            [86_400 + 4500]
        );
        assert_eq!(at(&["year", "month", "day"], vec![int(1970), int(13), int(2)]), [NULL]);
        assert_eq!(at(&["when"], vec![Column::Time(vec![5])]), [5]);
        assert_eq!(at(&["dep_delay"], vec![int(5)]), [NULL]);
    }
}
