//! The gate of one stand-in: shut while its calls stand in line at the actor's mailbox.
//!
//! Invariant: whoever waits for it to open is woken when it does, however the two race.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

/// Whether calls to one actor may go out.
#[derive(Debug, Default)]
pub(super) struct Gate {
    is_shut: AtomicBool,
    waiting: Mutex<Option<Waker>>,
}

impl Gate {
    pub(super) fn poll_open(&self, cx: &Context<'_>) -> Poll<()> {
        if !self.is_shut.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        *self.waiting.lock() = Some(cx.waker().clone());
        // Opened meanwhile, nobody would wake us.
        if self.is_shut.load(Ordering::Acquire) { Poll::Pending } else { Poll::Ready(()) }
    }

    pub(super) fn set(&self, is_shut: bool) {
        self.is_shut.store(is_shut, Ordering::Release);
        if !is_shut && let Some(waker) = self.waiting.lock().take() {
            waker.wake();
        }
    }
}
