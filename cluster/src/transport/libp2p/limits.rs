//! What a member that relays for others grants them, and no more.
//!
//! The library's own limits suit strangers: two minutes and 128 KiB for each circuit. Lanes live as long as their nodes,
//! and only members are served here, so the limits are wide; but each is there, and a circuit that reaches one ends like
//! any connection: its lane resumes over the next without loss.

use std::time::Duration;

use crate::error::ConfigError;

/// Most circuits that a relay may be set to carry: each takes a stream of the connection to either end, which ends with
/// all of them when there are more than 4096.
pub const CIRCUITS_MAX: usize = 3584;

/// How much a relay carries for others. Only admitted nodes are served at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayLimits {
    /// Nodes that may be reached through this one. Beyond it a node is refused and tries its next relay. Default: 128.
    pub reservations: usize,
    /// Circuits at one time, at most [`CIRCUITS_MAX`]: one for the control connection of two nodes, one for each of their
    /// lanes and transfers. Beyond it a dialer is refused and tries again. Default: 1024.
    pub circuits: usize,
    /// Circuits that one node may have, as either end, when it opens another. Default: 256.
    pub circuits_per_node: usize,
    /// Bytes that one circuit may carry, in both directions together. Default: 1 TiB.
    pub circuit_bytes: u64,
    /// How long one circuit may last, from 1 s to 136 years (`u32::MAX` seconds). Default: 24 h.
    pub circuit_duration: Duration,
}

impl Default for RelayLimits {
    fn default() -> Self {
        Self {
            reservations: 128,
            circuits: 1024,
            circuits_per_node: 256,
            circuit_bytes: 1 << 40,
            circuit_duration: Duration::from_secs(24 * 3600),
        }
    }
}

impl RelayLimits {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`ConfigError::RelayLimits`] names the first that is wrong.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let seconds = self.circuit_duration.as_secs();
        let wrong = |what| Err(ConfigError::RelayLimits { what });
        if self.reservations == 0 {
            return wrong("no reservation at all");
        }
        if self.circuits == 0 || self.circuits > CIRCUITS_MAX {
            return wrong("1 to 3584 circuits may be carried");
        }
        if self.circuits_per_node == 0 {
            return wrong("no circuit for a node");
        }
        // Zero would mean no limit to the library.
        if self.circuit_bytes == 0 {
            return wrong("no byte for a circuit");
        }
        if seconds == 0 || seconds > u64::from(u32::MAX) {
            return wrong("a circuit lasts from one second to `u32::MAX` of them");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_has_its_range() {
        let usual = RelayLimits::default();
        usual.validate().unwrap();
        let wrong = [
            RelayLimits { reservations: 0, ..usual.clone() },
            RelayLimits { circuits: 0, ..usual.clone() },
            RelayLimits { circuits: CIRCUITS_MAX + 1, ..usual.clone() },
            RelayLimits { circuits_per_node: 0, ..usual.clone() },
            RelayLimits { circuit_bytes: 0, ..usual.clone() },
            RelayLimits { circuit_duration: Duration::from_millis(999), ..usual.clone() },
            RelayLimits { circuit_duration: Duration::MAX, ..usual },
        ];
        for limits in wrong {
            assert!(limits.validate().is_err(), "{limits:?}");
        }
    }
}
