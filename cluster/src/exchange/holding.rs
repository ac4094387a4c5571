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
    /// Its numbers for that, as far as they may not have been answered; at most one for each hold.
    pub(super) numbers: Vec<u64>,
}

impl Held {
    /// Counts the hold that goes with the answer to a spawn; a second hold is given back.
    pub(super) fn started(&mut self, number: u64, hold: Hold) -> Option<Hold> {
        self.is_theirs = true;
        self.count += 1;
        self.numbers.push(number);
        // The oldest has been answered, and let go again.
        if self.numbers.len() as u64 > self.count {
            self.numbers.remove(0);
        }
        if self.hold.is_some() {
            return Some(hold);
        }
        self.hold = Some(hold);
        None
    }

    /// The other node needs one hold less; the last one is given back.
    pub(super) fn release(&mut self, watches: bool) -> Option<Hold> {
        self.count = self.count.saturating_sub(1);
        self.is_of_interest |= watches;
        if self.count > 0 {
            return None;
        }
        self.numbers.clear();
        self.hold.take()
    }

    /// The other node tells anew what it holds. It may not know yet that this one was started for it: then that hold
    /// stays. Whom we paused stays paused until it is told to go on: that node may have noticed nothing.
    pub(super) fn begin_anew(&mut self, starting: &HashSet<u64>) -> Option<Hold> {
        let mut numbers = std::mem::take(&mut self.numbers);
        numbers.retain(|number| starting.contains(number));
        let is_paused = self.is_paused;
        let hold = self.reset();
        self.is_paused = is_paused;
        if numbers.is_empty() || hold.is_none() {
            return hold;
        }
        self.count = numbers.len() as u64;
        (self.numbers, self.hold) = (numbers, hold);
        None
    }

    /// The other node holds it no more.
    pub(super) fn reset(&mut self) -> Option<Hold> {
        self.count = 0;
        self.is_paused = false;
        self.is_of_interest = false;
        self.numbers.clear();
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
