//! The stand-in: what forwards for an actor elsewhere.
//!
//! Messages wait in its mailbox by the mailbox's own rule until the link has room, so a slow node slows its senders
//! down and nobody else. The forwarder awaits late arguments, writes each message down and passes it on in order.
//! Signals become controls; they overtake messages, except a stop, which comes after what was sent before it.
//!
//! `waiting` is where messages wait for late arguments; `moved` makes a stand-in of an actor that waited here.
//!
//! The law:
//! 1. Whoever waits for an answer gets one, once: from the home, or from the link when the node is lost.
//! 2. An end is told once. A generation's end tells monitors and links, and the stand-in goes on, as does the actor;
//!    the final end is the stand-in's, too.
//! 3. A lost node is no proof of death. Monitors and links are told `NodeDown`, once, calls are handed back as
//!    unreachable, and when the node is back in the same life, the reference works again. Who begins to wait for an
//!    end meanwhile is told `NodeDown` at once; a stop or kill that is asked for meanwhile reaches nobody.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::actor::{Actor, BoxFuture};
use crate::actor_ref::{ActorRef, Address};
use crate::cell::{Cell, Settings};
use crate::current::{self, Current};
use crate::envelope::BoxedEnvelope;
use crate::error::Undelivered;
use crate::exit::ExitReason;
use crate::handle::ActorHandle;
use crate::lifecycle::Phase;
use crate::mailbox::Mailbox;
use crate::mailbox::lanes::Taken;
use crate::panic_capture::guard;
use crate::remote::{Control, Home, Link, Need, NotSpawned, Remote};
use crate::signal::Signal;
use crate::system::System;

mod moved;
mod waiting;

pub(crate) use moved::{call_back, take_over};
use waiting::{Held, Ready, Waiting};

/// How many calls are passed on before others run.
const BUDGET: u32 = 64;

/// What is known of where the actor lives: at once, or when it has been spawned.
pub(crate) enum Bound {
    Now(Home),
    Later(BoxFuture<'static, Result<Home, NotSpawned>>),
}

/// A reference to the actor at `home`, by a stand-in where there is none yet.
///
/// `None` if there is one, for an actor of another type.
pub(crate) fn refer<A: Actor>(
    system: &System,
    remote: &Arc<dyn Remote>,
    home: Home,
) -> Option<ActorRef<A>> {
    let mut actor = None;
    let mut made = None;
    remote.stand_in(home, &mut |living| {
        // Counted before anybody else can see it: references that come and go must not end it.
        if let Some(living) = living {
            actor = ActorRef::from_handle(living);
            return living.clone();
        }
        let cell = new_cell::<A>(system, Mailbox::default());
        cell.bind(home);
        actor = Some(ActorRef::from_address(Address::new(Arc::clone(&cell))));
        let handle = cell.handle();
        made = Some(cell);
        handle
    });
    if let Some(cell) = made {
        launch(cell, remote, Bound::Now(home));
    }
    actor
}

/// A stand-in for an actor that is only being spawned; what it is sent waits.
pub(crate) fn expect<A: Actor>(
    system: &System,
    remote: &Arc<dyn Remote>,
    mailbox: Mailbox,
    home: BoxFuture<'static, Result<Home, NotSpawned>>,
) -> ActorRef<A> {
    let cell = new_cell::<A>(system, mailbox);
    // Until its home is known, others reach the actor by way of this node.
    system.directory().insert(Arc::clone(&cell) as Arc<dyn crate::directory::Citizen>);
    let actor = ActorRef::from_address(Address::new(Arc::clone(&cell)));
    launch(cell, remote, Bound::Later(home));
    actor
}

fn new_cell<A: Actor>(system: &System, mailbox: Mailbox) -> Arc<Cell<A>> {
    let settings = Settings { mailbox, far: Some(Arc::default()), ..Settings::default() };
    Cell::new(system.clone(), settings)
}

fn launch<A: Actor>(cell: Arc<Cell<A>>, remote: &Arc<dyn Remote>, bound: Bound) {
    let system = cell.system().clone();
    let here = Current::citizen(system.clone(), cell.actor_id());
    let forwarder = Forwarder {
        tenant: Tenant(Some(cell)),
        remote: Arc::clone(remote),
        batch: VecDeque::new(),
        waiting: Waiting::new(),
        next: None,
        stopping: None,
        is_unneeded: false,
        unreleased: 0,
    };
    system.runtime().spawn(current::scope(here, forwarder.live(bound)));
}

/// Tells the stand-in for an actor that the actor has ended: this generation of it, or for good.
/// With [`ExitReason::NodeDown`], that nobody knows.
pub fn ended(stand_in: &ActorHandle, reason: ExitReason, for_good: bool) {
    stand_in.0.signal(Signal::FarEnd { reason, for_good });
}

/// Tells the stand-in for an actor that the node its messages go to holds the actor, and where it lives if that is
/// elsewhere.
pub fn held(stand_in: &ActorHandle, elsewhere: Option<Home>) {
    stand_in.0.locate(elsewhere);
}

/// The forwarder's hold on its cell: dropped with its executor, it ends the cell.
struct Tenant<A: Actor>(Option<Arc<Cell<A>>>);

impl<A: Actor> Drop for Tenant<A> {
    fn drop(&mut self) {
        if let Some(cell) = self.0.take() {
            cell.never_started(ExitReason::Shutdown);
        }
    }
}

struct Forwarder<A: Actor> {
    tenant: Tenant<A>,
    remote: Arc<dyn Remote>,
    batch: VecDeque<BoxedEnvelope<A>>,
    /// What waits for late arguments, or behind such a message.
    waiting: Waiting<A>,
    /// What goes next, when the link has room.
    next: Option<Held<A>>,
    /// A stop that goes when all that was sent before it has gone. Until then nothing is taken from the mailbox.
    stopping: Option<ExitReason>,
    /// The last reference has gone: the hold on the actor goes, too, when all has been sent.
    is_unneeded: bool,
    unreleased: u32,
}

/// What the forwarder found to do.
enum Found {
    Signal(Signal),
    Call,
    /// All has been sent, and nobody refers to it any more.
    Unneeded,
    Yield,
}

impl<A: Actor> Forwarder<A> {
    async fn live(mut self, bound: Bound) {
        let Some(cell) = self.tenant.0.clone() else { return };
        // Of one that was spawned its node has told that it is there.
        let is_known = matches!(bound, Bound::Later(_));
        let home = match bound {
            Bound::Now(home) => Ok(home),
            Bound::Later(home) => Self::wait_for(&cell, home).await,
        };
        let reason = match home {
            Ok(home) => {
                cell.bind(home);
                if is_known {
                    cell.locate(None);
                }
                let link = self.remote.link(home, &cell.handle());
                // Lost before it was linked, nobody told it.
                cell.tell_if_lost();
                cell.entered(Phase::Running);
                self.forward(&cell, link.as_ref()).await
            }
            Err(not) => not.into(),
        };
        let next = self.next.take().map(|held| held.envelope);
        let left = next.into_iter().chain(self.waiting.drain()).chain(self.batch.drain(..));
        let left = left.collect();
        cell.far_ended(&reason, left);
        drop(self.tenant.0.take());
    }

    /// Waits for the home of an actor that is being spawned. A kill before that is kept for later.
    async fn wait_for(
        cell: &Cell<A>,
        mut home: BoxFuture<'static, Result<Home, NotSpawned>>,
    ) -> Result<Home, NotSpawned> {
        poll_fn(|cx| {
            cell.lanes.register(cx.waker());
            home.as_mut().poll(cx)
        })
        .await
    }

    /// Passes on what comes, until the actor has ended.
    async fn forward(&mut self, cell: &Arc<Cell<A>>, link: &dyn Link) -> ExitReason {
        let mut budget = BUDGET;
        loop {
            match poll_fn(|cx| self.poll_next(cell, link, &mut budget, cx)).await {
                Found::Yield => yield_now().await,
                Found::Unneeded => {
                    if link.release(&|| cell.need()) == Need::Nothing {
                        return ExitReason::Normal;
                    }
                }
                Found::Call => {
                    if let Some(Held { envelope, holds_slot }) = self.next.take() {
                        self.unreleased += u32::from(holds_slot);
                        pass_on(cell, link, envelope);
                    }
                }
                Found::Signal(signal) => {
                    if let Some(reason) = self.hear(cell, link, signal) {
                        return reason;
                    }
                }
            }
        }
    }

    fn poll_next(
        &mut self,
        cell: &Arc<Cell<A>>,
        link: &dyn Link,
        budget: &mut u32,
        cx: &mut Context<'_>,
    ) -> Poll<Found> {
        loop {
            if cell.lanes.is_signalled()
                && let Some((signal, _)) = cell.lanes.pop_signal()
            {
                return Poll::Ready(Found::Signal(signal));
            }
            if self.next.is_none() {
                self.next = self.choose(cell, cx);
            }
            if self.next.is_none() {
                let released = std::mem::take(&mut self.unreleased);
                if self.stopping.is_some() {
                    cell.lanes.release(released);
                    if self.waiting.is_empty()
                        && let Some(reason) = self.stopping.take()
                    {
                        link.control(Control::Stop(reason));
                        continue;
                    }
                    cell.lanes.register(cx.waker());
                    // A signal that came since must not wait.
                    if cell.lanes.is_signalled() {
                        continue;
                    }
                    return Poll::Pending;
                }
                match cell.lanes.take(&mut self.batch, released, cx.waker()) {
                    Taken::Batch | Taken::Signal => continue,
                    Taken::Idle | Taken::Drained => {
                        *budget = BUDGET;
                        if self.waiting.is_empty() && std::mem::take(&mut self.is_unneeded) {
                            return Poll::Ready(Found::Unneeded);
                        }
                        return Poll::Pending;
                    }
                }
            }
            if link.poll_ready(cx).is_pending() {
                cell.lanes.register(cx.waker());
                // A signal that came since must not wait for room.
                if cell.lanes.is_signalled() {
                    continue;
                }
                return Poll::Pending;
            }
            if *budget == 0 {
                *budget = BUDGET;
                return Poll::Ready(Found::Yield);
            }
            *budget -= 1;
            return Poll::Ready(Found::Call);
        }
    }

    /// The message whose turn has come: one that waited, or the next of a sender of whom none waits.
    fn choose(&mut self, cell: &Arc<Cell<A>>, cx: &mut Context<'_>) -> Option<Held<A>> {
        loop {
            match self.waiting.poll(cx) {
                Some(Ready::Goes(held)) => return Some(held),
                Some(Ready::Fails(held, error)) => {
                    self.unreleased += u32::from(held.holds_slot);
                    cell.reject(held.envelope, Undelivered::DependencyFailed(error));
                    continue;
                }
                None => {}
            }
            let mut envelope = self.batch.pop_front()?;
            let mut waits = self.waiting.has_line(envelope.meta().caller);
            if !waits && envelope.is_gated() {
                match envelope.poll_gate(cx) {
                    Poll::Pending => waits = true,
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(error)) => {
                        self.unreleased += 1;
                        cell.reject(envelope, Undelivered::DependencyFailed(error));
                        continue;
                    }
                }
            }
            if !waits {
                return Some(Held { envelope, holds_slot: true });
            }
            let is_free = self.waiting.push(envelope, cell.lanes.capacity());
            self.unreleased += u32::from(is_free);
        }
    }

    /// Turns a signal into a control; gives the reason if this is the end.
    fn hear(&mut self, cell: &Arc<Cell<A>>, link: &dyn Link, signal: Signal) -> Option<ExitReason> {
        match signal {
            Signal::Stop(reason) => {
                // What was sent before the stop goes before it, and nothing that comes after.
                let (waker, mut taken) = (std::task::Waker::noop(), VecDeque::new());
                let mut signals = Vec::new();
                loop {
                    let released = std::mem::take(&mut self.unreleased);
                    match cell.lanes.take(&mut taken, released, waker) {
                        Taken::Batch => self.batch.append(&mut taken),
                        // They came later.
                        Taken::Signal => signals.extend(cell.lanes.pop_signal()),
                        Taken::Idle | Taken::Drained => break,
                    }
                }
                self.stopping.get_or_insert(reason);
                return signals.into_iter().find_map(|(later, _)| self.hear(cell, link, later));
            }
            Signal::Kill(reason) if cell.is_told_to_end() => {
                link.control(Control::Kill(reason));
            }
            Signal::Kill(reason) => link.control(Control::Exit(reason)),
            Signal::Shutdown(reason) => link.control(Control::Shutdown(reason)),
            Signal::Exit { from, reason } => link.control(Control::Linked { from, reason }),
            // After what was sent by it.
            Signal::Unreferenced => self.is_unneeded = true,
            Signal::FarEnd { reason, for_good: true } => return Some(reason),
            Signal::FarEnd { reason, for_good: false } => cell.far_generation_ended(&reason),
            Signal::ChildExited(exited) => exited.child.terminate(exited.reason),
            Signal::Down { .. } => {}
        }
        None
    }
}

/// Writes a message down and sends it; one that has no wire form goes back.
fn pass_on<A: Actor>(cell: &Arc<Cell<A>>, link: &dyn Link, mut envelope: BoxedEnvelope<A>) {
    let expired = envelope.meta().context.as_ref().is_some_and(|context| {
        context.deadline.is_some_and(|deadline| deadline <= tokio::time::Instant::now())
    });
    if expired {
        return cell.reject(envelope, Undelivered::Expired);
    }
    let meta = envelope.meta().clone();
    let mut refused = None;
    match guard(|| envelope.export(meta)) {
        Ok(Ok(call)) => link.call(call),
        Ok(Err(reason)) => refused = Some(reason),
        Err(report) => refused = Some(Undelivered::Unreadable(report.to_string())),
    }
    if let Some(reason) = refused {
        cell.reject(envelope, reason);
    }
}

/// Lets others run.
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
