//! What a node has and what is free of it.
//!
//! A placement group's room is a ledger inside the ledger: what its bundles take is gone from the node, and tasks in
//! them take from the bundles alone. A second book beside this one would let both give the same CPU away.
//!
//! Invariant: for each resource, free + held by tasks + free in groups = total, and free never goes below zero;
//! `acquire` takes everything a demand names or nothing. A blocked task gives back its CPUs only, for a custom resource
//! (a licence, a device) is still in its hands while it waits. A group that is closed gives back what is free of it at
//! once, and the rest as its tasks end.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::BTreeMap;

use mobula_actor_core::GroupId;

use crate::resources::{Demand, Quantity, Within};

mod pools;

use pools::{Pool, Pools};

/// What the node has and what is free of it.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    own: Pools,
    groups: BTreeMap<GroupId, Books>,
}

/// A group's room on this node.
#[derive(Clone, Debug, Default)]
struct Books {
    /// Of all its bundles here: tasks that do not mind which take from this alone.
    all: Pools,
    bundles: BTreeMap<u32, Pools>,
    /// Tasks that hold something of it.
    holders: usize,
    /// What is given back goes to the node.
    is_closed: bool,
}

impl Books {
    fn covers(&self, demand: &Demand, bundle: Option<u32>) -> bool {
        match bundle {
            Some(index) => self.bundles.get(&index).is_some_and(|bundle| bundle.covers(demand)),
            None => self.bundles.values().any(|bundle| bundle.covers(demand)),
        }
    }

    fn fits(&self, demand: &Demand, bundle: Option<u32>) -> bool {
        self.covers(demand, bundle)
            && self.all.fits(demand)
            && bundle.and_then(|index| self.bundles.get(&index)).is_none_or(|one| one.fits(demand))
    }

    /// The books that such a task takes from.
    fn each(&mut self, bundle: Option<u32>, mut act: impl FnMut(&mut Pools)) {
        act(&mut self.all);
        if let Some(bundle) = bundle.and_then(|index| self.bundles.get_mut(&index)) {
            act(bundle);
        }
    }
}

impl Ledger {
    /// A node with this many CPUs and nothing else.
    #[must_use]
    pub fn new(cpus: Quantity) -> Self {
        let own = Pools { cpus: Pool::full(cpus), others: BTreeMap::new() };
        Self { own, groups: BTreeMap::new() }
    }

    /// Adds capacity: at start, or when more becomes available later.
    pub fn grow(&mut self, resource: &str, amount: Quantity) {
        self.own.grow(resource, amount);
    }

    /// Whether this node could ever meet the demand, with nothing else running.
    #[must_use]
    pub fn is_feasible(&self, demand: &Demand) -> bool {
        match demand.place() {
            None => self.own.covers(demand),
            Some(Within { group, bundle }) => self
                .groups
                .get(&group)
                .is_some_and(|books| !books.is_closed && books.covers(demand, bundle)),
        }
    }

    /// Whether the demand can be met now.
    #[must_use]
    pub fn fits(&self, demand: &Demand) -> bool {
        match demand.place() {
            None => self.own.fits(demand),
            Some(Within { group, bundle }) => self
                .groups
                .get(&group)
                .is_some_and(|books| !books.is_closed && books.fits(demand, bundle)),
        }
    }

    /// Whether `other` would take from what `waiting` lacks now.
    #[must_use]
    pub fn competes(&self, waiting: &Demand, other: &Demand) -> bool {
        let group = |demand: &Demand| demand.place().map(|within| within.group);
        if group(waiting) != group(other) {
            return false;
        }
        match waiting.place() {
            None => self.own.competes(waiting, other),
            Some(Within { group, .. }) => {
                self.groups.get(&group).is_some_and(|books| books.all.competes(waiting, other))
            }
        }
    }

    /// Takes everything the demand names, or nothing; says which.
    #[must_use]
    pub fn acquire(&mut self, demand: &Demand) -> bool {
        if !self.fits(demand) {
            return false;
        }
        match demand.place() {
            None => self.own.take(demand),
            Some(Within { group, bundle }) => {
                if let Some(books) = self.groups.get_mut(&group) {
                    books.holders += 1;
                    books.each(bundle, |pools| pools.take(demand));
                }
            }
        }
        true
    }

    /// Gives back everything the demand names.
    pub fn release(&mut self, demand: &Demand) {
        self.release_cpus(demand);
        self.release_held_while_blocked(demand);
    }

    /// Gives back what a blocked task still held: all but the CPUs.
    pub fn release_held_while_blocked(&mut self, demand: &Demand) {
        let Some(Within { group, bundle }) = demand.place() else {
            return self.own.put_others(demand);
        };
        let Some(books) = self.groups.get_mut(&group) else { return };
        books.holders = books.holders.saturating_sub(1);
        if books.is_closed {
            self.own.put_others(demand);
            if books.holders == 0 {
                self.groups.remove(&group);
            }
        } else {
            books.each(bundle, |pools| pools.put_others(demand));
        }
    }

    /// A task blocks: its CPUs are free for others, the rest stays in its hands.
    pub fn release_cpus(&mut self, demand: &Demand) {
        let cpus = demand.cpu_count();
        let books = demand.place().and_then(|within| self.groups.get_mut(&within.group));
        match (demand.place(), books) {
            (Some(Within { bundle, .. }), Some(books)) if !books.is_closed => {
                books.each(bundle, |pools| pools.cpus.put(cpus));
            }
            (None, _) | (_, Some(_)) => self.own.cpus.put(cpus),
            (Some(_), None) => debug_assert!(false, "a group goes after its last task"),
        }
    }

    /// A blocked task goes on: it needs its CPUs again; says whether it got them.
    #[must_use]
    pub fn reacquire_cpus(&mut self, demand: &Demand) -> bool {
        let cpus = demand.cpu_count();
        let books = demand.place().and_then(|within| self.groups.get_mut(&within.group));
        if let (Some(Within { bundle, .. }), Some(books)) = (demand.place(), books)
            && !books.is_closed
        {
            let mut fits = true;
            books.each(bundle, |pools| fits &= cpus <= pools.cpus.free);
            if fits {
                books.each(bundle, |pools| pools.cpus.take(cpus));
            }
            return fits;
        }
        let fits = cpus <= self.own.cpus.free;
        if fits {
            self.own.cpus.take(cpus);
        }
        fits
    }

    /// Makes a group's room of what was acquired for it: all its bundles on this node, by their indices. Again changes
    /// nothing.
    pub fn open_group(&mut self, group: GroupId, bundles: &[(u32, Demand)]) {
        self.groups.entry(group).or_insert_with(|| {
            let mut books = Books::default();
            for (index, bundle) in bundles {
                books.all.add(bundle);
                books.bundles.entry(*index).or_default().add(bundle);
            }
            books
        });
    }

    /// Whether the group has room here.
    #[must_use]
    pub fn has_group(&self, group: GroupId) -> bool {
        self.groups.contains_key(&group)
    }

    /// A group is no more: what is free of it is the node's again. `false` if there is no such group, or it was closed.
    pub fn close_group(&mut self, group: GroupId) -> bool {
        let Some(books) = self.groups.get_mut(&group).filter(|books| !books.is_closed) else {
            return false;
        };
        books.is_closed = true;
        self.own.put_free_of(&books.all);
        if books.holders == 0 {
            self.groups.remove(&group);
        }
        true
    }

    /// What of the demand is not free now, as text: `1 CPU (0 of 2 free)`; empty when it fits.
    #[must_use]
    pub fn shortage(&self, demand: &Demand) -> String {
        let Some(within) = demand.place() else { return self.own.shortage(demand) };
        let Some(books) = self.groups.get(&within.group) else { return within.to_string() };
        let bundle = within.bundle.and_then(|index| books.bundles.get(&index));
        bundle.unwrap_or(&books.all).shortage(demand)
    }

    /// All resources of the node itself with their free and total amounts, CPUs first.
    #[must_use]
    pub fn amounts(&self) -> Vec<ResourceAmount> {
        self.own.amounts()
    }
}

/// One resource of a node: how much there is, how much of it is free.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResourceAmount {
    /// The name; CPUs are `cpu`, memory is `memory` in bytes.
    pub resource: String,
    /// What the node has.
    pub total: Quantity,
    /// What no running task holds.
    pub free: Quantity,
}

#[cfg(test)]
mod tests;
