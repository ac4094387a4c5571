//! Questions, and the batches' side of answering them.
//!
//! A question is plain serializable text and numbers, so it can be sent to any shard. It is
//! checked once, against the registry's features, before any row is read; what reaches a shard
//! can then only meet batches that have the columns it names, or none of them.
//!
//! Pure: no clock, no I/O, no tasks.

use serde::{Deserialize, Serialize};

use super::{
    aggregate::{AggregationError, Definition},
    batch::Batch,
    column::NULL,
    feature::{self, Feature, Known},
    groups,
    value::Value,
};

/// Which rows are meant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rows {
    pub(crate) table: String,
    /// All of these must hold.
    pub(crate) filters: Vec<Filter>,
    /// Event time at or after this.
    pub(crate) from: Option<i64>,
    /// Event time before this.
    pub(crate) to: Option<i64>,
}

/// The cell of `feature` equals one of `texts`; `NA` stands for null.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Filter {
    pub(crate) feature: String,
    pub(crate) texts: Vec<String>,
}

/// Windows over event time: `[end - length, end)` for every multiple `end` of `every`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Window {
    pub(crate) length: i64,
    pub(crate) every: i64,
}

/// "Apply these aggregation functions to this feature."
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Apply {
    pub(crate) rows: Rows,
    pub(crate) feature: String,
    pub(crate) definitions: Vec<Definition>,
    pub(crate) by: Vec<String>,
    pub(crate) window: Option<Window>,
    /// Only rows of which all that the question looks at was known by then.
    pub(crate) as_of: Option<i64>,
}

/// "Show these features of these rows."
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Select {
    pub(crate) rows: Rows,
    pub(crate) features: Vec<String>,
    /// At most so many rows, the earliest first.
    pub(crate) limit: usize,
}

/// Rows under column names: what every question is answered with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<Value>>,
}

/// Why a question cannot be answered.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum QueryError {
    /// The table does not exist. Nothing was read; choose another.
    #[error("there is no table `{table}`; there are: {known}")]
    UnknownTable { table: String, known: String },
    /// The feature does not exist. Nothing was read; choose another.
    #[error("table `{table}` has no feature `{feature}`; it has: {known}")]
    UnknownFeature { table: String, feature: String, known: String },
    /// The function cannot work on values of this kind. Nothing was read; choose another.
    #[error("`{function}` does not work on `{feature}`, which holds {kind} values")]
    Unsuitable { function: String, feature: String, kind: String },
    /// The window makes no sense. Nothing was read.
    #[error("the step of a window must divide its length: {length}s is no multiple of {every}s")]
    Window { length: i64, every: i64 },
    /// The key of a row's past is known only after the row's own moment. Nothing was read; choose
    /// another.
    #[error(
        "no past can be looked up by `{feature}`: of a row it is known {known}, which is later than \
         the moment that is asked about; choose keys that are known at event time (`features` says \
         when each is)"
    )]
    LateKey { feature: String, known: Known },
    /// An aggregation function is at fault; see its text.
    #[error(transparent)]
    Aggregation(#[from] AggregationError),
}

/// Finds a feature of a table, or says which there are.
pub(crate) fn find<'f>(
    features: &'f [Feature],
    table: &str,
    name: &str,
) -> Result<&'f Feature, QueryError> {
    let of_table: Vec<&Feature> = features.iter().filter(|f| f.table == table).collect();
    if of_table.is_empty() {
        let mut known: Vec<&str> = features.iter().map(|f| f.table.as_str()).collect();
        known.dedup();
        return Err(QueryError::UnknownTable { table: table.to_owned(), known: known.join(", ") });
    }
    of_table.iter().find(|f| f.name == name).copied().ok_or_else(|| {
        let known: Vec<&str> = of_table.iter().map(|f| f.name.as_str()).collect();
        QueryError::UnknownFeature {
            table: table.to_owned(),
            feature: name.to_owned(),
            known: known.join(", "),
        }
    })
}

impl Rows {
    fn check(&self, features: &[Feature]) -> Result<(), QueryError> {
        for filter in &self.filters {
            find(features, &self.table, &filter.feature)?;
        }
        Ok(())
    }

    /// Marks the rows of a batch that are meant.
    pub(crate) fn mark(&self, batch: &Batch) -> Vec<bool> {
        let mut wanted = vec![batch.table == self.table; batch.row_count()];
        if self.from.is_some() || self.to.is_some() {
            let (from, to) = (self.from.unwrap_or(NULL + 1), self.to.unwrap_or(i64::MAX));
            for (wanted, time) in wanted.iter_mut().zip(batch.times()) {
                *wanted &= (from..to).contains(time);
            }
        }
        for filter in &self.filters {
            let Some(cells) = feature::cells(batch, &filter.feature) else {
                return vec![false; batch.row_count()];
            };
            for (wanted, matched) in wanted.iter_mut().zip(groups::matches(&cells, &filter.texts)) {
                *wanted &= matched;
            }
        }
        wanted
    }
}

impl Apply {
    /// Says what is wrong with the question, if anything.
    pub(crate) fn check(&self, features: &[Feature]) -> Result<(), QueryError> {
        self.rows.check(features)?;
        let feature = find(features, &self.rows.table, &self.feature)?;
        for name in &self.by {
            find(features, &self.rows.table, name)?;
        }
        self.definitions.iter().try_for_each(|definition| definition.check(feature))?;
        match self.window {
            Some(Window { length, every }) if length % every != 0 => {
                Err(QueryError::Window { length, every })
            }
            _ => Ok(()),
        }
    }

    /// Every feature that decides whether and where a row counts.
    pub(crate) fn looks_at(&self) -> impl Iterator<Item = &str> {
        let filters = self.rows.filters.iter().map(|filter| &filter.feature);
        [&self.feature].into_iter().chain(&self.by).chain(filters).map(String::as_str)
    }
}

impl Definition {
    /// Says why it cannot be applied to this feature, if it cannot.
    pub(crate) fn check(&self, feature: &Feature) -> Result<(), QueryError> {
        if self.build()?.accepts_kind(feature.kind) {
            return Ok(());
        }
        Err(QueryError::Unsuitable {
            function: self.name.clone(),
            feature: feature.name.clone(),
            kind: feature.kind.to_string(),
        })
    }
}

impl Select {
    /// Says what is wrong with the question, if anything.
    pub(crate) fn check(&self, features: &[Feature]) -> Result<(), QueryError> {
        self.rows.check(features)?;
        for name in &self.features {
            find(features, &self.rows.table, name)?;
        }
        Ok(())
    }

    /// The rows of some batches: event time first, then the features.
    pub(crate) fn read<'b>(&self, batches: impl IntoIterator<Item = &'b Batch>) -> Answer {
        let mut answer = self.no_rows();
        for batch in batches {
            let columns: Option<Vec<_>> =
                self.features.iter().map(|name| feature::cells(batch, name)).collect();
            let Some(columns) = columns else { continue };
            for (row, wanted) in self.rows.mark(batch).into_iter().enumerate() {
                if wanted {
                    let time = batch.times().get(row).copied().filter(|time| *time != NULL);
                    let cells = columns.iter().map(|column| column.cell(row).to_value());
                    let time = time.map_or(Value::Null, Value::Time);
                    answer.rows.push([time].into_iter().chain(cells).collect());
                }
            }
        }
        self.earliest(&mut answer);
        answer
    }

    /// Joins the answers of several shards.
    pub(crate) fn join(&self, parts: impl IntoIterator<Item = Answer>) -> Answer {
        let mut answer = self.no_rows();
        answer.rows = parts.into_iter().flat_map(|part| part.rows).collect();
        self.earliest(&mut answer);
        answer
    }

    fn no_rows(&self) -> Answer {
        let names = self.features.iter().map(String::as_str);
        Answer {
            columns: ["time"].into_iter().chain(names).map(str::to_owned).collect(),
            rows: Vec::new(),
        }
    }

    fn earliest(&self, answer: &mut Answer) {
        answer.rows.sort();
        answer.rows.truncate(self.limit);
    }
}
