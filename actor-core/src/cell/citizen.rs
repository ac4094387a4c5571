//! The cell as those see it who do not know its type: the directory, supervisors, monitors, links.

use super::ending::notify;
use super::*;

use crate::actor_ref::Address;
use crate::denied::Denied;
use crate::id::GroupId;
use crate::spawn::Relocation;
use crate::wire::baggage::Hold;
use tokio::sync::watch;

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
        match self.awaited() {
            Some(_) => "waiting",
            None => self.phase().as_str(),
        }
    }

    fn why(&self) -> Option<String> {
        let (awaited, book) = (self.awaited()?, self.system().resource_book()?);
        let why = book.why(&awaited);
        Some(match self.relocation().and_then(Relocation::note) {
            Some(note) => format!("{why}; {note}"),
            None => why,
        })
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

    fn group(&self) -> Option<GroupId> {
        self.settings()?.member_of
    }

    fn is_listed(&self) -> bool {
        !AnyCell::is_stand_in(self)
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
            | Signal::FarEnd { .. }
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
            drop(life);
            return self.tell_if_lost();
        }
        let reason = life.reason();
        drop(life);
        match watcher {
            Watcher::Actor { .. } => notify(vec![watcher], &ExitReason::NoActor),
            Watcher::Waiter(_) | Watcher::Asker(_) | Watcher::Far(_) => {
                notify(vec![watcher], &reason);
            }
        }
    }

    fn remove_monitor(&self, monitor: MonitorRef) {
        if let Some(rest) = &mut self.life.lock().rest {
            rest.watchers.retain(
                |watcher| !matches!(watcher, Watcher::Actor { monitor: set, .. } if *set == monitor),
            );
        }
        self.needs_less();
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
        drop(life);
        self.tell_if_lost();
        true
    }

    fn remove_link(&self, peer: ActorId) {
        if let Some(rest) = &mut self.life.lock().rest {
            rest.links.retain(|link| link.id() != peer);
        }
        self.needs_less();
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

    fn end_denied(&self, denied: Denied) {
        let mut life = self.life.lock();
        life.told_to_end = false;
        let Some(rest) = &mut life.rest else { return };
        let askers: Vec<_> =
            rest.watchers.extract_if(.., |one| matches!(one, Watcher::Asker(_))).collect();
        drop(life);
        for asker in askers {
            if let Watcher::Asker(sender) = asker {
                // Whoever stopped waiting needs no answer.
                let _ = sender.send(Err(denied));
            }
        }
    }

    fn hold(self: Arc<Self>) -> Hold {
        Box::new(Address::new(self))
    }

    fn home(&self) -> Option<Home> {
        Self::home(self)
    }

    fn located(&self) -> Option<watch::Receiver<Located>> {
        Self::located(self)
    }

    fn locate(&self, elsewhere: Option<Home>) {
        Self::locate(self, elsewhere);
    }

    fn type_key(&self) -> u64 {
        A::KEY
    }

    fn is_stand_in(&self) -> bool {
        self.far().is_some()
    }

    fn is_settled_here(&self) -> bool {
        Self::is_settled_here(self)
    }

    fn has_lapsed(&self) -> bool {
        let holding = self.settings().and_then(|settings| settings.holding.as_ref());
        holding.is_some_and(|holding| holding.has_lapsed())
    }

    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}
