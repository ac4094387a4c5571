//! What a task needs before it can go where it is to run: on this node the values of its arguments, on another only
//! those that cannot go there as references.
//!
//! A task whose arguments were made elsewhere is not fetched them before it is known where it runs: perhaps it runs where
//! they are. Where nobody said where it should run, it goes there if that spares more than [`DRAWING_BYTES`]: to move a
//! task costs less than to move them.

use std::collections::BTreeMap;
use std::sync::Arc;

use mobula_actor_core::NodeId;
use mobula_store::ArgPin;

use crate::{
    arrival::{Then, fetch_inputs},
    dispatch::Shared,
    one_shot::{OneShot, Phase},
};

/// So many bytes of arguments draw a task to the node that holds them: 1 MiB.
const DRAWING_BYTES: u64 = 1 << 20;

/// The other node that holds so much more of the arguments than this one that the task should go there.
fn drawing(bytes_by_node: &BTreeMap<NodeId, u64>, here: NodeId) -> Option<NodeId> {
    let own = bytes_by_node.get(&here).copied().unwrap_or_default();
    // Of equal ones always the same, so that what it fetches is of use to the next.
    let (bytes, node) = bytes_by_node.iter().map(|(node, bytes)| (*bytes, *node)).max()?;
    (node != here && bytes.saturating_sub(own) >= DRAWING_BYTES).then_some(node)
}

impl Shared {
    /// The node that a task is drawn to by its arguments; `None` if it may as well run here. What is known of them here
    /// counts: sizes and copies of objects that this node keeps, and of others what their keepers said.
    pub(crate) fn drawn(&self, task: &OneShot) -> Option<NodeId> {
        if task.function_hash == 0 {
            return None;
        }
        let mut pins = Vec::new();
        if let Some(job) = &*task.job.lock() {
            job.visit(&mut |dependency| {
                pins.extend(dependency.and_then(|one| one.downcast::<ArgPin>().ok()));
            });
        }
        // The many have all they need.
        if pins.iter().all(|pin| pin.entry().is_ready()) {
            return None;
        }
        let here = self.store.id();
        let mut bytes_by_node = BTreeMap::<NodeId, u64>::new();
        for whereabouts in pins.iter().filter_map(|pin| self.store.whereabouts(pin.entry().id())) {
            let own = whereabouts.is_here.then_some(here);
            for store in whereabouts.copies.iter().copied().chain(own) {
                let sum = bytes_by_node.entry(NodeId(store.node.0)).or_default();
                *sum = sum.saturating_add(whereabouts.bytes.unwrap_or_default());
            }
        }
        drawing(&bytes_by_node, NodeId(here.node.0))
    }

    /// Queues a task here once the values of its arguments are here.
    pub(crate) fn queue_here(self: &Arc<Self>, task: Arc<OneShot>, from: Phase) {
        let mut missing = Vec::new();
        if let Some(job) = &*task.job.lock() {
            job.visit(&mut |dependency| missing.extend(dependency.and_then(distant)));
        }
        if missing.is_empty() {
            return self.enqueue_here(task, from);
        }
        // Where its group has room may be told while it fetches, when it is in no queue to be placed anew.
        let then = if task.demand.place().is_some() { Then::Place } else { Then::Queue };
        fetch_inputs(self, &task, &missing, (then, from));
    }

    /// Whether a task can go to another node now; if not, it comes back to be placed when it can.
    pub(crate) fn can_go(self: &Arc<Self>, task: &Arc<OneShot>, from: Phase) -> bool {
        let mut missing = Vec::new();
        if let Some(job) = &*task.job.lock() {
            job.visit_unwritable(&mut |dependency| missing.extend(distant(dependency)));
        }
        if missing.is_empty() {
            return true;
        }
        fetch_inputs(self, task, &missing, (Then::Place, from));
        false
    }
}

/// The argument's object, if its value is not here.
fn distant(dependency: crate::input::Dependency) -> Option<Arc<ArgPin>> {
    dependency.downcast::<ArgPin>().ok().filter(|pin| !pin.entry().is_ready())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(bytes: &[(u64, u64)]) -> Option<u64> {
        let bytes = bytes.iter().map(|(node, bytes)| (NodeId(*node), *bytes)).collect();
        drawing(&bytes, NodeId(1)).map(|node| node.0)
    }

    #[test]
    fn arguments_draw_a_task_where_they_are_worth_the_way() {
        const D: u64 = DRAWING_BYTES;
        for (bytes, expected) in [
            (&[][..], None),
            (&[(1, D)], None),
            (&[(2, D - 1)], None),
            (&[(2, D)], Some(2)),
            // Not if nearly as much is here.
            (&[(1, 9 * D), (2, 10 * D - 1)], None),
            (&[(1, 9 * D), (2, 10 * D)], Some(2)),
            (&[(2, D), (3, 2 * D)], Some(3)),
            // Of equal ones always the same.
            (&[(3, D), (2, D)], Some(3)),
            (&[(1, u64::MAX), (2, u64::MAX)], None),
        ] {
            assert_eq!(drawn(bytes), expected, "{bytes:?}");
        }
    }
}
