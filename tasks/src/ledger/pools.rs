//! Amounts by name, of which some is taken: of a node, or of a part of it.
//!
//! Invariant: of each resource, free is never more than total; `take` takes all that a demand names or nothing.
//!
//! Pure: no clock, no I/O, no tasks.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use crate::resources::{Demand, Quantity};

use super::ResourceAmount;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pool {
    pub(super) total: Quantity,
    pub(super) free: Quantity,
}

impl Pool {
    pub(super) const fn full(total: Quantity) -> Self {
        Self { total, free: total }
    }

    pub(super) fn take(&mut self, amount: Quantity) {
        debug_assert!(amount <= self.free, "the caller checked that it fits");
        self.free = Quantity(self.free.0.saturating_sub(amount.0));
    }

    pub(super) fn put(&mut self, amount: Quantity) {
        debug_assert!(self.free.0 + amount.0 <= self.total.0, "gave back more than was taken");
        self.free = Quantity(self.free.0.saturating_add(amount.0).min(self.total.0));
    }

    pub(super) fn grow(&mut self, amount: Quantity) {
        self.total = Quantity(self.total.0.saturating_add(amount.0));
        self.free = Quantity(self.free.0.saturating_add(amount.0));
    }
}

/// CPUs and others.
#[derive(Clone, Debug, Default)]
pub(super) struct Pools {
    pub(super) cpus: Pool,
    pub(super) others: BTreeMap<Arc<str>, Pool>,
}

impl Pools {
    pub(super) fn grow(&mut self, resource: &str, amount: Quantity) {
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

    /// Adds what a demand names.
    pub(super) fn add(&mut self, demand: &Demand) {
        self.cpus.grow(demand.cpu_count());
        for (name, amount) in demand.parts() {
            self.grow(name, amount);
        }
    }

    pub(super) fn covers(&self, demand: &Demand) -> bool {
        demand.cpu_count() <= self.cpus.total
            && demand.parts().all(|(name, amount)| amount <= self.pool(name).total)
    }

    pub(super) fn fits(&self, demand: &Demand) -> bool {
        demand.cpu_count() <= self.cpus.free
            && demand.parts().all(|(name, amount)| amount <= self.pool(name).free)
    }

    pub(super) fn competes(&self, waiting: &Demand, other: &Demand) -> bool {
        let lacks_cpus = waiting.cpu_count() > self.cpus.free && !other.cpu_count().is_zero();
        let lacks = |name, amount| amount > self.pool(name).free;
        let uses = |wanted: &Arc<str>| other.parts().any(|(n, q)| n == wanted && !q.is_zero());
        lacks_cpus || waiting.parts().any(|(name, amount)| lacks(name, amount) && uses(name))
    }

    /// Takes what fits, as the caller has seen.
    pub(super) fn take(&mut self, demand: &Demand) {
        self.cpus.take(demand.cpu_count());
        for (name, amount) in demand.parts() {
            if let Some(pool) = self.others.get_mut(name) {
                pool.take(amount);
            }
        }
    }

    /// Gives back everything but the CPUs.
    pub(super) fn put_others(&mut self, demand: &Demand) {
        for (name, amount) in demand.parts() {
            if let Some(pool) = self.others.get_mut(name) {
                pool.put(amount);
            }
        }
    }

    /// Gives back what is free in a part that is no more.
    pub(super) fn put_free_of(&mut self, part: &Self) {
        self.cpus.put(part.cpus.free);
        for (name, pool) in &part.others {
            if let Some(own) = self.others.get_mut(name) {
                own.put(pool.free);
            }
        }
    }

    pub(super) fn shortage(&self, demand: &Demand) -> String {
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

    pub(super) fn amounts(&self) -> Vec<ResourceAmount> {
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
