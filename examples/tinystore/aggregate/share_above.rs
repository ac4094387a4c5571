//! An aggregation of one's own: the share of values above a limit.
//!
//! Copy this file to add another. Everything a new function needs is here: the four steps, and
//! one `inventory::submit!` that puts it into the program's table, where `tinystore aggregations`
//! lists it and `--agg "late=share_above(15)"` finds it.
//!
//! Pure: no clock, no I/O, no tasks.

use std::sync::Arc;

use super::{Aggregation, Function, Row, Value};

struct ShareAbove {
    limit: f64,
}

impl Aggregation for ShareAbove {
    /// How many are above, and how many there are.
    type State = (u64, u64);

    fn init(&self) -> (u64, u64) {
        (0, 0)
    }

    fn update(&self, (above, count): &mut (u64, u64), row: Row<'_>) {
        *above += u64::from(row.value.as_f64().is_some_and(|number| number > self.limit));
        *count += 1;
    }

    fn merge(&self, (above, count): &mut (u64, u64), other: (u64, u64)) {
        *above += other.0;
        *count += other.1;
    }

    #[expect(clippy::cast_precision_loss, reason = "no table has 2^53 rows")]
    fn finish(&self, (above, count): &(u64, u64)) -> Value {
        match count {
            0 => Value::Null,
            _ => Value::Float(*above as f64 / *count as f64),
        }
    }
}

inventory::submit! { Function {
    name: "share_above", about: "the share of values above a limit",
    parameter: Some("a limit"),
    build: |limit| Arc::new(ShareAbove { limit }),
} }
