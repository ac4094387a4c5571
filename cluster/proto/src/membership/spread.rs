//! An ordered set of nodes whose copies share what they have in common.
//!
//! Ten thousand simulated nodes that each know ten thousand are 10⁸ entries; and a node keeps pictures of its own past.
//! A `BTreeMap` each would be copied whole. Here the order is that of a hash, so the keys spread evenly over
//! [`SEGMENTS`] short sorted lists behind `Arc`s: a copy is 256 pointers, a change copies one list, a search is O(log N).
//!
//! Invariant: within a segment the hashes rise strictly, and a node's segment is the head of its hash.
//!
//! Pure: no clock, no I/O, no tasks.

use std::sync::Arc;

use crate::id::NodeId;

/// Short lists the set is made of; a power of two.
pub(super) const SEGMENTS: usize = 256;
const SHIFT: u32 = u64::BITS - SEGMENTS.ilog2();

/// Something filed under a node.
pub(super) trait OfNode: Clone {
    /// Under which.
    fn node(&self) -> NodeId;
}

impl OfNode for NodeId {
    fn node(&self) -> NodeId {
        *self
    }
}

/// A bijection of 64 bits that looks random (the finalizer of `SplitMix64`), so that no two nodes collide.
pub(super) const fn scramble(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The set, ordered by a hash that `salt` chooses.
#[derive(Clone, Debug)]
pub(super) struct Spread<T> {
    salt: u64,
    segments: Vec<Arc<Vec<T>>>,
    count: usize,
}

impl<T: OfNode> Spread<T> {
    pub(super) fn new(salt: u64) -> Self {
        // All share one empty list until they have something of their own.
        let empty = Arc::new(Vec::new());
        Self { salt, segments: std::iter::repeat_n(empty, SEGMENTS).collect(), count: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.count
    }

    pub(super) const fn hash(&self, node: NodeId) -> u64 {
        scramble(node.0 ^ self.salt)
    }

    fn find(&self, node: NodeId) -> (usize, Result<usize, usize>) {
        let hash = self.hash(node);
        let segment = (hash >> SHIFT) as usize;
        let found = self.segments[segment].binary_search_by_key(&hash, |e| self.hash(e.node()));
        (segment, found)
    }

    pub(super) fn get(&self, node: NodeId) -> Option<&T> {
        let (segment, found) = self.find(node);
        found.ok().map(|at| &self.segments[segment][at])
    }

    /// Files `entry`, in the place of what was filed under its node; whether the node is new.
    pub(super) fn insert(&mut self, entry: T) -> bool {
        let (segment, found) = self.find(entry.node());
        let list = Arc::make_mut(&mut self.segments[segment]);
        match found {
            Ok(at) => list[at] = entry,
            Err(at) => {
                list.insert(at, entry);
                self.count += 1;
            }
        }
        found.is_err()
    }

    /// Takes out what is filed under `node`; whether there was anything.
    pub(super) fn remove(&mut self, node: NodeId) -> bool {
        let (segment, found) = self.find(node);
        if let Ok(at) = found {
            Arc::make_mut(&mut self.segments[segment]).remove(at);
            self.count -= 1;
        }
        found.is_ok()
    }

    /// The next one after `node` around the circle; `node` itself need not be in. `None` if there is no other.
    pub(super) fn after(&self, node: NodeId) -> Option<&T> {
        let (segment, found) = self.find(node);
        let next = found.map_or_else(|at| at, |at| at + 1);
        let here = self.segments[segment].get(next);
        let onward = || (1..=SEGMENTS).find_map(|step| self.segment(segment + step).first());
        here.or_else(onward).filter(|entry| entry.node() != node)
    }

    /// The one before `node` around the circle; `node` itself need not be in. `None` if there is no other.
    pub(super) fn before(&self, node: NodeId) -> Option<&T> {
        let (segment, found) = self.find(node);
        let at = found.unwrap_or_else(|at| at);
        let here = self.segments[segment][..at].last();
        let back = || (1..=SEGMENTS).find_map(|s| self.segment(segment + SEGMENTS - s).last());
        here.or_else(back).filter(|entry| entry.node() != node)
    }

    /// All, in the order of the hash.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.segments.iter().flat_map(|list| list.iter())
    }

    /// The part `index` of `parts` (a divisor of [`SEGMENTS`]), in the order of the hash.
    pub(super) fn part(&self, index: usize, parts: usize) -> impl Iterator<Item = &T> {
        let width = SEGMENTS / parts;
        self.segments[index * width..(index + 1) * width].iter().flat_map(|list| list.iter())
    }

    fn segment(&self, index: usize) -> &[T] {
        &self.segments[index % SEGMENTS]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The circle against a sorted map of the same hashes.
        #[test]
        fn the_circle_is_that_of_a_sorted_map(
            steps in prop::collection::vec((any::<bool>(), 0_u64..40), 0..200),
            salt: u64,
        ) {
            let mut spread = Spread::new(salt);
            let mut model = BTreeMap::new();
            for (add, name) in steps {
                let node = NodeId(name);
                let hash = spread.hash(node);
                if add {
                    prop_assert_eq!(spread.insert(node), model.insert(hash, node).is_none());
                } else {
                    prop_assert_eq!(spread.remove(node), model.remove(&hash).is_some());
                }
                prop_assert_eq!(spread.len(), model.len());
                for probe in (0..40).map(NodeId) {
                    let hash = spread.hash(probe);
                    let other = |found: Option<(&u64, &NodeId)>| found.map(|(_, n)| *n).filter(|n| *n != probe);
                    let after = model.range(hash + 1..).next().or_else(|| model.iter().next());
                    let before = model.range(..hash).next_back().or_else(|| model.iter().next_back());
                    prop_assert_eq!(spread.after(probe).copied(), other(after));
                    prop_assert_eq!(spread.before(probe).copied(), other(before));
                }
            }
            let all: Vec<NodeId> = model.into_values().collect();
            prop_assert_eq!(spread.iter().copied().collect::<Vec<_>>(), all);
        }
    }

    #[test]
    fn a_copy_does_not_see_later_changes() {
        let mut spread = Spread::new(0);
        spread.insert(NodeId(1));
        let copy = spread.clone();
        spread.insert(NodeId(2));
        spread.remove(NodeId(1));
        assert_eq!(copy.iter().copied().collect::<Vec<_>>(), vec![NodeId(1)]);
    }
}
