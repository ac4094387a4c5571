//! What a node has and what is free of it.
//!
//! Invariant: for each resource, free + held = total, and free never goes below zero; `acquire` takes
//! everything a demand names or nothing. A blocked task gives back its CPUs only, for a custom resource (a
//! licence, a device) is still in its hands while it waits.
//!
//! Pure: no clock, no I/O, no tasks.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use crate::resources::{Demand, Quantity};

#[derive(Clone, Copy, Debug, Default)]
struct Pool {
    total: Quantity,
    free: Quantity,
}

impl Pool {
    fn full(total: Quantity) -> Self {
        Self { total, free: total }
    }

    fn take(&mut self, amount: Quantity) {
        debug_assert!(amount <= self.free, "the caller checked that it fits");
        self.free = Quantity(self.free.0.saturating_sub(amount.0));
    }

    fn put(&mut self, amount: Quantity) {
        debug_assert!(self.free.0 + amount.0 <= self.total.0, "gave back more than was taken");
        self.free = Quantity(self.free.0.saturating_add(amount.0).min(self.total.0));
    }

    fn grow(&mut self, amount: Quantity) {
        self.total = Quantity(self.total.0.saturating_add(amount.0));
        self.free = Quantity(self.free.0.saturating_add(amount.0));
    }
}

/// What the node has and what is free of it.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    cpus: Pool,
    others: BTreeMap<Arc<str>, Pool>,
}

impl Ledger {
    /// A node with this many CPUs and nothing else.
    #[must_use]
    pub fn new(cpus: Quantity) -> Self {
        Self { cpus: Pool::full(cpus), others: BTreeMap::new() }
    }

    /// Adds capacity: at start, or when more becomes available later.
    pub fn grow(&mut self, resource: &str, amount: Quantity) {
        if resource.eq_ignore_ascii_case("cpu") {
            return self.cpus.grow(amount);
        }
        match self.others.get_mut(resource) {
            Some(pool) => pool.grow(amount),
            None => {
                self.others.insert(resource.into(), Pool::full(amount));
            }
        }
    }

    /// Whether this node could ever meet the demand, with nothing else running.
    #[must_use]
    pub fn is_feasible(&self, demand: &Demand) -> bool {
        demand.cpu_count() <= self.cpus.total
            && demand.parts().all(|(name, amount)| amount <= self.pool(name).total)
    }

    /// Whether the demand can be met now.
    #[must_use]
    pub fn fits(&self, demand: &Demand) -> bool {
        demand.cpu_count() <= self.cpus.free
            && demand.parts().all(|(name, amount)| amount <= self.pool(name).free)
    }

    /// Whether `other` would take from what `waiting` lacks now.
    #[must_use]
    pub fn competes(&self, waiting: &Demand, other: &Demand) -> bool {
        let lacks_cpus = waiting.cpu_count() > self.cpus.free && !other.cpu_count().is_zero();
        let lacks = |name, amount| amount > self.pool(name).free;
        let uses = |wanted: &Arc<str>| other.parts().any(|(n, q)| n == wanted && !q.is_zero());
        lacks_cpus || waiting.parts().any(|(name, amount)| lacks(name, amount) && uses(name))
    }

    /// Takes everything the demand names, or nothing; says which.
    #[must_use]
    pub fn acquire(&mut self, demand: &Demand) -> bool {
        if !self.fits(demand) {
            return false;
        }
        self.cpus.take(demand.cpu_count());
        for (name, amount) in demand.parts() {
            if let Some(pool) = self.others.get_mut(name) {
                pool.take(amount);
            }
        }
        true
    }

    /// Gives back everything the demand names.
    pub fn release(&mut self, demand: &Demand) {
        self.cpus.put(demand.cpu_count());
        self.release_held_while_blocked(demand);
    }

    /// Gives back what a blocked task still held: all but the CPUs.
    pub fn release_held_while_blocked(&mut self, demand: &Demand) {
        for (name, amount) in demand.parts() {
            if let Some(pool) = self.others.get_mut(name) {
                pool.put(amount);
            }
        }
    }

    /// A task blocks: its CPUs are free for others, the rest stays in its hands.
    pub fn release_cpus(&mut self, demand: &Demand) {
        self.cpus.put(demand.cpu_count());
    }

    /// A blocked task goes on: it needs its CPUs again; says whether it got them.
    #[must_use]
    pub fn reacquire_cpus(&mut self, demand: &Demand) -> bool {
        let fits = demand.cpu_count() <= self.cpus.free;
        if fits {
            self.cpus.take(demand.cpu_count());
        }
        fits
    }

    /// What of the demand is not free now, as text: `1 CPU (0 of 2 free)`; empty when it fits.
    #[must_use]
    pub fn shortage(&self, demand: &Demand) -> String {
        let mut text = String::new();
        let mut add = |amount: Quantity, name: &str, pool: Pool| {
            if amount > pool.free {
                let joint = if text.is_empty() { "" } else { " and " };
                let Pool { total, free } = pool;
                // Writing to a String cannot fail.
                let _ = write!(text, "{joint}{amount} {name} ({free} of {total} free)");
            }
        };
        add(demand.cpu_count(), "CPU", self.cpus);
        for (name, amount) in demand.parts() {
            add(amount, name, self.pool(name));
        }
        text
    }

    /// All resources with their free and total amounts, CPUs first.
    #[must_use]
    pub fn amounts(&self) -> Vec<ResourceAmount> {
        let cpus = ("cpu".into(), self.cpus);
        let others = self.others.iter().map(|(name, pool)| (name.to_string(), *pool));
        std::iter::once(cpus)
            .chain(others)
            .map(|(resource, Pool { total, free })| ResourceAmount { resource, total, free })
            .collect()
    }

    fn pool(&self, name: &str) -> Pool {
        self.others.get(name).copied().unwrap_or_default()
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
