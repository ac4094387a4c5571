//! Which store would take over from which.
//!
//! Two stores must name the same backup without talking. A sorted list and a remainder would move every backup
//! when one store joins. Rendezvous hashing lets every candidate draw a number for the pair and takes the
//! highest: only what had drawn the one that leaves draws again.
//!
//! Source: Thaler and Ravishankar, "Using name-based mappings to increase hit rates" (1998).
//!
//! Pure: no clock, no I/O, no tasks.

use crate::object_id::StoreId;

/// The backup of `keeper` among `candidates`; `None` if there is nobody else. Does not depend on their order.
///
/// Candidates that should be avoided, as those on the same host, are left out by the caller.
#[must_use]
pub fn choose(keeper: StoreId, candidates: impl IntoIterator<Item = StoreId>) -> Option<StoreId> {
    let others = candidates.into_iter().filter(|store| store.node != keeper.node);
    others.max_by_key(|store| (draw(keeper, *store), *store))
}

/// The finaliser of the generator `SplitMix64`, over the pair.
fn draw(keeper: StoreId, candidate: StoreId) -> u64 {
    let pair = keeper.node.0.rotate_left(32) ^ candidate.node.0 ^ candidate.incarnation.0;
    let mut mixed = pair.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object_id::{Incarnation, NodeId};

    fn store(node: u64) -> StoreId {
        StoreId::new(NodeId(node.wrapping_mul(0x1234_5678_9abc_def1)), Incarnation(node))
    }

    #[test]
    fn a_leaving_store_moves_only_those_it_backed() {
        let all: Vec<StoreId> = (1..=50).map(store).collect();
        let left: Vec<StoreId> = all.iter().copied().filter(|each| *each != store(9)).collect();
        let mut backed = std::collections::BTreeMap::<StoreId, u32>::new();
        for keeper in &all {
            let before = choose(*keeper, all.clone()).unwrap();
            assert_ne!(before.node, keeper.node);
            assert_eq!(choose(*keeper, all.iter().rev().copied()), Some(before));
            if before != store(9) {
                assert_eq!(choose(*keeper, left.clone()), Some(before));
            }
            *backed.entry(before).or_default() += 1;
        }
        assert!(backed.values().all(|count| *count <= 8), "{backed:?}");
        assert_eq!(choose(store(1), [store(1)]), None);
    }
}
