//! The words of a founding: seeds, ballots, and what is decided.
//!
//! Invariant: a ballot is used once. It names the life of its seed, for a seed that restarts forgets how far it had
//! counted.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::id::Incarnation;
use crate::registry::id::{ClusterId, VoterId};

/// A seed, by its place in the seed list, which is the same on all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seed(pub u16);

/// One attempt to decide. Later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ballot {
    /// Counts up.
    pub round: u32,
    /// Whose.
    pub seed: Seed,
    /// In which life of it.
    pub life: Incarnation,
}

/// What is decided: which cluster there is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Founding {
    /// Its id.
    pub cluster: ClusterId,
    /// Its first voters.
    pub voters: BTreeSet<VoterId>,
}
