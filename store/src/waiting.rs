//! What all waiting has in common: a time limit, a blocking form, and telling the running task.
//!
//! Get, get of many, wait and put would each need the same three dozen lines, and one of them would forget to
//! take a CPU again after a timeout. They implement [`Waitable`], which knows objects and nothing else; the
//! driver here adds time, threads and tasks.
//!
//! Invariants:
//! 1. A wait that is ready at its first poll touches no clock and no task.
//! 2. After [`BlockHook::blocked`](crate::BlockHook::blocked) no result is handed out before the task has a CPU
//!    again; a wait that is dropped says so.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker, ready},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use tokio::time::{Sleep, sleep};

use crate::block::Blocked;

/// Something that becomes ready.
pub(crate) trait Waitable {
    type Output;

    /// The output, if it can be had at once. Registers nothing.
    fn look(&mut self) -> Option<Self::Output>;

    /// Leaves the waker with whatever will become ready; `Ready` if something did meanwhile.
    fn register(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// The output after waiting in vain for `after`.
    fn expired(&mut self, after: Duration) -> Self::Output;
}

/// A [`Waitable`] being waited for.
pub(crate) struct Waiting<W: Waitable> {
    waitable: W,
    timeout: Option<Duration>,
    sleep: Option<Pin<Box<Sleep>>>,
    blocked: Blocked,
    /// The output, while the task waits for a CPU.
    output: Option<W::Output>,
}

impl<W: Waitable> Waiting<W> {
    pub(crate) fn new(waitable: W) -> Self {
        Self { waitable, timeout: None, sleep: None, blocked: Blocked::default(), output: None }
    }

    /// Waits no longer than this from the first poll.
    pub(crate) fn limit(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    pub(crate) const fn waitable_mut(&mut self) -> &mut W {
        &mut self.waitable
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<W::Output> {
        let output = match self.output.take() {
            Some(output) => output,
            None => ready!(self.poll_output(cx)),
        };
        if self.blocked.poll_end(cx).is_pending() {
            self.output = Some(output);
            return Poll::Pending;
        }
        Poll::Ready(output)
    }

    fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<W::Output> {
        if let Some(output) = self.poll_waitable(cx) {
            return Poll::Ready(output);
        }
        if let Some(timeout) = self.timeout {
            let timer = self.sleep.get_or_insert_with(|| Box::pin(sleep(timeout)));
            if timer.as_mut().poll(cx).is_ready() {
                return Poll::Ready(self.waitable.expired(timeout));
            }
        }
        self.blocked.begin();
        Poll::Pending
    }

    /// The output, or the waker is registered.
    fn poll_waitable(&mut self, cx: &mut Context<'_>) -> Option<W::Output> {
        loop {
            if let Some(output) = self.waitable.look() {
                return Some(output);
            }
            if self.timeout == Some(Duration::ZERO) {
                // A look, not a wait: no clock, no task.
                return Some(self.waitable.expired(Duration::ZERO));
            }
            if self.waitable.register(cx).is_pending() {
                return None;
            }
        }
    }

    /// Waits on this thread, under the wall clock.
    pub(crate) fn block(mut self) -> W::Output {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut cx = Context::from_waker(&waker);
        let mut began = None;
        let output = loop {
            if let Some(output) = self.poll_waitable(&mut cx) {
                break output;
            }
            self.blocked.begin();
            let Some(timeout) = self.timeout else {
                thread::park();
                continue;
            };
            let left = timeout.saturating_sub(began.get_or_insert_with(Instant::now).elapsed());
            if left.is_zero() {
                break self.waitable.expired(timeout);
            }
            thread::park_timeout(left);
        };
        self.blocked.end_blocking();
        output
    }
}

/// Wakes a parked thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}
