//! What a node has (CPUs, memory, anything with a name), what a task asks for, and a ledger between
//! the two.
//!
//! The simple ledger subtracts floats. `0.1 + 0.2` then leaves a crumb behind, and after a million
//! tasks a node believes it has 1.0000001 CPUs, or never again finds a whole one. So every quantity
//! is an integer number of ten-thousandths, the finest fraction a task may ask for.
//!
//! Invariant: for each resource, free + held = total, and free never goes below zero; `acquire`
//! takes everything a demand names or nothing. A blocked task gives back its CPUs only, for a custom
//! resource (a licence, a device) is still in its hands while it waits.
//!
//! Pure: no clock, no I/O, no tasks.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    sync::Arc,
};

/// How many units make one whole: quantities are exact to 1e-4.
pub const UNITS_PER_WHOLE: u64 = 10_000;

/// The name under which memory is counted, in bytes.
pub const MEMORY: &str = "memory";

/// The largest quantity that can be asked for or offered, in wholes (about 2^50).
pub const QUANTITY_MAX: f64 = 1.0e15;

/// An exact, non-negative amount of a resource, in ten-thousandths.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Quantity(u64);

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// One whole CPU, device or licence.
    pub const ONE: Self = Self(UNITS_PER_WHOLE);

    /// Reads an amount such as `0.5` or `2.0`.
    ///
    /// # Errors
    /// [`QuantityError`] when the number is negative, not finite, above [`QUANTITY_MAX`], or finer
    /// than 1e-4. Nothing is rounded silently: `0.00001` of a CPU would become none at all.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the value was just checked to be finite, non-negative and below 2^63"
    )]
    pub fn try_new(amount: f64) -> Result<Self, QuantityError> {
        if !amount.is_finite() || !(0.0..=QUANTITY_MAX).contains(&amount) {
            return Err(QuantityError::OutOfRange { amount });
        }
        let units = amount * 10_000.0;
        let nearest = units.round();
        // A float such as 0.1 + 0.2 is off by less than this; a real fifth digit by much more.
        if (units - nearest).abs() > nearest.max(1.0) * 1e-9 + 1e-6 {
            return Err(QuantityError::TooFine { amount });
        }
        Ok(Self(nearest as u64))
    }

    /// A whole number of units.
    #[must_use]
    pub const fn whole(count: u64) -> Self {
        Self(count.saturating_mul(UNITS_PER_WHOLE))
    }

    /// Whether nothing is asked for.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    const fn is_whole(self) -> bool {
        self.0.is_multiple_of(UNITS_PER_WHOLE)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / UNITS_PER_WHOLE, self.0 % UNITS_PER_WHOLE);
        if rest == 0 {
            return write!(f, "{whole}");
        }
        let digits = format!("{rest:04}");
        write!(f, "{whole}.{}", digits.trim_end_matches('0'))
    }
}

impl fmt::Debug for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why an amount of a resource was not understood.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum QuantityError {
    /// Negative, not a number, infinite or absurdly large. Nothing was scheduled; correct the call.
    #[error("a resource amount must lie between 0 and 1e15, not {amount}")]
    OutOfRange {
        /// What was asked for.
        amount: f64,
    },
    /// Finer than the ledger counts. Nothing was scheduled; use a multiple of 0.0001.
    #[error("a resource amount is counted in steps of 0.0001, so {amount} cannot be kept exactly")]
    TooFine {
        /// What was asked for.
        amount: f64,
    },
    /// Devices are shared in fractions of one, or taken whole. Nothing was scheduled.
    #[error("more than one {resource} must be a whole number, not {amount}")]
    NotWhole {
        /// The device-like resource.
        resource: String,
        /// What was asked for.
        amount: Quantity,
    },
}

/// Whether amounts above one must be whole: half a device is a share, one and a half is nothing a
/// driver can hand out.
fn is_device(resource: &str) -> bool {
    resource.eq_ignore_ascii_case("gpu")
}

/// What one task takes from its node while it runs.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Demand {
    cpus: Quantity,
    others: Vec<(Arc<str>, Quantity)>,
}

impl Default for Demand {
    /// One CPU and nothing else.
    fn default() -> Self {
        Self::cpus(Quantity::ONE)
    }
}

impl Demand {
    /// CPUs only; zero is allowed, for tasks that only wait.
    #[must_use]
    pub const fn cpus(cpus: Quantity) -> Self {
        Self { cpus, others: Vec::new() }
    }

    /// The number of CPUs.
    #[must_use]
    pub const fn cpu_count(&self) -> Quantity {
        self.cpus
    }

    /// Replaces the number of CPUs.
    #[must_use]
    pub fn with_cpus(mut self, cpus: Quantity) -> Self {
        self.cpus = cpus;
        self
    }

    /// Adds a named resource, replacing an earlier amount of the same name. `cpu` means CPUs.
    ///
    /// # Errors
    /// [`QuantityError::NotWhole`] for more than one, but not whole, of a device (`gpu`).
    pub fn with(mut self, resource: &str, amount: Quantity) -> Result<Self, QuantityError> {
        if resource.eq_ignore_ascii_case("cpu") {
            return Ok(self.with_cpus(amount));
        }
        if is_device(resource) && amount > Quantity::ONE && !amount.is_whole() {
            return Err(QuantityError::NotWhole { resource: resource.to_owned(), amount });
        }
        match self.others.binary_search_by(|(name, _)| (**name).cmp(resource)) {
            Ok(at) => {
                if let Some(entry) = self.others.get_mut(at) {
                    entry.1 = amount;
                }
            }
            Err(at) => self.others.insert(at, (resource.into(), amount)),
        }
        Ok(self)
    }

    /// The demand of this task while it is blocked: everything but its CPUs.
    fn parts(&self) -> impl Iterator<Item = (&Arc<str>, Quantity)> {
        self.others.iter().map(|(name, amount)| (name, *amount))
    }
}

impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} CPU", self.cpus)?;
        for (name, amount) in self.parts() {
            write!(f, " and {amount} {name}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Demand({self})")
    }
}

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
        demand.cpus <= self.cpus.total
            && demand.parts().all(|(name, amount)| amount <= self.pool(name).total)
    }

    /// Whether the demand can be met now.
    #[must_use]
    pub fn fits(&self, demand: &Demand) -> bool {
        demand.cpus <= self.cpus.free
            && demand.parts().all(|(name, amount)| amount <= self.pool(name).free)
    }

    /// Whether `other` would take from what `waiting` lacks now.
    #[must_use]
    pub fn competes(&self, waiting: &Demand, other: &Demand) -> bool {
        let lacks_cpus = waiting.cpus > self.cpus.free && !other.cpus.is_zero();
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
        self.cpus.take(demand.cpus);
        for (name, amount) in &demand.others {
            if let Some(pool) = self.others.get_mut(name) {
                pool.take(*amount);
            }
        }
        true
    }

    /// Gives back everything the demand names.
    pub fn release(&mut self, demand: &Demand) {
        self.cpus.put(demand.cpus);
        self.release_held_while_blocked(demand);
    }

    /// Gives back what a blocked task still held: all but the CPUs.
    pub fn release_held_while_blocked(&mut self, demand: &Demand) {
        for (name, amount) in &demand.others {
            if let Some(pool) = self.others.get_mut(name) {
                pool.put(*amount);
            }
        }
    }

    /// A task blocks: its CPUs are free for others, the rest stays in its hands.
    pub fn release_cpus(&mut self, demand: &Demand) {
        self.cpus.put(demand.cpus);
    }

    /// A blocked task goes on: it needs its CPUs again; says whether it got them.
    #[must_use]
    pub fn reacquire_cpus(&mut self, demand: &Demand) -> bool {
        let fits = demand.cpus <= self.cpus.free;
        if fits {
            self.cpus.take(demand.cpus);
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
        add(demand.cpus, "CPU", self.cpus);
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
