//! Where something goes: which nodes could take it, and which of them does.
//!
//! To send everything to the node that looks idlest is wrong twice: it may not know the function, and by the time
//! the second thing is placed it is no longer the idlest.
//! So first those fall out that can never take it, each with its reason; then those that cannot now; then the policy
//! chooses; and what was chosen is counted before the next choice.
//!
//! Invariants: nothing is placed on a node that does not provide it, lacks the resources, breaks a hard rule or is
//! suspected; an empty choice says why, by what was seen.
//!
//! - [`resources`]: what a node has and a thing needs.
//! - [`task`]: the quick choice for tasks, with their arguments in mind.
//!
//! Pure: no clock, no I/O, no tasks.

pub mod resources;
pub mod task;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use rand_core::RngCore;

use crate::error::PlacementError;
use crate::id::NodeId;
use crate::load::{Load, Loads};
use crate::time::Time;

pub use self::resources::Resources;

/// Reasons that an error lists at most.
const REASONS_MAX: usize = 16;

/// A node as placement sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Which.
    pub node: NodeId,
    /// Suspected nodes have no capacity.
    pub is_suspect: bool,
    /// What it has when idle.
    pub total: Resources,
    /// Roles it was given.
    pub roles: Vec<Arc<str>>,
    /// Labels it was given.
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
    /// Hashes of the functions and types it provides, sorted.
    pub provides: Arc<[u64]>,
}

impl Site {
    fn provides(&self, provision: Option<&Provision>) -> bool {
        provision.is_none_or(|provision| self.provides.binary_search(&provision.hash).is_ok())
    }
}

/// A function or type that must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provision {
    /// Hash of name, version and signature.
    pub hash: u64,
    /// For messages.
    pub name: Arc<str>,
}

/// How to choose among the nodes that can take it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// The node with the most free; of equal ones, that with the fewest placements of ours.
    #[default]
    LeastLoaded,
    /// The node with the fewest placements of ours, so that the loss of one node costs little.
    Spread,
    /// The node with the least free that has room, so that others stay empty.
    Pack,
    /// This node.
    OnNode {
        /// Which.
        node: NodeId,
        /// No other will do.
        is_hard: bool,
    },
    /// Where most of these bytes are.
    Near {
        /// Bytes of the objects by node.
        bytes: BTreeMap<NodeId, u64>,
    },
}

/// A label that the node should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelRule {
    /// The label's name.
    pub name: Arc<str>,
    /// Its value.
    pub value: Arc<str>,
    /// Without it the node will not do.
    pub is_hard: bool,
}

/// What is to be placed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// What it takes.
    pub demand: Resources,
    /// What must be provided.
    pub provision: Option<Provision>,
    /// The role that the node must have.
    pub role: Option<Arc<str>>,
    /// Which labels it should have.
    pub labels: Vec<LabelRule>,
    /// How to choose.
    pub policy: Policy,
}

/// Chooses nodes, and remembers what it placed.
#[derive(Clone, Debug, Default)]
pub struct Placer {
    /// What is known of loads. The driver feeds it.
    pub loads: Loads,
    placed: BTreeMap<NodeId, u64>,
    /// The same since nothing fresh is known of a node's load: each as one CPU.
    unseen: BTreeMap<NodeId, u64>,
    /// Where the last went.
    last: Option<NodeId>,
}

impl Placer {
    /// Nothing placed, nothing known.
    #[must_use]
    pub const fn new() -> Self {
        Self { loads: Loads::new(), placed: BTreeMap::new(), unseen: BTreeMap::new(), last: None }
    }

    /// Chooses a node for a request and counts it as placed there.
    ///
    /// A node of whose load nothing fresh is known counts as idle but for what we placed there: it has just joined.
    ///
    /// # Errors
    /// [`PlacementError::NoProvider`], [`PlacementError::Infeasible`]: not before the cluster changes.
    /// [`PlacementError::Busy`]: every node that could is suspected.
    pub fn place(
        &mut self,
        now: Time,
        request: &Request,
        sites: &[Site],
        rng: &mut impl RngCore,
    ) -> Result<NodeId, PlacementError> {
        let feasible = feasible(request, sites)?;
        let usable: Vec<&Site> = feasible.iter().copied().filter(|site| !site.is_suspect).collect();
        if usable.is_empty() {
            let feasible = feasible.iter().map(|site| site.node).collect();
            return Err(PlacementError::Busy { feasible });
        }
        let usable = preferred(request, usable);
        let demand = &request.demand;
        let (roomy, full): (Vec<&Site>, Vec<&Site>) =
            usable.into_iter().partition(|site| match request.policy {
                // Who names a node means it: what is full now has room in a moment, and a rumour may be wrong.
                Policy::OnNode { .. } => true,
                // Who takes turns has counted what it placed; most of it has ended before a report can say so.
                Policy::Spread => {
                    self.loads.reported(now, site.node).is_none_or(|load| fits_into(demand, &load))
                }
                _ => self.has_room(now, site, demand),
            });
        // Where all are full it waits, where the least waits already.
        let has_room = !roomy.is_empty();
        let chosen = self.choose(now, request, if has_room { roomy } else { full }, has_room, rng);
        let chosen = chosen.ok_or(PlacementError::Busy { feasible: Vec::new() })?;
        self.last = Some(chosen);
        self.count_now(now, chosen, &request.demand);
        Ok(chosen)
    }

    /// Counts a request as placed on `node` if that one can take it and has room for it now; else nothing is counted.
    pub fn place_there(
        &mut self,
        now: Time,
        node: NodeId,
        request: &Request,
        sites: &[Site],
    ) -> bool {
        let able = feasible(request, sites).unwrap_or_default();
        let site = able.into_iter().find(|site| site.node == node && !site.is_suspect);
        let has_room = site.is_some_and(|site| self.has_room(now, site, &request.demand));
        if has_room {
            self.count_now(now, node, &request.demand);
        }
        has_room
    }

    /// A node has joined: it begins as if it had been given as much as the others, or it would be given everything until
    /// it has.
    pub fn welcome(&mut self, node: NodeId) {
        let least = self.placed.values().copied().min().unwrap_or_default();
        if least > 0 {
            self.placed.entry(node).or_insert(least);
        }
    }

    /// Something that was placed there has ended, or never arrived.
    pub fn ended(&mut self, node: NodeId) {
        if let Some(count) = self.placed.get_mut(&node) {
            *count -= 1;
            if *count == 0 {
                self.placed.remove(&node);
            }
        }
    }

    /// The node is gone, and what was placed there with it.
    pub fn forget(&mut self, node: NodeId) {
        self.loads.forget(node);
        self.placed.remove(&node);
        self.unseen.remove(&node);
    }

    /// How much of ours is on a node.
    #[must_use]
    pub fn placed_count(&self, node: NodeId) -> u64 {
        self.placed.get(&node).copied().unwrap_or_default()
    }

    /// Counts what is placed on a node, and as unseen while nothing fresh is known of its load.
    fn count_now(&mut self, now: Time, node: NodeId, demand: &Resources) {
        if self.loads.estimate(now, node).is_none() {
            *self.unseen.entry(node).or_default() += 1;
        } else {
            self.unseen.remove(&node);
        }
        self.count(node, demand);
    }

    fn count(&mut self, node: NodeId, demand: &Resources) {
        *self.placed.entry(node).or_default() += 1;
        self.loads.placed(node, demand.cpu_u32(), demand.memory_mib_u32());
    }

    fn has_room(&self, now: Time, site: &Site, demand: &Resources) -> bool {
        match self.loads.estimate(now, site.node) {
            Some(load) => fits_into(demand, &load),
            None => {
                let used = self.unseen_count(site.node).saturating_mul(resources::ONE);
                demand.cpu() == 0 || used.saturating_add(demand.cpu()) <= site.total.cpu()
            }
        }
    }

    /// How many were placed there since nothing is known of its load.
    fn unseen_count(&self, node: NodeId) -> u64 {
        self.unseen.get(&node).copied().unwrap_or_default()
    }

    fn choose(
        &self,
        now: Time,
        request: &Request,
        sites: Vec<&Site>,
        has_room: bool,
        rng: &mut impl RngCore,
    ) -> Option<NodeId> {
        // Ties are broken by dice, or all placers would break them alike.
        let mut sites: Vec<(u64, &Site)> =
            sites.into_iter().map(|site| (rng.next_u64(), site)).collect();
        sites.sort_unstable_by_key(|&(dice, _)| dice);
        let sites = sites.into_iter().map(|(_, site)| site);
        let load = |site: &Site| self.busyness(now, site);
        let chosen = match &request.policy {
            Policy::LeastLoaded => {
                sites.min_by_key(|site| (load(site), self.placed_count(site.node)))
            }
            // Not twice in a row on the same one, whichever round begins.
            Policy::Spread => sites.min_by_key(|site| {
                let is_last = self.last == Some(site.node);
                (self.placed_count(site.node), is_last, load(site))
            }),
            // Equal ones are filled in the order of their names: the same one by all placers.
            Policy::Pack if has_room => sites.min_by_key(|site| (Reverse(load(site)), site.node)),
            Policy::Pack => sites.min_by_key(|site| load(site)),
            Policy::OnNode { node, .. } => {
                sites.min_by_key(|site| (site.node != *node, load(site)))
            }
            Policy::Near { bytes } => sites.min_by_key(|site| {
                let there = bytes.get(&site.node).copied().unwrap_or_default();
                (Reverse(there), load(site))
            }),
        };
        chosen.map(|site| site.node)
    }

    /// Smaller is less busy: first who waits, then the share of CPUs in use.
    fn busyness(&self, now: Time, site: &Site) -> (u32, u64) {
        let total = site.total.cpu().max(1);
        match self.loads.estimate(now, site.node) {
            Some(Load { queue_length, free_cpu, .. }) => {
                let used = total.saturating_sub(u64::from(free_cpu));
                (queue_length, used.saturating_mul(10_000) / total)
            }
            // Nothing is known but what this node has placed there itself.
            None => {
                let placed = self.unseen_count(site.node).saturating_mul(resources::ONE);
                let waiting = placed.saturating_sub(total) / resources::ONE;
                let used = placed.min(total);
                (u32::try_from(waiting).unwrap_or(u32::MAX), used.saturating_mul(10_000) / total)
            }
        }
    }
}

fn fits_into(demand: &Resources, load: &Load) -> bool {
    load.free_cpu >= demand.cpu_u32() && load.free_memory_mib >= demand.memory_mib_u32()
}

/// The nodes that can ever take it.
fn feasible<'a>(request: &Request, sites: &'a [Site]) -> Result<Vec<&'a Site>, PlacementError> {
    let providers: Vec<&Site> =
        sites.iter().filter(|site| site.provides(request.provision.as_ref())).collect();
    if let (true, Some(provision)) = (providers.is_empty(), &request.provision) {
        return Err(PlacementError::NoProvider {
            provision: provision.name.to_string(),
            seen: sites.iter().map(|site| site.node).collect(),
        });
    }
    let mut reasons = Vec::new();
    let mut feasible = Vec::with_capacity(providers.len());
    for site in providers {
        match obstacle(request, site) {
            None => feasible.push(site),
            Some(reason) if reasons.len() < REASONS_MAX => {
                reasons.push(format!("{}: {reason}", site.node));
            }
            Some(_) => {}
        }
    }
    if feasible.is_empty() {
        if reasons.is_empty() {
            reasons.push("no nodes in sight".into());
        }
        return Err(PlacementError::Infeasible { reasons });
    }
    Ok(feasible)
}

/// Why the node can never take it.
fn obstacle(request: &Request, site: &Site) -> Option<String> {
    if let Policy::OnNode { node, is_hard: true } = request.policy
        && site.node != node
    {
        return Some(format!("{node} was asked for"));
    }
    if let Some(role) = &request.role
        && !site.roles.contains(role)
    {
        return Some(format!("has not the role {role}"));
    }
    if let Some(rule) = request.labels.iter().find(|rule| rule.is_hard && !fits(rule, site)) {
        return Some(format!("has not the label {}={}", rule.name, rule.value));
    }
    site.total
        .missing(&request.demand)
        .map(|(name, missing)| format!("lacks {} {name}", Resources::shown(missing)))
}

fn fits(rule: &LabelRule, site: &Site) -> bool {
    site.labels.get(&rule.name) == Some(&rule.value)
}

/// Those that keep the most soft rules.
fn preferred<'a>(request: &Request, sites: Vec<&'a Site>) -> Vec<&'a Site> {
    let kept = |site: &Site| request.labels.iter().filter(|rule| fits(rule, site)).count();
    let most = sites.iter().map(|site| kept(site)).max().unwrap_or_default();
    sites.into_iter().filter(|site| kept(site) == most).collect()
}

#[cfg(test)]
mod tests;
