//! Placement groups as programs ask for them: several bundles of resources, all or nothing.

use std::fmt;
use std::time::Duration;

use mobula_actor_core::{GroupId, Grouped, NodeId, current};
use mobula_cluster::scheduling::Strategy;
use mobula_store::{ObjectRef, Store, TaskError};
use mobula_tasks::{Demand, Quantity};

use crate::wiring::bundles::{GroupState, PlacementGroups};

use std::sync::{Arc, Weak};

/// Resources that a placement group keeps together on one node.
///
/// # Examples
/// ```
/// use mobula::Bundle;
/// let bundle = Bundle::cpus(2.0).resource("gpu", 1.0);
/// assert_eq!(bundle.to_string(), "2 CPU and 1 gpu");
/// ```
#[derive(Clone)]
pub struct Bundle {
    demand: Demand,
    invalid: Option<String>,
}

impl Bundle {
    /// So many CPUs, in steps of 0.0001; 0 for a bundle of other resources alone.
    #[must_use]
    pub fn cpus(cpus: f64) -> Self {
        match Quantity::try_new(cpus) {
            Ok(cpus) => Self { demand: Demand::cpus(cpus), invalid: None },
            Err(error) => {
                let invalid = Some(error.to_string());
                Self { demand: Demand::cpus(Quantity::ZERO), invalid }
            }
        }
    }

    /// And so much of a resource; `memory` is in bytes. An amount that makes no sense fails the group.
    #[must_use]
    pub fn resource(mut self, name: impl AsRef<str>, amount: f64) -> Self {
        let demand = Quantity::try_new(amount)
            .and_then(|amount| self.demand.clone().with(name.as_ref(), amount));
        match demand {
            Ok(demand) => self.demand = demand,
            Err(error) => self.invalid = Some(error.to_string()),
        }
        self
    }
}

impl fmt::Display for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.demand, f)
    }
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bundle({})", self.demand)
    }
}

/// Asks for a placement group: every bundle on some node, lying to each other as `strategy` says, or none. The nodes are
/// asked in the background; one that cannot be had yet stays pending until nodes join or others leave room.
///
/// What is in the bundles is the group's alone: tasks run in it by `options().in_group(&group)`, on
/// [`bundle(i)`](mobula_tasks::TaskOptions::bundle) or any, and actors by the same once it is ready. It lives until
/// [`remove`](PlacementGroup::remove), or until the node that asked for it is gone.
///
/// # Panics
/// Outside a node.
///
/// # Examples
/// ```
/// use mobula::prelude::*;
/// use mobula::{Bundle, GroupStrategy};
///
/// #[mobula::task]
/// fn double(number: u64) -> u64 { number * 2 }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::builder().num_cpus(2.0).start().await?;
/// node.enter(async {
///     let group = mobula::placement_group([Bundle::cpus(1.0), Bundle::cpus(1.0)], GroupStrategy::Pack);
///     let four = double::options().in_group(&group).bundle(1).remote(2);
///     assert_eq!(*four.get().await?, 4);
///     group.remove().await;
///     Ok::<_, mobula::GetError>(())
/// }).await?;
/// node.shutdown().await;
/// # Ok(())
/// # }
/// ```
///
/// Source: Ray's placement groups.
#[track_caller]
#[must_use = "a group that nobody can remove lives as long as its node"]
pub fn placement_group(
    bundles: impl IntoIterator<Item = Bundle>,
    strategy: Strategy,
) -> PlacementGroup {
    let system = current::expect_system();
    let (Some(groups), Some(store)) =
        (system.extension::<PlacementGroups>(), system.extension::<Store>())
    else {
        panic!("this node was stopped")
    };
    let (ready, sealer) = store.create_pending::<()>();
    let bundles: Vec<Bundle> = bundles.into_iter().collect();
    let invalid = bundles.iter().find_map(|bundle| bundle.invalid.clone());
    let demands = bundles.into_iter().map(|bundle| bundle.demand).collect();
    let state = match invalid {
        None => groups.request((strategy, demands), (ready, sealer)),
        Some(text) => {
            let task = "placement group".into();
            sealer.seal(Err(TaskError::Invalid { task, text: text.into() }));
            groups.refused((strategy, demands), ready)
        }
    };
    PlacementGroup { state, groups: Arc::downgrade(&groups) }
}

/// Bundles of resources on one or several nodes; see [`placement_group`]. Clones are the same group.
#[derive(Clone)]
pub struct PlacementGroup {
    state: Arc<GroupState>,
    groups: Weak<PlacementGroups>,
}

impl PlacementGroup {
    /// Its name.
    #[must_use]
    pub fn id(&self) -> GroupId {
        self.state.id
    }

    /// An object that exists once all bundles are reserved, and fails if the group is removed before.
    #[must_use]
    pub fn ready(&self) -> ObjectRef<()> {
        self.state.ready.clone()
    }

    /// Waits until all bundles are reserved, at most so long; says whether they are.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn wait(&self, limit: Duration) -> bool {
        let ready = self.ready();
        matches!(tokio::time::timeout(limit, ready.get()).await, Ok(Ok(_)))
    }

    /// The node of each bundle, in their order; `None` for one whose node is lost. Empty until the group is formed and
    /// after it was removed. On a node that is alone, [`NodeId::HERE`].
    #[must_use]
    pub fn nodes(&self) -> Vec<Option<NodeId>> {
        self.state.places()
    }

    /// How many bundles it has.
    #[must_use]
    pub fn bundle_count(&self) -> usize {
        self.state.bundles.len()
    }

    /// How its bundles lie to each other.
    #[must_use]
    pub fn strategy(&self) -> Strategy {
        self.state.strategy
    }

    /// Removes the group: its actors are killed, its tasks cancelled, and its resources are its nodes' again (those of a
    /// plain function that runs, when it returns). A pending group is given up. Again does no harm.
    ///
    /// # Cancel safety
    /// Dropped on the way, the group is removed, and nodes that were not told yet may keep their bundles as long as this
    /// node lives: call it to its end.
    pub async fn remove(&self) {
        if let Some(groups) = self.groups.upgrade() {
            groups.remove(&self.state).await;
        }
    }
}

impl Grouped for PlacementGroup {
    fn group_id(&self) -> GroupId {
        self.state.id
    }

    fn is_removed(&self) -> bool {
        self.state.is_removed()
    }
}

impl fmt::Debug for PlacementGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlacementGroup")
            .field("id", &self.state.id)
            .field("strategy", &self.state.strategy)
            .field("bundles", &self.state.bundles)
            .field("nodes", &self.nodes())
            .finish()
    }
}
