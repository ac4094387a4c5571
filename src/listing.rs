//! Rows of a listing: which are wanted, and how many there are of them.
//!
//! A node with a million tasks must answer whoever asks it, and a message of a million rows would be the end of both. So
//! filters go to the node, and a list is cut; but a list that is cut without a word lies.
//!
//! Invariant: the totals are of all rows that match, of however many were left off.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Rows of one node that an answer holds at most, whatever was asked for.
const ROWS_MAX: usize = 10_000;

/// Which rows are wanted; by default all, a thousand of them shown.
///
/// # Examples
/// ```
/// let wanted = mobula::Wanted::default().kind("actor").name("clicks").limit(20);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[must_use = "it only says what is wanted"]
pub struct Wanted {
    kind: Option<String>,
    state: Option<String>,
    name: Option<String>,
    text: Option<String>,
    limit: usize,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { kind: None, state: None, name: None, text: None, limit: 1000 }
    }
}

impl Wanted {
    /// Only rows of exactly this kind: `actor`, `task`, `supervisor` and so on.
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.kind = Some(kind.into());
        self
    }

    /// Only rows in exactly this state, as listings show it.
    pub fn state(mut self, state: impl Into<String>) -> Self {
        self.state = Some(state.into());
        self
    }

    /// Only rows whose name, or type or function, contains this.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Only rows in which some value contains this.
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// At most so many rows of each node, up to 10 000; totals count the others, too.
    pub const fn limit(mut self, rows: usize) -> Self {
        self.limit = rows;
        self
    }

    fn takes(&self, row: &impl Row) -> bool {
        let equals = |wanted: &Option<String>, word: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(word))
        };
        equals(&self.kind, row.kind())
            && equals(&self.state, row.state())
            && self.name.as_ref().is_none_or(|name| row.names().any(|own| own.contains(name)))
            && self.text.as_ref().is_none_or(|text| row.values().iter().any(|v| v.contains(text)))
    }
}

/// What a row can be chosen by.
pub(crate) trait Row {
    fn kind(&self) -> &str;
    fn state(&self) -> &str;
    /// What it is called.
    fn names(&self) -> impl Iterator<Item = &str>;
    /// All that is shown, as text.
    fn values(&self) -> Vec<String>;
    /// What it takes up, where that is counted.
    fn bytes(&self) -> u64 {
        0
    }
}

/// Some rows of one node, and the totals of all that were wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Listing<T> {
    /// The rows, or the first of them.
    pub rows: Vec<T>,
    /// How many were wanted.
    pub total: u64,
    /// What they take up together, where that is counted.
    pub bytes: u64,
    /// How many were in which state.
    pub states: BTreeMap<String, u64>,
}

impl<T> Default for Listing<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), total: 0, bytes: 0, states: BTreeMap::new() }
    }
}

impl<T> Listing<T> {
    /// How many rows were wanted and are not shown.
    #[must_use]
    pub fn left_off(&self) -> u64 {
        self.total.saturating_sub(self.rows.len() as u64)
    }
}

/// The rows that are wanted, and their totals.
pub(crate) fn list<T: Row>(rows: impl IntoIterator<Item = T>, wanted: &Wanted) -> Listing<T> {
    let mut listing = Listing::default();
    let limit = wanted.limit.min(ROWS_MAX);
    for row in rows {
        if !wanted.takes(&row) {
            continue;
        }
        listing.total += 1;
        listing.bytes = listing.bytes.saturating_add(row.bytes());
        match listing.states.get_mut(row.state()) {
            Some(count) => *count += 1,
            None => {
                listing.states.insert(row.state().to_owned(), 1);
            }
        }
        if listing.rows.len() < limit {
            listing.rows.push(row);
        }
    }
    listing
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fruit(&'static str, &'static str, u64);

    impl Row for Fruit {
        fn kind(&self) -> &str {
            "fruit"
        }
        fn state(&self) -> &str {
            self.1
        }
        fn names(&self) -> impl Iterator<Item = &str> {
            [self.0].into_iter()
        }
        fn values(&self) -> Vec<String> {
            vec![self.0.to_owned(), self.1.to_owned(), self.2.to_string()]
        }
        fn bytes(&self) -> u64 {
            self.2
        }
    }

    fn bowl() -> Vec<Fruit> {
        vec![Fruit("apple", "ripe", 5), Fruit("pear", "green", 7), Fruit("apricot", "ripe", 11)]
    }

    #[test]
    fn totals_count_what_was_left_off() {
        let listing = list(bowl(), &Wanted::default().limit(1));
        assert_eq!((listing.rows.len(), listing.total, listing.left_off()), (1, 3, 2));
        assert_eq!(listing.bytes, 23);
        assert_eq!(listing.states["ripe"], 2);
    }

    #[test]
    fn every_filter_must_hold() {
        let count = |wanted: Wanted| list(bowl(), &wanted).total;
        assert_eq!(count(Wanted::default().name("ap")), 2);
        assert_eq!(count(Wanted::default().name("ap").text("11")), 1);
        assert_eq!(count(Wanted::default().state("RIPE").kind("fruit")), 2);
        assert_eq!(count(Wanted::default().kind("nut")), 0);
        assert_eq!(count(Wanted::default().limit(0)), 3);
    }
}
