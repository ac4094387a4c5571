//! The numbers of the membership protocol, and how they depend on each other.
//!
//! A detector is a bet between speed and false alarms; the defaults are for a local network (LAN).
//! Silence is counted in heartbeats: the window must hold several of them, or one lost packet is a death.
//!
//! Invariant: what [`Config::validate`] lets pass keeps `heartbeat < suspect_after < alert_after`.
//!
//! Pure: no clock, no I/O, no tasks.

use std::time::Duration;

/// The numbers of the membership protocol.
///
/// # Examples
/// ```
/// let config = mobula_proto::config::Config::default();
/// assert!(config.validate().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Between two heartbeats on an edge.
    pub heartbeat: Duration,
    /// Silence after which an observer suspects. At least two heartbeats.
    pub suspect_after: Duration,
    /// Silence after which an observer votes: the window. Stalls below it kill nobody.
    pub alert_after: Duration,
    /// Windows during which a new edge gives no alert by silence.
    pub edge_grace_windows: u32,
    /// How long facts are collected before they are broadcast together.
    pub coalesce: Duration,
    /// Between two digest exchanges with a random neighbour.
    pub digest_every: Duration,
    /// Least time between two exchanges that a differing view hash asks for.
    pub repair_every: Duration,
    /// Between two dials of a random member that is down.
    pub heal_every: Duration,
    /// How long a member that is down or has left is remembered.
    pub forget_after: Duration,
    /// How long a late tick of our own keeps our alerts back and our windows doubled.
    pub self_doubt: Duration,
    /// Between two attempts to join, or to connect a wanted edge.
    pub retry_every: Duration,
    /// First wait of a node that was declared down before it returns; doubles with each time, up to `return_after_max`.
    pub return_after: Duration,
    /// Longest wait of a node that is declared down again and again.
    pub return_after_max: Duration,
    /// Members in the view at most, live or not. The driver refuses joins beyond it.
    pub members_max: usize,
    /// Suspected members for which alerts are kept at most.
    pub accused_max: usize,
    /// Load reports kept of others at most.
    pub loads_max: usize,
    /// A seeded bug, for tests of the tests.
    #[doc(hidden)]
    pub mutant: Mutant,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(250),
            suspect_after: Duration::from_secs(1),
            alert_after: Duration::from_millis(2_500),
            edge_grace_windows: 2,
            coalesce: Duration::from_millis(5),
            digest_every: Duration::from_secs(10),
            repair_every: Duration::from_millis(500),
            heal_every: Duration::from_secs(5),
            forget_after: Duration::from_hours(24),
            self_doubt: Duration::from_secs(10),
            retry_every: Duration::from_secs(1),
            return_after: Duration::from_millis(500),
            return_after_max: Duration::from_mins(5),
            members_max: 65_536,
            accused_max: 16_384,
            loads_max: 1_024,
            mutant: Mutant::None,
        }
    }
}

/// Why a configuration cannot work. Nothing was changed; correct it and try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A duration or limit is zero. Name a positive one.
    #[error("{0} is zero")]
    Zero(&'static str),
    /// Suspicion comes before two heartbeats could arrive. Raise `suspect_after`.
    #[error("suspect_after is below two heartbeats")]
    SuspectTooSoon,
    /// The vote comes before the suspicion. Raise `alert_after`.
    #[error("alert_after is not above suspect_after")]
    AlertTooSoon,
}

impl Config {
    /// Checks every number and how they relate.
    ///
    /// # Errors
    /// The first [`ConfigError`] found.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let spans = [
            ("heartbeat", self.heartbeat),
            ("digest_every", self.digest_every),
            ("repair_every", self.repair_every),
            ("heal_every", self.heal_every),
            ("retry_every", self.retry_every),
            ("return_after", self.return_after),
        ];
        if let Some((name, _)) = spans.iter().find(|(_, span)| span.is_zero()) {
            return Err(ConfigError::Zero(name));
        }
        if self.members_max == 0 || self.accused_max == 0 {
            return Err(ConfigError::Zero("members_max or accused_max"));
        }
        if self.suspect_after < self.heartbeat * 2 {
            return Err(ConfigError::SuspectTooSoon);
        }
        if self.alert_after <= self.suspect_after {
            return Err(ConfigError::AlertTooSoon);
        }
        Ok(())
    }
}

/// Seeded bugs: each takes one safety or liveness rule away, and some test must notice.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mutant {
    /// The protocol as meant.
    #[default]
    None,
    /// A suspect does not answer with a higher incarnation, nor does a node that finds itself down.
    NoRefutation,
    /// The quorum counts observers that are down or accused themselves.
    QuorumOverAllObservers,
    /// Only observers that are down leave the electorate; accused ones stay.
    NoImplicitAlerts,
    /// A late tick of our own changes nothing.
    NoSelfHealth,
    /// A new edge may alert after one window.
    NoEdgeGrace,
    /// The higher status wins before the higher incarnation.
    StatusBeatsIncarnation,
    /// One alert is enough.
    OneObserverDecides,
    /// No digests are exchanged.
    NoAntiEntropy,
    /// Members that are down are never dialled.
    NoHealDial,
    /// A fresh heartbeat does not take the alert back.
    NoRetraction,
    /// A vote counts whoever brings it.
    VotesFromAnybody,
    /// Neighbours stay what they were when the node started; the dead are not replaced.
    NoRepair,
    /// A stream reset alone is taken for a death.
    ResetIsHardEvidence,
    /// Who hears none of its neighbours asks nobody else.
    NoStrangers,
}
