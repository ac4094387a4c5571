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
use crate::envelope::{BoxedEnvelope, Finished, Meta, Nature};
use crate::error::Undelivered;
use crate::exit::{ErrorText, ExitReason, PanicReport};
use crate::extras::{Extras, FromSource};
use crate::factory::{Factory, StartStep, Starting};
use crate::flight_recorder::{FlightRecord, FlightRecorder};
use crate::lifecycle::Phase;
use crate::mailbox::lanes::Taken;
use crate::panic_capture::guard;
use crate::remote::{Home, stand_in};
use crate::signal::Signal;

mod hearing;
mod holding;
mod sources;
mod turn;

use hearing::{Hooked, hooked, is_trusted};
use holding::Settled;
use turn::Turn;

/// Messages handled before the actor yields: a quarter of a millisecond of handlers of a microsecond each.
///
/// On one thread 64 to 1024 measure equal. With two workers each yield offers the actor to the other one, which wakes it by
/// a system call: at 64 that is a sixth of the cost of a flood of tells.
const BUDGET: u16 = 256;

/// Runs one generation of the actor in `cell`, whose `tenant` it is.
pub(crate) fn run<A: Actor>(
    tenant: Tenant<A>,
    cell: Arc<Cell<A>>,
    factory: Factory<A>,
) -> current::Scoped<impl Future<Output = ()>> {
    let here = Current::citizen(cell.system().clone(), cell.actor_id());
    current::scope(here, live(tenant, Some(factory)))
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

/// No `async fn`: that would hold its arguments twice. What stays in this future is what an idle actor costs, so whatever
/// can be done without waiting is done in functions of its own, what is rare is boxed, and nothing that was taken apart
/// by a `match` is still in scope at an await: it would have a place of its own, too.
#[expect(clippy::manual_async_fn, reason = "an async fn would be larger")]
#[expect(clippy::blocks_in_conditions, reason = "a binding would stay in scope at every await")]
fn live<A: Actor>(
    mut tenant: Tenant<A>,
    mut factory: Option<Factory<A>>,
) -> impl Future<Output = ()> {
    async move {
        let Some(cell) = &tenant.0 else { return };
        let mut state = match 'made: {
            if let Some(held) = holding::waits_for(cell) {
                match Box::pin(holding::settled(cell, held)).await {
                    Ok(Settled::Here) => {}
                    Ok(Settled::Elsewhere(home)) => return moved(tenant, factory, home),
                    Err(reason) => break 'made Err(reason),
                }
            }
            let starting = match make(cell, &mut factory) {
                Made::Now(made) => break 'made made,
                Made::Later(starting) => starting,
            };
            Box::pin(started(cell, starting)).await
        } {
            Ok(actor) => A::Mode::hold(actor),
            Err(reason) => {
                never_began(cell, &reason, factory.take());
                drop(tenant.0.take());
                return;
            }
        };
        let mut run = Run::new(cell);
        let reason = 'served: {
            let begun = 'begun: {
                let drive = match run.hook_now(&mut state, |actor, ctx| actor.started(ctx)) {
                    Hooked::Done(begun) => break 'begun begun,
                    Hooked::Waits(drive) => drive,
                };
                hooked(drive.await)
            };
            if let Some(reason) = run.begun(begun) {
                break 'served reason;
            }
            'next: loop {
                // In two steps, since a turn borrows everything.
                let is_rare = 'turn: {
                    let drive = match run.turn(&mut state) {
                        Turn::Handled => continue 'next,
                        Turn::Ended(reason) => break 'served reason,
                        Turn::Idle => break 'turn false,
                        Turn::Rare => break 'turn true,
                        Turn::Waits(drive) => drive,
                    };
                    match drive.await {
                        Ok(_) => continue 'next,
                        Err(reason) => break 'served Box::new(reason),
                    }
                };
                let end = if is_rare {
                    Box::pin(run.see_to(&mut state)).await
                } else {
                    sources::Next(&mut run).await
                };
                if let Some(reason) = end {
                    break 'served reason;
                }
            }
        };
        // Before the next await: after it, this may be another thread.
        run.keep_orphans();
        let left = 'left: {
            let beside = if A::Mode::SHARED && is_trusted(&reason) {
                Box::pin(run.finish_beside()).await
            } else {
                Ok(())
            };
            let drive = match run.leave(&mut state, &reason, beside) {
                Hooked::Done(left) => break 'left left,
                Hooked::Waits(drive) => drive,
            };
            hooked(drive.await)
        };
        let reason = run.left(left, reason);
        finish(run, state, &reason, factory.take());
        drop(tenant.0.take());
    }
}

/// The actor was started elsewhere: its cell lives on, and nothing is made here.
fn moved<A: Actor>(mut tenant: Tenant<A>, factory: Option<Factory<A>>, home: Home) {
    if let Some(cell) = tenant.0.take() {
        stand_in::take_over(cell, home);
    }
    // It is the user's, and may panic.
    ending::drop_ending(factory);
}

/// The end of an actor that its constructor did not make.
fn never_began<A: Actor>(cell: &Cell<A>, reason: &ExitReason, factory: Option<Factory<A>>) {
    cell.ended(Remains {
        reason: reason.clone(),
        factory,
        batch: VecDeque::new(),
        flight: Vec::new(),
    });
    ending::answer_orphans(reason);
}

/// The end of a generation that had begun.
fn finish<A: Actor>(
    run: Run<'_, A>,
    state: StateOf<A>,
    reason: &ExitReason,
    factory: Option<Factory<A>>,
) {
    let Run { cell, mut ctx, batch, .. } = run;
    let mut batch = batch.map(|batch| *batch).unwrap_or_default();
    let orphans = ctx.extras.as_mut().map(|extras| std::mem::take(&mut extras.orphans));
    let flight = clear_up(state, ctx.extras, &mut batch);
    cell.ended(Remains { reason: reason.clone(), factory, batch, flight });
    ending::answer_all(orphans.unwrap_or_default(), reason);
    ending::answer_orphans(reason);
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

/// Runs the constructor. Its panic or error is the actor's end. A factory that has made its only actor is of no use.
fn make<A: Actor>(cell: &Cell<A>, factory: &mut Option<Factory<A>>) -> Made<A> {
    let made = match factory {
        Some(making) => guard(|| making.make()),
        None => return Made::Now(Err(Box::new(ExitReason::NoActor))),
    };
    factory.take_if(|factory| !factory.is_restartable());
    Made::Now(match made {
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
    /// Its budget is spent: others run before it goes on.
    Spent,
    /// They have run.
    Yielded,
}

struct Run<'c, A: Actor> {
    cell: &'c Arc<Cell<A>>,
    ctx: Context<A>,
    /// What was taken of the mailbox; boxed, since most of many actors are woken for one message at a time.
    #[expect(clippy::box_collection, reason = "three words less in every idle actor")]
    batch: Option<Box<VecDeque<BoxedEnvelope<A>>>>,
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
        let records = settings.map_or(0, |settings| settings.flight_records);
        if let Some(records) = NonZeroUsize::new(records.min(FlightRecorder::RECORDS_MAX)) {
            ctx.extras().recorder = Some(FlightRecorder::new(records));
        }
        let counted = cell.lanes.counted_capacity();
        let release_at = counted.map_or(0, |capacity| (capacity / 4).clamp(1, u32::from(BUDGET)));
        Self {
            cell,
            ctx,
            batch: None,
            unreleased: 0,
            release_at,
            budget: BUDGET,
            rest: Rest::Working,
            mailbox_first: false,
            is_draining: false,
            has_context: false,
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
