//! The primitives that the mailbox and replies synchronise with.
//!
//! They stand behind names of our own so that the loom test can put its checked twins in their place. The lock is held
//! for some tens of nanoseconds by a sender or the actor, so that parking a thread for it never pays: it spins, and lets
//! another thread run when the first look fails. Giving it back is a plain store, where a lock that parks needs a second
//! atomic exchange: a quarter of the cost of a tell.

pub(crate) use std::sync::Arc;
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// A lock for very short sections.
pub(crate) type Mutex<T> = spin::mutex::SpinMutex<T, spin::relax::Yield>;
