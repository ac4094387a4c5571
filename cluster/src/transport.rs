//! The port towards the network: what a node needs from it, and nothing about how.
//!
//! One connection for everything would be simplest, but a gigabyte of object bytes then delays the heartbeat behind it
//! until the node is declared down.
//! So there are three kinds of connections ([`Purpose`]), each with its own socket and fate, and a publication that may
//! be lost. (Where nodes cannot dial each other the fates are as separate as a relay lets them be, see [`libp2p`].)
//!
//! Invariants:
//! - every [`Link`] was admitted: the key of the other end is proved, and so is its membership;
//! - a link is ordered and reliable until it ends; nothing is known of what was in flight when it ended;
//! - on a control link only the opener writes, so that two nodes that open at once need no tie-break.
//!
//! [`libp2p`] is the real thing, [`memory`] the same semantics in one process, under virtual time and with faults.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::io::{AsyncRead, AsyncWrite};
use mobula_proto::id::{Incarnation, NodeId};

pub mod libp2p;
pub mod memory;

use crate::admission::rules::Purpose;
use crate::admission::{Admission, Admitted};
use crate::error::{OpenError, TopicError};

/// Most bytes of one publication: the network's 64 KiB less the envelope (author, signature, topic).
pub const PUBLICATION_BYTES_MAX: usize = 63 * 1024;

/// Most topics that one node subscribes to; the network would drop more of them without a word.
pub const TOPICS_MAX: usize = 100;

/// Longest name of a topic in bytes.
pub const TOPIC_NAME_BYTES_MAX: usize = 128;

/// A duplex byte stream: encrypted and authenticated, ordered, with back-pressure.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// An admitted connection to one peer.
pub struct Link {
    /// Who is at the other end.
    pub peer: Arc<Admitted>,
    /// What it is for.
    pub purpose: Purpose,
    /// Its bytes.
    pub stream: Box<dyn ByteStream>,
}

impl Link {
    /// The name of the other end.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.peer.key.node()
    }

    /// The life of the other end.
    #[must_use]
    pub fn life(&self) -> Incarnation {
        self.peer.presence.incarnation
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("node", &self.node())
            .field("purpose", &self.purpose)
            .finish_non_exhaustive()
    }
}

/// Whom to dial.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// Who must be there; `None` takes whoever answers and is admitted.
    pub node: Option<NodeId>,
    /// `host:port`, or the address of a node behind a relay, tried in this order.
    pub addresses: Vec<String>,
}

/// What comes in without having been asked for.
#[derive(Debug)]
pub enum Arrival {
    /// A peer opened a link.
    Link(Link),
    /// A publication on a subscribed topic; lost when we are slow.
    Publication {
        /// The topic.
        topic: String,
        /// The author, proved by its signature.
        from: NodeId,
        /// What it says.
        payload: Bytes,
    },
    /// Somebody on the local network announces itself; not yet admitted.
    Discovered {
        /// `host:port`.
        address: String,
    },
    /// We are reached elsewhere from now on: at [`Transport::addresses`].
    Moved,
    /// A direct connection took the place of one through a relay.
    Direct {
        /// With whom.
        node: NodeId,
    },
}

/// The port. Its implementations are cheap to share; dropping the last reference ends the endpoint.
pub trait Transport: fmt::Debug + Send + Sync + 'static {
    /// Our name.
    fn node(&self) -> NodeId;

    /// The doorkeeper, which also knows what we say of ourselves.
    fn admission(&self) -> &Arc<Admission>;

    /// Where we are reached: `host:port` where we listen, or behind which relay.
    fn addresses(&self) -> Vec<String>;

    /// Opens a link.
    ///
    /// Fails with [`OpenError`]; nothing was sent then.
    /// Cancel safe: a connection in the making is dropped.
    fn open(&self, target: Target, purpose: Purpose)
    -> BoxFuture<'static, Result<Link, OpenError>>;

    /// Publishes to all subscribers but ourselves; may be lost, never duplicated by the network within a minute.
    ///
    /// # Errors
    /// [`TopicError`]; nothing was sent.
    fn publish(&self, topic: &str, payload: Bytes) -> Result<(), TopicError>;

    /// Subscribes; publications arrive as [`Arrival::Publication`].
    ///
    /// # Errors
    /// [`TopicError::TooMany`], [`TopicError::Name`], [`TopicError::Closed`]; nothing changed.
    fn subscribe(&self, topic: &str) -> Result<(), TopicError>;

    /// Ends a subscription.
    fn unsubscribe(&self, topic: &str);

    /// Closes the control connection with `node`. Links of other purposes belong to those who hold them.
    fn disconnect(&self, node: NodeId);

    /// As [`disconnect`](Self::disconnect), unless the connection has other users than the membership.
    fn release(&self, node: NodeId) {
        self.disconnect(node);
    }

    /// The members take `node` for gone: what runs through it leads nowhere and ends.
    fn give_up(&self, _node: NodeId) {}

    /// Stops listening and closes every control connection.
    fn shutdown(&self);
}

pub(crate) fn check_topic(topic: &str) -> Result<(), TopicError> {
    let length = topic.len();
    if length == 0 || length > TOPIC_NAME_BYTES_MAX {
        return Err(TopicError::Name { length });
    }
    Ok(())
}

pub(crate) fn check_publication(topic: &str, payload: &[u8]) -> Result<(), TopicError> {
    check_topic(topic)?;
    let (size_bytes, max_bytes) = (payload.len(), PUBLICATION_BYTES_MAX);
    if size_bytes > max_bytes {
        return Err(TopicError::TooLarge { size_bytes, max_bytes });
    }
    Ok(())
}

pub(crate) fn open_error(error: io::Error) -> OpenError {
    if error.kind() == io::ErrorKind::ConnectionRefused {
        OpenError::Refused
    } else {
        OpenError::Unreachable(Arc::new(error))
    }
}

/// Of two failures at two addresses of one node, the one that tells more: an answer beats silence.
pub(crate) fn more_telling(first: Option<OpenError>, second: OpenError) -> OpenError {
    const fn rank(error: &OpenError) -> u8 {
        match error {
            OpenError::NoAddress => 0,
            OpenError::Refused => 1,
            OpenError::Unreachable(_) | OpenError::TimedOut { .. } => 2,
            OpenError::Oneself => 3,
            OpenError::AnotherNode { .. } => 4,
            OpenError::NotAdmitted(_) => 5,
            OpenError::Closed => 6,
        }
    }
    match first {
        Some(first) if rank(&first) >= rank(&second) => first,
        Some(_) | None => second,
    }
}
