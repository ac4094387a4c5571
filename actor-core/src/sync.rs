//! The two primitives that the mailbox synchronises with.
//!
//! They stand behind names of our own so that the loom test can put its checked twins in their place.

pub(crate) use parking_lot::Mutex;
pub(crate) use std::sync::atomic::{AtomicU8, Ordering};
