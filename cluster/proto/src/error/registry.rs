//! What can go wrong about names that are unique, and what the registry refuses.
//!
//! A refusal is part of the log's outcome, the same on all nodes, so it travels as a value.
//!
//! Pure: no clock, no I/O, no tasks.

use serde::{Deserialize, Serialize};

use super::WireError;
use crate::id::{Incarnation, NodeId};
use crate::registry::id::{ClusterId, ConfigId, Generation, Index, SessionId};

/// Why something is no name. Nothing was done; choose another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing but white space, or not even that.
    #[error("a name or namespace is blank")]
    Blank,
    /// Longer than every node wants to keep.
    #[error("name of {size_bytes} bytes is beyond the limit of {limit_bytes}")]
    TooLong {
        /// Its size.
        size_bytes: usize,
        /// The limit.
        limit_bytes: usize,
    },
}

/// Why the numbers of the registry cannot work. Nothing was changed; correct them and try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryConfigError {
    /// A duration or limit is zero. Name a positive one.
    #[error("{0} is zero")]
    Zero(&'static str),
    /// One lost renewal would end the lease. Raise `lease` or lower `renew_every`.
    #[error("lease is below two renewals")]
    LeaseTooShort,
}

/// Why the registry did not do what an entry asks. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Somebody has the name. Use another, or claim it with `GetIfExists` or `Replace`.
    #[error("the name is taken by {generation}")]
    Taken {
        /// By whom.
        generation: Generation,
    },
    /// The name is not, or no more, that of the grant which was meant. Look it up again.
    #[error("the name has passed on{}", current.map_or_else(String::new, |now| format!(" to {now}")))]
    Stale {
        /// Who has it now, if anybody.
        current: Option<Generation>,
    },
    /// The actor that was meant was killed: it must not come back. A new claim of the name is allowed.
    #[error("the actor of {generation} was killed")]
    Killed {
        /// Which grant.
        generation: Generation,
    },
    /// The actor that was meant was restarted too often. A new claim of the name is allowed.
    #[error("the actor of {generation} was restarted too often")]
    Exhausted {
        /// Which grant.
        generation: Generation,
    },
    /// Nobody has the name.
    #[error("nobody has the name")]
    NotFound,
    /// The one before has not stopped yet. Wait for [`crate::registry::Change::Start`].
    #[error("the holder before has not stopped yet")]
    NotYet,
    /// The host has no session, or one that is fenced. Open one first, or choose another host.
    #[error("{node} has no open session")]
    NoSession {
        /// Which node.
        node: NodeId,
    },
    /// There is no such session, or it is over.
    #[error("no session {session}")]
    UnknownSession {
        /// Which.
        session: SessionId,
    },
    /// The session is fenced and not over yet. Wait for its end, then open a new one.
    #[error("session {session} is fenced")]
    Fenced {
        /// Which.
        session: SessionId,
    },
    /// Only a session that is fenced can expire: a mistake of the leader.
    #[error("session {session} is not fenced")]
    NotFenced {
        /// Which.
        session: SessionId,
    },
    /// A later life of the node has a session. This process must end.
    #[error("a later life of the node is known: {known}")]
    StaleLife {
        /// Which.
        known: Incarnation,
    },
    /// So old a request that its answer is forgotten: it may have been done. Look before you ask again.
    #[error("the answer to this request is forgotten")]
    OldRequest,
    /// Decided on another configuration than the one that holds. Look again.
    #[error("{current} is the configuration that holds")]
    OtherConfig {
        /// Which.
        current: ConfigId,
    },
    /// Majorities of these voters and of those before need not have a voter in common. Take a step between.
    #[error("quorums of these voters and of those before need not meet")]
    QuorumsDoNotMeet,
    /// Beyond a limit of its kind: a list or number in the entry. Send less.
    #[error("{field} of {value} is beyond its limit")]
    BeyondLimit {
        /// Which.
        field: String,
        /// What it holds.
        value: u64,
    },
    /// A spec that every node would have to keep. Put what is large into an object, and its name into the spec.
    #[error("spec of {size_bytes} bytes is beyond the limit of {limit_bytes}")]
    SpecTooLong {
        /// Its size.
        size_bytes: usize,
        /// The limit.
        limit_bytes: usize,
    },
    /// All specs together. Release names, or raise the limit on all nodes.
    #[error("specs are beyond {limit_bytes} bytes together")]
    SpecsFull {
        /// The limit.
        limit_bytes: usize,
    },
    /// Release names, or raise the limit on all nodes.
    #[error("{max} names are taken")]
    NamesFull {
        /// The limit.
        max: usize,
    },
    /// Too many nodes host named actors. Host them on fewer, or raise the limit on all nodes.
    #[error("{max} sessions are open")]
    SessionsFull {
        /// The limit.
        max: usize,
    },
}

/// Why an entry was not looked at. The state is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// It was applied before: go on.
    #[error("{index} was applied already")]
    Old {
        /// Which.
        index: Index,
    },
    /// Something between is missing: fetch from `expected` on.
    #[error("{expected} is missing before {index}")]
    Gap {
        /// What came.
        index: Index,
        /// What is next.
        expected: Index,
    },
}

/// Why a snapshot was not taken over. Whoever sent it is broken or of another version: ask another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// More of something than the snapshot's own limits allow.
    #[error("snapshot with more {0} than its limits allow")]
    BeyondLimit(&'static str),
    /// It names a session that it does not contain, or contains something twice.
    #[error("snapshot that contradicts itself: {0}")]
    Torn(&'static str),
}

/// Another cluster. Nothing was merged, and nothing will be: both have names and voters of their own.
/// Stop one of the two, start its nodes anew, and let them join the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{theirs} is not {ours}: two clusters are never merged")]
pub struct ForeignCluster {
    /// Which this node is in.
    pub ours: ClusterId,
    /// Which the other node is in.
    pub theirs: ClusterId,
}

/// Why a fragment of the log was not taken. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FragmentError {
    /// Of another cluster's log. Raise the alarm.
    #[error(transparent)]
    Foreign(#[from] ForeignCluster),
    /// More entries than a sender may put together, or a place before the first. Close the connection.
    #[error("fragment of {count} entries at {from}")]
    BadShape {
        /// Where it says that it begins.
        from: Index,
        /// How many.
        count: usize,
    },
    /// An entry beyond its limits. Close the connection.
    #[error("fragment with an entry beyond its limits")]
    Entry(#[source] WireError),
}
