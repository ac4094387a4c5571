//! How many different values there are, exact.
//!
//! A `HyperLogLog` would be smaller, but its answer is an estimate; here every distinct value is
//! kept once. Looking up a text that is already there copies nothing.
//!
//! Pure: no clock, no I/O, no tasks.

use std::{collections::HashSet, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{super::value::FnvBuilder, Aggregation, Function, Kind, Row, Scalar, Value};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Seen {
    texts: HashSet<String, FnvBuilder>,
    /// Whole numbers and times as they are, floats by their bits: a column holds one kind only.
    numbers: HashSet<u64, FnvBuilder>,
}

struct Distinct;

impl Aggregation for Distinct {
    type State = Seen;

    fn init(&self) -> Seen {
        Seen::default()
    }

    fn update(&self, state: &mut Seen, row: Row<'_>) {
        match row.value {
            Scalar::Text(text) => {
                if !state.texts.contains(text) {
                    state.texts.insert(text.to_owned());
                }
            }
            Scalar::Int(number) | Scalar::Time(number) => {
                state.numbers.insert(number.cast_unsigned());
            }
            Scalar::Float(number) => {
                state.numbers.insert(number.to_bits());
            }
            Scalar::Null => {}
        }
    }

    fn merge(&self, state: &mut Seen, other: Seen) {
        state.texts.extend(other.texts);
        state.numbers.extend(other.numbers);
    }

    fn finish(&self, state: &Seen) -> Value {
        Value::Int((state.texts.len() + state.numbers.len()) as i128)
    }

    fn accepts(&self, _kind: Kind) -> bool {
        true
    }
}

inventory::submit! { Function {
    name: "distinct", about: "how many different values there are, exact", parameter: None,
    build: |_| Arc::new(Distinct),
} }
