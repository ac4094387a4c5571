//! The cell of a stand-in: an actor that lives elsewhere, or that waits here and may still be started elsewhere.

use super::ending::notify;
use super::*;

use tokio::sync::watch;

use crate::id::NodeId;
use crate::remote::Need;
use crate::spawn::Relocation;

/// What a stand-in knows of its actor's place.
///
/// A reference may travel before its actor has been spawned; then the node that spawns it passes messages on, and the
/// two differ.
#[derive(Debug, Default)]
pub(crate) struct Far {
    /// How an actor that waits here would be started elsewhere; `None` for one that never was here.
    relocation: Option<Relocation>,
    /// Such a one has been.
    has_moved: AtomicBool,
    /// Where messages go.
    way: OnceLock<Home>,
    /// Where the actor lives.
    place: watch::Sender<Located>,
}

/// Where an actor of another node lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Located {
    /// Nobody has said.
    #[default]
    Unknown,
    /// There.
    At(Home),
    /// The node that would know is lost.
    Lost(NodeId),
}

impl Far {
    /// For an actor that waits here and may be started elsewhere.
    pub(crate) fn or_here(relocation: Relocation) -> Arc<Self> {
        Arc::new(Self { relocation: Some(relocation), ..Self::default() })
    }
}

impl<A: Actor> Cell<A> {
    /// What is known of the actor's place, if that is not here.
    pub(super) fn far(&self) -> Option<&Far> {
        let far = self.settings()?.far.as_deref()?;
        (far.relocation.is_none() || far.has_moved.load(Ordering::SeqCst)).then_some(far)
    }

    /// How the actor would be started elsewhere, while that is open.
    pub(crate) fn relocation(&self) -> Option<&Relocation> {
        let far = self.settings()?.far.as_deref()?;
        far.relocation.as_ref().filter(|_| !far.has_moved.load(Ordering::SeqCst))
    }

    /// Whether it is known that the actor lives here.
    pub(super) fn is_settled_here(&self) -> bool {
        // In this order: one that moves meanwhile is asked last whether it has.
        (self.relocation().is_none() || self.awaited().is_none()) && self.far().is_none()
    }

    pub(crate) fn is_told_to_end(&self) -> bool {
        self.life.lock().told_to_end
    }

    /// It waited here and has been started elsewhere: from now on it is a stand-in, without a place in line or a name.
    pub(crate) fn has_moved(&self) {
        let Some(settings) = self.settings() else { return };
        let Some(far) = &settings.far else { return };
        far.has_moved.store(true, Ordering::SeqCst);
        if let Some(relocation) = &far.relocation {
            relocation.has_begun();
        }
        if let Some(holding) = &settings.holding {
            holding.give_back();
        }
        if let Some(name) = &settings.name {
            self.system.names().release(&self.system, name, self.id);
        }
        // A detached actor does not mind. Its stand-in does: it lives as long as it is referred to.
        if self.is_unreferenced() {
            self.signal(Signal::Unreferenced);
        }
    }

    /// Says where messages go. The first word counts.
    pub(crate) fn bind(&self, way: Home) {
        if let Some(far) = self.far() {
            // Said twice, it is the same.
            let _ = far.way.set(way);
        }
    }

    /// The node that messages go to holds the actor; and where the actor lives, if that is elsewhere.
    pub(crate) fn locate(&self, elsewhere: Option<Home>) {
        if let Some(far) = self.far()
            && let Some(home) = elsewhere.or(far.way.get().copied())
        {
            far.place.send_replace(Located::At(home));
        }
    }

    pub(crate) fn located(&self) -> Option<watch::Receiver<Located>> {
        Some(self.far()?.place.subscribe())
    }

    /// Where the messages of this stand-in go, once that is known.
    fn way(&self) -> Option<Home> {
        self.far()?.way.get().copied()
    }

    /// Where the actor lives as far as is known, if this is a stand-in: there, or where one knows.
    pub(crate) fn home(&self) -> Option<Home> {
        let far = self.far()?;
        match *far.place.borrow() {
            Located::At(home) => Some(home),
            Located::Unknown | Located::Lost(_) => far.way.get().copied(),
        }
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
        if self.far().is_some() && self.is_unreferenced() {
            self.signal(Signal::Unreferenced);
        }
    }

    /// Whoever begins to wait for the end of an actor whose home is lost already would wait for ever: the loss has been
    /// told. Asked after the watcher was added, so that a loss in between is told by one of the two, and the
    /// watcher is taken by the first.
    pub(crate) fn tell_if_lost(&self) {
        let Some(home) = self.way() else { return };
        if self.system().remote().is_some_and(|remote| !remote.has_contact(home)) {
            let reason = ExitReason::NodeDown(home.node);
            self.signal(Signal::FarEnd { reason, for_good: false });
        }
    }

    /// A generation ended at the actor's home, or the home is lost: monitors and links hear of it.
    pub(crate) fn far_generation_ended(&self, reason: &ExitReason) {
        if let (Some(far), ExitReason::NodeDown(node)) = (self.far(), reason) {
            far.place.send_if_modified(|place| {
                let is_unknown = *place == Located::Unknown;
                if is_unknown {
                    *place = Located::Lost(*node);
                }
                is_unknown
            });
        }
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
        // Kept for those who were told, it may not be needed any more.
        self.needs_less();
    }

    /// The actor has ended for good; `batch` was not sent any more.
    pub(crate) fn far_ended(&self, reason: &ExitReason, batch: VecDeque<BoxedEnvelope<A>>) {
        self.end(reason, batch, Vec::new());
    }
}
