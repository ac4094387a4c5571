//! What two nodes hold of each other's actors: stand-ins here for actors there, and holds there on actors here.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use mobula_actor_core::remote::Home;
use mobula_actor_core::wire::baggage::{Hold, Ticket};
use mobula_actor_core::{ActorHandle, ActorId};

use super::gate::Gate;

/// One of our stand-ins for an actor of another node.
pub(super) struct StandIn {
    pub(super) handle: ActorHandle,
    pub(super) gate: Arc<Gate>,
    /// Its node has not said yet that it holds the actor; these wait for it.
    pub(super) unheld: Option<Vec<Ticket>>,
    /// Its node was told that the actor need not be held any more.
    pub(super) only_watches: bool,
}

/// One of our actors, as another node holds it.
#[derive(Default)]
pub(super) struct Held {
    pub(super) count: u64,
    pub(super) hold: Option<Hold>,
    pub(super) has_listener: bool,
    pub(super) is_of_interest: bool,
    pub(super) is_paused: bool,
    /// That node had it started, and may end it.
    pub(super) is_theirs: bool,
    /// Its number for that.
    pub(super) number: Option<u64>,
}

impl Held {
    /// The other node tells anew what it holds. It may not know yet that this one was started for it: then that hold
    /// stays.
    pub(super) fn begin_anew(&mut self, starting: &HashSet<u64>) -> Option<Hold> {
        let is_under_way = self.number.is_some_and(|number| starting.contains(&number));
        let hold = self.reset();
        if is_under_way && hold.is_some() {
            (self.count, self.hold) = (1, hold);
            return None;
        }
        hold
    }

    /// The other node holds it no more.
    pub(super) const fn reset(&mut self) -> Option<Hold> {
        self.count = 0;
        self.is_paused = false;
        self.is_of_interest = false;
        self.hold.take()
    }
}

/// Takes out the stand-in with this id.
pub(super) fn forget(
    stand_ins: &mut HashMap<(u64, ActorId), Vec<StandIn>>,
    home: Home,
    stand_in: ActorId,
) -> Option<StandIn> {
    let key = (home.incarnation, home.actor);
    let known = stand_ins.get_mut(&key)?;
    let place = known.iter().position(|one| one.handle.id() == stand_in)?;
    let forgotten = known.swap_remove(place);
    if known.is_empty() {
        stand_ins.remove(&key);
    }
    Some(forgotten)
}
