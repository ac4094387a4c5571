//! What stands in the replicated log: everything that ever changes who has which name.
//!
//! The log is on every node and for ever (until a snapshot), so an entry is small, has limits, and says what happened
//! and not what follows: what follows is decided by [`super::state`], the same on all nodes.
//!
//! Invariant: an entry that [`decode`] gives is within its limits; what was read for it is proportional to its bytes.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::config::VOTERS_MAX;
use super::id::{ActorId, ConfigId, Generation, Host, LogTime, RequestId, SessionId, VoterId};
use super::name::Name;
use super::spec::{INTENSITY_MAX, Policy, Spec};
use crate::error::WireError;
use crate::wire::codec;

/// The longest entry: 1 MiB, the limit of a control frame.
pub const ENTRY_BYTES_MAX: usize = 1 << 20;
/// New hosts that one entry names at most. What is beyond it waits for the next entry.
pub const ASSIGNS_MAX: usize = 2_048;

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Entry {
    /// Nothing: what a new leader begins with.
    Blank,
    /// A node will host named actors. Sessions of its earlier lives are fenced.
    OpenSession {
        /// Which life of which node.
        host: Host,
    },
    /// Somebody wants a name.
    Claim(Box<Claim>),
    /// The host has started the actor.
    Started {
        /// Which.
        name: Name,
        /// Of which grant.
        generation: Generation,
        /// The actor's id there.
        actor: ActorId,
    },
    /// The instance of this grant runs no more, and nobody wants it back: it gave its name up, or was told to stop.
    Release {
        /// Which.
        name: Name,
        /// Of which grant.
        generation: Generation,
    },
    /// The instance of this grant has ended by itself; the policy says what follows.
    Ended {
        /// Which.
        name: Name,
        /// Of which grant.
        generation: Generation,
        /// Whether it failed.
        is_failure: bool,
        /// When.
        at: LogTime,
    },
    /// Somebody ends whoever has the name.
    Kill {
        /// Which request.
        request: RequestId,
        /// Whom.
        name: Name,
        /// Whether it is started again, as after a failure.
        restart: bool,
        /// When.
        at: LogTime,
    },
    /// The node has stopped all its named actors and leaves.
    CloseSession {
        /// Which.
        session: SessionId,
    },
    /// From here on no voter acknowledges this session.
    Fence {
        /// Which.
        session: SessionId,
    },
    /// A quorum of voters has certified that the lease of a fenced session is over.
    Expire {
        /// Which.
        session: SessionId,
        /// Of which configuration the voters were.
        config: ConfigId,
        /// When.
        at: LogTime,
        /// Who takes over its actors.
        assigns: Vec<Assign>,
    },
    /// Hosts for actors that have none.
    Assign {
        /// Which.
        assigns: Vec<Assign>,
    },
    /// Other voters.
    Configure {
        /// What it was decided on.
        follows: ConfigId,
        /// Who votes, or will.
        voters: BTreeSet<VoterId>,
        /// Who voted so far, if this is a step on the way.
        outgoing: BTreeSet<VoterId>,
    },
}

/// A claim of a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Claim {
    /// Which request.
    pub request: RequestId,
    /// Which name.
    pub name: Name,
    /// What to start.
    pub spec: Spec,
    /// When to start it again.
    pub policy: Policy,
    /// Where it is to run: a life that has a session.
    pub host: Host,
    /// What if there is one already.
    pub mode: Mode,
}

/// What a claim does about a name that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Mode {
    /// It fails.
    Fail,
    /// It is told who has it.
    GetIfExists,
    /// It takes the place of exactly this grant, as soon as that one has stopped.
    Replace(Generation),
}

/// A new host for an actor that has lost its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Assign {
    /// Which.
    pub name: Name,
    /// The grant that has lost its host.
    pub generation: Generation,
    /// Where it goes: a life that has a session.
    pub host: Host,
}

/// Puts an entry into bytes.
///
/// # Errors
/// [`WireError::FrameTooLong`]: more than [`ENTRY_BYTES_MAX`]; split its assigns.
///
/// # Examples
/// ```
/// use mobula_proto::registry::entry::{Entry, decode, encode};
/// use mobula_proto::registry::SessionId;
/// let fence = Entry::Fence { session: SessionId(7) };
/// assert_eq!(decode(&encode(&fence)?)?, fence);
/// # Ok::<(), mobula_proto::error::WireError>(())
/// ```
pub fn encode(entry: &Entry) -> Result<Vec<u8>, WireError> {
    let bytes = codec::encode(entry)?;
    check_size(&bytes)?;
    Ok(bytes)
}

/// Reads an entry.
///
/// # Errors
/// - [`WireError::FrameTooLong`]: more than [`ENTRY_BYTES_MAX`]. Nothing was allocated for it.
/// - [`WireError::BadField`]: a list or a number beyond its limit.
/// - All others: not an entry.
pub fn decode(bytes: &[u8]) -> Result<Entry, WireError> {
    check_size(bytes)?;
    let entry = codec::decode(bytes)?;
    check(&entry)?;
    Ok(entry)
}

fn check_size(bytes: &[u8]) -> Result<(), WireError> {
    let (size_bytes, limit_bytes) = (bytes.len(), ENTRY_BYTES_MAX);
    if size_bytes > limit_bytes {
        return Err(WireError::FrameTooLong { size_bytes, limit_bytes });
    }
    Ok(())
}

/// Whether an entry is within its limits, wherever it comes from.
///
/// # Errors
/// [`WireError::BadField`], with the first one that is not.
pub fn check(entry: &Entry) -> Result<(), WireError> {
    let (field, value, max) = match entry {
        Entry::Claim(claim) => {
            ("intensity", u64::from(claim.policy.intensity), INTENSITY_MAX as usize)
        }
        Entry::Expire { assigns, .. } | Entry::Assign { assigns } => {
            ("assigns", assigns.len() as u64, ASSIGNS_MAX)
        }
        Entry::Configure { voters, outgoing, .. } => {
            ("voters", voters.len().max(outgoing.len()) as u64, VOTERS_MAX)
        }
        Entry::Blank
        | Entry::OpenSession { .. }
        | Entry::Started { .. }
        | Entry::Release { .. }
        | Entry::Ended { .. }
        | Entry::Kill { .. }
        | Entry::CloseSession { .. }
        | Entry::Fence { .. } => return Ok(()),
    };
    if value > max as u64 { Err(WireError::BadField { field, value }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Incarnation, NodeId};

    const HOST: Host = Host { node: NodeId(1), life: Incarnation(2) };

    fn name() -> Name {
        Name::try_new("default", "clicks").unwrap()
    }

    fn claim(intensity: u32) -> Entry {
        Entry::Claim(Box::new(Claim {
            request: RequestId { client: HOST, sequence: 3 },
            name: name(),
            spec: Spec::try_new(b"spec").unwrap(),
            policy: Policy { intensity, ..Policy::default() },
            host: HOST,
            mode: Mode::Replace(Generation(4)),
        }))
    }

    #[test]
    fn entries_come_back_as_they_were() {
        let generation = Generation(5);
        let assign = Assign { name: name(), generation, host: HOST };
        let entries = [
            Entry::Blank,
            Entry::OpenSession { host: HOST },
            claim(3),
            Entry::Started { name: name(), generation, actor: ActorId(6) },
            Entry::Release { name: name(), generation },
            Entry::Ended { name: name(), generation, is_failure: true, at: LogTime(7) },
            Entry::Expire {
                session: SessionId(8),
                config: ConfigId(9),
                at: LogTime(10),
                assigns: vec![assign],
            },
            Entry::Configure {
                follows: ConfigId(9),
                voters: [HOST].into(),
                outgoing: BTreeSet::new(),
            },
        ];
        for entry in entries {
            assert_eq!(decode(&encode(&entry).unwrap()), Ok(entry));
        }
    }

    #[test]
    fn entries_beyond_the_limits_are_refused() {
        let host = |node| Host { node: NodeId(node), life: Incarnation(1) };
        let assign = Assign { name: name(), generation: Generation(1), host: HOST };
        let many = Entry::Assign { assigns: vec![assign; ASSIGNS_MAX + 1] };
        let crowd = Entry::Configure {
            follows: ConfigId(0),
            voters: (0..8).map(host).collect(),
            outgoing: BTreeSet::new(),
        };
        for (entry, field) in [(claim(65), "intensity"), (many, "assigns"), (crowd, "voters")] {
            let bytes = codec::encode(&entry).unwrap();
            let refused = decode(&bytes);
            assert!(
                matches!(refused, Err(WireError::BadField { field: found, .. }) if found == field)
            );
        }
        let long = vec![0; ENTRY_BYTES_MAX + 1];
        assert!(matches!(decode(&long), Err(WireError::FrameTooLong { .. })));
    }
}
