//! What nodes may ask of each other, and the word of one that refuses.
//!
//! A refusal is no failure of the actor or the way to it, and trying again is of no use: so it is told apart, wherever it
//! arrives, at an asker, a spawner or whoever wanted an end.
//!
//! Pure: no clock, no I/O, no tasks.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::NodeId;

/// What nodes may ask of each other; see the capabilities of a cluster's certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Right {
    /// To start actors there.
    Spawn,
    /// To run tasks there, and to read and write objects.
    Submit,
    /// To end what it did not start itself.
    Kill,
    /// To list what runs.
    Observe,
    /// To send to actors: what an observer may not.
    Send,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Spawn => "spawn",
            Self::Submit => "submit",
            Self::Kill => "kill",
            Self::Observe => "observe",
            Self::Send => "send",
        })
    }
}

/// Another node refused what this one has no right to. Nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error(
    "node {by} refuses it: this node has not the right to {right} there; ask for a certificate that gives it"
)]
pub struct Denied {
    /// Who refused.
    pub by: NodeId,
    /// The right that is missing.
    pub right: Right,
}
