//! What one cell can hold: borrowed from a column ([`Scalar`]) or on its own ([`Value`]).
//!
//! A feature store compares, groups and prints cells of several types, and floats are the trap:
//! `f64` has no total order and no hash, so group keys made of plain floats break in a `BTreeMap`.
//! Here every comparison goes through `f64::total_cmp` and the parser never produces `-0.0`,
//! so equal cells are equal bit for bit and an answer never depends on who compared first.
//!
//! Pure: no clock, no I/O, no tasks.

use std::{cmp::Ordering, fmt, hash};

use serde::{Deserialize, Serialize};

use super::moment;

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Kind {
    Int,
    Float,
    Text,
    Time,
}

impl Kind {
    pub(crate) fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Float)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Int => "int",
            Self::Float => "float",
            Self::Text => "text",
            Self::Time => "time",
        })
    }
}

/// One cell, borrowed: what aggregations and derived features are called with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scalar<'a> {
    Null,
    Int(i64),
    Float(f64),
    Text(&'a str),
    /// Seconds since 1970-01-01T00:00:00Z.
    Time(i64),
}

impl Scalar<'_> {
    /// The cell as a number; `None` for null, text and time.
    #[expect(
        clippy::cast_precision_loss,
        reason = "whole numbers above 2^53 are rounded, as in any f64"
    )]
    pub(crate) fn as_f64(self) -> Option<f64> {
        match self {
            Self::Int(int) => Some(int as f64),
            Self::Float(float) => Some(float),
            Self::Null | Self::Text(_) | Self::Time(_) => None,
        }
    }

    /// A copy that owns its text.
    pub(crate) fn to_value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Int(int) => Value::Int(i128::from(int)),
            Self::Float(float) => Value::Float(float),
            Self::Text(text) => Value::Text(text.to_owned()),
            Self::Time(time) => Value::Time(time),
        }
    }

    /// Compares with an owned value exactly as two owned values compare, without copying text.
    pub(crate) fn compare(self, other: &Value) -> Ordering {
        match (self, other) {
            (Self::Text(mine), Value::Text(theirs)) => mine.cmp(theirs.as_str()),
            _ => self.to_value().cmp(other),
        }
    }
}

/// One cell that owns its text: group keys and results.
///
/// `Int` is wide because the sum of many `i64` must not overflow.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Value {
    Int(i128),
    Float(f64),
    Text(String),
    Time(i64),
    /// Sorts after everything else.
    Null,
}

impl Value {
    fn rank(&self) -> u8 {
        match self {
            Self::Int(_) => 0,
            Self::Float(_) => 1,
            Self::Text(_) => 2,
            Self::Time(_) => 3,
            Self::Null => 4,
        }
    }

    /// The cell this value came from; sums beyond 64 bits were never cells and become floats.
    #[expect(clippy::cast_precision_loss, reason = "only beyond 64 bits")]
    pub(crate) fn as_scalar(&self) -> Scalar<'_> {
        match self {
            Self::Int(int) => i64::try_from(*int).map_or(Scalar::Float(*int as f64), Scalar::Int),
            Self::Float(float) => Scalar::Float(*float),
            Self::Text(text) => Scalar::Text(text),
            Self::Time(time) => Scalar::Time(*time),
            Self::Null => Scalar::Null,
        }
    }

    /// The value as a number; `None` for null, text and time.
    #[expect(clippy::cast_precision_loss, reason = "charts and ratios work in f64")]
    pub(crate) fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(int) => Some(*int as f64),
            Self::Float(float) => Some(*float),
            Self::Text(_) | Self::Time(_) | Self::Null => None,
        }
    }

    /// The time, if this is one.
    pub(crate) fn as_time(&self) -> Option<i64> {
        match self {
            Self::Time(time) => Some(*time),
            Self::Int(_) | Self::Float(_) | Self::Text(_) | Self::Null => None,
        }
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Int(mine), Self::Int(theirs)) => mine.cmp(theirs),
            (Self::Float(mine), Self::Float(theirs)) => mine.total_cmp(theirs),
            (Self::Text(mine), Self::Text(theirs)) => mine.cmp(theirs),
            (Self::Time(mine), Self::Time(theirs)) => mine.cmp(theirs),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

impl hash::Hash for Value {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.rank().hash(state);
        match self {
            Self::Int(int) => int.hash(state),
            Self::Float(float) => float.to_bits().hash(state),
            Self::Text(text) => text.hash(state),
            Self::Time(time) => time.hash(state),
            Self::Null => {}
        }
    }
}

/// For people: floats with three decimals, null as a dash. JSON has its own writer.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(int) => write!(f, "{int}"),
            Self::Float(float) => write!(f, "{float:.3}"),
            Self::Text(text) => f.write_str(text),
            Self::Time(time) => f.write_str(&moment::format_time(*time)),
            Self::Null => f.write_str("-"),
        }
    }
}

/// A small, fast hash that is the same in every process: entity keys pick their shard by it,
/// and the standard library's hasher is seeded anew in each process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fnv(u64);

/// For `HashMap::with_hasher`.
pub(crate) type FnvBuilder = hash::BuildHasherDefault<Fnv>;

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl hash::Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        // FNV-1a leaves the low bits weak for short keys; fold the high half into them.
        self.0 ^ (self.0 >> 32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_sorts_last_and_floats_sort_totally() {
        let mut values = vec![
            Value::Null,
            Value::Float(2.5),
            Value::Float(f64::NEG_INFINITY),
            Value::Float(-1.0),
        ];
        values.sort();
        assert_eq!(
            values,
            [Value::Float(f64::NEG_INFINITY), Value::Float(-1.0), Value::Float(2.5), Value::Null]
        );
    }

    #[test]
    fn borrowed_and_owned_cells_compare_alike() {
        assert_eq!(Scalar::Text("EWR").compare(&Value::Text("JFK".into())), Ordering::Less);
        assert_eq!(Scalar::Int(3).compare(&Value::Int(3)), Ordering::Equal);
        assert_eq!(Scalar::Null.compare(&Value::Int(3)), Ordering::Greater);
    }
}
