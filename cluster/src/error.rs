//! What can go wrong between nodes, one enum per family of operations.
//!
//! A single "connection failed" would leave the caller to guess whether to wait, to fix the configuration or to give up.
//! So variants are split by the caller's next move, and each says what state it leaves behind.
//!
//! Invariant: no type of the transport library stands in a public signature; its errors are kept as sources.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use mobula_proto::error::ProtocolError;
use mobula_proto::id::NodeId;

use crate::admission::rules::Refusal;

/// A key that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// A seed of another length than 32 bytes. Check the key file.
    #[error("an identity's seed has 32 bytes, not {length}")]
    Seed {
        /// The length found.
        length: usize,
    },
    /// Not 64 hexadecimal digits. Check the spelling.
    #[error("not a public key: {text:?}")]
    PublicKey {
        /// The start of the text.
        text: String,
    },
}

/// A configuration that must not start. Nothing was bound.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The open mode would let anyone in from elsewhere. Listen on loopback, or choose a secret or an authority.
    #[error("open admission listens on loopback only, not on {address}")]
    OpenBeyondLoopback {
        /// The first address that is not loopback.
        address: String,
    },
    /// A secret short enough to be guessed. Use at least [`crate::admission::rules::SECRET_BYTES_MIN`] random bytes.
    #[error("the cluster secret has {length} bytes, at least {min} are needed")]
    ShortSecret {
        /// Its length.
        length: usize,
        /// The least length.
        min: usize,
    },
    /// The cluster's name is empty or longer than 64 bytes.
    #[error("a cluster's name has 1 to 64 bytes, not {length}")]
    ClusterName {
        /// Its length.
        length: usize,
    },
    /// Certificates are demanded, but this node has neither certificate, token nor the authority's key.
    #[error("no certificate, join token or authority key to show")]
    NothingToShow,
    /// What a relay would grant is out of its range. Correct it.
    #[error("limits of a relay: {what}")]
    RelayLimits {
        /// What is wrong.
        what: &'static str,
    },
    /// What the node says of itself is beyond a limit.
    #[error("{what} beyond the limit: {size}, at most {max}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// Its size.
        size: usize,
        /// The limit.
        max: usize,
    },
}

/// A word to another node that did not come back. Nothing is changed by it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// There is no control connection to it. Ask one of its neighbours, or an actor there.
    #[error("node {node} is no control neighbour")]
    NoNeighbour {
        /// Who was asked for.
        node: NodeId,
    },
    /// It did not answer. Its connection is slow, or it is about to be suspected.
    #[error("no echo from node {node} within {limit:?}")]
    NoEcho {
        /// Who was asked.
        node: NodeId,
        /// How long was waited.
        limit: Duration,
    },
    /// As many as there may be are under way. Try later.
    #[error("too many probes are under way")]
    TooMany,
    /// This node has ended.
    #[error("the node has ended")]
    Closed,
}

/// A node that could not start. Whatever had been bound is released.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration is refused. Correct it.
    #[error("refused configuration")]
    Config(#[from] ConfigError),
    /// An address cannot be listened on. Choose another, or wait until it is free.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The transport could not be built.
    #[error("cannot build the transport")]
    Transport(#[source] io::Error),
    /// The transport refuses the subscriptions that the cluster itself needs.
    #[error("cannot subscribe")]
    Topics(#[from] TopicError),
}

/// A handshake that did not end with both in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdmissionError {
    /// We refused the other end. Nothing was served to it.
    #[error("refused the other end")]
    Refused(#[source] Refusal),
    /// The other end refused us. Retrying without a change is useless.
    #[error("refused by the other end")]
    RefusedByPeer(#[source] Refusal),
    /// No complete handshake within the limit. Retry with back-off.
    #[error("no admission within {limit:?}")]
    TimedOut {
        /// The limit.
        limit: Duration,
    },
    /// The connection broke in the handshake. Retry with back-off.
    #[error("connection broke during admission")]
    Broken(#[source] io::Error),
}

impl AdmissionError {
    /// The refusal, whoever spoke it.
    #[must_use]
    pub const fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) | Self::RefusedByPeer(refusal) => Some(refusal),
            Self::TimedOut { .. } | Self::Broken(_) => None,
        }
    }
}

/// A connection that could not be made. Nothing was sent on it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Nobody listens there (or no more): hard evidence. Retry only if a restart is expected.
    #[error("connection refused")]
    Refused,
    /// No answer, no route or a broken connection. Retry with back-off.
    #[error("unreachable")]
    Unreachable(#[source] Arc<io::Error>),
    /// Not within the limit. Retry with back-off.
    #[error("no connection within {limit:?}")]
    TimedOut {
        /// The limit.
        limit: Duration,
    },
    /// One end was not let in by the other. Retrying without a change is useless.
    #[error("not admitted")]
    NotAdmitted(#[source] Arc<AdmissionError>),
    /// Another node answers at this address. Learn the new address first.
    #[error("expected {expected}, found {found}")]
    AnotherNode {
        /// Who was meant.
        expected: NodeId,
        /// Who answered.
        found: NodeId,
    },
    /// The address is our own.
    #[error("the address leads back to this node")]
    Oneself,
    /// No address is known, or none can be read.
    #[error("no address to dial")]
    NoAddress,
    /// This endpoint was shut down.
    #[error("the endpoint is shut down")]
    Closed,
}

/// A publication or subscription that was not taken. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopicError {
    /// A message beyond 64 KiB less the envelope. Put it into the store and publish the reference.
    #[error("publication of {size_bytes} bytes, at most {max_bytes}")]
    TooLarge {
        /// Its size.
        size_bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
    /// More than 100 topics on one node: the network would drop them silently. Use one topic for several kinds.
    #[error("subscribed to {max} topics already")]
    TooMany {
        /// The limit.
        max: usize,
    },
    /// A name that is empty or longer than 128 bytes.
    #[error("a topic's name has 1 to 128 bytes, not {length}")]
    Name {
        /// Its length.
        length: usize,
    },
    /// The queue towards the network is full. Retry later; publications may be lost anyway.
    #[error("too many publications at once")]
    Busy,
    /// This endpoint was shut down.
    #[error("the endpoint is shut down")]
    Closed,
}

/// A lane or the peer at its other end that cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The connection ended. It is dialed anew, and the lane resumes.
    #[error("connection ended")]
    Broken(#[source] io::Error),
    /// The other end breaks the rules of the association; the connection is closed.
    #[error("protocol violated")]
    Protocol(#[source] ProtocolError),
    /// Nothing at all was heard for the limit.
    #[error("silent for {limit:?}")]
    Silent {
        /// The limit.
        limit: Duration,
    },
}

/// A transfer that did not end with all bytes here. What arrived before is good.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BulkError {
    /// The other end has no such key (any more). Look for another location.
    #[error("not there")]
    Absent,
    /// The range goes beyond the end of the bytes. Nothing was sent.
    #[error("range {start}..{end} in {size_bytes} bytes")]
    Range {
        /// Start of the range.
        start: u64,
        /// End of the range.
        end: u64,
        /// Size of what is there.
        size_bytes: u64,
    },
    /// No connection, in spite of retries. Try another location.
    #[error("no connection")]
    Open(#[from] OpenError),
    /// The connection broke more often than is retried. Resume at the offset reached, or elsewhere.
    #[error("broken off at byte {offset}, after {attempts} attempts")]
    Broken {
        /// The first byte that did not arrive.
        offset: u64,
        /// Connections tried.
        attempts: u32,
    },
    /// The other end says what nobody says.
    #[error("protocol violated")]
    Protocol,
    /// A transfer of the same key from the same node runs already, or too many do. Wait for it.
    #[error("a transfer of this key from this node runs already")]
    Running,
}

/// A cluster that was not joined. The node stays up and alone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// None of the addresses led to a member within the limit; the last error of each.
    #[error("no member reached within {limit:?} at {} address(es)", tried.len())]
    NobodyThere {
        /// The limit.
        limit: Duration,
        /// Address and error.
        tried: Vec<(String, OpenError)>,
    },
    /// A member refused us: waiting does not help.
    #[error("{address} does not let us in")]
    NotAdmitted {
        /// Where.
        address: String,
        /// Why.
        #[source]
        source: Arc<AdmissionError>,
    },
    /// The node was shut down meanwhile.
    #[error("the node is shut down")]
    Closed,
}
