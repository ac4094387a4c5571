//! The end of a generation, and of the cell: who is told, what is kept, what is handed back.

use super::*;

impl<A: Actor> Cell<A> {
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
                let had_started = life.phase != Phase::Starting;
                life.phase = Phase::Suspended;
                let generation = life.generation;
                life.set_reason(&remains.reason);
                let rest = life.rest();
                rest.factory = remains.factory;
                let (gone, far) = rest.watchers_of_generation();
                let links = std::mem::take(&mut rest.links);
                drop(life);
                for envelope in discarded {
                    self.reject(envelope, Undelivered::Discarded(remains.reason.clone()));
                }
                notify(gone, &remains.reason);
                for listener in far {
                    (listener.lock())(&remains.reason, false);
                }
                self.unlink(links, &remains.reason);
                self.report(generation, remains.reason, remains.flight, had_started, false);
                self.hear_while_suspended();
            }
        }
    }

    /// Keeps what is to be retried for the next generation, and hands back the rest.
    pub(super) fn keep_retried(&self, batch: VecDeque<BoxedEnvelope<A>>) -> Vec<BoxedEnvelope<A>> {
        let (kept, mut discarded): (Vec<_>, Vec<_>) =
            batch.into_iter().partition(|envelope| envelope.is_retried());
        let kept = VecDeque::from(kept);
        discarded.extend(self.lanes.renew(kept, |envelope| envelope.is_retried()));
        discarded
    }

    /// Between two generations nobody reads the signals: those that end the actor take effect here.
    pub(super) fn hear_while_suspended(&self) {
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
                | Signal::FarEnd { .. }
                | Signal::Exit { .. }
                | Signal::Down { .. } => {}
            }
        }
        if self.parent().is_some_and(|parent| !parent.is_alive()) {
            self.terminate(self.last_reason());
        }
    }

    /// A signal that was meant for the generation before; one for the next is never taken.
    pub(super) fn pop_while_suspended(&self) -> Option<(Signal, bool)> {
        let life = self.life.lock();
        let is_suspended = life.phase == Phase::Suspended;
        let signal = if is_suspended { self.lanes.pop_signal() } else { None };
        signal.map(|(signal, _)| (signal, life.told_to_end))
    }

    /// Ends the cell for good if it is suspended; false if it is not.
    pub(super) fn end_suspended(&self, reason: &ExitReason) -> bool {
        let life = self.life.lock();
        let is_suspended = life.phase == Phase::Suspended;
        if is_suspended {
            self.end_locked(life, reason, VecDeque::new(), Vec::new());
        }
        is_suspended
    }

    /// The end for good.
    pub(super) fn end(
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

    pub(super) fn end_locked(
        &self,
        mut life: MutexGuard<'_, Life<A>>,
        reason: &ExitReason,
        batch: VecDeque<BoxedEnvelope<A>>,
        flight: Vec<FlightRecord>,
    ) {
        let had_started = life.phase != Phase::Starting;
        life.phase = Phase::Ended;
        let generation = life.generation;
        let told_to = life.told_to_end;
        life.set_reason(reason);
        let (mut watchers, mut links, mut starting) = (Vec::new(), Vec::new(), Vec::new());
        let mut factory = None;
        if let Some(rest) = &mut life.rest {
            watchers = std::mem::take(&mut rest.watchers);
            links = std::mem::take(&mut rest.links);
            starting = std::mem::take(&mut rest.starting);
            factory = rest.factory.take();
        }
        drop(life);
        if let Some(name) = self.settings().and_then(|settings| settings.name.as_ref()) {
            self.system.names().release(&self.system, name, self.id);
        }
        self.system.directory().remove(self.id);
        if let Some(holding) = self.settings().and_then(|settings| settings.holding.as_ref()) {
            holding.give_back();
        }
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
        if let Some(factory) = factory {
            crate::ending::drop_as(reason, factory);
        }
        self.report(generation, reason.clone(), flight, had_started, told_to);
    }

    pub(super) fn unlink(&self, links: Vec<ActorHandle>, reason: &ExitReason) {
        for peer in links {
            // In this order: a stand-in whose last link goes may have nothing left to tell it by.
            peer.0.signal(Signal::Exit { from: self.id, reason: reason.clone() });
            peer.0.remove_link(self.id);
        }
    }

    /// Tells the supervisor, if there is one.
    pub(super) fn report(
        &self,
        generation: u32,
        reason: ExitReason,
        flight: Vec<FlightRecord>,
        had_started: bool,
        told_to_end: bool,
    ) {
        let ended_for_good = self.phase() == Phase::Ended;
        if let Some(parent) = self.parent() {
            parent.0.signal(Signal::ChildExited(ChildExited {
                child: self.handle(),
                generation: u64::from(generation),
                reason,
                flight,
                had_started,
                ended_for_good,
                told_to_end,
            }));
        }
    }
}

pub(super) fn notify(watchers: Vec<Watcher>, reason: &ExitReason) {
    for watcher in watchers {
        match watcher {
            Watcher::Actor { monitor, watcher } => {
                watcher.0.signal(Signal::Down { monitor, reason: reason.clone() });
            }
            Watcher::Far(listener) => (listener.lock())(reason, true),
            // Whoever stopped waiting needs no answer.
            Watcher::Waiter(sender) => drop(sender.send(reason.clone())),
            Watcher::Asker(sender) => drop(sender.send(Ok(reason.clone()))),
        }
    }
}
