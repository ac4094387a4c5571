//! Placement groups as programs ask for them: several bundles of resources, all or nothing.
//!
//! What a program holds is a handle: the group's name, what was asked for, and the way to this node's knowledge of it. So it
//! may go to any node, and says there what is known there.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use mobula_actor_core::{GroupId, Grouped, NodeId, current};
use mobula_cluster::scheduling::Strategy;
use mobula_store::{ObjectRef, Sealer, Store, TaskError};
use mobula_tasks::{Demand, Quantity};
use parking_lot::Mutex;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::wiring::bundles::{PlacementGroups, RemoveGroupError};
use crate::wiring::rooms::Amounts;

/// Bundles of one group.
pub const BUNDLES_MAX: usize = 1 << 16;

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
/// [`remove`](PlacementGroup::remove), or until the node that asked for it is gone. At most 65536 bundles.
///
/// A group is there for all nodes: pass it in messages, in arguments and in objects, as one does references.
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
///     group.remove().await?;
///     Ok::<_, Box<dyn std::error::Error>>(())
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
    let too_many = (bundles.len() > BUNDLES_MAX)
        .then(|| format!("{} bundles, at most {BUNDLES_MAX}", bundles.len()));
    let invalid = too_many.or_else(|| bundles.iter().find_map(|bundle| bundle.invalid.clone()));
    let demands: Vec<Demand> = bundles.into_iter().map(|bundle| bundle.demand).collect();
    let asked = (strategy, demands.clone());
    let id = match invalid {
        None => groups.request(asked, sealer),
        Some(text) => {
            let task = "placement group".into();
            sealer.seal(Err(TaskError::Invalid { task, text: text.into() }));
            groups.new_id()
        }
    };
    PlacementGroup::new(&groups, (id, strategy, demands), (ready, None))
}

/// Bundles of resources on one or several nodes; see [`placement_group`]. Clones are the same group, also those that went to
/// other nodes.
///
/// The node that asked for the group owns it. Others ask it where the bundles are, once, and go by that until a node says
/// otherwise. When the owner is lost, the group is gone: what runs in it ends, its resources are its nodes' again, and what
/// is submitted into it fails with [`TaskError::GroupGone`](mobula_store::TaskError::GroupGone), or
/// [`SpawnError::GroupGone`](mobula_actor_core::SpawnError::GroupGone); so does, on other nodes, what is submitted while
/// the owner cannot be reached.
///
/// # Examples
/// ```
/// use mobula::prelude::*;
/// use mobula::{Bundle, GroupStrategy, PlacementGroup};
///
/// #[mobula::task]
/// fn double(number: u64) -> u64 { number * 2 }
///
/// // Wherever this runs.
/// #[mobula::task(num_cpus = 0.0)]
/// async fn quadruple(group: PlacementGroup, number: u64) -> u64 {
///     let twice = double::options().in_group(&group).remote(number);
///     *double::options().in_group(&group).remote(&twice).await.unwrap()
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::builder().num_cpus(2.0).start().await?;
/// node.enter(async {
///     let group = mobula::placement_group([Bundle::cpus(1.0)], GroupStrategy::Pack);
///     assert_eq!(*quadruple::remote(group.clone(), 2).get().await?, 8);
///     group.remove().await?;
///     Ok::<_, Box<dyn std::error::Error>>(())
/// }).await?;
/// node.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PlacementGroup {
    asked: Arc<Asked>,
    groups: Weak<PlacementGroups>,
}

/// What was asked for, and what says that it is there.
struct Asked {
    id: GroupId,
    strategy: Strategy,
    bundles: Vec<Demand>,
    ready: ObjectRef<()>,
    /// What seals that, until somebody wants to know.
    sealer: Mutex<Option<Sealer<()>>>,
}

impl PlacementGroup {
    fn new(
        groups: &Arc<PlacementGroups>,
        (id, strategy, bundles): (GroupId, Strategy, Vec<Demand>),
        (ready, sealer): (ObjectRef<()>, Option<Sealer<()>>),
    ) -> Self {
        let asked = Asked { id, strategy, bundles, ready, sealer: Mutex::new(sealer) };
        Self { asked: Arc::new(asked), groups: Arc::downgrade(groups) }
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> GroupId {
        self.asked.id
    }

    /// An object that exists once all bundles are reserved, and fails if the group is removed before, or gone. On a node
    /// that did not ask for the group it is an object of that node.
    #[must_use]
    pub fn ready(&self) -> ObjectRef<()> {
        if let Some(groups) = self.groups.upgrade()
            && let Some(sealer) = self.asked.sealer.lock().take()
        {
            groups.seal_when_ready(self.asked.id, sealer);
        }
        self.asked.ready.clone()
    }

    /// Waits until all bundles are reserved, at most so long; says whether they are. [`ready`](Self::ready) says why not.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn wait(&self, limit: Duration) -> bool {
        let ready = self.ready();
        matches!(tokio::time::timeout(limit, ready.get()).await, Ok(Ok(_)))
    }

    /// The node of each bundle, in their order; `None` for one whose node is lost. Empty until the group is formed and
    /// after it was removed. On a node that is alone, [`NodeId::HERE`]. On a node that did not ask for the group, what
    /// that node knows: nothing until it has used the group, or waited for it.
    #[must_use]
    pub fn nodes(&self) -> Vec<Option<NodeId>> {
        self.groups.upgrade().map(|groups| groups.places(self.asked.id)).unwrap_or_default()
    }

    /// How many bundles it has.
    #[must_use]
    pub fn bundle_count(&self) -> usize {
        self.asked.bundles.len()
    }

    /// How its bundles lie to each other.
    #[must_use]
    pub fn strategy(&self) -> Strategy {
        self.asked.strategy
    }

    /// Removes the group, from any node: its actors are killed, its tasks cancelled, and its resources are its nodes' again
    /// (those of a plain function that runs, when it returns). A pending group is given up. Again does no harm, nor does it
    /// for a group that is gone with its node. From a node that did not ask for the group, it takes the right to kill
    /// there, and ten seconds at most.
    ///
    /// # Errors
    /// [`RemoveGroupError`], on a node that did not ask for the group: the node that did takes part, and did not answer, or
    /// refused.
    ///
    /// # Cancel safety
    /// Dropped on the way on the node that asked for it, the group is removed, and nodes that were not told yet may keep
    /// their bundles as long as this node lives: call it to its end. Elsewhere it may be removed or not: call it again.
    pub async fn remove(&self) -> Result<(), RemoveGroupError> {
        match self.groups.upgrade() {
            Some(groups) => groups.remove(self.asked.id).await,
            // The node has stopped, and the group went with it, or this handle is all that is left.
            None => Ok(()),
        }
    }
}

impl Grouped for PlacementGroup {
    fn group_id(&self) -> GroupId {
        self.asked.id
    }

    fn is_removed(&self) -> bool {
        self.groups.upgrade().is_none_or(|groups| groups.is_removed(self.asked.id))
    }
}

/// What a handle is on the wire.
#[derive(Serialize, Deserialize)]
#[serde(rename = "$mobula::PlacementGroup")]
struct WireGroup {
    id: GroupId,
    strategy: Strategy,
    bundles: Vec<Amounts>,
    /// Where the bundles are, as far as the sender knows.
    #[serde(default)]
    places: Vec<Option<NodeId>>,
}

/// Travels as its name, what was asked for, and what is known of it here.
impl Serialize for PlacementGroup {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Asked { id, strategy, bundles, .. } = &*self.asked;
        let bundles = bundles.iter().map(Amounts::from).collect();
        WireGroup { id: *id, strategy: *strategy, bundles, places: self.nodes() }
            .serialize(serializer)
    }
}

/// Becomes a handle of the current node.
impl<'de> Deserialize<'de> for PlacementGroup {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let WireGroup { id, strategy, bundles, places } = WireGroup::deserialize(deserializer)?;
        if bundles.len() > BUNDLES_MAX {
            return Err(D::Error::custom(format!(
                "placement group {id} has {} bundles, at most {BUNDLES_MAX}",
                bundles.len()
            )));
        }
        let system = current::current_system().ok_or_else(|| {
            D::Error::custom(format!("placement group {id} is read outside any node"))
        })?;
        let (Some(groups), Some(store)) =
            (system.extension::<PlacementGroups>(), system.extension::<Store>())
        else {
            return Err(D::Error::custom("this node was stopped"));
        };
        let bundles: Vec<Demand> = bundles.iter().map(Amounts::demand).collect();
        groups.heard(id, &bundles, &places);
        let (ready, sealer) = store.create_pending::<()>();
        Ok(Self::new(&groups, (id, strategy, bundles), (ready, Some(sealer))))
    }
}

impl fmt::Debug for PlacementGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlacementGroup")
            .field("id", &self.asked.id)
            .field("strategy", &self.asked.strategy)
            .field("bundles", &self.asked.bundles)
            .field("nodes", &self.nodes())
            .finish()
    }
}
