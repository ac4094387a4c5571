//! What is known of one node, and how two pieces of knowledge become one.
//!
//! News of a node arrives by many roads, late, twice and out of order; taking the last that arrived lets the dead rise.
//! So knowledge merges instead: the higher incarnation wins, then the higher status, then the greater details.
//!
//! Invariant: [`Record::merge`] is a least upper bound: commutative, associative, idempotent.
//! Whatever the order of arrival, all who have heard the same say the same.
//!
//! Pure: no clock, no I/O, no tasks.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{Incarnation, NodeId};

/// Addresses of one member at most.
pub const ADDRESSES_MAX: usize = 16;
/// Roles of one member at most.
pub const ROLES_MAX: usize = 16;
/// Labels of one member at most.
pub const LABELS_MAX: usize = 32;
/// Bytes of all strings and of `meta` of one member at most.
pub const DETAILS_BYTES_MAX: usize = 4 * 1024;

/// How a node stands, weakest claim first: at equal incarnation the later one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Status {
    /// It is heard.
    Alive,
    /// Some observer has not heard it for a while: place nothing there; nothing is killed.
    Suspect,
    /// It said that it is going, and finishes what it has.
    Leaving,
    /// Enough observers agree that it is gone. Loss of contact, not proof of death.
    Down,
    /// It said farewell.
    Left,
}

impl Status {
    /// Whether the node still takes part: it has a place in the rings and is watched.
    #[must_use]
    pub const fn is_live(self) -> bool {
        match self {
            Self::Alive | Self::Suspect | Self::Leaving => true,
            Self::Down | Self::Left => false,
        }
    }
}

/// What a member says of itself; it changes only together with the incarnation.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Details {
    /// The incarnation this life started with. Two records of one node with equal `life` are of one process.
    pub life: Incarnation,
    /// Where it listens, in the driver's notation; at most [`ADDRESSES_MAX`].
    pub addresses: Vec<String>,
    /// What it may do; at most [`ROLES_MAX`].
    pub roles: Vec<String>,
    /// What it is, for placement; at most [`LABELS_MAX`].
    pub labels: BTreeMap<String, String>,
    /// What the driver adds: resources, tables of functions. Opaque here.
    pub meta: Vec<u8>,
}

impl Details {
    /// Whether all limits are kept; a record that breaks one is dropped on receipt.
    #[must_use]
    pub fn is_within_limits(&self) -> bool {
        let strings = self.addresses.iter().chain(&self.roles).map(String::len).sum::<usize>();
        let labels = self.labels.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
        self.addresses.len() <= ADDRESSES_MAX
            && self.roles.len() <= ROLES_MAX
            && self.labels.len() <= LABELS_MAX
            && strings + labels + self.meta.len() <= DETAILS_BYTES_MAX
    }
}

/// A node in one of its incarnations, with what it says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its name.
    pub node: NodeId,
    /// Which life, and how often refuted.
    pub incarnation: Incarnation,
    /// What it says of itself.
    pub details: Arc<Details>,
}

impl Member {
    /// A member whose life starts now.
    #[must_use]
    pub fn new(node: NodeId, incarnation: Incarnation, mut details: Details) -> Self {
        details.life = incarnation;
        Self { node, incarnation, details: Arc::new(details) }
    }
}

/// A member and how it stands: the unit of knowledge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its name.
    #[serde(rename = "n")]
    pub node: NodeId,
    /// Which life, and how often refuted.
    #[serde(rename = "i")]
    pub incarnation: Incarnation,
    /// How it stands.
    #[serde(rename = "s")]
    pub status: Status,
    /// What it says of itself.
    #[serde(rename = "d")]
    pub details: Arc<Details>,
}

impl Record {
    /// A member that is heard.
    #[must_use]
    pub fn alive(member: &Member) -> Self {
        Self {
            node: member.node,
            incarnation: member.incarnation,
            status: Status::Alive,
            details: Arc::clone(&member.details),
        }
    }

    /// The member without its standing.
    #[must_use]
    pub fn member(&self) -> Member {
        Member {
            node: self.node,
            incarnation: self.incarnation,
            details: Arc::clone(&self.details),
        }
    }

    /// Takes over `other` if it says more; whether it did. Records of another node say nothing.
    pub fn merge(&mut self, other: &Self) -> bool {
        let says_more = self.node == other.node && other.precedence(self) == Ordering::Greater;
        if says_more {
            self.clone_from(other);
        }
        says_more
    }

    /// The total order behind [`merge`](Self::merge), for records of one node.
    #[must_use]
    pub fn precedence(&self, other: &Self) -> Ordering {
        (self.incarnation, self.status).cmp(&(other.incarnation, other.status)).then_with(|| {
            if Arc::ptr_eq(&self.details, &other.details) {
                Ordering::Equal
            } else {
                self.details.cmp(&other.details)
            }
        })
    }
}
