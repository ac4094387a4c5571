//! Where envelopes come from: the mailbox, and the actor's other sources in turn with it.

use super::*;

/// The wait for what comes next. No `poll_fn`: its closure would be called, where this becomes part of the run loop.
pub(super) struct Next<'r, 'c, A: Actor>(pub(super) &'r mut Run<'c, A>);

impl<A: Actor> Future for Next<'_, '_, A> {
    type Output = Option<Box<ExitReason>>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Self::Output> {
        self.0.poll_next(cx)
    }
}

impl<A: Actor> Run<'_, A> {
    /// Whether as many handlers run beside each other as may.
    pub(super) fn is_at_capacity(&self) -> bool {
        A::Mode::SHARED
            && self
                .ctx
                .extras
                .as_ref()
                .is_some_and(|extras| extras.beside.len() >= A::MAX_CONCURRENCY)
    }

    /// Waits for a signal, an envelope of a source, or a batch of messages; the end, if everything was handled before it.
    // Called in one place, too.
    #[inline(always)]
    pub(super) fn poll_next(
        &mut self,
        cx: &mut std::task::Context<'_>,
    ) -> Poll<Option<Box<ExitReason>>> {
        match std::mem::replace(&mut self.rest, Rest::Working) {
            // The only message's handler has asked for something: that first.
            Rest::Resting if self.ctx.extras.is_some() => return Poll::Ready(None),
            Rest::Resting if self.cell.lanes.is_idle() => {
                self.rest = Rest::Asleep;
                return Poll::Pending;
            }
            Rest::Asleep if self.ctx.extras.is_none() => {
                self.rest = Rest::Awake;
                self.budget = BUDGET;
                return Poll::Ready(None);
            }
            Rest::Spent => {
                // tokio's own yield defers to the driver, which costs ten times as much.
                self.rest = Rest::Yielded;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Rest::Yielded => {
                self.budget = BUDGET;
                let looked = self.poll_sources(cx).and_then(Result::err);
                return Poll::Ready(looked.map(Box::new));
            }
            Rest::Working | Rest::Awake | Rest::Resting | Rest::Asleep => {}
        }
        if std::mem::take(&mut self.mailbox_first) && self.has_no_batch() && !self.is_at_capacity()
        {
            let unreleased = std::mem::take(&mut self.unreleased);
            match self.cell.lanes.take(&mut self.batch, unreleased, cx.waker()) {
                Taken::Batch | Taken::Signal => return Poll::Ready(None),
                Taken::Idle | Taken::Drained => {}
            }
        }
        if self.ctx.extras.is_some()
            && let Some(polled) = self.poll_sources(cx)
        {
            self.mailbox_first = true;
            return Poll::Ready(polled.err().map(Box::new));
        }
        if self.is_at_capacity() || !self.has_no_batch() {
            // Room comes from a handler that ends, or a signal.
            self.release();
            self.cell.lanes.register(cx.waker());
            return if self.cell.lanes.is_signalled() || !self.is_at_capacity() {
                Poll::Ready(None)
            } else {
                Poll::Pending
            };
        }
        let unreleased = std::mem::take(&mut self.unreleased);
        match self.cell.lanes.take(&mut self.batch, unreleased, cx.waker()) {
            Taken::Batch | Taken::Signal => Poll::Ready(None),
            Taken::Idle => {
                self.rest = Rest::Asleep;
                Poll::Pending
            }
            Taken::Drained if self.is_busy() => {
                self.cell.lanes.register(cx.waker());
                Poll::Pending
            }
            Taken::Drained => Poll::Ready(Some(Box::new(if self.is_draining {
                self.cell.last_reason()
            } else {
                ExitReason::Normal
            }))),
        }
    }

    fn has_no_batch(&self) -> bool {
        self.batch.as_ref().is_none_or(|batch| batch.is_empty())
    }

    /// Whether something handed over before the end was asked for is still unfinished.
    pub(super) fn is_busy(&self) -> bool {
        self.ctx
            .extras
            .as_ref()
            .is_some_and(|extras| !extras.beside.is_empty() || extras.has_parked())
    }

    /// Whether a source is ready: then its envelope lies in `from_source`.
    pub(super) fn poll_sources(&mut self, cx: &mut std::task::Context<'_>) -> Option<Handled> {
        loop {
            let extras = self.ctx.extras.as_mut()?;
            if extras.from_source.is_some() {
                return Some(Ok(()));
            }
            let concurrency = if A::Mode::SHARED { A::MAX_CONCURRENCY.max(1) } else { usize::MAX };
            let is_draining = self.is_draining;
            match guard(|| extras.poll(cx, concurrency, is_draining)) {
                Ok(None) => return None,
                Ok(Some(FromSource::Envelope(envelope))) => extras.from_source = Some(envelope),
                Ok(Some(FromSource::Parked(envelope, holds_slot))) => {
                    self.unreleased += u32::from(holds_slot);
                    extras.from_source = Some(envelope);
                }
                Ok(Some(FromSource::Failed(envelope, holds_slot, error))) => {
                    self.unreleased += u32::from(holds_slot);
                    self.cell.reject(envelope, Undelivered::DependencyFailed(error));
                }
                Err(report) => return Some(Err(panicked(report))),
            }
        }
    }

    pub(super) fn release(&mut self) {
        if self.unreleased > 0 {
            self.cell.lanes.release(std::mem::take(&mut self.unreleased));
        }
    }
}
