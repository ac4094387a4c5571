//! What can go wrong in the cores, one enum per family of operations.
//!
//! A core that returned text would leave its driver to guess; here the variants are split by the driver's next
//! move: drop the frame, close the connection, wait, or ask elsewhere.
//!
//! Pure: no clock, no I/O, no tasks.

mod registry;

use std::time::Duration;

use crate::id::{Incarnation, NodeId};

pub use self::registry::{
    ApplyError, ForeignCluster, FragmentError, NameError, Refusal, RegistryConfigError,
    RestoreError,
};

/// Why bytes from a peer were refused, or a value could not be put into bytes.
///
/// After an error of framing ([`WireError::closes_connection`]) the borders of frames are lost: close the connection.
/// After any other the frame alone is bad: count it, answer with a dead letter, go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The length prefix is beyond the limit. Nothing was allocated for it.
    #[error("frame of {size_bytes} bytes is beyond the limit of {limit_bytes}")]
    FrameTooLong {
        /// What the prefix says.
        size_bytes: usize,
        /// What is allowed on this connection.
        limit_bytes: usize,
    },
    /// A frame without even its kind.
    #[error("frame without a kind")]
    EmptyFrame,
    /// The input ends inside a field or a value.
    #[error("input ends early")]
    Truncated,
    /// A number takes more bytes than it needs, or more than 64 bits.
    #[error("number not in its shortest form")]
    BadNumber,
    /// A field holds what no sender writes.
    #[error("no such {field}: {value}")]
    BadField {
        /// Which field.
        field: &'static str,
        /// What it holds.
        value: u64,
    },
    /// A collection or string claims more elements than bytes remain. Nothing was allocated for it.
    #[error("{claimed} elements claimed where {remaining_bytes} bytes remain")]
    LengthBeyondInput {
        /// Elements, or bytes of a string.
        claimed: u64,
        /// The rest of the input.
        remaining_bytes: usize,
    },
    /// Values nest deeper than [`crate::wire::codec::DEPTH_MAX`].
    #[error("values nest deeper than {max}")]
    TooDeep {
        /// The limit.
        max: usize,
    },
    /// A byte that MessagePack reserves.
    #[error("reserved byte in MessagePack")]
    Reserved,
    /// The value ends before the input does.
    #[error("{excess_bytes} bytes after the value")]
    TrailingBytes {
        /// What is left over.
        excess_bytes: usize,
    },
    /// Well-formed MessagePack, but of another type.
    #[error("not a value of the type: {reason}")]
    Mismatch {
        /// In the decoder's words.
        reason: String,
    },
    /// The type's own `Serialize` refused.
    #[error("value cannot be encoded: {reason}")]
    Unencodable {
        /// In the encoder's words.
        reason: String,
    },
}

impl WireError {
    /// Whether the borders of frames are lost, so that nothing more can be read from this connection.
    #[must_use]
    pub const fn closes_connection(&self) -> bool {
        matches!(self, Self::FrameTooLong { .. } | Self::EmptyFrame)
    }
}

/// Why a message was not taken by an association. It stays with the caller and was not sent: a retry is safe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The resend buffer of the lane is full. Wait for [`crate::association::Output::Writable`] and send again.
    #[error("lane {lane} holds {buffered_bytes} bytes that await acknowledgement")]
    Full {
        /// Which lane.
        lane: u8,
        /// What it holds.
        buffered_bytes: usize,
    },
    /// One message longer than a frame may be. Send it as an object, or in parts.
    #[error("message of {size_bytes} bytes is beyond the limit of {limit_bytes}")]
    TooLong {
        /// Its size.
        size_bytes: usize,
        /// The limit of the lane.
        limit_bytes: usize,
    },
    /// The association was closed: the peer is down.
    #[error("association with {peer} is closed")]
    Closed {
        /// Who is gone.
        peer: NodeId,
    },
    /// A lane that this association does not have: a mistake of the caller.
    #[error("no lane {lane} in this association")]
    NoLane {
        /// What was asked for.
        lane: u8,
    },
}

/// What a peer did against the rules of an association. Nothing of the frame took effect; close the connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The frame does not parse.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A lane that this association does not have.
    #[error("no lane {lane} in this association")]
    NoLane {
        /// What the frame names.
        lane: u8,
    },
    /// More than was granted: the sender ignores credit.
    #[error("lane {lane}: sent beyond the granted credit")]
    CreditExceeded {
        /// Which lane.
        lane: u8,
    },
    /// An acknowledgement of what was never sent.
    #[error("lane {lane}: acknowledges {next}, but {sent} is the next to be sent")]
    AckBeyondSent {
        /// Which lane.
        lane: u8,
        /// What the peer expects next.
        next: u64,
        /// What was never sent yet.
        sent: u64,
    },
    /// The connection is of an earlier life of the peer.
    #[error("from life {stale} of the peer, which is now in {known}")]
    StaleLife {
        /// What the frame says.
        stale: Incarnation,
        /// What is known.
        known: Incarnation,
    },
    /// The association was closed.
    #[error("association is closed")]
    Closed,
}

/// Why a monitor was not placed. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MonitorError {
    /// Too many are open here. End some, or raise the limit.
    #[error("{max} monitors are open already")]
    Full {
        /// The limit.
        max: usize,
    },
}

/// Why no node was chosen. What was seen is said, so that `why ID` can tell.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlacementError {
    /// No node in sight offers what is to be run. Start one that does; asking again before that is useless.
    #[error("nobody provides {provision}: {} nodes seen", seen.len())]
    NoProvider {
        /// Name of the function or type.
        provision: String,
        /// The nodes that were looked at.
        seen: Vec<NodeId>,
    },
    /// Providers are there, but none has, even when idle, what is asked for. Ask for less or add a node.
    #[error("no node can ever satisfy the request: {}", reasons.join(", "))]
    Infeasible {
        /// One line per node and obstacle, at most 16.
        reasons: Vec<String>,
    },
    /// Feasible, but nobody has room now. Try again when loads change.
    #[error("every feasible node is full or suspected")]
    Busy {
        /// The nodes that could take it when they have room.
        feasible: Vec<NodeId>,
    },
}

/// Why a placement group was not reserved. Everything that was held for it is given back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// No arrangement of the bundles fits the nodes in sight, even when idle.
    #[error("no arrangement of {bundles} bundles fits {nodes} nodes")]
    Infeasible {
        /// How many bundles.
        bundles: usize,
        /// How many nodes were seen.
        nodes: usize,
    },
    /// Others were faster, attempt after attempt.
    #[error("not reserved after {attempts} attempts in {elapsed:?}")]
    Contended {
        /// How often it was tried.
        attempts: u32,
        /// From first to last.
        elapsed: Duration,
    },
}

/// Why something was not posted. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PostError {
    /// Too much is posted by this node already. Withdraw some, or post one entry for many.
    #[error("{max} entries are posted by this node already")]
    Full {
        /// The limit.
        max: usize,
    },
}
