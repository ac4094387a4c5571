//! The words of the registry: which place in the log, which holder of a name, which session of a node.
//!
//! A holder could be named by a counter of its own, but then somebody would have to keep the counters apart, and a
//! name that was forgotten would begin anew. The log has one counter that never repeats: the index of its entries.
//! So a generation, a session and a configuration are each named by the index of the entry that made them.
//!
//! Invariant: an id is given once; of two generations of one name the higher one is the later grant.
//!
//! Pure: no clock, no I/O, no tasks.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{Incarnation, NodeId};

/// Defines a number that is an id, with a letter for its text.
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident, $letter:literal;)*) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($letter, "{}"), self.0)
            }
        }
    )*};
}

ids! {
    /// The place of an entry in the replicated log. The first entry has index 1; 0 is before all.
    Index, "#";
    /// Which grant of a name: the index of the entry that granted it. It is the fencing token: of one name, every
    /// grant has a higher one than all before. Names granted by one entry share a number.
    Generation, "g";
    /// Which session of a node: the index of the entry that opened it.
    SessionId, "s";
    /// Which configuration of voters: the index of the entry that set it; 0 for the founders.
    ConfigId, "c";
    /// An actor, by its number in the life of its node.
    ActorId, "a";
    /// Milliseconds by the leaders' clocks. In the log it never runs backwards: an earlier one counts as the latest
    /// that was seen.
    LogTime, "t";
}

impl Index {
    /// The place after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl LogTime {
    /// The time from `earlier` until `self`; zero if `earlier` is the later one.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// One life of a node: the process that may host actors. A restarted process is another host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Host {
    /// Which node.
    pub node: NodeId,
    /// The incarnation with which its process started.
    pub life: Incarnation,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.node, self.life)
    }
}

/// A voter is a life of a node, never the node: a restarted process has forgotten what it promised, so it must not
/// be counted as the one before.
pub type VoterId = Host;

/// Names a request of a client, so that the second copy of it is answered and not done again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId {
    /// Who asks.
    pub client: Host,
    /// Counts the client's requests from 1.
    pub sequence: u64,
}

/// Names a cluster: drawn at random when it is founded.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClusterId(pub u64);

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cluster {:016x}", self.0)
    }
}

impl fmt::Debug for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
