//! Reading CSV text into batches, in parallel and without losing a row silently.
//!
//! A text is read in three steps: [`Layout::read`] looks at the header and the first rows and
//! fixes the type of every column; [`records::split`] cuts the rest into byte ranges at line ends;
//! [`parse`](parse::parse) turns one range into a [`Batch`](super::batch::Batch), and ranges can be
//! parsed anywhere in any order. What cannot be read becomes a [`BadRow`] with line and reason and
//! never stops the rest.
//!
//! **Invariant:** batches and bad rows together are the same however the text was cut.
//!
//! Pure: no clock, no I/O, no tasks.

mod layout;
mod parse;
mod records;

pub(crate) use layout::Layout;
pub(crate) use parse::{BadRow, Chunk, Widening, parse};
pub(crate) use records::split;
