//! Taking a call back after it was sent.
//!
//! A call whose result is an object can be cancelled by whoever holds the object. Cancelled in the mailbox it
//! never starts; cancelled in an `async` handler, that handler is dropped at its await and the actor lives on; a
//! handler that never awaits runs to its end.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Context;

use futures_util::task::AtomicWaker;

/// The right to take one call back; shared by whoever may cancel and the envelope.
#[derive(Clone, Default)]
pub struct CallToken(Arc<Inner>);

#[derive(Default)]
struct Inner {
    is_cancelled: AtomicBool,
    waker: AtomicWaker,
}

impl CallToken {
    /// A token for a new call.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the call back. Nothing happens if its handler has returned.
    pub fn cancel(&self) {
        self.0.is_cancelled.store(true, Ordering::Release);
        self.0.waker.wake();
    }

    /// Whether the call was taken back.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled.load(Ordering::Acquire)
    }

    /// Whether the call was taken back; wakes `cx` when it is.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> bool {
        self.0.waker.register(cx.waker());
        self.is_cancelled()
    }
}

impl fmt::Debug for CallToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallToken").field("is_cancelled", &self.is_cancelled()).finish()
    }
}
