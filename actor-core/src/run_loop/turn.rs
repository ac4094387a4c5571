//! One turn: the next envelope, and what its handler leaves to do.
//!
//! Nothing here awaits, but for messages that are retried: what a handler leaves is handed back to be awaited, so that
//! an idle actor's future need not have room for it.

use super::*;

/// What became of one turn.
pub(super) enum Turn<'r, A: Actor> {
    /// Done.
    Handled,
    /// Done, and there was only this to do, unless the handler has made it otherwise.
    Only,
    /// The handler awaits.
    ///
    /// Boxed: it would lie in the future of every actor that only ever handles plain methods.
    Waits(Box<Drive<'r, A, <A::Mode as Mode<A>>::Handling<'r>>>),
    /// The message may be retried: it lies in `retrying`.
    Retried,
    /// Nothing to handle.
    Empty,
    /// The budget is spent.
    Over,
    /// The handler panicked.
    Ended(Box<ExitReason>),
}

impl<A: Actor> Run<'_, A> {
    /// The next envelope, a source's or the batch's, handed to its handler. No await in it: what it leaves to do is
    /// returned, so that it takes no room in the actor's future.
    pub(super) fn turn<'r>(&'r mut self, state: &'r mut StateOf<A>) -> Turn<'r, A> {
        if self.budget == 0 {
            return Turn::Over;
        }
        if self.ctx.extras.is_none()
            && let Some(front) = self.batch.front()
        {
            let Meta { caller, context, is_careful } = front.meta();
            if context.is_none() && !is_careful {
                self.ctx.sender = *caller;
                return self.handle_front(state);
            }
        }
        if self.rest == Rest::Awake {
            self.rest = Rest::Working;
            if self.ctx.extras.is_none()
                && let Some(envelope) = self.cell.lanes.take_only(&mut self.unreleased)
            {
                self.rest = Rest::Resting;
                return self.handle_only(state, envelope);
            }
        }
        let from_source = self.ctx.extras.as_mut().and_then(|extras| extras.from_source.take());
        let envelope = match from_source {
            Some(envelope) => envelope,
            None if self.is_at_capacity() => return Turn::Empty,
            None => {
                let Some(envelope) = self.batch.pop_front() else {
                    return Turn::Empty;
                };
                self.unreleased += u32::from(self.release_at > 0);
                match self.in_turn(envelope) {
                    Some(envelope) => envelope,
                    None => return Turn::Handled,
                }
            }
        };
        self.handle(state, envelope)
    }

    /// The common case, with no move: the envelope at the head of the batch, with nothing special about it or the actor,
    /// runs where it lies. `run` takes the message out of it first, so a panic cannot run it again.
    pub(super) fn handle_front<'r>(&'r mut self, state: &'r mut StateOf<A>) -> Turn<'r, A> {
        self.budget -= 1;
        if self.release_at > 0 {
            self.unreleased += 1;
            if self.unreleased >= self.release_at {
                self.release();
            }
        }
        let Some(envelope) = self.batch.front_mut() else { return Turn::Empty };
        let step = guard(|| envelope.run(state, &mut self.ctx));
        match step {
            Ok(Step(None)) => {
                self.batch.pop_front();
                Turn::Handled
            }
            Ok(Step(Some(future))) => {
                let name = envelope.message_name();
                self.batch.pop_front();
                let owed = &mut self.unreleased;
                Turn::Waits(Box::new(Drive::new(self.cell, future, owed, Some(name), None)))
            }
            Err(report) => {
                let reason = during(report, envelope.message_name());
                self.batch.pop_front();
                Turn::Ended(Box::new(reason))
            }
        }
    }

    /// The other common case: the one envelope that woke the actor.
    #[inline]
    fn handle_only<'r>(
        &'r mut self,
        state: &'r mut StateOf<A>,
        mut envelope: BoxedEnvelope<A>,
    ) -> Turn<'r, A> {
        let Meta { caller, context, is_careful } = envelope.meta();
        if context.is_some() || *is_careful {
            return match self.in_turn(envelope) {
                Some(envelope) => self.handle(state, envelope),
                None => Turn::Handled,
            };
        }
        self.ctx.sender = *caller;
        match guard(|| envelope.run(state, &mut self.ctx)) {
            Ok(Step(None)) => Turn::Only,
            Ok(Step(Some(future))) => {
                let name = envelope.message_name();
                let owed = &mut self.unreleased;
                Turn::Waits(Box::new(Drive::new(self.cell, future, owed, Some(name), None)))
            }
            Err(report) => Turn::Ended(Box::new(during(report, envelope.message_name()))),
        }
    }

    #[inline(always)]
    /// The envelope, unless it waits for arguments, or behind one of its caller's that does: then it is parked.
    pub(super) fn in_turn(&mut self, envelope: BoxedEnvelope<A>) -> Option<BoxedEnvelope<A>> {
        let is_parked = match &self.ctx.extras {
            Some(extras) => extras.is_parked(envelope.meta().caller),
            None => false,
        };
        let is_gated = envelope.meta().is_careful && envelope.is_gated();
        if !is_parked && !is_gated {
            return Some(envelope);
        }
        let free = if self.release_at > 0 { self.cell.lanes.capacity() } else { 0 };
        if self.ctx.extras().park(envelope, free) {
            self.unreleased = self.unreleased.saturating_sub(1);
        }
        if !is_parked {
            // A new gate is polled before the next message.
            self.budget = 0;
        }
        None
    }

    #[inline(always)]
    pub(super) fn handle<'r>(
        &'r mut self,
        state: &'r mut StateOf<A>,
        mut envelope: BoxedEnvelope<A>,
    ) -> Turn<'r, A> {
        self.budget = self.budget.saturating_sub(1);
        if self.release_at > 0 && self.unreleased >= self.release_at {
            self.release();
        }
        let Meta { caller, context, is_careful } = envelope.meta();
        let is_careful = *is_careful;
        self.ctx.sender = *caller;
        let watch = match context {
            None => None,
            Some(context) => match self.watch(&envelope, Arc::clone(context)) {
                Ok(watch) => watch,
                Err(reason) => {
                    self.cell.reject(envelope, reason);
                    return Turn::Handled;
                }
            },
        };
        if let Some(extras) = &mut self.ctx.extras
            && let Some(recorder) = &mut extras.recorder
        {
            recorder.record(envelope.message_name(), self.ctx.sender);
        }
        if is_careful && envelope.is_retried() {
            self.ctx.extras().retrying = Some((envelope, watch));
            return Turn::Retried;
        }
        let entered = watch.as_ref().map(|watch| watch.span.enter());
        let step = guard(|| envelope.run(state, &mut self.ctx));
        drop(entered);
        match step {
            Ok(Step(None)) => Turn::Handled,
            Ok(Step(Some(future))) => {
                let name = envelope.message_name();
                let owed = &mut self.unreleased;
                Turn::Waits(Box::new(Drive::new(self.cell, future, owed, Some(name), watch)))
            }
            Err(report) => {
                let reason = during(report, envelope.message_name());
                Turn::Ended(Box::new(reason))
            }
        }
    }

    /// Makes what came with a message current, and says what to watch while it is handled; or why it is not to be.
    pub(super) fn watch(
        &mut self,
        envelope: &BoxedEnvelope<A>,
        context: Arc<MessageContext>,
    ) -> Result<Option<Box<Watch>>, Undelivered> {
        if context.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Err(Undelivered::Expired);
        }
        if context.cancel.as_ref().is_some_and(CallToken::is_cancelled) {
            return Err(Undelivered::Cancelled);
        }
        let watch = (context.span.is_some() || context.cancel.is_some()).then(|| {
            let span = match &context.span {
                Some(sender) => self.span(envelope, sender),
                None => Span::none(),
            };
            Box::new(Watch { span, cancel: context.cancel.clone() })
        });
        current::with_mut(|here| here.message = Some(context));
        self.has_context = true;
        Ok(watch)
    }

    /// A message that may be retried stays at hand until its handler has answered.
    pub(super) async fn handle_again(&mut self, state: &mut StateOf<A>) -> Handled {
        let retrying = self.ctx.extras.as_mut().and_then(|extras| extras.retrying.take());
        let Some((mut envelope, watch)) = retrying else {
            return Ok(());
        };
        let reason = loop {
            match self.attempt(state, &mut envelope, watch.clone()).await {
                Ok(()) => match envelope.finished() {
                    Finished::Done => {
                        ending::dispose(move || drop(envelope));
                        return Ok(());
                    }
                    Finished::Again => {
                        self.budget = self.budget.saturating_sub(1);
                        if self.budget == 0 {
                            self.budget = BUDGET;
                            yield_now().await;
                        }
                        if let Err(reason) = self.signals(state).await {
                            break reason;
                        }
                    }
                },
                Err(end) => break end,
            }
        };
        if envelope.crashed(&reason) == Finished::Again {
            self.ctx.extras().retrying = Some((envelope, None));
        }
        Err(reason)
    }

    pub(super) async fn attempt(
        &mut self,
        state: &mut StateOf<A>,
        envelope: &mut BoxedEnvelope<A>,
        watch: Option<Box<Watch>>,
    ) -> Handled {
        let name = envelope.message_name();
        let entered = watch.as_ref().map(|watch| watch.span.enter());
        let step = guard(|| envelope.run(state, &mut self.ctx));
        drop(entered);
        match step {
            Ok(Step(None)) => Ok(()),
            Ok(Step(Some(future))) => {
                let owed = &mut self.unreleased;
                Drive::new(self.cell, future, owed, Some(name), watch).await.map(drop)
            }
            Err(report) => Err(during(report, name)),
        }
    }

    /// A handler's span is a root that follows from its sender's: nested ones would never end.
    pub(super) fn span(&self, envelope: &BoxedEnvelope<A>, sender: &tracing::span::Id) -> Span {
        let span = tracing::info_span!(
            target: "mobula::handle", parent: None, "handle",
            actor = %self.cell.actor_id(), message = envelope.message_name()
        );
        span.follows_from(sender);
        span
    }
}

/// A handler's panic, with the message that it handled.
fn during(report: PanicReport, message: &'static str) -> ExitReason {
    ExitReason::Panic(Arc::new(PanicReport { while_handling: Some(message.into()), ..report }))
}
