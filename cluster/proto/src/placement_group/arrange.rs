//! Which bundle goes where.
//!
//! To find the best packing is too hard (bin packing is NP-hard); to take the bundles as they come leaves holes that
//! the last, largest one does not fit.
//! So the largest are placed first, each where the strategy likes it best. (First fit decreasing.)
//!
//! Invariants: a strict strategy is kept or nothing is arranged; no node is given more than it has free, or, when
//! nothing else is left, more than it has in all: then it is for the node to refuse.
//!
//! Pure: no clock, no I/O, no tasks.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use crate::id::NodeId;
use crate::placement::Resources;

/// How the bundles of a group lie to each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Strategy {
    /// On few nodes, if it can be.
    #[default]
    Pack,
    /// On different nodes, if it can be.
    Spread,
    /// All on one node, or not at all.
    StrictPack,
    /// Each on a node of its own, or not at all.
    StrictSpread,
}

/// A node as a group sees it; suspected nodes are left out by the driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// Which.
    pub node: NodeId,
    /// What is free there, as far as is known.
    pub free: Resources,
    /// What it has when idle.
    pub total: Resources,
}

/// A node for each bundle, in their order; `None` if it can never be. Prefers what is free now; if that is not
/// enough, arranges by what nodes have in all, for rumours may be wrong and others may leave.
#[must_use]
pub fn arrange(strategy: Strategy, bundles: &[Resources], rooms: &[Room]) -> Option<Vec<NodeId>> {
    let by = |capacity: fn(&Room) -> &Resources| {
        let mut left: Vec<(NodeId, Resources)> =
            rooms.iter().map(|room| (room.node, capacity(room).clone())).collect();
        left.sort_unstable_by_key(|&(node, _)| node);
        place_all(strategy, bundles, &mut left)
    };
    by(|room| &room.free).or_else(|| by(|room| &room.total))
}

fn place_all(
    strategy: Strategy,
    bundles: &[Resources],
    left: &mut [(NodeId, Resources)],
) -> Option<Vec<NodeId>> {
    if strategy == Strategy::StrictPack {
        let mut sum = Resources::default();
        bundles.iter().for_each(|bundle| sum.give(bundle));
        let (node, _) = left.iter().find(|(_, free)| free.covers(&sum))?;
        return Some(vec![*node; bundles.len()]);
    }
    let mut order: Vec<usize> = (0..bundles.len()).collect();
    // By all quantities together, so that a bundle of GPUs alone is large, too.
    order.sort_by_key(|&index| Reverse(bundles[index].sum()));
    let mut places: Vec<Option<NodeId>> = vec![None; bundles.len()];
    let mut counts = vec![0_usize; left.len()];
    for index in order {
        let fitting = (0..left.len()).filter(|&at| left[at].1.covers(&bundles[index]));
        let chosen = match strategy {
            Strategy::Pack | Strategy::StrictPack => {
                fitting.min_by_key(|&at| (Reverse(counts[at]), at))
            }
            Strategy::Spread => fitting.min_by_key(|&at| (counts[at], at)),
            // The tightest fit: roomy nodes are kept for what needs them.
            Strategy::StrictSpread => {
                fitting.filter(|&at| counts[at] == 0).min_by_key(|&at| (left[at].1.sum(), at))
            }
        }?;
        counts[chosen] += 1;
        if !left[chosen].1.take(&bundles[index]) {
            return None;
        }
        places[index] = Some(left[chosen].0);
    }
    places.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placement::resources::{CPU, ONE};

    fn cpus(count: u64) -> Resources {
        Resources::of([(CPU, count * ONE)])
    }

    fn room(node: u64, free: u64, total: u64) -> Room {
        Room { node: NodeId(node), free: cpus(free), total: cpus(total) }
    }

    fn arranged(strategy: Strategy, bundles: &[u64], rooms: &[Room]) -> Option<Vec<u64>> {
        let bundles: Vec<Resources> = bundles.iter().map(|&count| cpus(count)).collect();
        let places = arrange(strategy, &bundles, rooms)?;
        Some(places.into_iter().map(|node| node.0).collect())
    }

    #[test]
    fn each_strategy_keeps_its_word() {
        let rooms = [room(1, 4, 4), room(2, 4, 4), room(3, 4, 4)];
        let of = |strategy, bundles: &[u64]| arranged(strategy, bundles, &rooms);
        assert_eq!(of(Strategy::Pack, &[1, 2, 1]), Some(vec![1, 1, 1]));
        assert_eq!(of(Strategy::Pack, &[1, 4, 3]), Some(vec![2, 1, 2]));
        assert_eq!(of(Strategy::StrictPack, &[2, 2]), Some(vec![1, 1]));
        assert_eq!(of(Strategy::StrictPack, &[2, 3]), None);
        assert_eq!(of(Strategy::Spread, &[1, 1, 1, 1]), Some(vec![1, 2, 3, 1]));
        assert_eq!(of(Strategy::StrictSpread, &[1, 1, 1]), Some(vec![1, 2, 3]));
        assert_eq!(of(Strategy::StrictSpread, &[1, 1, 1, 1]), None);
        assert_eq!(of(Strategy::Pack, &[]), Some(Vec::new()));
    }

    #[test]
    fn what_is_free_comes_first_and_what_is_there_second() {
        let rooms = [room(1, 0, 8), room(2, 2, 2)];
        assert_eq!(arranged(Strategy::Pack, &[2], &rooms), Some(vec![2]));
        assert_eq!(arranged(Strategy::Pack, &[4], &rooms), Some(vec![1]));
        assert_eq!(arranged(Strategy::Pack, &[9], &rooms), None);
    }

    #[test]
    fn strict_spread_leaves_roomy_nodes_to_those_that_need_them() {
        let rooms = [room(1, 8, 8), room(2, 1, 1)];
        assert_eq!(arranged(Strategy::StrictSpread, &[1, 8], &rooms), Some(vec![2, 1]));
    }
}
