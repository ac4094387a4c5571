//! Names of objects.
//!
//! An object must be nameable in a listing, in an error and on the wire.
//! An address would do inside one process and nowhere else; a random 128-bit name costs entropy on
//! every task result.
//! So an object's name is a number counted by its store, and the store has a random name of its own:
//! the pair is unique, the number alone is what people read.
//!
//! Invariant: a store never hands out the same [`ObjectId`] twice.
//!
//! Pure: no clock, no I/O, no tasks.

use std::{fmt, num::NonZeroU64};

use serde::{Deserialize, Serialize};

/// The name of an object within its store; shown as `o17`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ObjectId(NonZeroU64);

impl ObjectId {
    /// The id with this number; `None` for 0, which names no object.
    #[must_use]
    pub const fn new(number: u64) -> Option<Self> {
        match NonZeroU64::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number behind the name.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }

    /// Counted names start at 1; 2^64 of them outlast any machine, so saturation is never seen.
    pub(crate) const fn counted(zero_based: u64) -> Self {
        Self(NonZeroU64::MIN.saturating_add(zero_based))
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "o{}", self.0)
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The name of a store: tells references of one node from those of another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StoreId(u64);

impl StoreId {
    /// The store with this number. Two nodes that exchange references must differ in it.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number behind the name.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{:016x}", self.0)
    }
}

impl fmt::Debug for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
