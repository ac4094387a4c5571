//! The side that has room: what is free, what is reserved until when, what is bound.
//!
//! A reservation that is forgotten by its holder must not keep the room for ever, and one that is asked for twice, for
//! the answer was lost, must not take it twice.
//! What is free may be written down elsewhere, in the books that a scheduler keeps of its own tasks: two books would
//! disagree. So the room is a [`Stock`] that is asked, and only what is reserved stands here.
//!
//! Invariants: free + reserved + bound = total, exactly; only what is reserved expires.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::id::NodeId;
use crate::placement::Resources;
use crate::time::Time;

use super::GrantId;

/// How long a task's reservation lasts without a task: 200 ms.
pub const TTL: Duration = Duration::from_millis(200);
/// The longest that may be asked for: 30 s.
pub const TTL_MAX: Duration = Duration::from_secs(30);
/// Reservations and leases of one node at most.
pub const GRANTS_MAX: usize = 1 << 16;

/// The answer to a request for room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Kept until this time; bind it before.
    Reserved {
        /// By this node's clock.
        until: Time,
    },
    /// No room now. The driver adds its load.
    Busy,
}

/// The books of what is free.
pub trait Stock {
    /// Takes all of `demand`, or nothing; says which.
    #[must_use = "nothing is taken where there is not enough"]
    fn take(&mut self, demand: &Resources) -> bool;

    /// Gives back what was taken.
    fn give(&mut self, returned: &Resources);
}

impl Stock for Resources {
    fn take(&mut self, demand: &Resources) -> bool {
        Self::take(self, demand)
    }

    fn give(&mut self, returned: &Resources) {
        Self::give(self, returned);
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Grant {
    Reserved { demand: Resources, until: Time },
    Bound { demand: Resources },
}

/// The room of one node.
#[derive(Clone, Debug)]
pub struct Grants<S = Resources> {
    free: S,
    grants: BTreeMap<GrantId, Grant>,
    /// What expires next.
    expiries: BTreeSet<(Time, GrantId)>,
}

impl<S: Stock> Grants<S> {
    /// Nothing granted of what is free.
    #[must_use]
    pub const fn new(free: S) -> Self {
        Self { free, grants: BTreeMap::new(), expiries: BTreeSet::new() }
    }

    /// What nobody holds.
    #[must_use]
    pub const fn free(&self) -> &S {
        &self.free
    }

    /// The same, for the driver of a stock that keeps books of its own.
    pub const fn free_mut(&mut self) -> &mut S {
        &mut self.free
    }

    /// Takes room for work of this node's own, at once. `false`: there is not enough.
    #[must_use = "nothing is taken where there is not enough"]
    pub fn take(&mut self, demand: &Resources) -> bool {
        self.free.take(demand)
    }

    /// Gives back what [`Grants::take`] took.
    pub fn give(&mut self, demand: &Resources) {
        self.free.give(demand);
    }

    /// Somebody asks for room, for so long (at most [`TTL_MAX`]). Asking again under the same name renews the time and
    /// takes nothing more.
    pub fn reserve(&mut self, now: Time, id: GrantId, demand: &Resources, ttl: Duration) -> Answer {
        self.expire(now);
        let until = now + ttl.min(TTL_MAX);
        match self.grants.get_mut(&id) {
            Some(Grant::Bound { .. }) => return Answer::Reserved { until },
            Some(Grant::Reserved { until: known, .. }) => {
                self.expiries.remove(&(*known, id));
                *known = until;
            }
            None => {
                if self.grants.len() >= GRANTS_MAX || !self.free.take(demand) {
                    return Answer::Busy;
                }
                self.grants.insert(id, Grant::Reserved { demand: demand.clone(), until });
            }
        }
        self.expiries.insert((until, id));
        Answer::Reserved { until }
    }

    /// A task has come for this reservation; it holds the room until [`Grants::release`]. `false`: it has expired or
    /// never was, and the task has no room.
    #[must_use = "without a reservation the task has no room"]
    pub fn bind(&mut self, now: Time, id: GrantId) -> bool {
        self.expire(now);
        match self.grants.get_mut(&id) {
            Some(Grant::Bound { .. }) => true,
            Some(grant) => {
                if let Grant::Reserved { demand, until } = grant {
                    self.expiries.remove(&(*until, id));
                    *grant = Grant::Bound { demand: std::mem::take(demand) };
                }
                true
            }
            None => false,
        }
    }

    /// A task has come for this reservation, and the stock's own books hold the room for it from now on: the grant is no
    /// more. `false`: it has expired or never was.
    #[must_use = "without a reservation the task has no room"]
    pub fn claim(&mut self, now: Time, id: GrantId) -> bool {
        self.expire(now);
        match self.grants.remove(&id) {
            Some(Grant::Reserved { until, .. }) => {
                self.expiries.remove(&(until, id));
                true
            }
            Some(Grant::Bound { .. }) => true,
            None => false,
        }
    }

    /// The holder gives it back, reserved or bound. Twice does no harm.
    pub fn release(&mut self, id: GrantId) {
        match self.grants.remove(&id) {
            Some(Grant::Reserved { demand, until }) => {
                self.expiries.remove(&(until, id));
                self.free.give(&demand);
            }
            Some(Grant::Bound { demand }) => self.free.give(&demand),
            None => {}
        }
    }

    /// A node is down: everything that it held is given back. The driver ends what runs for it.
    pub fn holder_down(&mut self, holder: NodeId) -> Vec<GrantId> {
        let range = GrantId { holder, number: 0 }..=GrantId { holder, number: u64::MAX };
        let held: Vec<GrantId> = self.grants.range(range).map(|(&id, _)| id).collect();
        held.iter().for_each(|&id| self.release(id));
        held
    }

    /// An epoch with `holder` has ended, and what it gave back may not have arrived: it lists what it holds
    /// ([`super::spill::Spill::held_at`]), the rest is given back. The list travels where its questions travel.
    pub fn reconcile(&mut self, holder: NodeId, listed: &BTreeSet<u64>) -> Vec<GrantId> {
        let range = GrantId { holder, number: 0 }..=GrantId { holder, number: u64::MAX };
        let held = self.grants.range(range).map(|(&id, _)| id);
        let unlisted: Vec<GrantId> = held.filter(|id| !listed.contains(&id.number)).collect();
        unlisted.iter().for_each(|&id| self.release(id));
        unlisted
    }

    /// Gives back what nobody bound in time.
    pub fn expire(&mut self, now: Time) {
        while let Some(&(until, id)) = self.expiries.first()
            && until <= now
        {
            self.release(id);
        }
    }

    /// When something expires next.
    #[must_use]
    pub fn next_wake(&self) -> Option<Time> {
        self.expiries.first().map(|&(until, _)| until)
    }

    /// Whether this is bound.
    #[must_use]
    pub fn is_bound(&self, id: GrantId) -> bool {
        matches!(self.grants.get(&id), Some(Grant::Bound { .. }))
    }

    /// How many reservations and leases there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.grants.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placement::resources::{CPU, ONE};

    const ID: GrantId = GrantId { holder: NodeId(1), number: 1 };
    const OTHER: GrantId = GrantId { holder: NodeId(2), number: 1 };

    fn cpus(count: u64) -> Resources {
        Resources::of([(CPU, count * ONE)])
    }

    #[test]
    fn room_is_kept_once_and_given_back_in_time() {
        let mut grants = Grants::new(cpus(2));
        let until = Time(0) + TTL;
        assert_eq!(grants.reserve(Time(0), ID, &cpus(2), TTL), Answer::Reserved { until });
        assert_eq!(grants.reserve(Time(0), OTHER, &cpus(1), TTL), Answer::Busy);
        // The answer was lost; asked again it is the same room, for longer.
        let later = Time(100_000);
        let longer = Answer::Reserved { until: later + TTL };
        assert_eq!(grants.reserve(later, ID, &cpus(2), TTL), longer);
        assert_eq!(grants.next_wake(), Some(later + TTL));
        assert_eq!(grants.free().cpu(), 0);
        grants.expire(later + TTL);
        assert_eq!(grants.free(), &cpus(2));
        assert!(!grants.bind(later + TTL, ID));
    }

    #[test]
    fn what_is_bound_stays_until_released_or_its_holder_is_down() {
        let mut grants = Grants::new(cpus(2));
        grants.reserve(Time(0), ID, &cpus(1), TTL);
        grants.reserve(Time(0), OTHER, &cpus(1), TTL);
        assert!(grants.bind(Time(1), ID) && grants.bind(Time(1), ID));
        assert!(grants.bind(Time(1), OTHER));
        grants.expire(Time(u64::MAX));
        assert_eq!(grants.count(), 2);
        assert_eq!(grants.reconcile(ID.holder, &BTreeSet::from([ID.number])), []);
        assert_eq!(grants.reconcile(OTHER.holder, &BTreeSet::new()), [OTHER]);
        grants.reserve(Time(1), OTHER, &cpus(1), TTL);
        assert_eq!(grants.holder_down(OTHER.holder), [OTHER]);
        grants.release(ID);
        grants.release(ID);
        assert_eq!(grants.free(), &cpus(2));
    }

    #[test]
    fn what_is_claimed_is_in_the_stocks_books_and_never_given_back_from_here() {
        let mut grants = Grants::new(cpus(2));
        grants.reserve(Time(0), ID, &cpus(1), TTL);
        assert!(grants.claim(Time(1), ID) && !grants.claim(Time(1), ID));
        grants.release(ID);
        grants.expire(Time(u64::MAX));
        assert_eq!((grants.count(), grants.free()), (0, &cpus(1)));
        grants.reserve(Time(1), OTHER, &cpus(1), TTL);
        assert!(!grants.claim(Time(1) + TTL, OTHER), "too late");
        assert_eq!(grants.free(), &cpus(1));
    }
}
