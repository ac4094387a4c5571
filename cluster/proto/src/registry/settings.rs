//! The numbers of the registry, and how they depend on each other.
//!
//! A lease is a bet between how soon a lost actor comes back and how many renewals may be lost; the margin pays for
//! clocks that do not run alike. The defaults are for a local network (LAN).
//!
//! Invariants: what [`Settings::validate`] lets pass has room for two renewals in a lease. Uniqueness holds as long as
//! two clocks differ by less than the margin within lease and margin (with the defaults: one part in nine).
//!
//! Pure: no clock, no I/O, no tasks.

use std::time::Duration;

use super::mutant::Mutant;
use crate::error::RegistryConfigError;

/// The numbers that nodes, voters and leader share. They must be the same on all nodes.
///
/// # Examples
/// ```
/// assert!(mobula_proto::registry::Settings::default().validate().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Settings {
    /// How long a renewal that a quorum has acknowledged holds, counted from its sending.
    pub lease: Duration,
    /// What a voter waits beyond the lease, for clocks that differ.
    pub margin: Duration,
    /// Between two renewals.
    pub renew_every: Duration,
    /// How long a voter is down before another takes its place.
    pub replace_after: Duration,
    /// How long the leader waits for an entry that it proposed before it proposes it again.
    pub propose_again: Duration,
    /// A seeded bug, for tests of the tests.
    #[doc(hidden)]
    pub mutant: Mutant,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(4),
            margin: Duration::from_millis(500),
            renew_every: Duration::from_secs(1),
            replace_after: Duration::from_secs(10),
            propose_again: Duration::from_secs(1),
            mutant: Mutant::None,
        }
    }
}

impl Settings {
    /// How long nothing must have been acknowledged before a lease is over on every clock: lease and margin.
    #[must_use]
    pub fn quiet(&self) -> Duration {
        self.lease + self.margin
    }

    /// Checks every number and how they relate.
    ///
    /// # Errors
    /// The first [`RegistryConfigError`] found. Nothing was changed; correct it and try again.
    pub fn validate(&self) -> Result<(), RegistryConfigError> {
        let spans = [
            ("lease", self.lease),
            ("margin", self.margin),
            ("renew_every", self.renew_every),
            ("replace_after", self.replace_after),
            ("propose_again", self.propose_again),
        ];
        if let Some((name, _)) = spans.iter().find(|(_, span)| span.is_zero()) {
            return Err(RegistryConfigError::Zero(name));
        }
        if self.lease < self.renew_every * 2 {
            return Err(RegistryConfigError::LeaseTooShort);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_cannot_work_are_refused() {
        let zero = Settings { margin: Duration::ZERO, ..Settings::default() };
        assert_eq!(zero.validate(), Err(RegistryConfigError::Zero("margin")));
        let short = Settings { renew_every: Duration::from_secs(3), ..Settings::default() };
        assert_eq!(short.validate(), Err(RegistryConfigError::LeaseTooShort));
    }
}
