//! What a node has and a thing needs: named quantities.
//!
//! Floating point would let a node that gave ten tenths away have a hair left, or a hair too little.
//! So quantities are whole numbers of 1/10 000.
//!
//! Invariant: what is taken and given back leaves exactly what was there.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// One whole, in the units that quantities are counted in.
pub const ONE: u64 = 10_000;
/// The name of the CPUs.
pub const CPU: &str = "cpu";
/// The name of the memory; one whole is one MiB.
pub const MEMORY: &str = "memory";

/// Named quantities in 1/10 000; what is not named is zero.
///
/// # Examples
/// ```
/// use mobula_proto::placement::resources::{CPU, ONE, Resources};
/// let mut free = Resources::of([(CPU, 2 * ONE)]);
/// let half = Resources::of([(CPU, ONE / 2)]);
/// assert!(free.take(&half));
/// assert_eq!(free.cpu(), 15_000);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Resources(BTreeMap<Arc<str>, u64>);

impl Resources {
    /// From names and quantities in 1/10 000.
    #[must_use]
    pub fn of<'a>(parts: impl IntoIterator<Item = (&'a str, u64)>) -> Self {
        let parts = parts.into_iter().filter(|&(_, quantity)| quantity > 0);
        Self(parts.map(|(name, quantity)| (name.into(), quantity)).collect())
    }

    /// Names and quantities in 1/10 000, by name.
    pub fn parts(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, quantity)| (&**name, *quantity))
    }

    /// The quantity of one name.
    #[must_use]
    pub fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// CPUs, in 1/10 000.
    #[must_use]
    pub fn cpu(&self) -> u64 {
        self.get(CPU)
    }

    pub(super) fn cpu_u32(&self) -> u32 {
        u32::try_from(self.cpu()).unwrap_or(u32::MAX)
    }

    pub(super) fn memory_mib_u32(&self) -> u32 {
        u32::try_from(self.get(MEMORY).div_ceil(ONE)).unwrap_or(u32::MAX)
    }

    /// Whether this is at least `demand`.
    #[must_use]
    pub fn covers(&self, demand: &Self) -> bool {
        self.missing(demand).is_none()
    }

    /// The first name of which `demand` is more than this, and how much more.
    #[must_use]
    pub fn missing<'a>(&self, demand: &'a Self) -> Option<(&'a str, u64)> {
        let mut parts = demand.0.iter();
        parts.find_map(|(name, &needed)| {
            let missing = needed.saturating_sub(self.get(name));
            (missing > 0).then_some((&**name, missing))
        })
    }

    /// Takes `demand` away. `false` if this is not enough: then nothing was taken.
    #[must_use = "nothing is taken where there is not enough"]
    pub fn take(&mut self, demand: &Self) -> bool {
        if !self.covers(demand) {
            return false;
        }
        for (name, needed) in &demand.0 {
            if let Some(quantity) = self.0.get_mut(name) {
                *quantity -= needed;
            }
        }
        true
    }

    /// Gives back what was taken.
    pub fn give(&mut self, returned: &Self) {
        for (name, quantity) in &returned.0 {
            *self.0.entry(name.clone()).or_default() += quantity;
        }
    }

    /// All quantities together: a measure of size, nothing more.
    pub(crate) fn sum(&self) -> u64 {
        self.0.values().fold(0, |sum, quantity| sum.saturating_add(*quantity))
    }

    pub(super) fn shown(quantity: u64) -> f64 {
        quantity as f64 / ONE as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taking_is_all_or_nothing_and_exact() {
        let full = Resources::of([(CPU, ONE), ("gpu", 2 * ONE)]);
        let mut free = full.clone();
        let third = Resources::of([(CPU, ONE / 3), ("gpu", ONE)]);
        assert!(free.take(&third) && free.take(&third));
        assert_eq!(free.missing(&third), Some(("gpu", ONE)));
        assert!(!free.take(&third));
        assert_eq!(free.cpu(), ONE - 2 * (ONE / 3));
        free.give(&third);
        free.give(&third);
        assert_eq!(free, full);
        assert!(!full.covers(&Resources::of([("tpu", 1)])));
    }
}
