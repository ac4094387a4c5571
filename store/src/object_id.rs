//! Names of objects, and of the stores that own them.
//!
//! An object must be nameable in a listing, in an error and on the wire, and whoever holds its name must find
//! its owner. A directory of all objects would be asked for every one of them; a random 128-bit name says
//! nothing of where to ask.
//! So an object's name is a number counted by its owner, together with the name of that owner: the owner is
//! found without any directory. The owner is named by its node and by which life of that node, so that a node
//! that comes back is never taken for the one that died.
//!
//! Invariant: a store never hands out the same [`ObjectId`] twice, and no two stores hand out the same.
//!
//! Source: Ray's ownership (NSDI '21), section 4: the owner's address is part of a reference.
//!
//! Pure: no clock, no I/O, no tasks.

use std::{
    fmt,
    hash::{Hash, Hasher},
    num::NonZeroU64,
    str::FromStr,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A node, as the whole cluster names it; shown as `n` and 16 hexadecimal digits.
///
/// 0 names no node of a cluster: a node that is on its own.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct NodeId(pub u64);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{:016x}", self.0)
    }
}

/// Which life of a node: the number that it started with.
///
/// Membership may raise a member's own number to refute a suspicion; this one stays for as long as the
/// process lives.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Incarnation(pub u64);

/// The name of a store: a node in one of its lives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StoreId {
    /// The node.
    pub node: NodeId,
    /// Its life.
    pub incarnation: Incarnation,
}

impl StoreId {
    /// The store of this node in this life.
    #[must_use]
    pub const fn new(node: NodeId, incarnation: Incarnation) -> Self {
        Self { node, incarnation }
    }

    /// The store of a node on its own; `number` tells it from others in the same process.
    #[must_use]
    pub const fn alone(number: u64) -> Self {
        Self::new(NodeId(0), Incarnation(number))
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:x}", self.node, self.incarnation.0)
    }
}

impl fmt::Debug for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The name of an object, everywhere.
///
/// Shown as `o17` on a node on its own and as `o17@n00000000000000a4` in a cluster; with `{:#}` in full, as
/// `o17@n00000000000000a4.1f`, which [`FromStr`] reads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ObjectId {
    owner: StoreId,
    number: NonZeroU64,
}

impl ObjectId {
    /// The object that `owner` made under this number; `None` for 0, which names no object.
    #[must_use]
    pub const fn new(owner: StoreId, number: u64) -> Option<Self> {
        match NonZeroU64::new(number) {
            Some(number) => Some(Self { owner, number }),
            None => None,
        }
    }

    /// The store that made the object, and counts who needs it unless it handed that over.
    #[must_use]
    pub const fn owner(self) -> StoreId {
        self.owner
    }

    /// The number that the owner counted.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.number.get()
    }

    /// Counted names start at 1; 2^64 of them outlast any machine, so saturation is never seen.
    pub(crate) const fn counted(owner: StoreId, zero_based: u64) -> Self {
        Self { owner, number: NonZeroU64::MIN.saturating_add(zero_based) }
    }

    const fn order(self) -> (StoreId, u64) {
        (self.owner, self.number.get())
    }
}

impl PartialOrd for ObjectId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ObjectId {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

/// One word for one hash: the store looks objects up with every task.
impl Hash for ObjectId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let StoreId { node, incarnation } = self.owner;
        let owner = node.0.rotate_left(32) ^ incarnation.0.rotate_left(16);
        state.write_u64(owner ^ self.number.get());
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            write!(f, "o{}@{}", self.number, self.owner)
        } else if self.owner.node == NodeId(0) {
            write!(f, "o{}", self.number)
        } else {
            write!(f, "o{}@{}", self.number, self.owner.node)
        }
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no object's name in full. Write it as `{:#}` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an object's name reads `o17@n00000000000000a4.1f`")]
pub struct ObjectIdError;

impl FromStr for ObjectId {
    type Err = ObjectIdError;

    fn from_str(text: &str) -> Result<Self, ObjectIdError> {
        let parts = || {
            let (number, owner) = text.strip_prefix('o')?.split_once("@n")?;
            let (node, incarnation) = owner.split_once('.')?;
            let node = NodeId(u64::from_str_radix(node, 16).ok()?);
            let incarnation = Incarnation(u64::from_str_radix(incarnation, 16).ok()?);
            Self::new(StoreId::new(node, incarnation), number.parse().ok()?)
        };
        parts().ok_or(ObjectIdError)
    }
}

/// Text where people read, three numbers elsewhere.
impl Serialize for ObjectId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(&format_args!("{self:#}"));
        }
        let StoreId { node, incarnation } = self.owner;
        (node, incarnation, self.number).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ObjectId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            return text.parse().map_err(de::Error::custom);
        }
        let (node, incarnation, number) = Deserialize::deserialize(deserializer)?;
        Ok(Self { owner: StoreId::new(node, incarnation), number })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back_from_its_text_and_from_its_bytes() {
        let owner = StoreId::new(NodeId(0xa4), Incarnation(31));
        let id = ObjectId::new(owner, 17).unwrap();
        assert_eq!((id.owner(), id.number()), (owner, 17));
        assert_eq!(format!("{id:#}"), "o17@n00000000000000a4.1f");
        assert_eq!(format!("{id:#}").parse(), Ok(id));
        assert_eq!(id.to_string(), "o17@n00000000000000a4");
        assert_eq!(ObjectId::new(StoreId::alone(7), 17).unwrap().to_string(), "o17");
        let bytes = rmp_serde::to_vec_named(&id).unwrap();
        assert_eq!(rmp_serde::from_slice::<ObjectId>(&bytes).unwrap(), id);
        for wrong in ["", "o1", "o1@n1", "o0@n1.1", "1@n1.1", "o1@n1.x"] {
            assert_eq!(wrong.parse::<ObjectId>(), Err(ObjectIdError), "{wrong}");
        }
    }
}
