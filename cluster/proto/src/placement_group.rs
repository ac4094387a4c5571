//! Placement groups: several bundles of resources, all or nothing.
//!
//! Two coordinators that each hold half of what the other needs would wait for ever.
//! So a coordinator asks in the order of the nodes' names, one after another; a node that has no room says so at once
//! instead of making anyone wait; and what was reserved expires by itself if the coordinator dies.
//! When all have reserved, all are bound; if one has forgotten meanwhile, everything is given back and tried anew.
//! (Ordered resources: Havender 1968; two-phase commit: Gray 1978.)
//!
//! Invariants: a group is whole or holds nothing, once it has ended; nobody waits for somebody else's reservation; with
//! contention somebody gets through, for who has the first contested node is not refused there.
//!
//! - [`mod@arrange`]: which bundle goes where.
//! - [`choose`]: which bundle takes what.
//! - [`hints`]: what a node knows of the groups of others.
//! - The nodes' side is [`crate::reservation::grants::Grants`]: reserve, bind, release.
//!
//! Pure: no clock, no I/O, no tasks.

pub mod arrange;
pub mod choose;
pub mod hints;

use std::collections::BTreeMap;
use std::time::Duration;

use rand_core::RngCore;

use crate::error::GroupError;
use crate::id::NodeId;
use crate::load::below;
use crate::placement::Resources;
use crate::reservation::GrantId;
use crate::time::Time;

use self::arrange::{Room, arrange};

pub use self::arrange::Strategy;

/// How long a reservation of a group lasts before it is bound: 5 s.
pub const TTL: Duration = Duration::from_secs(5);
/// How long one answer is awaited: 1 s.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// How often a group is tried.
pub const ATTEMPTS_MAX: u32 = 10;
/// The first pause between attempts; it doubles, with dice, up to 32 times this.
pub const PAUSE: Duration = Duration::from_millis(10);

/// What the driver is to do. A grant covers all bundles of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Ask the node for room, for [`TTL`].
    Reserve {
        /// Whom.
        to: NodeId,
        /// Under which name.
        id: GrantId,
        /// How much: the sum of its bundles.
        demand: Resources,
    },
    /// Bind what was reserved.
    Bind {
        /// Whom to ask.
        to: NodeId,
        /// Which.
        id: GrantId,
    },
    /// Give back what was reserved or bound.
    Release {
        /// Whom to tell.
        to: NodeId,
        /// Which.
        id: GrantId,
    },
    /// The group stands: bundle by bundle, the node and the grant.
    Ready {
        /// In the order of the bundles.
        bundles: Vec<(NodeId, GrantId)>,
    },
    /// It does not, and holds nothing.
    Failed {
        /// Why.
        error: GroupError,
    },
    /// A node of the ready group is down: those bundles are gone, the others still held. Release the group and form it
    /// anew, or go on without.
    Broken {
        /// Indices of the bundles that are gone.
        bundles: Vec<usize>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    /// Waiting until the next attempt.
    Resting {
        until: Time,
    },
    /// Reserving; this many nodes, in their order, have.
    Reserving {
        done: usize,
        until: Time,
    },
    /// Binding; this many have.
    Binding {
        done: usize,
        until: Time,
    },
    Ready,
    Ended,
}

/// Forms one group. The driver gives it the nodes as it sees them at each attempt.
#[derive(Debug)]
pub struct Group {
    node: NodeId,
    strategy: Strategy,
    bundles: Vec<Resources>,
    /// The first number for grants of this group; it uses as many as it needs.
    next_number: u64,
    /// Where each bundle goes, in this attempt.
    places: Vec<NodeId>,
    /// The nodes of this attempt, in order, with the names of their grants.
    grants: Vec<(NodeId, GrantId)>,
    phase: Phase,
    attempts: u32,
    begun: Time,
}

impl Group {
    /// A group to be formed by this node. `first_number`: from here on, 2^16 numbers are this group's for grants.
    #[must_use]
    pub const fn new(
        now: Time,
        node: NodeId,
        first_number: u64,
        strategy: Strategy,
        bundles: Vec<Resources>,
    ) -> Self {
        Self {
            node,
            strategy,
            bundles,
            next_number: first_number,
            places: Vec::new(),
            grants: Vec::new(),
            phase: Phase::Resting { until: now },
            attempts: 0,
            begun: now,
        }
    }

    /// Does what is due; `rooms` is how the nodes look now. Call it first to begin, then at [`Group::next_wake`].
    pub fn tick(
        &mut self,
        now: Time,
        rooms: &[Room],
        rng: &mut impl RngCore,
        out: &mut Vec<Output>,
    ) {
        match self.phase {
            Phase::Resting { until } if until <= now => self.attempt(now, rooms, out),
            Phase::Reserving { until, .. } | Phase::Binding { until, .. } if until <= now => {
                self.give_up_attempt(now, rng, out);
            }
            _ => {}
        }
    }

    /// A node has reserved, or has bound.
    pub fn agreed(&mut self, now: Time, id: GrantId, out: &mut Vec<Output>) {
        let until = now + ANSWER_WITHIN;
        let is_next = |done: usize| self.grants.get(done).is_some_and(|&(_, next)| next == id);
        match self.phase {
            Phase::Reserving { done, .. } if is_next(done) => {
                if done + 1 == self.grants.len() {
                    self.phase = Phase::Binding { done: 0, until };
                    self.ask_to_bind(0, out);
                } else {
                    self.phase = Phase::Reserving { done: done + 1, until };
                    self.ask_to_reserve(done + 1, out);
                }
            }
            Phase::Binding { done, .. } if is_next(done) => {
                if done + 1 == self.grants.len() {
                    self.phase = Phase::Ready;
                    let grants: BTreeMap<NodeId, GrantId> = self.grants.iter().copied().collect();
                    let bundles = self.places.iter().map(|&node| (node, grants[&node])).collect();
                    out.push(Output::Ready { bundles });
                } else {
                    self.phase = Phase::Binding { done: done + 1, until };
                    self.ask_to_bind(done + 1, out);
                }
            }
            _ => {}
        }
    }

    /// A node has no room, or has not kept it.
    pub fn refused(
        &mut self,
        now: Time,
        id: GrantId,
        rng: &mut impl RngCore,
        out: &mut Vec<Output>,
    ) {
        let is_ours = self.grants.iter().any(|&(_, grant)| grant == id);
        let is_open = matches!(self.phase, Phase::Reserving { .. } | Phase::Binding { .. });
        if is_ours && is_open {
            self.give_up_attempt(now, rng, out);
        }
    }

    /// A node is down.
    pub fn node_down(
        &mut self,
        now: Time,
        node: NodeId,
        rng: &mut impl RngCore,
        out: &mut Vec<Output>,
    ) {
        if !self.grants.iter().any(|&(at, _)| at == node) {
            return;
        }
        match self.phase {
            Phase::Reserving { .. } | Phase::Binding { .. } => self.give_up_attempt(now, rng, out),
            Phase::Ready => {
                self.grants.retain(|&(at, _)| at != node);
                let places = self.places.iter().enumerate();
                let bundles = places.filter(|&(_, &at)| at == node).map(|(index, _)| index);
                out.push(Output::Broken { bundles: bundles.collect() });
            }
            Phase::Resting { .. } | Phase::Ended => {}
        }
    }

    /// The group is no longer wanted: everything is given back.
    pub fn release(&mut self, out: &mut Vec<Output>) {
        self.give_back(out);
        self.phase = Phase::Ended;
    }

    /// When [`Group::tick`] is next worth calling.
    #[must_use]
    pub const fn next_wake(&self) -> Option<Time> {
        match self.phase {
            Phase::Resting { until }
            | Phase::Reserving { until, .. }
            | Phase::Binding { until, .. } => Some(until),
            Phase::Ready | Phase::Ended => None,
        }
    }

    /// Which bundles go to a node, in this attempt or for good.
    #[must_use]
    pub fn bundles_at(&self, node: NodeId) -> Vec<usize> {
        let places = self.places.iter().enumerate();
        places.filter(|&(_, &at)| at == node).map(|(index, _)| index).collect()
    }

    /// Whether all of it is bound.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.phase == Phase::Ready
    }

    fn attempt(&mut self, now: Time, rooms: &[Room], out: &mut Vec<Output>) {
        self.attempts += 1;
        let Some(places) = arrange(self.strategy, &self.bundles, rooms) else {
            self.phase = Phase::Ended;
            let (bundles, nodes) = (self.bundles.len(), rooms.len());
            out.push(Output::Failed { error: GroupError::Infeasible { bundles, nodes } });
            return;
        };
        self.places = places;
        let mut nodes = self.places.clone();
        nodes.sort_unstable();
        nodes.dedup();
        self.grants.clear();
        for node in nodes {
            self.grants.push((node, GrantId { holder: self.node, number: self.next_number }));
            self.next_number += 1;
        }
        if self.grants.is_empty() {
            self.phase = Phase::Ready;
            out.push(Output::Ready { bundles: Vec::new() });
            return;
        }
        self.phase = Phase::Reserving { done: 0, until: now + ANSWER_WITHIN };
        self.ask_to_reserve(0, out);
    }

    fn ask_to_reserve(&self, index: usize, out: &mut Vec<Output>) {
        let (to, id) = self.grants[index];
        let mut demand = Resources::default();
        for (bundle, _) in self.bundles.iter().zip(&self.places).filter(|&(_, &at)| at == to) {
            demand.give(bundle);
        }
        out.push(Output::Reserve { to, id, demand });
    }

    fn ask_to_bind(&self, index: usize, out: &mut Vec<Output>) {
        let (to, id) = self.grants[index];
        out.push(Output::Bind { to, id });
    }

    /// Everything back, a pause with dice, and again; or the end.
    fn give_up_attempt(&mut self, now: Time, rng: &mut impl RngCore, out: &mut Vec<Output>) {
        self.give_back(out);
        if self.attempts >= ATTEMPTS_MAX {
            self.phase = Phase::Ended;
            let (attempts, elapsed) = (self.attempts, now.since(self.begun));
            out.push(Output::Failed { error: GroupError::Contended { attempts, elapsed } });
            return;
        }
        let widest = PAUSE * (1 << self.attempts.min(5));
        let pause = Duration::from_micros(below(rng, widest.as_micros() as usize) as u64);
        self.phase = Phase::Resting { until: now + PAUSE + pause };
    }

    /// Also to nodes that were not asked yet or have not answered: a grant may be under way, and twice does no harm.
    fn give_back(&mut self, out: &mut Vec<Output>) {
        out.extend(self.grants.drain(..).map(|(to, id)| Output::Release { to, id }));
    }
}
