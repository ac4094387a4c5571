//! A handler that awaits, driven to its end.
//!
//! While user code waits, the actor must still hear a kill, and the mailbox must get its slots back. The future that
//! does both is written by hand: an `async fn` would hold its parts twice, and every idle actor would pay for that.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tracing::Span;

use crate::actor::Actor;
use crate::cancel::CallToken;
use crate::cell::Cell;
use crate::ending;
use crate::exit::ExitReason;
use crate::panic_capture::guard;
use crate::signal::Signal;

/// What goes with a running handler, where something does.
#[derive(Clone)]
pub(crate) struct Watch {
    pub(crate) span: Span,
    pub(crate) cancel: Option<CallToken>,
}

/// Polls user code to its end, unless a signal aborts it or it panics. Gives `None` if the call was taken back.
pub(crate) struct Drive<'r, A: Actor, F> {
    cell: &'r Cell<A>,
    future: Option<F>,
    watch: Option<Box<Watch>>,
    message: Option<&'static str>,
    /// Slots of the mailbox that are owed: given back when the handler waits, else with the next batch.
    owed: &'r mut u32,
    is_waiting: bool,
}

impl<'r, A: Actor, F: Future + Unpin> Drive<'r, A, F> {
    pub(crate) const fn new(
        cell: &'r Cell<A>,
        future: F,
        owed: &'r mut u32,
        message: Option<&'static str>,
        watch: Option<Box<Watch>>,
    ) -> Self {
        Self { cell, future: Some(future), watch, message, owed, is_waiting: false }
    }

    fn release(&mut self) {
        if *self.owed > 0 {
            self.cell.lanes.release(std::mem::take(self.owed));
        }
    }

    /// Drops the handler; its asker learns why.
    fn end(&mut self, reason: ExitReason) -> Poll<Result<Option<F::Output>, ExitReason>> {
        self.release();
        ending::drop_ending(self.future.take());
        Poll::Ready(Err(reason))
    }
}

impl<A: Actor, F: Future + Unpin> Future for Drive<'_, A, F> {
    type Output = Result<Option<F::Output>, ExitReason>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.is_waiting
            && let Some(reason) = aborted(this.cell)
        {
            return this.end(reason);
        }
        let cancel = this.watch.as_ref().and_then(|watch| watch.cancel.as_ref());
        if cancel.is_some_and(|cancel| cancel.poll(cx)) {
            this.release();
            let future = this.future.take();
            ending::dispose(move || drop(future));
            return Poll::Ready(Ok(None));
        }
        let Some(future) = &mut this.future else {
            return Poll::Pending;
        };
        let entered = this.watch.as_ref().map(|watch| watch.span.enter());
        let polled = guard(|| Pin::new(future).poll(cx));
        drop(entered);
        match polled {
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(Some(output))),
            Err(report) => {
                let reason = report.during(this.message);
                this.end(reason)
            }
            Ok(Poll::Pending) => {
                if !this.is_waiting {
                    this.is_waiting = true;
                    this.cell.lanes.register(cx.waker());
                    this.release();
                }
                // A signal may have come before the waker was there.
                match aborted(this.cell) {
                    Some(reason) => this.end(reason),
                    None => Poll::Pending,
                }
            }
        }
    }
}

/// The reason of the first signal that aborts, if one waits; signals before it are of no use any more.
pub(crate) fn aborted<A: Actor>(cell: &Cell<A>) -> Option<ExitReason> {
    while cell.lanes.is_aborted() {
        match cell.lanes.pop_signal() {
            Some((Signal::Kill(reason), true)) => return Some(reason),
            Some((Signal::Exit { from, reason }, true)) => {
                return Some(ExitReason::Linked { from, reason: Arc::new(reason) });
            }
            Some((Signal::ChildExited(exited), _)) => exited.child.terminate(exited.reason),
            Some((
                Signal::Kill(_)
                | Signal::Exit { .. }
                | Signal::Stop(_)
                | Signal::Shutdown(_)
                | Signal::Down { .. }
                | Signal::Unreferenced
                | Signal::FarEnd { .. },
                _,
            ))
            | None => {}
        }
    }
    None
}
