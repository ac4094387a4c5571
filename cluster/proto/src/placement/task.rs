//! Where a task goes, with its arguments in mind.
//!
//! To ask every node before every task costs more than the task; to follow the rumours alone overloads whom they
//! praise.
//! So a task runs here if it can; else at most four nodes come into question: the two that hold most of its
//! arguments, and two drawn at random by free capacity. They are asked one after another (see
//! [`crate::reservation`]), best first. (Sparrow, SOSP '13; the power of two choices, Mitzenmacher 2001.)
//!
//! Invariant: a node that cannot take the task is never proposed.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::BTreeMap;
use std::time::Duration;

use rand_core::RngCore;

use crate::error::PlacementError;
use crate::id::NodeId;
use crate::load::below;
use crate::time::Time;

use super::{Placer, Request, Site, feasible};

/// Below this many bytes of arguments a task runs here though they are elsewhere: 1 MiB.
pub const ARGUMENTS_SMALL: u64 = 1 << 20;
/// What a transfer is reckoned with: 1 GB/s.
pub const BANDWIDTH_BYTES_PER_SECOND: u64 = 1_000_000_000;
/// Nodes drawn by locality, and as many by chance.
const DRAWN: usize = 2;

/// Where a task goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Here, at once.
    Here,
    /// Ask these for a reservation, best first. May contain this node: then it is as good as the others.
    Ask(Vec<NodeId>),
}

/// A task's arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arguments {
    /// All their bytes.
    pub total_bytes: u64,
    /// How many of them each node holds.
    pub bytes_by_node: BTreeMap<NodeId, u64>,
}

impl Arguments {
    fn missing_at(&self, node: NodeId) -> u64 {
        let there = self.bytes_by_node.get(&node).copied().unwrap_or_default();
        self.total_bytes.saturating_sub(there)
    }
}

/// A task that is to go somewhere.
#[derive(Clone, Copy, Debug)]
pub struct Submission<'a> {
    /// The node that it was submitted to.
    pub here: NodeId,
    /// Whether that node has the resources free now.
    pub has_room_here: bool,
    /// What it takes and needs. The policy is not looked at: this is the policy of tasks.
    pub request: &'a Request,
    /// Its arguments.
    pub arguments: &'a Arguments,
}

impl Placer {
    /// Chooses for a task.
    /// Nothing is counted as placed: that is for whoever gets a reservation ([`Placer::pushed`]).
    ///
    /// # Errors
    /// As [`Placer::place`].
    pub fn place_task(
        &self,
        now: Time,
        submission: &Submission<'_>,
        sites: &[Site],
        rng: &mut impl RngCore,
    ) -> Result<Choice, PlacementError> {
        let &Submission { here, has_room_here, request, arguments } = submission;
        let feasible = feasible(request, sites)?;
        let usable: Vec<&Site> = feasible.iter().copied().filter(|site| !site.is_suspect).collect();
        let can_here = usable.iter().any(|site| site.node == here);
        if can_here && has_room_here && arguments.missing_at(here) < ARGUMENTS_SMALL {
            return Ok(Choice::Here);
        }
        if usable.is_empty() {
            let feasible = feasible.iter().map(|site| site.node).collect();
            return Err(PlacementError::Busy { feasible });
        }
        let mut candidates: Vec<NodeId> = Vec::with_capacity(2 * DRAWN);
        let mut by_bytes: Vec<(u64, NodeId)> = usable
            .iter()
            .map(|site| (arguments.missing_at(site.node), site.node))
            .filter(|&(missing, _)| missing < arguments.total_bytes)
            .collect();
        by_bytes.sort_unstable();
        candidates.extend(by_bytes.iter().take(DRAWN).map(|&(_, node)| node));
        self.draw(now, &usable, &mut candidates, rng);
        candidates.sort_by_cached_key(|&node| (self.cost(now, node, arguments), node));
        Ok(Choice::Ask(candidates))
    }

    /// A task was pushed to this node.
    pub fn pushed(&mut self, node: NodeId, request: &Request) {
        self.count(node, &request.demand);
    }

    /// Draws nodes that are not yet candidates, weighted by free capacity.
    fn draw(
        &self,
        now: Time,
        usable: &[&Site],
        candidates: &mut Vec<NodeId>,
        rng: &mut impl RngCore,
    ) {
        for _ in 0..DRAWN {
            let rest = usable.iter().filter(|site| !candidates.contains(&site.node));
            // Nobody has a weight of zero: a rumour may be wrong.
            let weights: Vec<(NodeId, u64)> =
                rest.map(|site| (site.node, 1 + self.free_cpu(now, site))).collect();
            let sum: u64 = weights.iter().map(|&(_, weight)| weight).sum();
            if sum == 0 {
                return;
            }
            let mut ticket = below(rng, sum as usize) as u64;
            let drawn = weights.iter().find(|&&(_, weight)| {
                let is_it = ticket < weight;
                ticket = ticket.saturating_sub(weight);
                is_it
            });
            candidates.extend(drawn.map(|&(node, _)| node));
        }
    }

    fn free_cpu(&self, now: Time, site: &Site) -> u64 {
        let estimate = self.loads.estimate(now, site.node);
        estimate.map_or(site.total.cpu(), |load| load.free_cpu.into())
    }

    /// When the task could start there.
    fn cost(&self, now: Time, node: NodeId, arguments: &Arguments) -> Duration {
        let wait = self.loads.estimate(now, node).map(|load| load.queue_wait);
        let missing = arguments.missing_at(node);
        let transfer = Duration::from_nanos(
            missing.saturating_mul(1_000_000_000 / BANDWIDTH_BYTES_PER_SECOND),
        );
        wait.unwrap_or_default() + transfer
    }
}
