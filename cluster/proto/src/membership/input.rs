//! What the membership core is told.
//!
//! The core trusts the driver for one thing: that `from` is who the connection, or the signature, proved it to be.
//!
//! Pure: no clock, no I/O, no tasks.

use crate::id::NodeId;
use crate::member::Details;

use super::message::{LoadDigest, Message};

/// How a connection ended, as far as the driver can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Evidence {
    /// The peer closed it in order.
    Closed,
    /// The stream was reset, and it is not known whether the peer still listens: the driver should dial anew.
    Reset,
    /// The connection broke and dialling anew was refused: hard evidence.
    Refused,
    /// Anything else: a timeout, an address that does not answer.
    Unknown,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The moment asked for by `Membership::next_wake` has come (or any other).
    Tick,
    /// `from`, as authenticated by the connection, sent a message.
    Received {
        /// The peer at the other end.
        from: NodeId,
        /// What it sent.
        message: Message,
    },
    /// A broadcast arrived whose author, as authenticated by its signature, is `from`.
    Broadcast {
        /// The author, not the one who passed it on.
        from: NodeId,
        /// What it said.
        message: Message,
    },
    /// A control connection to `node` stands, whoever dialled.
    Connected {
        /// The peer.
        node: NodeId,
    },
    /// The control connection to `node` ended, or could not be made.
    Disconnected {
        /// The peer.
        node: NodeId,
        /// How.
        evidence: Evidence,
    },
    /// Join the cluster of whoever is or gets connected; asked again each `retry_every` until one lets us in.
    Join,
    /// Take no more work: the others place nothing here, and still watch us.
    Drain,
    /// Leave the cluster: say farewell and fall silent for ever.
    Leave,
    /// Our own load, from now on.
    Load(LoadDigest),
    /// What we say of ourselves, from now on (addresses, labels…); our incarnation rises.
    Describe(Details),
}
