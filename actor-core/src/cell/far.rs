//! The cell of a stand-in: an actor that lives elsewhere.

use super::ending::notify;
use super::*;

use crate::id::NodeId;
use crate::remote::Need;

impl<A: Actor> Cell<A> {
    /// Says where the actor lives. The first word counts.
    pub(crate) fn bind(&self, home: Home) {
        if let Some(far) = self.settings().and_then(|settings| settings.far.as_ref()) {
            // Said twice, it is the same.
            let _ = far.set(home);
        }
    }

    /// Where the actor lives, if this is a stand-in and its home is known.
    pub(crate) fn home(&self) -> Option<Home> {
        self.settings()?.far.as_ref()?.get().copied()
    }

    /// Node and id that mean this actor to all its nodes; [`NodeId::HERE`] for an actor of this one.
    pub(crate) fn place(&self) -> (NodeId, ActorId) {
        self.home().map_or((NodeId::HERE, self.id), |home| (home.node, home.actor))
    }

    /// What this stand-in needs of the actor's home.
    pub(crate) fn need(&self) -> Need {
        if !self.is_unreferenced() {
            return Need::Hold;
        }
        let life = self.life.lock();
        let is_idle = |rest: &Rest<A>| {
            rest.links.is_empty() && rest.watchers.iter().all(Watcher::is_given_up)
        };
        if life.rest.as_deref().is_none_or(is_idle) { Need::Nothing } else { Need::Watch }
    }

    /// A watcher or link of a stand-in has gone: it may need less.
    pub(super) fn needs_less(&self) {
        if self.settings().is_some_and(|settings| settings.far.is_some()) && self.is_unreferenced()
        {
            self.signal(Signal::Unreferenced);
        }
    }

    /// Whoever begins to wait for the end of an actor whose home is lost already would wait for ever: the loss has been
    /// told. Asked after the watcher was added, so that a loss in between is told by one of the two, and the
    /// watcher is taken by the first.
    pub(crate) fn tell_if_lost(&self) {
        let Some(home) = self.home() else { return };
        if self.system().remote().is_some_and(|remote| !remote.has_contact(home)) {
            let reason = ExitReason::NodeDown(home.node);
            self.signal(Signal::FarEnd { reason, for_good: false });
        }
    }

    /// A generation ended at the actor's home, or the home is lost: monitors and links hear of it.
    pub(crate) fn far_generation_ended(&self, reason: &ExitReason) {
        let mut life = self.life.lock();
        life.set_reason(reason);
        let rest = life.rest();
        let is_lost = matches!(reason, ExitReason::NodeDown(_));
        let (gone, waiters): (Vec<_>, Vec<_>) = std::mem::take(&mut rest.watchers)
            .into_iter()
            .partition(|watcher| is_lost || matches!(watcher, Watcher::Actor { .. }));
        rest.watchers = waiters;
        let links = std::mem::take(&mut rest.links);
        drop(life);
        notify(gone, reason);
        self.unlink(links, reason);
    }

    /// The actor has ended for good; `batch` was not sent any more.
    pub(crate) fn far_ended(&self, reason: &ExitReason, batch: VecDeque<BoxedEnvelope<A>>) {
        self.end(reason, batch, Vec::new());
    }
}
