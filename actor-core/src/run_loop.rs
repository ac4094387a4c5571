//! The run loop: one generation of one actor, from its constructor to its end.
//!
//! One tokio task runs it. It takes the mailbox's queue in batches and hands each envelope to its handler;
//! between messages it looks at the signal lane, and every [`BUDGET`] messages at its other sources and at
//! the clock of fairness: it yields, so that a busy actor cannot starve its neighbours.
//!
//! The law:
//! 1. A panic ends the generation, never the node: every call into user code goes through
//!    [`guard`](crate::panic_capture::guard).
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
use crate::factory::{Factory, StartStep, Starting};
use crate::flight_recorder::{FlightRecord, FlightRecorder};
use crate::lifecycle::Phase;
use crate::mailbox::lanes::Taken;
use crate::panic_capture::guard;
use crate::signal::Signal;

mod hearing;
mod sources;
mod turn;

use hearing::{Hooked, hooked};
use turn::Turn;

/// Messages handled before the actor yields. 16 to 1024 measured equal, 1 costs four times as much.
const BUDGET: u16 = 64;

/// Runs one generation of the actor in `cell`, whose `tenant` it is.
pub(crate) fn run<A: Actor>(
    tenant: Tenant<A>,
    cell: Arc<Cell<A>>,
    factory: Factory<A>,
) -> current::Scoped<impl Future<Output = ()>> {
    let here = Current::citizen(cell.system().clone(), cell.actor_id());
    current::scope(here, live(tenant, Box::new(factory)))
}

/// A generation's hold on its cell. Dropped before the generation has ended, with its executor, say, it
/// ends the cell, so that nobody waits for an actor that nobody runs.
pub(crate) struct Tenant<A: Actor>(Option<Arc<Cell<A>>>);

impl<A: Actor> Tenant<A> {
    pub(crate) fn of(cell: &Arc<Cell<A>>) -> Self {
        Self(Some(Arc::clone(cell)))
    }
}

impl<A: Actor> Drop for Tenant<A> {
    fn drop(&mut self) {
        if let Some(cell) = self.0.take() {
            cell.never_started(ExitReason::Shutdown);
        }
    }
}

/// No `async fn`: that would hold its arguments twice. Boxed is what runs or is known once: what stays in this future is
/// what an idle actor costs.
#[expect(clippy::manual_async_fn, reason = "an async fn would be larger")]
fn live<A: Actor>(mut tenant: Tenant<A>, mut factory: Box<Factory<A>>) -> impl Future<Output = ()> {
    async move {
        let made = match &tenant.0 {
            None => return,
            Some(cell) => match make(cell, &mut factory) {
                Made::Now(made) => made,
                Made::Later(starting) => Box::pin(started(cell, starting)).await,
            },
        };
        // Looked up anew: held over the await, it would have a place of its own.
        let Some(cell) = &tenant.0 else { return };
        let actor = match made {
            Ok(actor) => actor,
            Err(reason) => {
                cell.ended(Remains {
                    reason: ExitReason::clone(&reason),
                    factory: Some(*factory),
                    batch: VecDeque::new(),
                    flight: Vec::new(),
                });
                ending::answer_orphans(&reason);
                drop(tenant.0.take());
                return;
            }
        };
        // A factory that has made its only actor is of no use.
        let factory = factory.is_restartable().then_some(factory);
        let mut run = Run::new(cell);
        let mut state = A::Mode::hold(actor);
        let begun = match run.hook_now(&mut state, |actor, ctx| actor.started(ctx)) {
            Hooked::Done(begun) => begun,
            Hooked::Waits(drive) => hooked(drive.await),
        };
        let reason =
            if let Some(reason) = run.begun(begun) { reason } else { run.serve(&mut state).await };
        // Boxed as a whole: an idle actor need not have room for its end.
        Box::pin(finish(Remaining { run, state, reason, factory })).await;
        drop(tenant.0.take());
    }
}

/// What there is when a generation ends.
struct Remaining<'c, A: Actor> {
    run: Run<'c, A>,
    state: StateOf<A>,
    reason: Box<ExitReason>,
    factory: Option<Box<Factory<A>>>,
}

async fn finish<A: Actor>(remaining: Remaining<'_, A>) {
    let Remaining { mut run, mut state, reason, factory } = remaining;
    // Taken before the next await: after it, this may be another thread.
    let orphans = ending::take_orphans();
    let reason = run.leave(&mut state, reason).await;
    let Run { cell, ctx, mut batch, .. } = run;
    let flight = clear_up(state, ctx.extras, &mut batch);
    let factory = factory.map(|factory| *factory);
    cell.ended(Remains { reason: ExitReason::clone(&reason), factory, batch, flight });
    ending::answer_all(orphans, &reason);
    ending::answer_orphans(&reason);
}

/// Drops what a generation had; what it was to handle goes back to the head of `batch`.
fn clear_up<A: Actor>(
    state: StateOf<A>,
    extras: Option<Box<Extras<A>>>,
    batch: &mut VecDeque<BoxedEnvelope<A>>,
) -> Vec<FlightRecord> {
    ending::drop_ending(state);
    let Some(mut extras) = extras else {
        return Vec::new();
    };
    let retried = extras.retrying.take().map(|(envelope, _)| envelope);
    let left: Vec<_> =
        retried.into_iter().chain(extras.from_source.take()).chain(extras.unpark_all()).collect();
    let flight = extras.recorder.as_mut().map(FlightRecorder::drain);
    ending::drop_ending(extras);
    for envelope in left.into_iter().rev() {
        batch.push_front(envelope);
    }
    flight.unwrap_or_default()
}

/// How far a constructor got.
enum Made<A: Actor> {
    Now(Result<A, Box<ExitReason>>),
    Later(<A::Mode as Mode<A>>::Starting),
}

/// Runs the constructor. Its panic or error is the actor's end.
fn make<A: Actor>(cell: &Cell<A>, factory: &mut Factory<A>) -> Made<A> {
    Made::Now(match guard(|| factory.make()) {
        Ok(Starting(StartStep::Later(starting))) => return Made::Later(starting),
        Ok(Starting(StartStep::Done(result))) => accepted(cell, result),
        Err(report) => Err(Box::new(panicked(report))),
    })
}

/// Waits for a constructor that awaits.
async fn started<A: Actor>(
    cell: &Cell<A>,
    mut starting: <A::Mode as Mode<A>>::Starting,
) -> Result<A, Box<ExitReason>> {
    let result = poll_fn(|cx| {
        if let Some(reason) = aborted(cell) {
            return Poll::Ready(Err(reason));
        }
        cell.lanes.register(cx.waker());
        match guard(|| Pin::new(&mut starting).poll(cx)) {
            Ok(Poll::Pending) => {
                aborted(cell).map_or(Poll::Pending, |reason| Poll::Ready(Err(reason)))
            }
            Ok(Poll::Ready(result)) => Poll::Ready(Ok(result)),
            Err(report) => Poll::Ready(Err(panicked(report))),
        }
    })
    .await;
    match result {
        Ok(result) => accepted(cell, result),
        Err(reason) => {
            ending::drop_ending(starting);
            Err(Box::new(reason))
        }
    }
}

/// What the constructor gave, unless a signal has ended the actor meanwhile.
fn accepted<A: Actor>(cell: &Cell<A>, result: Result<A, ErrorText>) -> Result<A, Box<ExitReason>> {
    match aborted(cell) {
        Some(reason) => {
            ending::drop_ending(result);
            Err(Box::new(reason))
        }
        None => result.map_err(|error| Box::new(ExitReason::StartFailed(error))),
    }
}

fn panicked(report: PanicReport) -> ExitReason {
    ExitReason::Panic(Arc::new(report))
}

/// What came to an end: the handler, or the generation.
type Handled = Result<(), ExitReason>;

/// A [`Turn`] that borrows nothing any more.
enum After {
    Handled(Result<(), Box<ExitReason>>),
    Only,
    Retried,
    Empty,
    Over,
}

/// How an actor stands to its mailbox. Most messages come to an actor that sleeps, and are alone: such a one costs the
/// actor one look at the mailbox, not one for the message and another to fall asleep.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    Working,
    /// It is idle; what comes wakes it.
    Asleep,
    /// It has been woken, and has not looked yet.
    Awake,
    /// It was idle as soon as it took the envelope it handles.
    Resting,
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
    /// Asleep, awake for what came meanwhile, or neither.
    rest: Rest,
    /// Whether the envelope before came from a source, so that it is the mailbox's turn.
    mailbox_first: bool,
    /// Whether the end comes when everything that waits has been handled.
    is_draining: bool,
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
            rest: Rest::Working,
            mailbox_first: false,
            is_draining: false,
            has_context: false,
        }
    }

    /// Handles messages until there is a reason to end.
    #[expect(clippy::manual_async_fn, reason = "an async fn would hold its arguments twice")]
    fn serve(&mut self, state: &mut StateOf<A>) -> impl Future<Output = Box<ExitReason>> {
        async move {
            loop {
                if self.cell.lanes.is_signalled() {
                    match self.hear() {
                        Ok(None) => {}
                        Ok(Some(signal)) => {
                            if let Err(reason) = Box::pin(self.signals_from(state, signal)).await {
                                return Box::new(reason);
                            }
                        }
                        Err(reason) => return reason,
                    }
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
                    Turn::Only => After::Only,
                    Turn::Retried => After::Retried,
                    Turn::Empty => After::Empty,
                    Turn::Over => After::Over,
                };
                let handled = match after {
                    After::Handled(handled) => handled,
                    After::Retried => Box::pin(self.handle_again(state)).await.map_err(Box::new),
                    After::Only if self.ctx.extras.is_some() => Ok(()),
                    After::Only | After::Empty => {
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
    }
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
