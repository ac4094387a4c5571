//! What travels: frames on a connection, and values in frames.
//!
//! A peer's bytes are the one input that nobody here has written. The simple way, to read a length and allocate,
//! lets four bytes take the memory of the node; to recurse into what is nested lets sixty-four kilobytes take its
//! stack.
//! So every decoder here checks a claim against what is really there before it believes it.
//!
//! Invariant: what a decoder allocates is bounded by a constant times the bytes it has been given, and no input
//! makes it panic. The 10^6-case property test and the fuzz targets look for a counter-example.
//!
//! - [`frame`]: where a frame begins and ends; [`frame::Decoder`] for a stream of slices, [`frame::take`] for a buffer.
//! - [`varint`]: numbers in as few bytes as they need.
//! - [`segment`]: the three frames of an association: message, acknowledgement, resume.
//! - [`parcel`]: what one actor says to another, inside a message.
//! - [`shape`]: whether bytes are well-formed MessagePack, and not too deep.
//! - [`codec`]: values as MessagePack with named fields, after that check.
//!
//! Pure: no clock, no I/O, no tasks.

pub mod frame;
pub mod varint;
pub mod segment;
pub mod parcel;
pub mod shape;
pub mod codec;

pub use frame::{Decoder, Frame, Kind};
