//! One future that waits for several objects at once.
//!
//! A future per object would be woken once per object and would look at all of them each time: quadratic.
//! A board is shared by the waiting future and every object it waits for; objects count themselves off on it,
//! and only the one that completes the count wakes the future.
//!
//! Invariant: the future leaves its waker before it looks at the count, and an object lowers the count before
//! it takes the waker, so that one of the two sees the other.

use std::{
    sync::atomic::{AtomicBool, AtomicIsize, Ordering},
    task::{Poll, Waker},
};

use parking_lot::Mutex;

/// How many objects are still missing, and whom to wake.
#[derive(Debug)]
pub(crate) struct Board {
    missing: AtomicIsize,
    /// Wake at the first object without a value.
    failure_ends: bool,
    failed: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Board {
    pub(crate) fn new(missing: usize, failure_ends: bool) -> Self {
        Self {
            missing: AtomicIsize::new(isize::try_from(missing).unwrap_or(isize::MAX)),
            failure_ends,
            failed: AtomicBool::new(false),
            waker: Mutex::new(None),
        }
    }

    /// One object became ready.
    pub(crate) fn arrived(&self, failed: bool) {
        let ends = failed && self.failure_ends;
        if ends {
            self.failed.store(true, Ordering::Release);
        }
        if self.missing.fetch_sub(1, Ordering::AcqRel) == 1 || ends {
            let waker = self.waker.lock().take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    pub(crate) fn poll_complete(&self, waker: &Waker) -> Poll<()> {
        if !self.is_complete() {
            *self.waker.lock() = Some(waker.clone());
        }
        if self.is_complete() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.missing.load(Ordering::Acquire) <= 0 || self.failed.load(Ordering::Acquire)
    }
}
