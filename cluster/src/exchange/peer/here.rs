//! What the other node holds of our actors.

use mobula_actor_core::ActorId;
use mobula_actor_core::wire::baggage::Hold;

use super::Peer;

impl Peer {
    /// Its holds on our actors are over, and told anew; what is given must live until they have been.
    #[must_use]
    pub(in crate::exchange) fn begin_anew(&self, starting: Vec<u64>) -> Vec<Hold> {
        let starting = starting.into_iter().collect();
        let mut state = self.state.lock();
        state.held.values_mut().filter_map(|held| held.begin_anew(&starting)).collect()
    }

    /// Counts a hold; true if nobody has listened for the actor's ends on behalf of that node yet, and `None` without
    /// contact, when nothing is counted.
    pub(in crate::exchange) fn hold_here(
        &self,
        actor: ActorId,
        hold: impl FnOnce() -> Hold,
    ) -> Option<bool> {
        let mut state = self.state.lock();
        state.life?;
        let held = state.held.entry(actor).or_default();
        held.count += 1;
        held.hold.get_or_insert_with(hold);
        Some(!std::mem::replace(&mut held.has_listener, true))
    }

    /// Counts the hold of the node that had the actor started, under its number for that; as
    /// [`hold_here`](Self::hold_here).
    pub(in crate::exchange) fn hold_started(
        &self,
        actor: ActorId,
        number: u64,
        hold: Hold,
    ) -> Option<bool> {
        let mut state = self.state.lock();
        if state.life.is_none() {
            drop(state);
            drop(hold);
            return None;
        }
        let held = state.held.entry(actor).or_default();
        let second = held.started(number, hold);
        let is_first = !std::mem::replace(&mut held.has_listener, true);
        drop(state);
        drop(second);
        Some(is_first)
    }

    /// Whether that node had the actor started.
    pub(in crate::exchange) fn has_started(&self, actor: ActorId) -> bool {
        self.state.lock().held.get(&actor).is_some_and(|held| held.is_theirs)
    }

    pub(in crate::exchange) fn release_here(&self, actor: ActorId, watches: bool) {
        let mut state = self.state.lock();
        let let_go = state.held.get_mut(&actor).and_then(|held| held.release(watches));
        drop(state);
        drop(let_go);
    }

    /// The actor ended; true if that node wants to know.
    pub(in crate::exchange) fn ended_here(&self, actor: ActorId, for_good: bool) -> bool {
        let mut state = self.state.lock();
        let is_held =
            state.held.get(&actor).is_some_and(|held| held.count > 0 || held.is_of_interest);
        let gone = for_good.then(|| state.held.remove(&actor));
        drop(state);
        drop(gone);
        is_held
    }

    /// True if that node is to be told, the first time.
    pub(in crate::exchange) fn pause(&self, actor: ActorId) -> bool {
        let mut state = self.state.lock();
        state.held.get_mut(&actor).is_some_and(|held| !std::mem::replace(&mut held.is_paused, true))
    }

    pub(in crate::exchange) fn resume(&self, actor: ActorId) -> bool {
        let mut state = self.state.lock();
        state.held.get_mut(&actor).is_some_and(|held| std::mem::take(&mut held.is_paused))
    }
}
