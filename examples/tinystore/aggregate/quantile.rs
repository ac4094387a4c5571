//! Median and other quantiles, exact.
//!
//! A sketch (t-digest, KLL) would be small but approximate, and most sketches give answers that
//! depend on the order of merging. Measurements repeat — a year of flights has 527 different
//! delays — so the state is a *multiset*: each distinct value with its count. The answer is exact
//! (error 0, linear interpolation between the two nearest ranks as in R's type 7 and pandas); the
//! price is memory proportional to the number of distinct values. Whole numbers above 2^53 are
//! rounded to floats.
//!
//! Pure: no clock, no I/O, no tasks.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Aggregation, Function, Row, Value};

/// Each distinct number with its count.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Multiset {
    /// Sorted by key, keys distinct.
    runs: Vec<(u64, u64)>,
    /// Keys that came since the last sort.
    fresh: Vec<u64>,
}

impl Multiset {
    fn insert(&mut self, number: f64) {
        self.fresh.push(key(number));
        if self.fresh.len() >= 1024.max(self.runs.len()) {
            self.sort();
        }
    }

    fn sort(&mut self) {
        let mut fresh = std::mem::take(&mut self.fresh);
        fresh.sort_unstable();
        let counted = fresh.chunk_by(|a, b| a == b).map(|run| (run[0], run.len() as u64));
        self.merge_runs(counted.collect());
        fresh.clear();
        self.fresh = fresh;
    }

    fn merge_runs(&mut self, other: Vec<(u64, u64)>) {
        if self.runs.is_empty() {
            self.runs = other;
            return;
        }
        let mut merged: Vec<(u64, u64)> = Vec::with_capacity(self.runs.len() + other.len());
        let (mut left, mut right) = (self.runs.iter().peekable(), other.iter().peekable());
        while let Some(run) = match (left.peek(), right.peek()) {
            (Some(a), Some(b)) if a.0 <= b.0 => left.next(),
            (Some(_), None) => left.next(),
            (_, Some(_)) => right.next(),
            (None, None) => None,
        } {
            match merged.last_mut() {
                Some(last) if last.0 == run.0 => last.1 += run.1,
                _ => merged.push(*run),
            }
        }
        self.runs = merged;
    }
}

/// A whole number that sorts as the float does.
fn key(number: f64) -> u64 {
    let bits = number.to_bits();
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
}

fn number(key: u64) -> f64 {
    f64::from_bits(if key >> 63 == 1 { key & !(1 << 63) } else { !key })
}

struct Quantile {
    /// Between 0 (smallest) and 1 (largest).
    share: f64,
}

impl Quantile {
    fn new(share: f64) -> Self {
        Self { share: share.clamp(0.0, 1.0) }
    }
}

impl Aggregation for Quantile {
    type State = Multiset;

    fn init(&self) -> Multiset {
        Multiset::default()
    }

    fn update(&self, state: &mut Multiset, row: Row<'_>) {
        if let Some(number) = row.value.as_f64() {
            state.insert(number);
        }
    }

    fn merge(&self, state: &mut Multiset, mut other: Multiset) {
        state.sort();
        other.sort();
        state.merge_runs(other.runs);
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "ranks are far below 2^53 and never negative"
    )]
    fn finish(&self, state: &Multiset) -> Value {
        let mut sorted = state.clone();
        sorted.sort();
        let count: u64 = sorted.runs.iter().map(|(_, count)| count).sum();
        let value_of_rank = |rank: u64| {
            let mut passed = 0;
            sorted.runs.iter().find_map(|(key, count)| {
                passed += count;
                (rank < passed).then(|| number(*key))
            })
        };
        let rank = count.saturating_sub(1) as f64 * self.share;
        match (value_of_rank(rank.floor() as u64), value_of_rank(rank.ceil() as u64)) {
            (Some(below), Some(above)) => {
                Value::Float(below + (above - below) * (rank - rank.floor()) + 0.0)
            }
            _ => Value::Null,
        }
    }
}

inventory::submit! { Function {
    name: "median", about: "the middle value, exact", parameter: None,
    build: |_| Arc::new(Quantile::new(0.5)),
} }
inventory::submit! { Function {
    name: "quantile", about: "the value below which a share of all values lies, exact",
    parameter: Some("a share from 0 to 1"),
    build: |share| Arc::new(Quantile::new(share)),
} }

#[cfg(test)]
mod tests {
    use super::{super::Scalar, *};

    fn quantile(share: f64, values: &[f64]) -> Value {
        let function = Quantile::new(share);
        let mut state = function.init();
        for value in values {
            function.update(&mut state, Row { value: Scalar::Float(*value), time: 0 });
        }
        function.finish(&state)
    }

    #[test]
    fn quantiles_are_those_of_pandas() {
        let values = [7.0, -1.0, 3.0, 3.0];
        assert_eq!(quantile(0.0, &values), Value::Float(-1.0));
        assert_eq!(quantile(0.5, &values), Value::Float(3.0));
        assert_eq!(quantile(0.9, &values), Value::Float(3.0 + 4.0 * (2.7 - 2.0)));
        assert_eq!(quantile(1.0, &values), Value::Float(7.0));
        assert_eq!(quantile(0.5, &[]), Value::Null);
    }

    #[test]
    fn many_values_are_kept_as_few_runs() {
        let function = Quantile::new(0.5);
        let mut state = function.init();
        for value in 0..100_000 {
            function.update(&mut state, Row { value: Scalar::Int(value % 11), time: 0 });
        }
        assert!(state.runs.len() + state.fresh.len() < 1100);
        assert_eq!(function.finish(&state), Value::Float(5.0));
    }
}
