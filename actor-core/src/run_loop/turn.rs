//! One turn: the next envelope, and what its handler leaves to do.
//!
//! Nothing here awaits, but for messages that are retried: what a handler leaves is handed back to be awaited, so that
//! an idle actor's future need not have room for it.

use super::*;

/// What became of one turn.
pub(super) enum Turn<'r, A: Actor> {
    /// Done.
    Handled,
    /// The handler awaits.
    ///
    /// Boxed: it would lie in the future of every actor that only ever handles plain methods.
    Waits(Box<Drive<'r, A, <A::Mode as Mode<A>>::Handling<'r>>>),
    /// Something that awaits, and that most actors never see: it is boxed as a whole, so that it takes no room in the
    /// actor's future. A message that may be retried lies in `retrying`, a signal that a hook must heed in `to_heed`.
    Rare,
    /// Nothing to do, or no budget to do it.
    Idle,
    /// The handler panicked, or a signal ended it all.
    Ended(Box<ExitReason>),
}

impl<A: Actor> Run<'_, A> {
    /// Hears the signals, then hands the next envelope, a source's or the batch's, to its handler. No await in it: what
    /// it leaves to do is returned, so that it takes no room in the actor's future.
    // Called in one place; apart, it would hand over by way of memory what the run loop looks at next.
    #[inline(always)]
    pub(super) fn turn<'r>(&'r mut self, state: &'r mut StateOf<A>) -> Turn<'r, A> {
        self.forget_message();
        if self.cell.lanes.is_signalled() {
            match self.hear() {
                Ok(None) => {}
                Ok(Some(signal)) => {
                    self.ctx.extras().to_heed = Some(signal);
                    return Turn::Rare;
                }
                Err(reason) => return Turn::Ended(reason),
            }
        }
        if self.ctx.extras.is_some()
            && let Some(reason) = self.heed_ending()
        {
            return Turn::Ended(Box::new(reason));
        }
        if self.budget == 0 {
            self.rest = Rest::Spent;
            return Turn::Idle;
        }
        if self.ctx.extras.is_none()
            && let Some(front) = self.batch.as_ref().and_then(|batch| batch.front())
        {
            let Meta { caller, context, nature } = front.meta();
            match nature {
                Nature::Prompt if context.is_none() => return self.handle_prompt(state),
                Nature::Plain if context.is_none() => {
                    self.ctx.sender = *caller;
                    return self.handle_front(state);
                }
                Nature::Prompt | Nature::Plain | Nature::Careful => {}
            }
        }
        if self.rest == Rest::Awake {
            self.rest = Rest::Working;
            if self.ctx.extras.is_none() {
                let mut only = self.cell.lanes.take_only(&mut self.unreleased);
                if only.is_some() {
                    self.rest = Rest::Resting;
                    return self.handle_only(state, &mut only);
                }
            }
        }
        let from_source = self.ctx.extras.as_mut().and_then(|extras| extras.from_source.take());
        let envelope = match from_source {
            Some(envelope) => envelope,
            None if self.is_at_capacity() => return Turn::Idle,
            None => {
                let Some(envelope) = self.batch.as_mut().and_then(|batch| batch.pop_front()) else {
                    return Turn::Idle;
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

    /// The common case: the prompt envelopes at the head of the batch run where they lie, one after another under one
    /// guard, until something else is to be heeded. `run_now` takes a message out first, so a panic cannot run it again.
    fn handle_prompt<'r>(&mut self, state: &mut StateOf<A>) -> Turn<'r, A> {
        let Some(batch) = &mut self.batch else { return Turn::Idle };
        let mut begun = 0;
        let handled = guard(|| {
            let lanes = &self.cell.lanes;
            while let Some(envelope) = batch.get_mut(begun)
                && envelope.meta().is_prompt()
                && self.budget > 0
            {
                begun += 1;
                self.budget -= 1;
                if self.release_at > 0 {
                    self.unreleased += 1;
                    if self.unreleased >= self.release_at {
                        lanes.release(std::mem::take(&mut self.unreleased));
                    }
                }
                self.ctx.sender = envelope.meta().caller;
                envelope.run_now(state, &mut self.ctx);
                if self.ctx.extras.is_some() || lanes.is_signalled() {
                    break;
                }
            }
        });
        let handled =
            handled.map_err(|report| report.during(Some(batch[begun - 1].message_name())));
        batch.drain(..begun);
        match handled {
            Ok(()) => Turn::Handled,
            Err(reason) => Turn::Ended(Box::new(reason)),
        }
    }

    /// Nearly as common, with no move: the envelope at the head of the batch, with nothing special about it or the actor,
    /// runs where it lies. `run` takes the message out of it first, so a panic cannot run it again.
    pub(super) fn handle_front<'r>(&'r mut self, state: &'r mut StateOf<A>) -> Turn<'r, A> {
        self.budget -= 1;
        if self.release_at > 0 {
            self.unreleased += 1;
            if self.unreleased >= self.release_at {
                self.release();
            }
        }
        let Some(batch) = &mut self.batch else { return Turn::Idle };
        let Some(envelope) = batch.front_mut() else { return Turn::Idle };
        let step = guard(|| envelope.run(state, &mut self.ctx));
        match step {
            Ok(Step(None)) => {
                batch.pop_front();
                Turn::Handled
            }
            Ok(Step(Some(future))) => {
                let name = envelope.message_name();
                batch.pop_front();
                let owed = &mut self.unreleased;
                Turn::Waits(Box::new(Drive::new(self.cell, future, owed, Some(name), None)))
            }
            Err(report) => {
                let reason = report.during(Some(envelope.message_name()));
                batch.pop_front();
                Turn::Ended(Box::new(reason))
            }
        }
    }

    /// The other common case: the one envelope that woke the actor. It runs where it was laid down.
    #[inline]
    fn handle_only<'r>(
        &'r mut self,
        state: &'r mut StateOf<A>,
        only: &mut Option<BoxedEnvelope<A>>,
    ) -> Turn<'r, A> {
        let Some(envelope) = only else { return Turn::Idle };
        let Meta { caller, context, nature } = envelope.meta();
        if context.is_some() || *nature == Nature::Careful {
            return match only.take().and_then(|envelope| self.in_turn(envelope)) {
                Some(envelope) => self.handle(state, envelope),
                None => Turn::Handled,
            };
        }
        self.ctx.sender = *caller;
        if *nature == Nature::Prompt {
            return match guard(|| envelope.run_now(state, &mut self.ctx)) {
                Ok(()) => Turn::Idle,
                Err(report) => Turn::Ended(Box::new(report.during(Some(envelope.message_name())))),
            };
        }
        match guard(|| envelope.run(state, &mut self.ctx)) {
            Ok(Step(None)) => Turn::Idle,
            Ok(Step(Some(future))) => {
                let name = envelope.message_name();
                let owed = &mut self.unreleased;
                Turn::Waits(Box::new(Drive::new(self.cell, future, owed, Some(name), None)))
            }
            Err(report) => Turn::Ended(Box::new(report.during(Some(envelope.message_name())))),
        }
    }

    /// What hooks, streams and gates do is no part of the message before.
    #[inline]
    pub(super) fn forget_message(&mut self) {
        if std::mem::take(&mut self.has_context) {
            current::with_mut(|here| here.message = None);
        }
    }

    /// Awaits what is rare; the end, if it comes to that.
    pub(super) async fn see_to(&mut self, state: &mut StateOf<A>) -> Option<Box<ExitReason>> {
        let signal = self.ctx.extras.as_mut().and_then(|extras| extras.to_heed.take());
        let seen = match signal {
            Some(signal) => self.signals_from(state, signal).await,
            None => self.handle_again(state).await,
        };
        seen.err().map(Box::new)
    }

    /// The envelope, unless it waits for arguments, or behind one of its caller's that does: then it is parked.
    #[inline(always)]
    pub(super) fn in_turn(&mut self, envelope: BoxedEnvelope<A>) -> Option<BoxedEnvelope<A>> {
        let is_parked = match &self.ctx.extras {
            Some(extras) => extras.is_parked(envelope.meta().caller),
            None => false,
        };
        let is_gated = envelope.meta().nature == Nature::Careful && envelope.is_gated();
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
        let Meta { caller, context, nature } = envelope.meta();
        let is_careful = *nature == Nature::Careful;
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
            return Turn::Rare;
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
                let reason = report.during(Some(envelope.message_name()));
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
            Err(report) => Err(report.during(Some(name))),
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
