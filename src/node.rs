//! A node: the composition root. It starts the rooms in order, joins them, and stops them in reverse.
//!
//! Nothing else knows all rooms. A node is a value, not a global: two of them live in one process, and which one code
//! belongs to follows the running task (see [`Node::enter`]).

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use mobula_actor_core::{
    ActorHandle, ActorListing, ActorRef, Current, DeadLetters, ExitReason, Kind, Scoped, System,
    scope,
};
use mobula_store::{ObjectListing, Store, StoreActor, StoreUsage};
use mobula_supervision::detached::RootSupervisor;
use mobula_supervision::report::{CrashReport, CrashReports};
use mobula_tasks::{ResourceAmount, Scheduler};

use crate::config::NodeConfig;
#[cfg(feature = "cluster")]
use crate::inspector::Inspector;
#[cfg(feature = "cluster")]
use crate::wiring::bundles::PlacementGroups;
#[cfg(feature = "cluster")]
use crate::wiring::cluster::{Membership, Services};

mod builder;

pub use builder::{NodeBuilder, NodeError};

/// How long a killed actor is waited for.
const KILL_DEADLINE: Duration = Duration::from_secs(1);

/// How long actors may take to stop when the node shuts down, before they are killed.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(5);

/// A running node; cheap to clone.
///
/// # Examples
/// ```
/// use mobula::prelude::*;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::builder().num_cpus(2.0).start().await?;
/// let object = node.enter(async { mobula::put(7_u64).await }).await?;
/// assert_eq!(*object.get().await?, 7);
/// drop(object);
/// node.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Node(Arc<Rooms>);

pub(crate) struct Rooms {
    system: System,
    store: Arc<Store>,
    scheduler: Arc<Scheduler>,
    /// The last references to these two would end them.
    _root: ActorRef<RootSupervisor>,
    store_actor: ActorRef<StoreActor>,
    config: NodeConfig,
    #[cfg(feature = "cluster")]
    groups: Arc<PlacementGroups>,
    #[cfg(feature = "cluster")]
    membership: std::sync::OnceLock<Membership>,
    #[cfg(feature = "cluster")]
    services: std::sync::OnceLock<Services>,
    #[cfg(feature = "cluster")]
    leave: crate::leaving::Leave,
    /// Citizens that started before this one are the node's own.
    #[cfg(feature = "cluster")]
    first_guest: std::sync::OnceLock<mobula_actor_core::ActorId>,
}

impl Node {
    /// Describes a node, with the defaults.
    pub fn builder() -> NodeBuilder {
        NodeBuilder::new()
    }

    /// The node that the running code belongs to; `None` outside one.
    #[must_use]
    pub fn current() -> Option<Self> {
        Self::of_system(&mobula_actor_core::current_system()?)
    }

    /// The node that a system belongs to, if it runs.
    pub(crate) fn of_system(system: &System) -> Option<Self> {
        system.extension::<Slot>()?.0.upgrade().map(Self)
    }

    #[cfg(feature = "cluster")]
    pub(crate) const fn rooms(&self) -> &Arc<Rooms> {
        &self.0
    }

    #[cfg(feature = "cluster")]
    pub(crate) fn scheduler(&self) -> &Scheduler {
        &self.0.scheduler
    }

    #[cfg(feature = "cluster")]
    pub(crate) fn leave(&self) -> &crate::leaving::Leave {
        &self.0.leave
    }

    #[cfg(feature = "cluster")]
    pub(crate) fn own_tasks(&self) -> Option<ActorRef<crate::wiring::tasks::TaskService>> {
        self.0.services.get().map(|services| services.tasks.clone())
    }

    /// What programs started here, oldest first.
    #[cfg(feature = "cluster")]
    pub(crate) fn guests(&self, is_one: impl Fn(Kind) -> bool) -> Vec<ActorHandle> {
        let mut guests = self.of_kind(is_one);
        let first = self.0.first_guest.get();
        // What stands here for an actor elsewhere is no guest of ours.
        guests
            .retain(|guest| !guest.is_stand_in() && first.is_none_or(|first| guest.id() >= *first));
        guests
    }

    #[cfg(feature = "cluster")]
    pub(crate) fn groups(&self) -> &Arc<PlacementGroups> {
        &self.0.groups
    }

    #[cfg(feature = "cluster")]
    pub(crate) fn cluster(&self) -> Option<&mobula_cluster::Cluster> {
        self.0.membership.get().map(|membership| &membership.cluster)
    }

    #[cfg(feature = "cluster")]
    pub(crate) fn membership(&self) -> Option<&Membership> {
        self.0.membership.get()
    }

    #[cfg(feature = "cluster")]
    pub(crate) fn own_warden(&self) -> Option<ActorRef<crate::warden::Warden>> {
        self.0.services.get().map(|services| services.warden.clone())
    }

    #[cfg(feature = "cluster")]
    pub(crate) fn own_inspector(&self) -> Option<ActorRef<Inspector>> {
        self.0.services.get().map(|services| services.inspector.clone())
    }

    #[cfg(feature = "cluster")]
    pub(crate) fn set_membership(&self, membership: Membership, services: Services) {
        // A node takes part once, when it starts.
        let _ = self.0.first_guest.set(self.0.system.next_id());
        let _ = self.0.membership.set(membership);
        let _ = self.0.services.set(services);
    }

    #[cfg(feature = "cluster")]
    pub(crate) fn of(rooms: &std::sync::Weak<Rooms>) -> Option<Self> {
        rooms.upgrade().map(Self)
    }

    /// Runs `future` as belonging to this node, as a caller of its own.
    pub fn enter<F: Future>(&self, future: F) -> Scoped<F> {
        scope(Current::root(self.0.system.clone()), future)
    }

    /// Runs `work` on this thread as belonging to this node.
    pub fn enter_sync<R>(&self, work: impl FnOnce() -> R) -> R {
        mobula_actor_core::sync_scope(Current::root(self.0.system.clone()), work)
    }

    /// The floor: directory, names, dead letters.
    #[must_use]
    pub fn system(&self) -> &System {
        &self.0.system
    }

    /// The object store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// The settings it was started with.
    #[must_use]
    pub fn config(&self) -> &NodeConfig {
        &self.0.config
    }

    /// Every citizen by id: actors, unfinished tasks, the store, supervisors.
    #[must_use]
    pub fn actors(&self) -> Vec<ActorListing> {
        self.0.system.directory().list()
    }

    /// Every object.
    #[must_use]
    pub fn objects(&self) -> Vec<ObjectListing> {
        self.0.store.list()
    }

    /// What tasks can have, and what is free of it.
    #[must_use]
    pub fn resources(&self) -> Vec<ResourceAmount> {
        self.0.scheduler.resources()
    }

    /// Gives tasks more of a resource from now on: those that could not be met before start.
    ///
    /// # Errors
    /// [`mobula_tasks::QuantityError`] for an amount that cannot be counted.
    pub fn add_resource(
        &self,
        resource: &str,
        amount: f64,
    ) -> Result<(), mobula_tasks::QuantityError> {
        self.0.scheduler.add_resource(resource, amount)?;
        #[cfg(feature = "cluster")]
        if let Some(cluster) = self.cluster() {
            crate::wiring::cluster::describe_resources(&self.0.system, cluster);
        }
        Ok(())
    }

    /// What was sent and will not be handled.
    #[must_use]
    pub fn dead_letters(&self) -> &DeadLetters {
        self.0.system.dead_letters()
    }

    /// The newest crash reports: which child of which supervisors crashed, in which message, with what text, and how many
    /// restarts it has left. They are traced as errors, too.
    #[must_use]
    pub fn crash_reports(&self) -> Vec<Arc<CrashReport>> {
        CrashReports::of(&self.0.system).list()
    }

    /// A summary of the node.
    #[must_use]
    pub fn status(&self) -> NodeStatus {
        NodeStatus {
            citizens: self.0.system.directory().len(),
            unfinished_tasks: self.0.scheduler.unfinished(),
            dead_letters: self.dead_letters().count(),
            store: self.0.store.usage(),
            resources: self.resources(),
        }
    }

    /// Stops the node: cancels tasks, stops supervisors (each ends its children in order), then all other actors; what has
    /// not ended five seconds after the call is killed.
    ///
    /// # Cancel safety
    /// Dropped on the way, the node is half stopped; call again.
    pub async fn shutdown(&self) {
        let Rooms { system, scheduler, store_actor, .. } = &*self.0;
        let deadline = tokio::time::Instant::now() + SHUTDOWN_DEADLINE;
        drop(store_actor.stop());
        system.close();
        scheduler.shut_down();
        // Outer supervisors were started before inner ones: in the order of their ids each ends its own first, and none
        // tries to restart what is being stopped. The root, which is the oldest, owns the detached ones.
        for supervisor in self.of_kind(|kind| kind == Kind::Supervisor) {
            supervisor.request_stop(ExitReason::Shutdown);
            if tokio::time::timeout_at(deadline, supervisor.closed()).await.is_err() {
                supervisor.kill();
            }
        }
        let actors = self.of_kind(|_| true);
        for actor in &actors {
            actor.request_stop(ExitReason::Shutdown);
        }
        for actor in &actors {
            if tokio::time::timeout_at(deadline, actor.closed()).await.is_err() {
                actor.kill();
                // A handler that never awaits cannot be killed before it returns: it is left behind.
                let _ = tokio::time::timeout(KILL_DEADLINE, actor.closed()).await;
            }
        }
        #[cfg(feature = "cluster")]
        if let Some(membership) = self.0.membership.get() {
            membership.cluster.leave().await;
        }
        system.clear_extensions();
    }

    /// The actors of some kinds, oldest first.
    fn of_kind(&self, is_one: impl Fn(Kind) -> bool) -> Vec<ActorHandle> {
        let directory = self.0.system.directory();
        let listed = directory.list();
        let of_kind = listed.iter().filter(|listing| is_one(listing.kind));
        of_kind.filter_map(|listing| directory.actor(listing.id)).collect()
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("status", &self.status()).finish_non_exhaustive()
    }
}

/// How running code finds its node without keeping it alive.
struct Slot(std::sync::Weak<Rooms>);

/// A summary of a node at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NodeStatus {
    /// Actors, unfinished tasks, supervisors, the store.
    pub citizens: usize,
    /// Tasks that wait or run.
    pub unfinished_tasks: usize,
    /// Dead letters since the start.
    pub dead_letters: u64,
    /// The store's use.
    pub store: StoreUsage,
    /// What tasks can have.
    pub resources: Vec<ResourceAmount>,
}
