//! Count, sum, mean, smallest and largest.
//!
//! The sum of whole numbers stays a whole number (128 bits wide, so it cannot overflow), the sum
//! of floats is exact until it is printed. The mean is their quotient, rounded once.
//!
//! Pure: no clock, no I/O, no tasks.

use std::{cmp::Ordering, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Aggregation, Function, Kind, Row, Scalar, Value, exact_sum::ExactSum};

/// How many values there are.
struct Count;

impl Aggregation for Count {
    type State = u64;

    fn init(&self) -> u64 {
        0
    }

    fn update(&self, state: &mut u64, _row: Row<'_>) {
        *state += 1;
    }

    fn merge(&self, state: &mut u64, other: u64) {
        *state += other;
    }

    fn finish(&self, state: &u64) -> Value {
        Value::Int(i128::from(*state))
    }

    fn accepts(&self, _kind: Kind) -> bool {
        true
    }
}

/// An exact sum of numbers of both kinds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Total {
    ints: i128,
    floats: ExactSum,
    /// Whether any float came in, even `0.0`: then the sum is a float too.
    float: bool,
}

impl Total {
    pub(super) fn add(&mut self, value: Scalar<'_>) {
        match value {
            Scalar::Int(int) => self.ints += i128::from(int),
            Scalar::Float(float) => {
                self.floats.add(float);
                self.float = true;
            }
            Scalar::Null | Scalar::Text(_) | Scalar::Time(_) => {}
        }
    }

    /// Adds the square of a number, exactly.
    pub(super) fn add_square(&mut self, value: Scalar<'_>) {
        /// Below this, 2^32 squares fit into the whole-number half.
        const SMALL: u64 = 1 << 47;
        match value {
            Scalar::Int(int) if int.unsigned_abs() < SMALL => self.ints += i128::from(int * int),
            other => {
                if let Some(number) = other.as_f64() {
                    self.floats.add_product(number, number);
                    self.float = true;
                }
            }
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.ints += other.ints;
        self.floats.merge(&other.floats);
        self.float |= other.float;
    }

    /// Both halves as one exact sum.
    pub(super) fn exact(&self) -> ExactSum {
        let mut sum = self.floats.clone();
        sum.add_int(self.ints);
        sum
    }

    fn value(&self) -> Value {
        if self.float { Value::Float(self.exact().value()) } else { Value::Int(self.ints) }
    }
}

/// The exact sum; of no values it is 0.
struct Sum;

impl Aggregation for Sum {
    type State = Total;

    fn init(&self) -> Total {
        Total::default()
    }

    fn update(&self, state: &mut Total, row: Row<'_>) {
        state.add(row.value);
    }

    fn merge(&self, state: &mut Total, other: Total) {
        state.merge(&other);
    }

    fn finish(&self, state: &Total) -> Value {
        state.value()
    }
}

/// The arithmetic mean; of no values it is null.
struct Mean;

impl Aggregation for Mean {
    type State = (u64, Total);

    fn init(&self) -> Self::State {
        Self::State::default()
    }

    fn update(&self, (count, total): &mut Self::State, row: Row<'_>) {
        *count += 1;
        total.add(row.value);
    }

    fn merge(&self, (count, total): &mut Self::State, other: Self::State) {
        *count += other.0;
        total.merge(&other.1);
    }

    #[expect(clippy::cast_precision_loss, reason = "no table has 2^53 rows")]
    fn finish(&self, (count, total): &Self::State) -> Value {
        match count {
            0 => Value::Null,
            _ => Value::Float(total.exact().value() / *count as f64),
        }
    }
}

/// The smallest or the largest value, by [`Value`]'s order.
struct Extreme {
    wanted: Ordering,
}

impl Aggregation for Extreme {
    type State = Option<Value>;

    fn init(&self) -> Self::State {
        None
    }

    fn update(&self, state: &mut Self::State, row: Row<'_>) {
        let better = match state {
            Some(best) => row.value.compare(best) == self.wanted,
            None => true,
        };
        if better {
            *state = Some(row.value.to_value());
        }
    }

    fn merge(&self, state: &mut Self::State, other: Self::State) {
        match (&state, &other) {
            (_, None) => {}
            (Some(best), Some(theirs)) if theirs.cmp(best) != self.wanted => {}
            _ => *state = other,
        }
    }

    fn finish(&self, state: &Self::State) -> Value {
        state.clone().unwrap_or(Value::Null)
    }

    fn accepts(&self, _kind: Kind) -> bool {
        true
    }
}

inventory::submit! { Function {
    name: "count", about: "how many values there are", parameter: None,
    build: |_| Arc::new(Count),
} }
inventory::submit! { Function {
    name: "sum", about: "their exact sum", parameter: None,
    build: |_| Arc::new(Sum),
} }
inventory::submit! { Function {
    name: "mean", about: "the exact sum divided by the count", parameter: None,
    build: |_| Arc::new(Mean),
} }
inventory::submit! { Function {
    name: "min", about: "the smallest value", parameter: None,
    build: |_| Arc::new(Extreme { wanted: Ordering::Less }),
} }
inventory::submit! { Function {
    name: "max", about: "the largest value", parameter: None,
    build: |_| Arc::new(Extreme { wanted: Ordering::Greater }),
} }
