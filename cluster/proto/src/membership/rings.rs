//! Who neighbours whom.
//!
//! Who watches whom must be the same for all, without asking: each derives it from its view.
//! On ring k the live members stand in the order of a hash of their names; a member's neighbours are the ones before
//! and after it on each of four rings. Random graphs of that kind are expanders: no small cut, diameter O(log N).
//!
//! Invariants: neighbourhood is symmetric; a node has at most [`NEIGHBOURS_MAX`] neighbours; up to nine live members form
//! a full mesh; a change moves the edges of at most nine nodes.
//! Source: Rapid (ATC 2018), section 4.1.
//!
//! Pure: no clock, no I/O, no tasks.

use crate::id::NodeId;

use super::spread::{Spread, scramble};

/// Rings on which members stand.
pub const RINGS: usize = 4;
/// Neighbours of one node at most.
pub const NEIGHBOURS_MAX: usize = 2 * RINGS;

/// The live members on their rings; a copy is cheap.
#[derive(Clone, Debug)]
pub(super) struct Rings {
    rings: [Spread<NodeId>; RINGS],
    /// Counts the changes.
    version: u64,
}

impl Rings {
    pub(super) fn new() -> Self {
        let ring = |index: usize| Spread::new(scramble(index as u64 + 1));
        Self { rings: std::array::from_fn(ring), version: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.rings[0].len()
    }

    pub(super) const fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn insert(&mut self, node: NodeId) {
        self.version += 1;
        for ring in &mut self.rings {
            ring.insert(node);
        }
    }

    pub(super) fn remove(&mut self, node: NodeId) {
        self.version += 1;
        for ring in &mut self.rings {
            ring.remove(node);
        }
    }

    pub(super) fn pick(&self, random: u64, except: NodeId) -> Option<NodeId> {
        let picked = self.after(NodeId(random))?;
        if picked == except { self.after(picked) } else { Some(picked) }
    }

    /// The member after that one on the first ring; members and others alike have one.
    pub(super) fn after(&self, node: NodeId) -> Option<NodeId> {
        self.rings[0].after(node).copied()
    }

    pub(super) fn neighbours(&self, node: NodeId) -> Vec<NodeId> {
        let mut neighbours: Vec<NodeId> = if self.len() <= NEIGHBOURS_MAX + 1 {
            self.rings[0].iter().copied().filter(|other| *other != node).collect()
        } else {
            let both =
                |ring: &Spread<NodeId>| [ring.before(node).copied(), ring.after(node).copied()];
            self.rings.iter().flat_map(both).flatten().collect()
        };
        neighbours.sort_unstable();
        neighbours.dedup();
        // A node that is not on the rings itself may see nine.
        neighbours.truncate(NEIGHBOURS_MAX);
        neighbours
    }
}
