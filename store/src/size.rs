//! How many bytes a value holds, without encoding it.
//!
//! The budget needs a size for every value that is put or returned. `size_of` knows nothing of what a
//! `Vec` points to, and encoding a mebibyte to learn its length costs more than most tasks.
//! So a value is walked by a serializer that only adds: everything of a small value, and of a long sequence
//! the first elements, from whose mean the rest is extrapolated by the sequence's own length. To stop in the
//! middle, the serializer fails on purpose; the level above knows that this failure means "seen enough".
//!
//! What is counted: numbers at their width, text and bytes at their length, and [`HANDLE_BYTES`] for each
//! text or collection inside another value. A mebibyte of `Vec<u8>` is 1 048 576.
//!
//! The walk also meets every reference to another object, by the name its newtype has on the wire. It sees
//! whether the value itself *is* a reference, which must not be put, and which references a value contains.
//!
//! Invariants:
//! 1. A value of at most [`EXACT_LEAVES`] leaves is counted exactly.
//! 2. The work is bounded by the sample, not by the length, for sequences that know their length and hold no
//!    references. Those that do hold references are walked to the end: none may be missed.
//!
//! Pure: no clock, no I/O, no tasks.

use serde::Serialize;

use crate::object_id::ObjectId;

mod walk;

use walk::Walk;

/// The name that a reference's newtype has for serializers.
pub(crate) const REFERENCE_NAME: &str = "$mobula::ObjectRef";

/// Values with at most this many leaves are counted exactly.
const EXACT_LEAVES: u32 = 1024;
/// Beyond [`EXACT_LEAVES`], so many elements of each further sequence are looked at.
const SAMPLE: u64 = 4;
/// Nothing deeper than this is looked at: a list of boxes must not exhaust the stack.
const DEPTH_MAX: u32 = 128;
/// What the handle of a nested text or collection weighs: pointer, length, capacity.
const HANDLE_BYTES: u64 = 24;

/// What a walk over a value found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Estimate {
    pub(crate) bytes: u64,
    /// Objects that the value refers to, in the order met.
    pub(crate) contained: Vec<ObjectId>,
    /// The value is nothing but a reference to this object.
    pub(crate) is_reference: Option<ObjectId>,
}

/// About how many bytes a value takes, as it would be charged.
#[must_use]
pub fn size_of_value<T: Serialize>(value: &T) -> u64 {
    estimate(value).bytes
}

/// Walks `value`.
pub(crate) fn estimate<T: Serialize + ?Sized>(value: &T) -> Estimate {
    let mut walk = Walk::default();
    // Failing means that enough was seen, or that the type refuses to be serialised: what was counted counts.
    let _seen_enough = value.serialize(&mut walk);
    Estimate { bytes: walk.bytes, contained: walk.contained, is_reference: walk.is_reference }
}

#[cfg(test)]
mod tests;
