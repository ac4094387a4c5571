//! The run loop: one generation of one actor, from its constructor to its end.
//!
//! One tokio task runs it. It takes the mailbox's queue in batches and hands each envelope to its handler;
//! between messages it looks at the signal lane, and every [`BUDGET`] messages at its other sources and at
//! the clock of fairness: it yields, so that a busy actor cannot starve its neighbours.
//!
//! The law:
//! 1. A panic ends the generation, never the node: every call into user code goes through
//!    [`guard`](crate::panic_capture::guard). This file and `ending.rs` are the only ones that do.
//! 2. An envelope is out of the queue before its handler runs, so a panic cannot run it again.
//! 3. A signal that aborts (kill, an abnormal exit of a link) drops the running handler at its await.
//! 4. Slots of the mailbox are released when a handler begins, a few at a time, and all when it waits.

use std::collections::VecDeque;
use std::future::Future;
use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::time::Instant;
use tracing::Span;

use crate::actor::{Actor, Hook, HookStep, Mode, StateOf, Step};
use crate::cancel::CallToken;
use crate::cell::{Cell, Remains};
use crate::context::{Context, Ending};
use crate::current::{self, Current, MessageContext};
use crate::drive::{Drive, Watch, aborted};
use crate::ending;
use crate::envelope::{BoxedEnvelope, Finished, Meta};
use crate::error::Undelivered;
use crate::exit::{ErrorText, ExitReason, PanicReport};
use crate::extras::{Extras, FromSource};
use crate::factory::{Factory, StartStep};
use crate::flight_recorder::{FlightRecord, FlightRecorder};
use crate::lifecycle::Phase;
use crate::mailbox::lanes::Taken;
use crate::panic_capture::guard;
use crate::signal::Signal;

/// Messages handled before the actor yields. 16 to 1024 measured equal, 1 costs four times as much.
const BUDGET: u16 = 64;

/// Runs one generation of the actor in `cell`.
pub(crate) fn run<A: Actor>(
    cell: Arc<Cell<A>>,
    factory: Factory<A>,
) -> current::Scoped<impl Future<Output = ()>> {
    let here = Current::citizen(cell.system().clone(), cell.actor_id());
    current::scope(here, live(Tenant(Some(cell)), Box::new(factory)))
}

/// A generation's hold on its cell. Dropped before the generation has ended, with its executor, say, it
/// ends the cell, so that nobody waits for an actor that nobody runs.
struct Tenant<A: Actor>(Option<Arc<Cell<A>>>);

impl<A: Actor> Drop for Tenant<A> {
    fn drop(&mut self) {
        if let Some(cell) = self.0.take() {
            cell.never_started(ExitReason::Shutdown);
        }
    }
}

/// No `async fn`: that would hold its arguments twice. Boxed is what runs or is known once: what stays in this future is
/// what an idle actor costs.
fn live<A: Actor>(mut tenant: Tenant<A>, mut factory: Box<Factory<A>>) -> impl Future<Output = ()> {
    async move {
        let Some(cell) = &tenant.0 else { return };
        let actor = match Box::pin(start(cell, &mut factory)).await {
            Ok(actor) => actor,
            Err(reason) => {
                cell.ended(Remains {
                    reason: *reason,
                    factory: Some(*factory),
                    batch: VecDeque::new(),
                    flight: Vec::new(),
                });
                tenant.0 = None;
                return;
            }
        };
        // A factory that has made its only actor is of no use.
        let factory = factory.is_restartable().then_some(factory);
        let mut run = Run::new(cell);
        let mut state = A::Mode::hold(actor);
        let reason = match Box::pin(run.begin(&mut state)).await {
            Ok(()) => run.serve(&mut state).await,
            Err(reason) => reason,
        };
        let reason = Box::pin(run.leave(&mut state, reason)).await;
        let Run { ctx, mut batch, .. } = run;
        let flight = clear_up(&reason, state, ctx.extras, &mut batch);
        let factory = factory.map(|factory| *factory);
        cell.ended(Remains { reason: *reason, factory, batch, flight });
        tenant.0 = None;
    }
}

/// Drops what a generation had; what it was to handle goes back to the head of `batch`.
fn clear_up<A: Actor>(
    reason: &ExitReason,
    state: StateOf<A>,
    extras: Option<Box<Extras<A>>>,
    batch: &mut VecDeque<BoxedEnvelope<A>>,
) -> Vec<FlightRecord> {
    ending::drop_as(reason, state);
    let Some(mut extras) = extras else {
        return Vec::new();
    };
    let retried = extras.retrying.take().map(|(envelope, _)| envelope);
    let left: Vec<_> =
        retried.into_iter().chain(extras.from_source.take()).chain(extras.unpark_all()).collect();
    let flight = extras.recorder.as_mut().map(FlightRecorder::drain);
    ending::drop_as(reason, extras);
    for envelope in left.into_iter().rev() {
        batch.push_front(envelope);
    }
    flight.unwrap_or_default()
}

/// Runs the constructor. Its panic or error is the actor's end.
async fn start<A: Actor>(cell: &Cell<A>, factory: &mut Factory<A>) -> Result<A, Box<ExitReason>> {
    made(cell, factory).await.map_err(Box::new)
}

async fn made<A: Actor>(cell: &Cell<A>, factory: &mut Factory<A>) -> Result<A, ExitReason> {
    let starting = guard(|| factory.make()).map_err(panicked)?;
    let result = match starting.0 {
        StartStep::Done(result) => result,
        StartStep::Later(mut future) => {
            let result = poll_fn(|cx| {
                if let Some(reason) = aborted(cell) {
                    return Poll::Ready(Err(reason));
                }
                cell.lanes.register(cx.waker());
                match guard(|| Pin::new(&mut future).poll(cx)) {
                    Ok(Poll::Pending) => {
                        aborted(cell).map_or(Poll::Pending, |reason| Poll::Ready(Err(reason)))
                    }
                    Ok(Poll::Ready(result)) => Poll::Ready(Ok(result)),
                    Err(report) => Poll::Ready(Err(panicked(report))),
                }
            })
            .await;
            if let Err(reason) = &result {
                ending::drop_as(reason, future);
            }
            result?
        }
    };
    match aborted(cell) {
        Some(reason) => {
            ending::drop_as(&reason, result);
            Err(reason)
        }
        None => result.map_err(ExitReason::StartFailed),
    }
}

fn panicked(report: PanicReport) -> ExitReason {
    let reason = ExitReason::Panic(Arc::new(report));
    ending::answer_orphans(&reason);
    reason
}

/// What came to an end: the handler, or the generation.
type Handled = Result<(), ExitReason>;

/// What became of one turn.
enum Turn<'r, A: Actor> {
    /// Done.
    Handled,
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

/// A [`Turn`] that borrows nothing any more.
enum After {
    Handled(Result<(), Box<ExitReason>>),
    Retried,
    Empty,
    Over,
}

struct Run<'c, A: Actor> {
    cell: &'c Arc<Cell<A>>,
    ctx: Context<A>,
    batch: VecDeque<BoxedEnvelope<A>>,
    /// Slots of the mailbox whose envelopes have begun, not given back yet.
    unreleased: u32,
    /// As many unreleased ones are given back together; 0 where slots are free as soon as they are taken.
    release_at: u32,
    budget: u16,
    /// Whether the envelope before came from a source, so that it is the mailbox's turn.
    mailbox_first: bool,
    /// Whether the current message context must be cleared.
    has_context: bool,
}

impl<'c, A: Actor> Run<'c, A> {
    fn new(cell: &'c Arc<Cell<A>>) -> Self {
        let settings = cell.settings();
        let mut ctx = Context::new(Arc::clone(cell));
        cell.set_trap_exits(false);
        if let Some(records) =
            settings.and_then(|settings| NonZeroUsize::new(settings.flight_records))
        {
            ctx.extras().recorder = Some(FlightRecorder::new(records));
        }
        let counted = cell.lanes.counted_capacity();
        let release_at =
            counted.map_or(0, |capacity| (capacity / 4).clamp(1, 4 * u32::from(BUDGET)));
        Self {
            cell,
            ctx,
            batch: VecDeque::new(),
            unreleased: 0,
            release_at,
            budget: BUDGET,
            mailbox_first: false,
            has_context: false,
        }
    }

    /// Runs `started`.
    async fn begin(&mut self, state: &mut StateOf<A>) -> Result<(), Box<ExitReason>> {
        match self.hook(state, |actor, ctx| actor.started(ctx)).await {
            Err(HookEnd::Failed(error)) => Err(Box::new(ExitReason::StartFailed(error))),
            Err(HookEnd::Ended(reason)) => Err(Box::new(reason)),
            Ok(()) => {
                self.cell.entered(Phase::Running);
                Ok(())
            }
        }
    }

    /// Handles messages until there is a reason to end.
    async fn serve(&mut self, state: &mut StateOf<A>) -> Box<ExitReason> {
        loop {
            if self.cell.lanes.is_signalled()
                && let Err(reason) = Box::pin(self.signals(state)).await
            {
                return Box::new(reason);
            }
            if self.ctx.extras.is_some()
                && let Some(reason) = self.heed_ending()
            {
                return Box::new(reason);
            }
            // In two steps, since a turn borrows everything.
            let after = match self.turn(state) {
                Turn::Handled => After::Handled(Ok(())),
                Turn::Waits(drive) => After::Handled(drive.await.map(drop).map_err(Box::new)),
                Turn::Ended(reason) => After::Handled(Err(reason)),
                Turn::Retried => After::Retried,
                Turn::Empty => After::Empty,
                Turn::Over => After::Over,
            };
            let handled = match after {
                After::Handled(handled) => handled,
                After::Retried => Box::pin(self.handle_again(state)).await.map_err(Box::new),
                After::Empty => {
                    if let Err(reason) = self.next().await {
                        return Box::new(reason);
                    }
                    continue;
                }
                After::Over => {
                    self.budget = BUDGET;
                    yield_now().await;
                    if let Err(reason) = self.look_at_sources().await {
                        return Box::new(reason);
                    }
                    continue;
                }
            };
            // What hooks, streams and gates do is no part of the message before.
            if std::mem::take(&mut self.has_context) {
                current::with_mut(|here| here.message = None);
            }
            if let Err(reason) = handled {
                return reason;
            }
        }
    }

    /// The next envelope, a source's or the batch's, handed to its handler. No await in it: what it leaves to do is
    /// returned, so that it takes no room in the actor's future.
    fn turn<'r>(&'r mut self, state: &'r mut StateOf<A>) -> Turn<'r, A> {
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
    fn handle_front<'r>(&'r mut self, state: &'r mut StateOf<A>) -> Turn<'r, A> {
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
                ending::answer_orphans(&reason);
                Turn::Ended(Box::new(reason))
            }
        }
    }

    /// Whether as many handlers run beside each other as may.
    fn is_at_capacity(&self) -> bool {
        A::Mode::SHARED
            && self
                .ctx
                .extras
                .as_ref()
                .is_some_and(|extras| extras.beside.len() >= A::MAX_CONCURRENCY)
    }

    /// Waits for a signal, an envelope of a source, or a batch of messages.
    /// No `async fn`, for its size.
    fn next(&mut self) -> impl Future<Output = Handled> {
        poll_fn(move |cx| {
            if std::mem::take(&mut self.mailbox_first)
                && self.batch.is_empty()
                && !self.is_at_capacity()
            {
                let unreleased = std::mem::take(&mut self.unreleased);
                match self.cell.lanes.take(&mut self.batch, unreleased, cx.waker()) {
                    Taken::Batch | Taken::Signal => return Poll::Ready(Ok(())),
                    Taken::Idle | Taken::Drained => {}
                }
            }
            if self.ctx.extras.is_some()
                && let Some(polled) = self.poll_sources(cx)
            {
                self.mailbox_first = true;
                return Poll::Ready(polled);
            }
            if self.is_at_capacity() || !self.batch.is_empty() {
                // Room comes from a handler that ends, or a signal.
                self.release();
                self.cell.lanes.register(cx.waker());
                return if self.cell.lanes.is_signalled() || !self.is_at_capacity() {
                    Poll::Ready(Ok(()))
                } else {
                    Poll::Pending
                };
            }
            let unreleased = std::mem::take(&mut self.unreleased);
            match self.cell.lanes.take(&mut self.batch, unreleased, cx.waker()) {
                Taken::Batch | Taken::Signal => Poll::Ready(Ok(())),
                Taken::Idle => Poll::Pending,
                Taken::Drained if self.is_busy() => {
                    self.cell.lanes.register(cx.waker());
                    Poll::Pending
                }
                Taken::Drained => {
                    let extras = self.ctx.extras.as_ref();
                    let reason = extras.and_then(|extras| extras.draining.clone());
                    Poll::Ready(Err(reason.unwrap_or(ExitReason::Normal)))
                }
            }
        })
    }

    /// Whether something handed over before the end was asked for is still unfinished.
    fn is_busy(&self) -> bool {
        self.ctx
            .extras
            .as_ref()
            .is_some_and(|extras| !extras.beside.is_empty() || extras.has_parked())
    }

    /// Polls the sources once.
    fn look_at_sources(&mut self) -> impl Future<Output = Handled> {
        poll_fn(move |cx| Poll::Ready(self.poll_sources(cx).unwrap_or(Ok(()))))
    }

    /// Whether a source is ready: then its envelope lies in `from_source`.
    fn poll_sources(&mut self, cx: &mut std::task::Context<'_>) -> Option<Handled> {
        loop {
            let extras = self.ctx.extras.as_mut()?;
            if extras.from_source.is_some() {
                return Some(Ok(()));
            }
            let concurrency = if A::Mode::SHARED { A::MAX_CONCURRENCY.max(1) } else { usize::MAX };
            let draining = extras.draining.is_some();
            match guard(|| extras.poll(cx, concurrency, draining)) {
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

    fn release(&mut self) {
        if self.unreleased > 0 {
            self.cell.lanes.release(std::mem::take(&mut self.unreleased));
        }
    }

    /// What the handler before asked for.
    fn heed_ending(&mut self) -> Option<ExitReason> {
        match self.ctx.extras.as_mut()?.ending.take()? {
            Ending::Now(reason) => Some(reason),
            Ending::Drain(reason) => {
                self.drain(reason);
                None
            }
        }
    }

    /// Takes nothing new; the end comes when everything that waits has been handled.
    fn drain(&mut self, reason: ExitReason) {
        if self.ctx.extras().draining.is_some() {
            return;
        }
        self.cell.stopping(&reason);
        for envelope in self.cell.lanes.seal() {
            self.cell.reject(envelope, Undelivered::ActorGone(reason.clone()));
        }
        self.ctx.extras().draining = Some(reason);
    }

    /// Hears every signal that waits.
    async fn signals(&mut self, state: &mut StateOf<A>) -> Handled {
        while self.cell.lanes.is_signalled() {
            self.signal(state).await?;
            let extras = self.ctx.extras.as_ref();
            if extras.is_some_and(|extras| matches!(extras.ending, Some(Ending::Now(_)))) {
                break;
            }
        }
        Ok(())
    }

    async fn signal(&mut self, state: &mut StateOf<A>) -> Handled {
        match self.cell.lanes.pop_signal().map(|(signal, _)| signal) {
            None => Ok(()),
            Some(Signal::Kill(reason) | Signal::Shutdown(reason)) => Err(reason),
            Some(Signal::Stop(reason)) => {
                self.drain(reason);
                Ok(())
            }
            Some(Signal::Unreferenced) => {
                if self.cell.is_unreferenced() {
                    self.cell.tell_to_end();
                    self.drain(ExitReason::Normal);
                }
                Ok(())
            }
            Some(Signal::Exit { from, reason }) => {
                if self.ctx.extras.as_ref().is_some_and(|extras| extras.traps_exits) {
                    let monitor = crate::id::MonitorRef::LINK;
                    self.run_hook(state, |actor, ctx| actor.down(ctx, monitor, reason)).await
                } else if reason.is_abnormal() {
                    Err(ExitReason::Linked { from: from.id(), reason: Arc::new(reason) })
                } else {
                    Ok(())
                }
            }
            Some(Signal::Down { monitor, reason }) => {
                let watched =
                    self.ctx.extras.as_mut().and_then(|extras| extras.watching.remove(&monitor));
                match watched {
                    Some(_) => {
                        self.run_hook(state, |actor, ctx| actor.down(ctx, monitor, reason)).await
                    }
                    // The watch was taken back.
                    None => Ok(()),
                }
            }
            Some(Signal::ChildExited(exited)) => {
                self.run_hook(state, |actor, ctx| actor.child_exited(ctx, exited)).await
            }
        }
    }

    #[inline(always)]
    /// The envelope, unless it waits for arguments, or behind one of its caller's that does: then it is parked.
    fn in_turn(&mut self, envelope: BoxedEnvelope<A>) -> Option<BoxedEnvelope<A>> {
        let is_parked = match &self.ctx.extras {
            Some(extras) => extras.is_parked(envelope.meta().caller),
            None => false,
        };
        if !is_parked && !(envelope.meta().is_careful && envelope.is_gated()) {
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
    fn handle<'r>(
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
                ending::answer_orphans(&reason);
                Turn::Ended(Box::new(reason))
            }
        }
    }

    /// Makes what came with a message current, and says what to watch while it is handled; or why it is not to be.
    fn watch(
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
    async fn handle_again(&mut self, state: &mut StateOf<A>) -> Handled {
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
        ending::answer_orphans(&reason);
        if envelope.crashed(&reason) == Finished::Again {
            self.ctx.extras().retrying = Some((envelope, None));
        }
        Err(reason)
    }

    async fn attempt(
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
    fn span(&self, envelope: &BoxedEnvelope<A>, sender: &tracing::span::Id) -> Span {
        let span = tracing::info_span!(
            target: "mobula::handle", parent: None, "handle",
            actor = %self.cell.actor_id(), message = envelope.message_name()
        );
        span.follows_from(sender);
        span
    }

    /// Runs a hook between messages; its error is the actor's failure.
    async fn run_hook(
        &mut self,
        state: &mut StateOf<A>,
        hook: impl for<'a> FnOnce(&'a mut A, &'a mut Context<A>) -> Hook<'a, A>,
    ) -> Handled {
        self.hook(state, hook).await.map_err(|end| match end {
            HookEnd::Failed(error) => ExitReason::Failed(error),
            HookEnd::Ended(reason) => reason,
        })
    }

    async fn hook(
        &mut self,
        state: &mut StateOf<A>,
        hook: impl for<'a> FnOnce(&'a mut A, &'a mut Context<A>) -> Hook<'a, A>,
    ) -> Result<(), HookEnd> {
        self.finish_beside().await.map_err(HookEnd::Ended)?;
        self.ctx.sender = crate::id::CallerId::NOBODY;
        let Some(actor) = A::Mode::actor(state) else {
            return Ok(());
        };
        let step = guard(|| hook(actor, &mut self.ctx))
            .map_err(|report| HookEnd::Ended(panicked(report)))?;
        match step.0 {
            HookStep::Done(result) => result.map_err(HookEnd::Failed),
            HookStep::Later(future) => {
                let owed = &mut self.unreleased;
                match Drive::new(self.cell, future, owed, None, None).await {
                    Ok(result) => result.unwrap_or(Ok(())).map_err(HookEnd::Failed),
                    Err(reason) => Err(HookEnd::Ended(reason)),
                }
            }
        }
    }

    /// A hook has the actor to itself: handlers that run beside each other end first.
    async fn finish_beside(&mut self) -> Handled {
        if !A::Mode::SHARED {
            return Ok(());
        }
        poll_fn(|cx| {
            if let Some(reason) = aborted(self.cell) {
                return Poll::Ready(Err(reason));
            }
            self.cell.lanes.register(cx.waker());
            let Some(extras) = &mut self.ctx.extras else {
                return Poll::Ready(Ok(()));
            };
            let polled = guard(|| {
                use futures_util::stream::StreamExt;
                while let Poll::Ready(Some(())) = extras.beside.poll_next_unpin(cx) {}
            });
            match polled {
                Err(report) => Poll::Ready(Err(panicked(report))),
                Ok(()) if extras.beside.is_empty() => Poll::Ready(Ok(())),
                Ok(()) => Poll::Pending,
            }
        })
        .await
    }

    /// The end: `stopping` unless the state is not to be trusted, then the children.
    async fn leave(
        &mut self,
        state: &mut StateOf<A>,
        mut reason: Box<ExitReason>,
    ) -> Box<ExitReason> {
        let trusted = !matches!(
            *reason,
            ExitReason::Panic(_) | ExitReason::Killed | ExitReason::StartFailed(_)
        );
        if trusted {
            let why = ExitReason::clone(&reason);
            let end = self
                .hook(state, move |actor, ctx| {
                    if let Some(extras) = &mut ctx.extras {
                        extras.ending = None;
                    }
                    actor.stopping(ctx, why)
                })
                .await;
            match end {
                Ok(()) => {}
                Err(HookEnd::Failed(error)) => {
                    tracing::warn!(actor = %self.cell.actor_id(), %error, "`stopping` failed");
                }
                Err(HookEnd::Ended(end)) => *reason = end,
            }
        }
        if let Some(extras) = &mut self.ctx.extras {
            for (monitor, watched) in extras.watching.drain() {
                watched.0.remove_monitor(monitor);
            }
            for child in extras.children.drain(..).rev() {
                if reason.is_abnormal() {
                    child.kill();
                } else {
                    child.request_stop(ExitReason::Shutdown);
                }
            }
        }
        if reason.is_abnormal() {
            self.crash_report(&reason);
        }
        reason
    }

    fn crash_report(&self, reason: &ExitReason) {
        if matches!(reason, ExitReason::Killed | ExitReason::Linked { .. }) {
            tracing::debug!(actor = %self.cell.target(), %reason, "actor ended");
        } else {
            tracing::error!(
                actor = %self.cell.target(), name = %self.cell.label(), %reason,
                "actor crashed"
            );
        }
    }
}

enum HookEnd {
    /// The hook returned an error.
    Failed(ErrorText),
    /// The generation ended beneath it.
    Ended(ExitReason),
}

/// A handler's panic, with the message that it handled.
fn during(report: PanicReport, message: &'static str) -> ExitReason {
    ExitReason::Panic(Arc::new(PanicReport { while_handling: Some(message), ..report }))
}

/// Lets others run. tokio's own yield defers to the driver, which costs ten times as much.
async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
