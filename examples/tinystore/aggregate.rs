//! Aggregation functions: four steps that let any number of shards work on one answer.
//!
//! A function over "all values" cannot be distributed. A *mergeable* one can: every shard folds
//! its rows into a state ([`Aggregation::init`], [`Aggregation::update`]), states are merged in
//! whatever order they arrive, and the last one is turned into the answer.
//! **Invariant:** the answer depends only on the set of rows, bit for bit — not on the number of
//! shards, the order of merging, or which task had to be run twice. That is why sums are exact
//! and ties are broken by value; `fold/tests.rs` checks it for every registered function.
//!
//! To add yours: implement [`Aggregation`], then one `inventory::submit!` beside it puts it in
//! the table of the whole program. `aggregate/share_above.rs` is the example to copy.
//!
//! Pure: no clock, no I/O, no tasks.

mod basic;
mod exact_sum;
mod moments;
mod quantile;
mod distinct;
mod latest;
mod share_above;

use std::{ops::Range, sync::Arc};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    column::{Column, NULL},
    value::{Kind, Scalar, Value},
};

/// One non-null cell on its way into an aggregation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    pub(crate) value: Scalar<'a>,
    /// Event time of the row; [`NULL`] if it has none.
    pub(crate) time: i64,
}

/// A mergeable function. Nulls never reach it.
pub(crate) trait Aggregation: Send + Sync + 'static {
    /// What a shard knows so far. Serializable, because it travels.
    type State: Clone + Send + Serialize + DeserializeOwned;

    /// The state of no rows.
    fn init(&self) -> Self::State;

    /// Takes one row in.
    fn update(&self, state: &mut Self::State, row: Row<'_>);

    /// Takes in what another state knows. Must not care about order.
    fn merge(&self, state: &mut Self::State, other: Self::State);

    /// The answer.
    fn finish(&self, state: &Self::State) -> Value;

    /// Whether values of this kind make sense here.
    fn accepts(&self, kind: Kind) -> bool {
        kind.is_number()
    }
}

/// An aggregation in the program's table, filled at link time.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// What the number in `name(number)` means; `None` if the function takes none.
    pub(crate) parameter: Option<&'static str>,
    /// Builds the function; the number is there exactly if `parameter` says so.
    pub(crate) build: fn(f64) -> Arc<dyn AnyAggregation>,
}

inventory::collect!(Function);

/// All aggregation functions linked into this program, by name.
pub(crate) fn functions() -> Vec<&'static Function> {
    let mut functions: Vec<_> = inventory::iter::<Function>().collect();
    functions.sort_by_key(|function| function.name);
    functions
}

/// An aggregation as people register and ask for it: a name for a function and its number.
/// It is plain text on the wire; the code behind it is found again by the function's name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Definition {
    /// The name of the result.
    pub(crate) name: String,
    pub(crate) function: String,
    pub(crate) parameter: Option<f64>,
}

/// Why an aggregation cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum AggregationError {
    /// No function of that name is linked in. Nothing was computed; choose another name.
    #[error("there is no aggregation `{name}`; there are: {known}")]
    Unknown { name: String, known: String },
    /// `p(0.9)` where a number is needed or not allowed. Nothing was computed.
    #[error("aggregation `{function}` {problem}")]
    Parameter { function: String, problem: String },
    /// A state came that this function did not write: versions of the program differ.
    #[error("a partial result of `{name}` cannot be read")]
    State {
        name: String,
        #[source]
        source: Arc<rmp_serde::decode::Error>,
    },
    /// A state could not be written: the function's state type refuses to be serialized.
    #[error("a partial result of `{name}` cannot be written: {reason}")]
    Export { name: String, reason: String },
}

impl Definition {
    /// Reads `mean`, `quantile(0.9)` or `p90=quantile(0.9)`.
    pub(crate) fn parse(text: &str) -> Result<Self, AggregationError> {
        let (name, call) = match text.split_once('=') {
            Some((name, call)) => (name.trim(), call.trim()),
            None => (text.trim(), text.trim()),
        };
        let (function, parameter) = match call.strip_suffix(')').and_then(|c| c.split_once('(')) {
            Some((function, number)) => {
                let parameter =
                    number.trim().parse().ok().filter(|number: &f64| number.is_finite());
                let problem = || AggregationError::Parameter {
                    function: function.to_owned(),
                    problem: format!("takes a number in its brackets, not `{number}`"),
                };
                (function, Some(parameter.ok_or_else(problem)?))
            }
            None => (call, None),
        };
        let definition = Self { name: name.to_owned(), function: function.to_owned(), parameter };
        definition.build().map(|_| definition)
    }

    /// What a word means where these names are registered; what is not, is read as in [`parse`].
    ///
    /// [`parse`]: Self::parse
    pub(crate) fn resolve(word: &str, registered: &[Self]) -> Result<Self, AggregationError> {
        match registered.iter().find(|definition| definition.name == word.trim()) {
            Some(definition) => Ok(definition.clone()),
            None => Self::parse(word).map_err(|error| match error {
                AggregationError::Unknown { name, known } => {
                    let names: Vec<&str> = registered.iter().map(|d| d.name.as_str()).collect();
                    let known = format!("{known}; and by name: {}", names.join(", "));
                    AggregationError::Unknown { name, known }
                }
                other => other,
            }),
        }
    }

    /// Finds the code.
    pub(crate) fn build(&self) -> Result<Arc<dyn AnyAggregation>, AggregationError> {
        let functions = functions();
        let Some(function) = functions.iter().find(|function| function.name == self.function)
        else {
            let known: Vec<_> = functions.iter().map(|function| function.name).collect();
            return Err(AggregationError::Unknown {
                name: self.function.clone(),
                known: known.join(", "),
            });
        };
        let problem = match (function.parameter, self.parameter) {
            (None, None) => return Ok((function.build)(0.0)),
            (Some(_), Some(number)) => return Ok((function.build)(number)),
            (Some(meaning), None) => format!("needs {meaning}, as in `{}(0.9)`", self.function),
            (None, Some(_)) => "takes no number".to_owned(),
        };
        Err(AggregationError::Parameter { function: self.function.clone(), problem })
    }
}

/// A stretch of rows that were known by some moment; see `as_of.rs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Past {
    pub(crate) rows: Range<usize>,
    pub(crate) as_of: i64,
}

/// An [`Aggregation`] whose state type is forgotten. Implemented for every one of them.
pub(crate) trait AnyAggregation: Send + Sync {
    fn accepts_kind(&self, kind: Kind) -> bool;

    /// Room for one state per group.
    fn accumulator(self: Arc<Self>) -> Box<dyn Accumulator>;

    /// The answer for each stretch of past rows, over those of its rows that were known by then.
    /// `times` and `known` hold one entry for each value.
    fn over_pasts(
        &self,
        values: &[Value],
        times: &[i64],
        known: &[i64],
        pasts: &[Past],
    ) -> Vec<Value>;
}

/// The states of one aggregation: slot `n` belongs to group `n`. One virtual call covers a whole
/// column, so forgetting the type costs nothing per row.
pub(crate) trait Accumulator: Send {
    /// Folds each cell into the slot of its row; rows in slot [`SKIP`] and null cells are left out.
    fn update(&mut self, column: &Column, times: &[i64], slots: &[u32], slot_count: usize);

    /// The states as bytes, to be absorbed elsewhere.
    fn export(&self) -> Result<Vec<u8>, rmp_serde::encode::Error>;

    /// Merges exported states into these: the state at place `n` goes to `slots[n]`.
    fn absorb(
        &mut self,
        bytes: &[u8],
        slots: &[u32],
        slot_count: usize,
    ) -> Result<(), rmp_serde::decode::Error>;

    /// New states made by merging old ones: each pair says from which old slot to which new.
    fn regroup(&mut self, moves: &[(u32, u32)], slot_count: usize);

    /// The answer of every slot.
    fn finish(&self, slot_count: usize) -> Vec<Value>;
}

/// The slot of rows that a query does not want.
pub(crate) const SKIP: u32 = u32::MAX;

struct States<A: Aggregation> {
    function: Arc<A>,
    states: Vec<A::State>,
}

impl<A: Aggregation> AnyAggregation for A {
    fn accepts_kind(&self, kind: Kind) -> bool {
        self.accepts(kind)
    }

    fn accumulator(self: Arc<Self>) -> Box<dyn Accumulator> {
        Box::new(States { function: self, states: Vec::new() })
    }

    fn over_pasts(
        &self,
        values: &[Value],
        times: &[i64],
        known: &[i64],
        pasts: &[Past],
    ) -> Vec<Value> {
        let answer = |past: &Past| {
            let mut state = self.init();
            for row in past.rows.clone() {
                let value = values[row].as_scalar();
                if value != Scalar::Null && known[row] <= past.as_of {
                    self.update(&mut state, Row { value, time: times[row] });
                }
            }
            self.finish(&state)
        };
        pasts.iter().map(answer).collect()
    }
}

impl<A: Aggregation> States<A> {
    fn grow(&mut self, slot_count: usize) {
        if self.states.len() < slot_count {
            self.states.resize_with(slot_count, || self.function.init());
        }
    }

    fn fold<'c>(&mut self, cells: impl Iterator<Item = Scalar<'c>>, times: &[i64], slots: &[u32]) {
        for ((value, time), slot) in cells.zip(times).zip(slots) {
            if let Some(state) = self.states.get_mut(*slot as usize)
                && !matches!(value, Scalar::Null)
            {
                self.function.update(state, Row { value, time: *time });
            }
        }
    }
}

impl<A: Aggregation> Accumulator for States<A> {
    fn update(&mut self, column: &Column, times: &[i64], slots: &[u32], slot_count: usize) {
        self.grow(slot_count);
        let int = |cell: &i64| {
            if *cell == NULL { Scalar::Null } else { Scalar::Int(*cell) }
        };
        let time = |cell: &i64| {
            if *cell == NULL { Scalar::Null } else { Scalar::Time(*cell) }
        };
        let float = |cell: &f64| {
            if cell.is_nan() { Scalar::Null } else { Scalar::Float(*cell) }
        };
        match column {
            Column::Int(cells) => self.fold(cells.iter().map(int), times, slots),
            Column::Float(cells) => self.fold(cells.iter().map(float), times, slots),
            Column::Time(cells) => self.fold(cells.iter().map(time), times, slots),
            Column::Text(text) => {
                let cell =
                    |code: &u32| text.dictionary.get(*code).map_or(Scalar::Null, Scalar::Text);
                self.fold(text.codes.iter().map(cell), times, slots);
            }
        }
    }

    fn export(&self) -> Result<Vec<u8>, rmp_serde::encode::Error> {
        rmp_serde::to_vec(&self.states)
    }

    fn absorb(
        &mut self,
        bytes: &[u8],
        slots: &[u32],
        slot_count: usize,
    ) -> Result<(), rmp_serde::decode::Error> {
        let states: Vec<A::State> = rmp_serde::from_slice(bytes)?;
        self.grow(slot_count);
        for (other, slot) in states.into_iter().zip(slots) {
            if let Some(state) = self.states.get_mut(*slot as usize) {
                self.function.merge(state, other);
            }
        }
        Ok(())
    }

    fn regroup(&mut self, moves: &[(u32, u32)], slot_count: usize) {
        let old = std::mem::take(&mut self.states);
        self.grow(slot_count);
        for (from, to) in moves {
            if let (Some(from), Some(to)) =
                (old.get(*from as usize), self.states.get_mut(*to as usize))
            {
                self.function.merge(to, from.clone());
            }
        }
    }

    fn finish(&self, slot_count: usize) -> Vec<Value> {
        let empty = self.function.init();
        let state = |slot: usize| self.states.get(slot).unwrap_or(&empty);
        (0..slot_count).map(|slot| self.function.finish(state(slot))).collect()
    }
}
