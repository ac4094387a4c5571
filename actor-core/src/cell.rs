//! The cell: what of an actor outlives its generations.
//!
//! A reference must stay good when the actor behind it crashes and is made anew. So identity, mailbox, name,
//! monitors and the factory live in a cell that references point to, and a generation is a run loop
//! that borrows them. When a supervised generation ends, the cell is *suspended*: messages wait, and the
//! supervisor either launches the next generation or ends the cell for good.

use std::any::Any;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

use crate::actor::{Actor, Mode};
use crate::arbiters::Pin;
use crate::dead_letters::{DeadLetter, DeadLetterReason};
use crate::directory::{Citizen, Kind};
use crate::envelope::BoxedEnvelope;
use crate::error::{Target, Undelivered};
use crate::exit::ExitReason;
use crate::factory::Factory;
use crate::flight_recorder::FlightRecord;
use crate::handle::{ActorHandle, AnyCell, Watcher};
use crate::id::{ActorId, MonitorRef};
use crate::lifecycle::{Fate, Phase, fate};
use crate::mailbox::lanes::Lanes;
use crate::mailbox::{Mailbox, Overflow};
use crate::names::FullName;
use crate::signal::{ChildExited, Signal};
use crate::system::System;

/// What was chosen where the actor was spawned.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) name: Option<Arc<FullName>>,
    pub(crate) pin: Option<Pin>,
    /// Who decides about restarts.
    pub(crate) parent: Option<ActorHandle>,
    /// How often it may be restarted, for a root supervisor that knows no child spec of it.
    pub(crate) max_restarts: Option<u32>,
    /// Lives without references.
    pub(crate) detached: bool,
    pub(crate) mailbox: Mailbox,
    pub(crate) flight_records: usize,
}

impl Settings {
    fn is_plain(&self) -> bool {
        self.name.is_none()
            && self.pin.is_none()
            && self.parent.is_none()
            && !self.detached
            && self.flight_records == 0
            && self.mailbox.overflow() != Overflow::Latest
    }
}

/// One actor's identity, mailbox and life.
pub struct Cell<A: Actor> {
    me: Weak<Self>,
    id: ActorId,
    system: System,
    pub(crate) lanes: Lanes<BoxedEnvelope<A>, Signal>,
    handles: AtomicUsize,
    traps_exits: AtomicBool,
    /// `None` for an actor that chose nothing: most of many.
    settings: Option<Box<Settings>>,
    life: Mutex<Life<A>>,
}

struct Life<A: Actor> {
    phase: Phase,
    generation: u32,
    /// Somebody outside wants it gone for good.
    told_to_end: bool,
    rest: Option<Box<Rest<A>>>,
}

/// What most actors never have.
struct Rest<A: Actor> {
    /// While suspended.
    factory: Option<Factory<A>>,
    /// Why the last generation ended.
    reason: Option<ExitReason>,
    watchers: Vec<Watcher>,
    links: Vec<ActorHandle>,
    starting: Vec<oneshot::Sender<Result<(), ExitReason>>>,
}

impl<A: Actor> std::fmt::Debug for Cell<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cell({})", self.target())
    }
}

impl<A: Actor> Default for Rest<A> {
    fn default() -> Self {
        Self {
            factory: None,
            reason: None,
            watchers: Vec::new(),
            links: Vec::new(),
            starting: Vec::new(),
        }
    }
}

impl<A: Actor> Life<A> {
    fn rest(&mut self) -> &mut Rest<A> {
        self.rest.get_or_insert_default()
    }

    fn reason(&self) -> ExitReason {
        let reason = self.rest.as_ref().and_then(|rest| rest.reason.clone());
        reason.unwrap_or(ExitReason::NoActor)
    }
}

/// What a generation leaves behind.
pub(crate) struct Remains<A: Actor> {
    pub(crate) reason: ExitReason,
    /// What can make the next one, if anything can.
    pub(crate) factory: Option<Factory<A>>,
    /// Envelopes taken and not handled, in order.
    pub(crate) batch: VecDeque<BoxedEnvelope<A>>,
    pub(crate) flight: Vec<FlightRecord>,
}

impl<A: Actor> Cell<A> {
    pub(crate) fn new(system: System, settings: Settings) -> Arc<Self> {
        let lanes = Lanes::new(settings.mailbox.capacity(), settings.mailbox.rule());
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            id: system.next_id(),
            system,
            lanes,
            handles: AtomicUsize::new(0),
            traps_exits: AtomicBool::new(false),
            settings: (!settings.is_plain()).then(|| Box::new(settings)),
            life: Mutex::new(Life {
                phase: Phase::Starting,
                generation: 1,
                told_to_end: false,
                rest: None,
            }),
        })
    }

    fn me(&self) -> Arc<Self> {
        // Whoever calls holds the cell by an `Arc`: there is no other way to have one.
        self.me.upgrade().unwrap_or_else(|| unreachable!("a cell is only ever behind an Arc"))
    }

    pub(crate) fn actor_id(&self) -> ActorId {
        self.id
    }

    pub(crate) fn system(&self) -> &System {
        &self.system
    }

    pub(crate) fn settings(&self) -> Option<&Settings> {
        self.settings.as_deref()
    }

    pub(crate) fn pin(&self) -> Option<&Pin> {
        self.settings().and_then(|settings| settings.pin.as_ref())
    }

    fn parent(&self) -> Option<&ActorHandle> {
        self.settings().and_then(|settings| settings.parent.as_ref())
    }

    fn is_detached(&self) -> bool {
        self.settings().is_some_and(|settings| settings.detached)
    }

    pub(crate) fn handle(&self) -> ActorHandle {
        ActorHandle(self.me())
    }

    pub(crate) fn target(&self) -> Target {
        Target { id: self.id, type_name: A::NAME }
    }

    /// Its name, or its type's.
    pub(crate) fn label(&self) -> Arc<str> {
        match self.settings().and_then(|settings| settings.name.as_ref()) {
            Some(name) => name.to_string().into(),
            None => A::NAME.into(),
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.life.lock().phase
    }

    /// Why the actor ended, or its last generation did.
    pub(crate) fn last_reason(&self) -> ExitReason {
        self.life.lock().reason()
    }

    pub(crate) fn set_trap_exits(&self, trap: bool) {
        self.traps_exits.store(trap, Ordering::Release);
    }

    // References.

    pub(crate) fn add_reference(&self) {
        self.handles.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn drop_reference(&self) {
        if self.handles.fetch_sub(1, Ordering::AcqRel) == 1 && !self.is_detached() {
            self.signal(Signal::Unreferenced);
        }
    }

    /// Whether nobody can send to it any more.
    pub(crate) fn is_unreferenced(&self) -> bool {
        !self.is_detached() && self.handles.load(Ordering::Acquire) == 0
    }

    // Dead letters.

    /// Answers an envelope that will not be handled; a tell becomes a dead letter.
    pub(crate) fn reject(&self, mut envelope: BoxedEnvelope<A>, reason: Undelivered) {
        let letter = DeadLetter {
            to: self.id,
            from: envelope.meta().caller,
            message: envelope.message_name(),
            reason: dead_letter_reason(&reason),
        };
        if crate::ending::dispose(move || envelope.reject(reason)) {
            self.system.dead_letters().record(&letter);
        }
    }

    /// Answers an envelope that a newer one displaced.
    pub(crate) fn displaced(&self, mut envelope: BoxedEnvelope<A>) {
        let quiet =
            self.settings().is_some_and(|settings| settings.mailbox.overflow() == Overflow::Latest);
        let letter = DeadLetter {
            to: self.id,
            from: envelope.meta().caller,
            message: envelope.message_name(),
            reason: DeadLetterReason::Displaced,
        };
        if crate::ending::dispose(move || envelope.reject(Undelivered::MailboxFull)) && !quiet {
            self.system.dead_letters().record(&letter);
        }
    }

    // The generations.

    /// Ends the cell for good if it was told to between two generations.
    pub(crate) fn tell_to_end(&self) {
        self.life.lock().told_to_end = true;
    }

    /// Ends a cell whose generation was never launched, or was lost.
    pub(crate) fn never_started(&self, reason: ExitReason) {
        self.end(&reason, VecDeque::new(), Vec::new());
    }

    /// It takes nothing new, and will end for `reason`.
    pub(crate) fn stopping(&self, reason: &ExitReason) {
        let mut life = self.life.lock();
        life.phase = Phase::Stopping;
        life.rest().reason = Some(reason.clone());
    }

    pub(crate) fn entered(&self, phase: Phase) {
        let mut life = self.life.lock();
        life.phase = phase;
        let waiters = match (&mut life.rest, phase) {
            (Some(rest), Phase::Running) => std::mem::take(&mut rest.starting),
            (Some(_), _) | (None, _) => Vec::new(),
        };
        drop(life);
        for waiter in waiters {
            // Whoever stopped waiting needs no answer.
            let _ = waiter.send(Ok(()));
        }
    }

    /// A generation has ended.
    pub(crate) fn ended(&self, remains: Remains<A>) {
        let life = self.life.lock();
        let told_to = life.told_to_end || self.is_unreferenced();
        let verdict = fate(
            self.parent().is_some(),
            remains.factory.as_ref().is_some_and(Factory::is_restartable),
            told_to,
        );
        match verdict {
            Fate::End => {
                drop(life);
                self.end(&remains.reason, remains.batch, remains.flight);
            }
            Fate::Suspend => {
                drop(life);
                // Before anybody can see it suspended, and end it: what is kept must not be put into a closed mailbox.
                let discarded = self.keep_retried(remains.batch);
                let mut life = self.life.lock();
                life.phase = Phase::Suspended;
                let generation = life.generation;
                let rest = life.rest();
                rest.factory = remains.factory;
                rest.reason = Some(remains.reason.clone());
                let (gone, waiters): (Vec<_>, Vec<_>) = std::mem::take(&mut rest.watchers)
                    .into_iter()
                    .partition(|watcher| matches!(watcher, Watcher::Actor { .. }));
                rest.watchers = waiters;
                let links = std::mem::take(&mut rest.links);
                drop(life);
                for envelope in discarded {
                    self.reject(envelope, Undelivered::Discarded(remains.reason.clone()));
                }
                notify(gone, &remains.reason);
                self.unlink(links, &remains.reason);
                self.report(generation, remains.reason, remains.flight, false);
                self.hear_while_suspended();
            }
        }
    }

    /// Keeps what is to be retried for the next generation, and hands back the rest.
    fn keep_retried(&self, batch: VecDeque<BoxedEnvelope<A>>) -> Vec<BoxedEnvelope<A>> {
        let (kept, mut discarded): (Vec<_>, Vec<_>) =
            batch.into_iter().partition(|envelope| envelope.is_retried());
        let kept = VecDeque::from(kept);
        discarded.extend(self.lanes.renew(kept, |envelope| envelope.is_retried()));
        discarded
    }

    /// Between two generations nobody reads the signals: those that end the actor take effect here.
    fn hear_while_suspended(&self) {
        while let Some((signal, told_to_end)) = self.pop_while_suspended() {
            match signal {
                // Told to end for good, it does; a second kill of what has ended already changes nothing.
                Signal::Stop(ref reason) | Signal::Kill(ref reason) if told_to_end => {
                    if !self.end_suspended(reason) {
                        // The next generation has begun meanwhile: it is the one to hear this.
                        self.signal(signal);
                    }
                }
                Signal::Unreferenced if self.is_unreferenced() => {
                    self.end_suspended(&ExitReason::Normal);
                }
                // The child was the last generation's; the next one does not know it.
                Signal::ChildExited(exited) => exited.child.terminate(exited.reason),
                // It has ended already; the supervisor that asked for it decides on. What the last
                // generation watched or raised is no concern of the next one.
                Signal::Stop(_)
                | Signal::Kill(_)
                | Signal::Shutdown(_)
                | Signal::Unreferenced
                | Signal::Exit { .. }
                | Signal::Down { .. } => {}
            }
        }
        if self.parent().is_some_and(|parent| !parent.is_alive()) {
            self.terminate(self.last_reason());
        }
    }

    /// A signal that was meant for the generation before; one for the next is never taken.
    fn pop_while_suspended(&self) -> Option<(Signal, bool)> {
        let life = self.life.lock();
        let is_suspended = life.phase == Phase::Suspended;
        let signal = if is_suspended { self.lanes.pop_signal() } else { None };
        signal.map(|(signal, _)| (signal, life.told_to_end))
    }

    /// Ends the cell for good if it is suspended; false if it is not.
    fn end_suspended(&self, reason: &ExitReason) -> bool {
        let life = self.life.lock();
        let is_suspended = life.phase == Phase::Suspended;
        if is_suspended {
            self.end_locked(life, reason, VecDeque::new(), Vec::new());
        }
        is_suspended
    }

    /// The end for good.
    fn end(
        &self,
        reason: &ExitReason,
        batch: VecDeque<BoxedEnvelope<A>>,
        flight: Vec<FlightRecord>,
    ) {
        let life = self.life.lock();
        if life.phase != Phase::Ended {
            self.end_locked(life, reason, batch, flight);
        }
    }

    fn end_locked(
        &self,
        mut life: MutexGuard<'_, Life<A>>,
        reason: &ExitReason,
        batch: VecDeque<BoxedEnvelope<A>>,
        flight: Vec<FlightRecord>,
    ) {
        life.phase = Phase::Ended;
        let generation = life.generation;
        let told_to = life.told_to_end;
        let rest = life.rest();
        rest.reason = Some(reason.clone());
        let watchers = std::mem::take(&mut rest.watchers);
        let links = std::mem::take(&mut rest.links);
        let starting = std::mem::take(&mut rest.starting);
        let factory = rest.factory.take();
        drop(life);
        if let Some(name) = self.settings().and_then(|settings| settings.name.as_ref()) {
            self.system.names().release(name, self.id);
        }
        self.system.directory().remove(self.id);
        let left = self.lanes.close();
        for envelope in batch.into_iter().chain(left) {
            self.reject(envelope, Undelivered::ActorGone(reason.clone()));
        }
        while let Some((signal, _)) = self.lanes.pop_signal() {
            if let Signal::ChildExited(exited) = signal {
                exited.child.terminate(exited.reason);
            }
        }
        for waiter in starting {
            let _ = waiter.send(Err(reason.clone()));
        }
        notify(watchers, reason);
        self.unlink(links, reason);
        crate::ending::drop_as(reason, factory);
        self.report(generation, reason.clone(), flight, told_to);
    }

    fn unlink(&self, links: Vec<ActorHandle>, reason: &ExitReason) {
        for peer in links {
            peer.0.remove_link(self.id);
            peer.0.signal(Signal::Exit { from: self.handle(), reason: reason.clone() });
        }
    }

    /// Tells the supervisor, if there is one.
    fn report(
        &self,
        generation: u32,
        reason: ExitReason,
        flight: Vec<FlightRecord>,
        told_to_end: bool,
    ) {
        let ended_for_good = self.phase() == Phase::Ended;
        if let Some(parent) = self.parent() {
            parent.0.signal(Signal::ChildExited(ChildExited {
                child: self.handle(),
                generation: u64::from(generation),
                reason,
                flight,
                ended_for_good,
                told_to_end,
            }));
        }
    }
}

fn notify(watchers: Vec<Watcher>, reason: &ExitReason) {
    for watcher in watchers {
        match watcher {
            Watcher::Actor { monitor, watcher } => {
                watcher.0.signal(Signal::Down { monitor, reason: reason.clone() });
            }
            // Whoever stopped waiting needs no answer.
            Watcher::Waiter(sender) => drop(sender.send(reason.clone())),
        }
    }
}

const fn dead_letter_reason(reason: &Undelivered) -> DeadLetterReason {
    match reason {
        Undelivered::ActorGone(_) => DeadLetterReason::ActorGone,
        Undelivered::Discarded(_) => DeadLetterReason::Discarded,
        Undelivered::MailboxFull => DeadLetterReason::MailboxFull,
        Undelivered::Expired => DeadLetterReason::Expired,
        Undelivered::Cancelled => DeadLetterReason::Cancelled,
        Undelivered::DependencyFailed(_) => DeadLetterReason::DependencyFailed,
    }
}

impl<A: Actor> Citizen for Cell<A> {
    fn id(&self) -> ActorId {
        self.id
    }

    fn kind(&self) -> Kind {
        A::KIND
    }

    fn type_name(&self) -> Cow<'static, str> {
        A::type_name()
    }

    fn name(&self) -> Option<String> {
        self.settings().and_then(|settings| settings.name.as_ref()).map(ToString::to_string)
    }

    fn state(&self) -> &'static str {
        self.phase().as_str()
    }

    fn mailbox_len(&self) -> usize {
        self.lanes.len()
    }

    fn generation(&self) -> u64 {
        u64::from(self.life.lock().generation)
    }

    fn kill(&self) {
        self.tell_to_end();
        self.signal(Signal::Kill(ExitReason::Killed));
    }

    fn as_actor(&self) -> Option<ActorHandle> {
        Some(self.handle())
    }
}

impl<A: Actor> AnyCell for Cell<A> {
    fn signal(&self, signal: Signal) {
        let abort = match &signal {
            Signal::Kill(_) => true,
            Signal::Exit { reason, .. } => {
                reason.is_abnormal() && !self.traps_exits.load(Ordering::Acquire)
            }
            Signal::Stop(_)
            | Signal::Shutdown(_)
            | Signal::Down { .. }
            | Signal::ChildExited(_)
            | Signal::Unreferenced => false,
        };
        match self.lanes.signal(signal, abort) {
            // The supervisor is gone: nobody else will decide.
            Some(Signal::ChildExited(exited)) => exited.child.terminate(exited.reason),
            Some(_) => {}
            None if self.phase() == Phase::Suspended => self.hear_while_suspended(),
            None => {}
        }
    }

    fn restart(&self) -> bool {
        let mut life = self.life.lock();
        if life.phase != Phase::Suspended {
            return false;
        }
        let Some(factory) = life.rest().factory.take() else {
            return false;
        };
        life.phase = Phase::Starting;
        life.generation += 1;
        drop(life);
        A::Mode::launch(self.me(), factory);
        true
    }

    fn terminate(&self, reason: ExitReason) {
        self.end_suspended(&reason);
    }

    fn add_monitor(&self, watcher: Watcher) {
        let mut life = self.life.lock();
        let ended = life.phase == Phase::Ended;
        if !ended {
            let watchers = &mut life.rest().watchers;
            // Before it grows: futures that gave up waiting for the end must not pile up.
            if watchers.len() == watchers.capacity() {
                watchers.retain(|watcher| !watcher.is_given_up());
            }
            watchers.push(watcher);
            return;
        }
        let reason = life.reason();
        drop(life);
        match watcher {
            Watcher::Actor { .. } => notify(vec![watcher], &ExitReason::NoActor),
            Watcher::Waiter(_) => notify(vec![watcher], &reason),
        }
    }

    fn remove_monitor(&self, monitor: MonitorRef) {
        if let Some(rest) = &mut self.life.lock().rest {
            rest.watchers.retain(
                |watcher| !matches!(watcher, Watcher::Actor { monitor: set, .. } if *set == monitor),
            );
        }
    }

    fn add_link(&self, peer: ActorHandle) -> bool {
        let mut life = self.life.lock();
        if life.phase == Phase::Ended {
            drop(life);
            return false;
        }
        let links = &mut life.rest().links;
        if !links.contains(&peer) {
            links.push(peer);
        }
        true
    }

    fn remove_link(&self, peer: ActorId) {
        if let Some(rest) = &mut self.life.lock().rest {
            rest.links.retain(|link| link.id() != peer);
        }
    }

    fn on_started(&self, waiter: oneshot::Sender<Result<(), ExitReason>>) {
        let mut life = self.life.lock();
        let answer = match life.phase {
            Phase::Starting | Phase::Suspended => {
                let starting = &mut life.rest().starting;
                if starting.len() == starting.capacity() {
                    starting.retain(|waiter| !waiter.is_closed());
                }
                starting.push(waiter);
                return;
            }
            Phase::Running | Phase::Stopping => Ok(()),
            Phase::Ended => Err(life.reason()),
        };
        drop(life);
        // Whoever stopped waiting needs no answer.
        let _ = waiter.send(answer);
    }

    fn is_alive(&self) -> bool {
        self.phase() != Phase::Ended
    }

    fn max_restarts(&self) -> Option<u32> {
        self.settings().and_then(|settings| settings.max_restarts)
    }

    fn end_for_good(&self) {
        self.tell_to_end();
    }

    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}
