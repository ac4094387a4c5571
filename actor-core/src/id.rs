//! Identities: who is who within one node.
//!
//! An actor keeps its [`ActorId`] over restarts (what changes is its generation), so that references,
//! monitors and log lines go on meaning the same actor. Ids are never reused within a node's life.
//! They are plain numbers on purpose: an id says nothing about where an actor is or what it does.

use std::fmt;
use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

/// Names an actor, a task or another citizen of a node; unique within the node's life.
///
/// # Examples
/// ```
/// use mobula_actor_core::ActorId;
/// let id = ActorId::from_u64(17).expect("not zero");
/// assert_eq!(id.to_string(), "a17");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ActorId(NonZeroU64);

impl ActorId {
    /// The id with this number; `None` for zero, which names nobody.
    #[must_use]
    pub const fn from_u64(number: u64) -> Option<Self> {
        match NonZeroU64::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number behind the id.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for ActorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a{}", self.0)
    }
}

impl fmt::Debug for ActorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Who sends: an actor, a task or a driver (a program's own code inside a node).
///
/// Messages of one caller to one actor arrive in the order in which they were sent; callers are
/// what this order is counted by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallerId(pub(crate) u64);

impl CallerId {
    /// Code outside any node.
    pub const NOBODY: Self = Self(0);

    /// Tells drivers, which have no place in the directory, from citizens.
    const DRIVER: u64 = 1 << 63;

    pub(crate) const fn driver(id: ActorId) -> Self {
        Self(id.as_u64() | Self::DRIVER)
    }

    /// A sender on another node: a number that is the same for all its messages.
    #[must_use]
    pub const fn elsewhere(node: NodeId, caller: u64) -> Self {
        Self((node.0.rotate_left(32) ^ caller.wrapping_mul(0x9E37_79B9_7F4A_7C15)) | Self::DRIVER)
    }

    /// The actor or task that sends; `None` for a driver, and for nobody.
    #[must_use]
    pub const fn citizen(self) -> Option<ActorId> {
        if self.0 & Self::DRIVER == 0 { ActorId::from_u64(self.0) } else { None }
    }

    /// The number behind the id; for an actor or a task it equals its [`ActorId`]'s.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl From<ActorId> for CallerId {
    fn from(id: ActorId) -> Self {
        Self(id.as_u64())
    }
}

impl fmt::Debug for CallerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{}", self.0)
    }
}

/// Grows with each actor of a node, and with each life of it; see [`Context::fencing_token`](crate::Context::fencing_token).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FencingToken {
    actor: u64,
    generation: u64,
}

impl FencingToken {
    pub(crate) const fn new(actor: ActorId, generation: u64) -> Self {
        Self { actor: actor.as_u64(), generation }
    }

    /// One number of the same order, for stores that compare numbers.
    #[must_use]
    pub fn as_u128(self) -> u128 {
        (u128::from(self.actor) << 64) | u128::from(self.generation)
    }
}

impl fmt::Display for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.actor, self.generation)
    }
}

/// A node: one process of a cluster. It keeps its id over restarts if it keeps its key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub u64);

impl NodeId {
    /// This node, where nobody else is meant.
    pub const HERE: Self = Self(0);
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{:016x}", self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Names a placement group: the node that asked for it, in which life of it, and the how-manieth of that life.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupId {
    /// Who asked.
    pub node: NodeId,
    /// Which of that node's lives: numbers begin anew with each.
    #[serde(default)]
    pub incarnation: u64,
    /// Its number there.
    pub number: u64,
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "g{}@{}", self.number, self.node)
    }
}

impl fmt::Debug for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Names one monitor: the `down` that answers it carries the same value, exactly once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonitorRef(pub(crate) u64);

impl MonitorRef {
    /// What `down` is given for a linked actor when exits are trapped.
    pub const LINK: Self = Self(0);
}

impl fmt::Debug for MonitorRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m{}", self.0)
    }
}
