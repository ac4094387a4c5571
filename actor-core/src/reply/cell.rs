//! The cell between an asker and its answer: one allocation an ask.
//!
//! A general oneshot channel would do, and did; it costs an ask a quarter of its time. Whoever asks is being polled
//! when it sends, so its waker lies in the cell from the start and nobody need look for the answer before being woken.
//! The sender is one pointer, so that a call with its reply lies in place in the mailbox.
//!
//! Invariant: the sender answers at most once; dropped without, the asker learns that no answer will come. `is_settled` is
//! set when the answer lies there. An asker that sees it, and has the cell to itself, as it has where both are on one
//! thread, takes the answer without the lock.
//!
//! The cell itself drops nothing: else its parts would need a place on the stack, to be dropped from should there be no
//! memory, and would be written there and copied. So both sides empty it: the sender takes the waker out when it says its
//! last, which it always does, and the asker takes the answer out, or says that it wants none.

use std::mem::ManuallyDrop;
use std::task::{Context, Waker};

use crate::sync::{Arc, AtomicBool, Mutex, Ordering};

struct ReplyCell<T> {
    /// Whether the sender has said its last.
    is_settled: AtomicBool,
    inner: Mutex<ManuallyDrop<Inner<T>>>,
}

struct Inner<T> {
    answer: Option<T>,
    /// `None` once the sender has said its last, or nobody waits any more.
    asker: Option<Waker>,
}

impl<T> ReplyCell<T> {
    #[inline]
    fn settle(&self, answer: Option<T>) {
        let mut inner = self.inner.lock();
        let asker = inner.asker.take();
        let unwanted = if asker.is_some() {
            inner.answer = answer;
            None
        } else {
            answer
        };
        self.is_settled.store(true, Ordering::Release);
        drop(inner);
        if let Some(asker) = asker {
            asker.wake();
        } else {
            drop(unwanted);
        }
    }

    fn give_up(&self) {
        let mut inner = self.inner.lock();
        let (asker, answer) = (inner.asker.take(), inner.answer.take());
        drop(inner);
        drop((asker, answer));
    }

    /// Whether there is nothing yet; then whoever polls is woken.
    fn is_waiting(&self, cx: &Context<'_>) -> bool {
        let mut inner = self.inner.lock();
        let is_known = match &inner.asker {
            None => return false,
            Some(asker) => asker.will_wake(cx.waker()),
        };
        if !is_known {
            inner.asker = Some(cx.waker().clone());
        }
        true
    }
}

/// A cell whose asker is woken by `waker`.
#[inline]
pub(crate) fn reply_cell<T>(waker: &Waker) -> (AnswerSender<T>, AnswerReceiver<T>) {
    let inner = ManuallyDrop::new(Inner { answer: None, asker: Some(waker.clone()) });
    let cell = ReplyCell { is_settled: AtomicBool::new(false), inner: Mutex::new(inner) };
    let cell = Arc::new(cell);
    (AnswerSender(Arc::clone(&cell)), AnswerReceiver(Some(cell)))
}

/// The side of whoever answers.
pub(crate) struct AnswerSender<T>(Arc<ReplyCell<T>>);

impl<T> AnswerSender<T> {
    /// Answers; an asker that no longer waits needs no answer.
    #[inline]
    pub(crate) fn send(self, answer: T) {
        self.0.settle(Some(answer));
    }
}

impl<T> Drop for AnswerSender<T> {
    fn drop(&mut self) {
        if !self.0.is_settled.load(Ordering::Relaxed) {
            self.0.settle(None);
        }
    }
}

/// The side of whoever asks. Dropped, it wants no answer any more.
pub(crate) struct AnswerReceiver<T>(Option<Arc<ReplyCell<T>>>);

impl<T> AnswerReceiver<T> {
    /// The answer, `None` if there will be none; or whoever waits on.
    #[inline]
    pub(crate) fn poll(mut self, cx: &Context<'_>) -> Result<Option<T>, Self> {
        let Some(cell) = self.0.take() else { return Ok(None) };
        if !cell.is_settled.load(Ordering::Acquire) && cell.is_waiting(cx) {
            self.0 = Some(cell);
            return Err(self);
        }
        Ok(match Arc::try_unwrap(cell) {
            Ok(cell) => ManuallyDrop::into_inner(cell.inner.into_inner()).answer,
            Err(cell) => cell.inner.lock().answer.take(),
        })
    }
}

impl<T> Drop for AnswerReceiver<T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(cell) = self.0.take() {
            cell.give_up();
        }
    }
}
