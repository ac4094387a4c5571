//! What follows from an entry: an answer for whoever asked, and what everybody is to do.
//!
//! Pure: no clock, no I/O, no tasks.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::config::Config;
use super::id::{ActorId, Generation, Host, SessionId};
use super::name::Name;
use crate::error::Refusal;

/// What an entry did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// For whoever asked for it.
    pub reply: Reply,
    /// For everybody, in this order.
    pub changes: Vec<Change>,
}

/// The answer to whoever asked for an entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reply {
    /// It is done, or was done before.
    Done,
    /// The session is open.
    Opened {
        /// Under this id.
        session: SessionId,
    },
    /// The name is the claimer's.
    Granted {
        /// With this token.
        generation: Generation,
    },
    /// The name is somebody else's, as the claimer allowed.
    Exists(Grant),
    /// Whoever had the name is to end; it has it no more.
    Killed {
        /// Which grant.
        generation: Generation,
    },
    /// Whoever had the name is to end, and is started again.
    Restarting {
        /// With this token.
        generation: Generation,
    },
    /// Nothing was changed.
    Refused(Refusal),
}

/// Who has a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grant {
    /// The token.
    pub generation: Generation,
    /// Where it runs or will run; `None` while a host is looked for.
    pub host: Option<Host>,
    /// How far it is.
    pub phase: Phase,
}

/// How far a grant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// It has lost its host and waits for another.
    Orphan,
    /// It waits until the one before it has certainly stopped.
    Waiting,
    /// Its host is to start it.
    Starting,
    /// It runs.
    Active(ActorId),
}

/// What changed for everybody.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// A session is open: the node renews its lease.
    SessionOpened {
        /// Which.
        session: SessionId,
        /// Whose.
        host: Host,
    },
    /// A session is fenced: no voter acknowledges it any more.
    SessionFenced {
        /// Which.
        session: SessionId,
    },
    /// A session is over: closed or expired. Its node may open another.
    SessionEnded {
        /// Which.
        session: SessionId,
        /// Whose.
        host: Host,
    },
    /// The host is to start this grant; it may, while it has its lease.
    Start {
        /// Which.
        name: Name,
        /// The token.
        generation: Generation,
        /// Where.
        host: Host,
        /// Under which session.
        session: SessionId,
        /// After this long.
        wait: Duration,
    },
    /// The host is to stop this grant now, and to say so by a `Release`.
    Stop {
        /// Which.
        name: Name,
        /// The token.
        generation: Generation,
        /// Under which session.
        session: SessionId,
    },
    /// It runs: messages may go there.
    Active {
        /// Which.
        name: Name,
        /// The token.
        generation: Generation,
        /// Where.
        host: Host,
        /// Who.
        actor: ActorId,
    },
    /// It has lost its host.
    Orphaned {
        /// Which.
        name: Name,
        /// The token.
        generation: Generation,
    },
    /// Nobody has the name any more.
    Gone {
        /// Which.
        name: Name,
        /// The last token.
        generation: Generation,
    },
    /// Other voters.
    Configured(Config),
}
