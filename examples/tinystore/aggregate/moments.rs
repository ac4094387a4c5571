//! Variance and standard deviation.
//!
//! Welford's method, merged by Chan's formula, is the usual choice and is stable, but every step
//! rounds: merge in another order and the last digits change. Since sums are exact here, the
//! textbook formula `n·Σx² − (Σx)²`, notorious for cancellation, is harmless: both terms and their
//! difference are exact, and the only roundings are the last two divisions.
//!
//! Pure: no clock, no I/O, no tasks.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Aggregation, Function, Row, Value, basic::Total, exact_sum::ExactSum};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Moments {
    count: u64,
    sum: Total,
    squares: Total,
}

impl Moments {
    /// The sample variance (divided by n − 1); `None` below two values.
    #[expect(clippy::cast_precision_loss, reason = "no table has 2^53 rows")]
    fn variance(&self) -> Option<f64> {
        if self.count < 2 {
            return None;
        }
        let count = self.count as f64;
        let sum = self.sum.exact();
        let mut spread = ExactSum::default();
        for part in self.squares.exact().parts() {
            spread.add_product(count, *part);
        }
        for a in sum.parts() {
            for b in sum.parts() {
                spread.add_product(-a, *b);
            }
        }
        Some(spread.value() / count / (count - 1.0))
    }
}

struct Variance {
    root: bool,
}

impl Aggregation for Variance {
    type State = Moments;

    fn init(&self) -> Moments {
        Moments::default()
    }

    fn update(&self, state: &mut Moments, row: Row<'_>) {
        state.count += 1;
        state.sum.add(row.value);
        state.squares.add_square(row.value);
    }

    fn merge(&self, state: &mut Moments, other: Moments) {
        state.count += other.count;
        state.sum.merge(&other.sum);
        state.squares.merge(&other.squares);
    }

    fn finish(&self, state: &Moments) -> Value {
        match state.variance() {
            Some(variance) if self.root => Value::Float(variance.sqrt()),
            Some(variance) => Value::Float(variance),
            None => Value::Null,
        }
    }
}

inventory::submit! { Function {
    name: "variance", about: "sample variance (n - 1)", parameter: None,
    build: |_| Arc::new(Variance { root: false }),
} }
inventory::submit! { Function {
    name: "stddev", about: "sample standard deviation", parameter: None,
    build: |_| Arc::new(Variance { root: true }),
} }

#[cfg(test)]
mod tests {
    use super::{super::Scalar, *};

    fn variance(values: &[Scalar<'_>]) -> Value {
        let function = Variance { root: false };
        let mut state = function.init();
        for value in values {
            function.update(&mut state, Row { value: *value, time: 0 });
        }
        function.finish(&state)
    }

    #[test]
    fn a_far_away_mean_does_not_cancel_the_digits() {
        let near = variance(&[4.0, 7.0, 13.0, 16.0].map(Scalar::Float));
        let far = variance(&[4e9 + 4.0, 4e9 + 7.0, 4e9 + 13.0, 4e9 + 16.0].map(Scalar::Float));
        assert_eq!(near, Value::Float(30.0));
        assert_eq!(far, Value::Float(30.0));
        let huge = [4, 7, 13, 16].map(|n| Scalar::Int((1 << 52) + n));
        assert_eq!(variance(&huge), Value::Float(30.0));
    }

    #[test]
    fn one_value_has_no_variance() {
        assert_eq!(variance(&[Scalar::Int(3)]), Value::Null);
    }
}
