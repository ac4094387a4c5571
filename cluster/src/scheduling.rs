//! Where things go: one placer for all that this node places, fed with what the membership hears of loads.
//!
//! Each room could choose by the rumours for itself, and all would choose the same node: what one has placed the others
//! do not see before the next report. So everything that a node places goes through one [`Planner`], which counts it at
//! once.
//!
//! Invariant: a report is heard once, and never after a newer one.
//!
//! The pure parts are those of the protocol, under the names by which the rooms above know them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use mobula_proto::load::Loads;
use mobula_proto::placement::Placer;
use parking_lot::Mutex;
use rand::rngs::SmallRng;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::handle::Cluster;
use crate::view::LoadView;

pub use mobula_proto::error::{GroupError, PlacementError};
pub use mobula_proto::id::NodeId;
pub use mobula_proto::load::Load;
pub use mobula_proto::membership::LoadDigest;
pub use mobula_proto::placement::resources::{CPU, MEMORY, ONE};
pub use mobula_proto::placement::task::{Arguments, Choice, Submission};
pub use mobula_proto::placement::{LabelRule, Policy, Provision, Request, Resources, Site};
pub use mobula_proto::placement_group::arrange::Room;
pub use mobula_proto::placement_group::choose::{self, Misfit};
pub use mobula_proto::placement_group::hints::{self, Hints};
pub use mobula_proto::placement_group::{self as group, Group, Strategy};
pub use mobula_proto::reservation::GrantId;
pub use mobula_proto::reservation::grants::{self, Answer, Grants, Stock};
pub use mobula_proto::reservation::spill::{self, Spill};
pub use mobula_proto::reservation::steal::{self, Thief};
pub use mobula_proto::time::Time;

impl Cluster {
    /// How busy others say they are; one atomic load.
    #[must_use]
    pub fn loads(&self) -> Arc<LoadView> {
        self.directory().loads.load_full()
    }

    /// Says whenever somebody's load was heard.
    #[must_use]
    pub fn loads_changed(&self) -> watch::Receiver<u64> {
        self.directory().loads_changed.subscribe()
    }
}

/// A generator for whoever breaks ties or draws a pause.
#[must_use]
pub fn dice() -> SmallRng {
    crate::life::rng(None)
}

/// Chooses nodes for one node, by what it has heard and what it has placed.
pub struct Planner {
    cluster: Cluster,
    origin: Instant,
    state: Mutex<State>,
}

struct State {
    placer: Placer,
    rng: SmallRng,
    version: u64,
    /// The newest report heard of each.
    heard: BTreeMap<NodeId, u64>,
}

impl Planner {
    /// Nothing placed yet.
    #[must_use]
    pub fn new(cluster: Cluster) -> Self {
        let state = State {
            placer: Placer::new(),
            rng: crate::life::rng(None),
            version: 0,
            heard: BTreeMap::new(),
        };
        Self { cluster, origin: Instant::now(), state: Mutex::new(state) }
    }

    /// The time by which it reckons.
    #[must_use]
    pub fn now(&self) -> Time {
        Time(u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// How busy this node is, as the others are told.
    pub fn hear_own(&self, load: Load) {
        let (now, own) = (self.now(), self.cluster.node());
        self.state.lock().placer.loads.hear(now, own, load);
    }

    /// Chooses a node and counts it as placed there.
    ///
    /// # Errors
    /// [`PlacementError`], with what was seen.
    pub fn place(&self, request: &Request, sites: &[Site]) -> Result<NodeId, PlacementError> {
        let now = self.now();
        let mut state = self.state.lock();
        let State { placer, rng, .. } = state.listen(now, &self.cluster);
        placer.place(now, request, sites, rng)
    }

    /// Whether this node can take the request now; then it counts as placed there.
    #[must_use]
    pub fn place_there(&self, node: NodeId, request: &Request, sites: &[Site]) -> bool {
        let now = self.now();
        let mut state = self.state.lock();
        let State { placer, .. } = state.listen(now, &self.cluster);
        placer.place_there(now, node, request, sites)
    }

    /// Chooses for a task; counts nothing.
    ///
    /// # Errors
    /// [`PlacementError`], with what was seen.
    pub fn choose(
        &self,
        submission: &Submission<'_>,
        sites: &[Site],
    ) -> Result<Choice, PlacementError> {
        let now = self.now();
        let mut state = self.state.lock();
        let State { placer, rng, .. } = state.listen(now, &self.cluster);
        placer.place_task(now, submission, sites, rng)
    }

    /// A task was pushed to a node.
    pub fn pushed(&self, node: NodeId, request: &Request) {
        self.state.lock().placer.pushed(node, request);
    }

    /// What was placed on a node has ended, or never arrived.
    pub fn ended(&self, node: NodeId) {
        self.state.lock().placer.ended(node);
    }

    /// A node has joined.
    pub fn welcome(&self, node: NodeId) {
        self.state.lock().placer.welcome(node);
    }

    /// What is known of the loads of these nodes, less what was placed there since.
    #[must_use]
    pub fn estimates(
        &self,
        nodes: impl IntoIterator<Item = NodeId>,
    ) -> Vec<(NodeId, Option<Load>)> {
        let now = self.now();
        let mut state = self.state.lock();
        let loads: &Loads = &state.listen(now, &self.cluster).placer.loads;
        nodes.into_iter().map(|node| (node, loads.estimate(now, node))).collect()
    }

    /// Lends the generator.
    pub fn with_rng<R>(&self, draw: impl FnOnce(&mut SmallRng) -> R) -> R {
        draw(&mut self.state.lock().rng)
    }
}

impl State {
    /// Hears what is new.
    fn listen(&mut self, now: Time, cluster: &Cluster) -> &mut Self {
        let loads = cluster.loads();
        if loads.version == self.version {
            return self;
        }
        self.version = loads.version;
        for &(node, number, load) in &loads.reports {
            if self.heard.get(&node).is_none_or(|known| *known < number) {
                self.heard.insert(node, number);
                self.placer.loads.hear(now, node, load);
            }
        }
        let is_gone = |node: &NodeId| !loads.reports.iter().any(|(known, ..)| known == node);
        if self.heard.len() > loads.reports.len() {
            let gone: Vec<NodeId> = self.heard.keys().copied().filter(is_gone).collect();
            for node in gone {
                self.heard.remove(&node);
                self.placer.forget(node);
            }
        }
        self
    }
}

impl fmt::Debug for Planner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Planner").field("node", &self.cluster.node()).finish_non_exhaustive()
    }
}
