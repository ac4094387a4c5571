//! Room that this node keeps for others: for tasks that are on their way, and for placement groups.
//!
//! What is free stands in the scheduler's books, which its own tasks use, too; what is reserved, for whom and until
//! when, stands in [`Grants`]. So nothing is given twice, whoever asks.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use mobula_actor_core::GroupId;
use mobula_cluster::scheduling::{Answer, CPU, GrantId, Grants, NodeId, Resources, Stock, Time};
use mobula_tasks::{Demand, Quantity, Scheduler};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// A demand as it travels: names and ten-thousandths.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Amounts(pub(crate) Vec<(String, u64)>);

impl From<&Demand> for Amounts {
    fn from(demand: &Demand) -> Self {
        let cpus = std::iter::once((CPU.to_owned(), demand.cpu_count().units()));
        let others = demand.parts().map(|(name, amount)| (name.to_string(), amount.units()));
        Self(cpus.chain(others).collect())
    }
}

impl Amounts {
    pub(crate) fn resources(&self) -> Resources {
        Resources::of(self.0.iter().map(|(name, units)| (name.as_str(), *units)))
    }

    pub(crate) fn demand(&self) -> Demand {
        let nothing = Demand::cpus(Quantity::ZERO);
        let parts = self.0.iter();
        parts.fold(nothing, |demand, (name, units)| demand.set(name, Quantity::of_units(*units)))
    }
}

/// The room of one node.
pub(crate) struct Rooms {
    scheduler: Weak<Scheduler>,
    origin: Instant,
    state: Mutex<State>,
}

struct State {
    grants: Grants<Books>,
    /// Which of them are rooms of groups.
    groups: HashMap<GrantId, GroupId>,
}

/// The scheduler's books, as a stock.
struct Books {
    scheduler: Weak<Scheduler>,
    /// To be given back when the lock is let go of: what starts then may do anything.
    returned: Vec<Demand>,
}

impl Stock for Books {
    fn take(&mut self, demand: &Resources) -> bool {
        self.scheduler.upgrade().is_some_and(|books| books.hold(&demand_of(demand)))
    }

    fn give(&mut self, returned: &Resources) {
        self.returned.push(demand_of(returned));
    }
}

fn demand_of(resources: &Resources) -> Demand {
    let parts = resources.parts().map(|(name, units)| (name.to_owned(), units));
    Amounts(parts.collect()).demand()
}

impl Rooms {
    pub(crate) fn new(scheduler: &Arc<Scheduler>) -> Self {
        let scheduler = Arc::downgrade(scheduler);
        let books = Books { scheduler: Weak::clone(&scheduler), returned: Vec::new() };
        let state = State { grants: Grants::new(books), groups: HashMap::new() };
        Self { scheduler, origin: Instant::now(), state: Mutex::new(state) }
    }

    pub(crate) fn now(&self) -> Time {
        Time(u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// Keeps room for somebody, for so long. `false`: there is none now.
    pub(crate) fn reserve(&self, id: GrantId, amounts: &Amounts, ttl: Duration) -> bool {
        let now = self.now();
        self.change(|state| {
            let answer = state.grants.reserve(now, id, &amounts.resources(), ttl);
            matches!(answer, Answer::Reserved { .. })
        })
    }

    /// A task has come for a reservation, and holds the room from now on. `false`: it has expired.
    pub(crate) fn claim(&self, id: GrantId) -> bool {
        let now = self.now();
        self.change(|state| state.grants.claim(now, id))
    }

    /// Makes a reservation the room of a placement group. `false`: it has expired.
    pub(crate) fn bind(&self, id: GrantId, group: GroupId, bundles: &[(u32, Amounts)]) -> bool {
        let now = self.now();
        let is_bound = self.change(|state| {
            let is_bound = state.grants.bind(now, id);
            if is_bound {
                state.groups.insert(id, group);
            }
            is_bound
        });
        if is_bound && let Some(scheduler) = self.scheduler.upgrade() {
            let bundles: Vec<(u32, Demand)> =
                bundles.iter().map(|(index, amounts)| (*index, amounts.demand())).collect();
            scheduler.open_group(group, &bundles);
        }
        is_bound
    }

    /// Gives back what was reserved or bound; what runs in a group's room ends. Twice does no harm.
    pub(crate) fn release(&self, id: GrantId) {
        self.end(id, false);
    }

    fn end(&self, id: GrantId, is_lost: bool) {
        let now = self.now();
        let group = self.change(|state| {
            let group = state.groups.remove(&id);
            match group {
                // The group's own books give it back.
                Some(_) => drop(state.grants.claim(now, id)),
                None => state.grants.release(id),
            }
            group
        });
        if let Some((group, scheduler)) = group.zip(self.scheduler.upgrade()) {
            let lost = format!(
                "placement group {group} was lost with node {}, which had asked for it",
                group.node
            );
            let _was_open = scheduler.close_group(group, is_lost.then_some(lost.as_str()));
        }
    }

    /// A node is gone, and everything that it held here with it.
    pub(crate) fn holder_down(&self, holder: NodeId) {
        let bound: Vec<GrantId> = {
            let state = self.state.lock();
            state.groups.keys().filter(|id| id.holder == holder).copied().collect()
        };
        for id in bound {
            self.end(id, true);
        }
        self.change(|state| state.grants.holder_down(holder));
    }

    /// Gives back what nobody came for.
    pub(crate) fn expire(&self) {
        let now = self.now();
        self.change(|state| state.grants.expire(now));
    }

    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state.lock();
        let outcome = change(&mut state);
        let returned = std::mem::take(&mut state.grants.free_mut().returned);
        drop(state);
        if let Some(scheduler) = self.scheduler.upgrade() {
            returned.iter().for_each(|demand| scheduler.give_back(demand));
        }
        outcome
    }
}

impl fmt::Debug for Rooms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rooms").field("grants", &self.state.lock().grants.count()).finish()
    }
}
