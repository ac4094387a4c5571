//! Quantities of resources (CPUs, memory, anything with a name), and what a task asks for.
//!
//! The simple quantity is a float. `0.1 + 0.2` then leaves a crumb behind, and after a million tasks a
//! node believes it has 1.0000001 CPUs, or never again finds a whole one. So every quantity is an integer
//! number of ten-thousandths, the finest fraction a task may ask for.
//!
//! Invariant: a quantity is what was asked for, exactly; what cannot be kept exactly is refused.
//!
//! Pure: no clock, no I/O, no tasks.

use std::{fmt, sync::Arc};

use mobula_actor_core::GroupId;
use serde::{Deserialize, Serialize};

/// How many units make one whole: quantities are exact to 1e-4.
pub const UNITS_PER_WHOLE: u64 = 10_000;

/// The name under which memory is counted, in bytes.
pub const MEMORY: &str = "memory";

/// The largest quantity that can be asked for or offered, in wholes (about 2^50).
pub const QUANTITY_MAX: f64 = 1.0e15;

/// An exact, non-negative amount of a resource, in ten-thousandths.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Quantity(pub(crate) u64);

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

    /// How many ten-thousandths it is.
    #[must_use]
    pub const fn units(self) -> u64 {
        self.0
    }

    /// So many ten-thousandths.
    #[must_use]
    pub const fn of_units(units: u64) -> Self {
        Self(units)
    }

    /// The amount as a number, for people to read.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "for people: nobody counts to 2^53 of these")]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / UNITS_PER_WHOLE as f64
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

/// The part of a placement group that a task runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Within {
    /// The group.
    pub group: GroupId,
    /// Which of its bundles; `None` for any on the node.
    pub bundle: Option<u32>,
}

impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bundle {
            Some(bundle) => write!(f, "bundle {bundle} of group {}", self.group),
            None => write!(f, "group {}", self.group),
        }
    }
}

/// What one task takes from its node, or from its group's room there, while it runs.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Demand {
    cpus: Quantity,
    others: Vec<(Arc<str>, Quantity)>,
    within: Option<Within>,
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
        Self { cpus, others: Vec::new(), within: None }
    }

    /// The same, of a group's room instead of the node's own.
    #[must_use]
    pub const fn within(mut self, within: Option<Within>) -> Self {
        self.within = within;
        self
    }

    /// The group whose room it takes from.
    #[must_use]
    pub const fn place(&self) -> Option<Within> {
        self.within
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
    pub fn with(self, resource: &str, amount: Quantity) -> Result<Self, QuantityError> {
        if resource.eq_ignore_ascii_case("cpu") {
            return Ok(self.with_cpus(amount));
        }
        if is_device(resource) && amount > Quantity::ONE && !amount.is_whole() {
            return Err(QuantityError::NotWhole { resource: resource.to_owned(), amount });
        }
        Ok(self.set(resource, amount))
    }

    /// The same for what no single task asks for, such as a sum of demands: devices may be in fractions.
    #[must_use]
    pub fn set(mut self, resource: &str, amount: Quantity) -> Self {
        if resource.eq_ignore_ascii_case("cpu") {
            return self.with_cpus(amount);
        }
        match self.others.binary_search_by(|(name, _)| (**name).cmp(resource)) {
            Ok(at) => {
                if let Some(entry) = self.others.get_mut(at) {
                    entry.1 = amount;
                }
            }
            Err(at) => self.others.insert(at, (resource.into(), amount)),
        }
        self
    }

    /// Everything but the CPUs, by name.
    pub fn parts(&self) -> impl Iterator<Item = (&Arc<str>, Quantity)> {
        self.others.iter().map(|(name, amount)| (name, *amount))
    }
}

impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cpus =
            (!self.cpus.is_zero() || self.others.is_empty()).then(|| format!("{} CPU", self.cpus));
        let others = self.parts().map(|(name, amount)| format!("{amount} {name}"));
        let parts: Vec<String> = cpus.into_iter().chain(others).collect();
        f.write_str(&parts.join(" and "))?;
        if let Some(within) = self.within {
            write!(f, " in {within}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Demand({self})")
    }
}

#[cfg(test)]
mod tests;
