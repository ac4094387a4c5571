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
use std::sync::{Arc, OnceLock, Weak};

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
use crate::handle::{ActorHandle, AnyCell, EndListener, Watcher};
use crate::id::{ActorId, GroupId, MonitorRef};
use crate::lifecycle::{Fate, Phase, fate};
use crate::mailbox::lanes::Lanes;
use crate::mailbox::{Mailbox, Overflow};
use crate::names::FullName;
use crate::remote::Home;
use crate::resources::{ActorDemand, Holding};
use crate::signal::{ChildExited, Signal};
use crate::system::System;

mod citizen;
mod ending;
mod far;

pub(crate) use far::{Far, Located};

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
    /// The placement group that it goes with.
    pub(crate) member_of: Option<GroupId>,
    /// For a stand-in, or one that may become it: where the actor lives, once that is known.
    pub(crate) far: Option<Arc<Far>>,
    /// What it holds of the node's resources.
    pub(crate) holding: Option<Arc<Holding>>,
}

impl Settings {
    fn is_plain(&self) -> bool {
        self.name.is_none()
            && !matches!(self.pin, Some(Pin::Group(_)))
            && self.parent.is_none()
            && !self.detached
            && self.far.is_none()
            && self.flight_records == 0
            && self.member_of.is_none()
            && self.holding.is_none()
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
    /// Pinned near its spawner, which alone is no reason to keep settings.
    is_near: bool,
    /// `None` for an actor that chose nothing: most of many.
    settings: Option<Box<Settings>>,
    life: Mutex<Life<A>>,
}

struct Life<A: Actor> {
    phase: Phase,
    generation: u32,
    /// Somebody outside wants it gone for good.
    told_to_end: bool,
    /// Why the last generation ended, where that is one of the everyday ends.
    gist: Option<Gist>,
    rest: Option<Box<Rest<A>>>,
}

/// The reasons that most actors end for: one byte, so that such an end makes no [`Rest`].
#[derive(Clone, Copy)]
enum Gist {
    Normal,
    Shutdown,
    Killed,
}

/// What most actors never have.
struct Rest<A: Actor> {
    /// While suspended.
    factory: Option<Factory<A>>,
    /// Why the last generation ended, if for no everyday reason.
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

impl<A: Actor> Rest<A> {
    /// Who is told at the end of this generation: those to forget, and those who stay.
    fn watchers_of_generation(&mut self) -> (Vec<Watcher>, Vec<Arc<Mutex<EndListener>>>) {
        let (gone, stay): (Vec<_>, Vec<_>) = std::mem::take(&mut self.watchers)
            .into_iter()
            .partition(|watcher| matches!(watcher, Watcher::Actor { .. }));
        let far = stay.iter().filter_map(|watcher| match watcher {
            Watcher::Far(listener) => Some(Arc::clone(listener)),
            Watcher::Actor { .. } | Watcher::Waiter(_) | Watcher::Asker(_) => None,
        });
        let far = far.collect();
        self.watchers = stay;
        (gone, far)
    }
}

impl<A: Actor> Life<A> {
    fn rest(&mut self) -> &mut Rest<A> {
        self.rest.get_or_insert_default()
    }

    fn reason(&self) -> ExitReason {
        match self.gist {
            Some(Gist::Normal) => return ExitReason::Normal,
            Some(Gist::Shutdown) => return ExitReason::Shutdown,
            Some(Gist::Killed) => return ExitReason::Killed,
            None => {}
        }
        let reason = self.rest.as_ref().and_then(|rest| rest.reason.clone());
        reason.unwrap_or(ExitReason::NoActor)
    }

    fn set_reason(&mut self, reason: &ExitReason) {
        self.gist = match reason {
            ExitReason::Normal => Some(Gist::Normal),
            ExitReason::Shutdown => Some(Gist::Shutdown),
            ExitReason::Killed => Some(Gist::Killed),
            ExitReason::Panic(_)
            | ExitReason::StartFailed(_)
            | ExitReason::Failed(_)
            | ExitReason::Linked { .. }
            | ExitReason::Escalated { .. }
            | ExitReason::NameTaken(_)
            | ExitReason::NoActor
            | ExitReason::NodeDown(_)
            | ExitReason::Denied(_) => {
                self.rest().reason = Some(reason.clone());
                None
            }
        };
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
            is_near: settings.pin == Some(Pin::Near),
            settings: (!settings.is_plain()).then(|| Box::new(settings)),
            life: Mutex::new(Life {
                phase: Phase::Starting,
                generation: 1,
                told_to_end: false,
                gist: None,
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
        if self.is_near {
            return Some(&Pin::Near);
        }
        self.settings().and_then(|settings| settings.pin.as_ref())
    }

    fn parent(&self) -> Option<&ActorHandle> {
        self.settings().and_then(|settings| settings.parent.as_ref())
    }

    /// The resources that it waits for.
    fn awaited(&self) -> Option<ActorDemand> {
        self.settings()?.holding.as_ref()?.awaited()
    }

    pub(crate) fn is_supervised(&self) -> bool {
        self.parent().is_some()
    }

    fn is_detached(&self) -> bool {
        self.settings().is_some_and(|settings| settings.detached) && !AnyCell::is_stand_in(self)
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
            self.lost_its_last_reference();
        }
    }

    fn lost_its_last_reference(&self) {
        // Whoever told it to end has sent the signal for that, or is about to. A stand-in must tell its actor's home.
        if !AnyCell::is_stand_in(self) && self.life.lock().told_to_end {
            return;
        }
        self.signal(Signal::Unreferenced);
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
        life.set_reason(reason);
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
}

const fn dead_letter_reason(reason: &Undelivered) -> DeadLetterReason {
    match reason {
        Undelivered::ActorGone(_) => DeadLetterReason::ActorGone,
        Undelivered::Discarded(_) => DeadLetterReason::Discarded,
        Undelivered::MailboxFull => DeadLetterReason::MailboxFull,
        Undelivered::Expired => DeadLetterReason::Expired,
        Undelivered::Cancelled => DeadLetterReason::Cancelled,
        Undelivered::DependencyFailed(_) => DeadLetterReason::DependencyFailed,
        Undelivered::Unreachable(_) => DeadLetterReason::Unreachable,
        Undelivered::NoWireForm(_) => DeadLetterReason::NoWireForm,
        Undelivered::Unknown(_) => DeadLetterReason::Unknown,
        Undelivered::Unreadable(_) => DeadLetterReason::Unreadable,
        Undelivered::Denied(_) => DeadLetterReason::Denied,
    }
}
