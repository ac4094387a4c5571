//! Names of nodes, and which life of a node is meant.
//!
//! An address is no name: it changes, and the next process may inherit it.
//! So a node is named by its key (the driver hashes the public key), and each of its lives by an incarnation.
//!
//! Invariant: of two facts about one node the one with the higher incarnation is the newer, wherever it comes from.
//!
//! Pure: no clock, no I/O, no tasks.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Names a node for ever: the first eight bytes of the SHA-256 of its public key, big-endian.
///
/// # Examples
/// ```
/// assert_eq!(mobula_proto::id::NodeId(0xab).to_string(), "n00000000000000ab");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub u64);

impl NodeId {
    /// Derives the name from the bytes of a public key.
    #[must_use]
    pub fn of_key(public_key: &[u8]) -> Self {
        use sha2::Digest;
        let hash = sha2::Sha256::digest(public_key);
        let mut first = [0; 8];
        first.copy_from_slice(&hash[..8]);
        Self(u64::from_be_bytes(first))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{:016x}", self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Counts the lives of a node and, within one life, its refutations (SWIM, section 4.2).
///
/// A node starts with [`Incarnation::starting_at`], so that a restart is newer than what it left behind.
/// If the members know a higher one all the same, they say so at the join and the node goes beyond it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Incarnation(pub u64);

impl Incarnation {
    /// The incarnation of a life that starts at `unix_millis`, with 16 random bits against two starts in one millisecond.
    #[must_use]
    pub const fn starting_at(unix_millis: u64, random: u16) -> Self {
        Self((unix_millis << 16) | random as u64)
    }

    /// The next one: what a refutation carries.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "i{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_names_are_the_head_of_the_hash() {
        // SHA-256("abc") starts with ba7816bf 8f01cfea.
        assert_eq!(NodeId::of_key(b"abc"), NodeId(0xba78_16bf_8f01_cfea));
    }

    #[test]
    fn a_restart_is_newer_than_many_refutations() {
        let mut first = Incarnation::starting_at(1_000, u16::MAX);
        for _ in 0..1_000 {
            first = first.next();
        }
        assert!(Incarnation::starting_at(1_002, 0) > first);
    }
}
