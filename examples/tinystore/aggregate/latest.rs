//! The first and the last value in time.
//!
//! "Last" must not mean "came in last": files are read in parallel. It means the latest event
//! time, and of several rows at that moment the one with the largest value, so that the answer is
//! one and the same whoever asks.
//!
//! Pure: no clock, no I/O, no tasks.

use std::{cmp::Ordering, sync::Arc};

use super::{Aggregation, Function, Kind, Row, Value};

struct Latest {
    wanted: Ordering,
}

impl Aggregation for Latest {
    type State = Option<(i64, Value)>;

    fn init(&self) -> Self::State {
        None
    }

    fn update(&self, state: &mut Self::State, row: Row<'_>) {
        let better = match state {
            Some((time, best)) => {
                row.time.cmp(time).then_with(|| row.value.compare(best)) == self.wanted
            }
            None => true,
        };
        if better {
            *state = Some((row.time, row.value.to_value()));
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
        state.as_ref().map_or(Value::Null, |(_, value)| value.clone())
    }

    fn accepts(&self, _kind: Kind) -> bool {
        true
    }
}

inventory::submit! { Function {
    name: "first", about: "the value with the earliest event time", parameter: None,
    build: |_| Arc::new(Latest { wanted: Ordering::Less }),
} }
inventory::submit! { Function {
    name: "last", about: "the value with the latest event time", parameter: None,
    build: |_| Arc::new(Latest { wanted: Ordering::Greater }),
} }
