//! How a node is described before it starts, and its start: the rooms in order.

use std::sync::Arc;
#[cfg(feature = "cluster")]
use std::sync::OnceLock;
use std::time::Duration;

use mobula_actor_core::{ExitReason, System};
use mobula_store::{Store, StoreActor, StoreConfig};
use mobula_supervision::detached::RootSupervisor;
use mobula_tasks::{Scheduler, SchedulerConfig};

use super::{Node, Rooms, Slot};
use crate::config::{ConfigError, NodeConfig};
#[cfg(feature = "cluster")]
use crate::wiring::bundles::PlacementGroups;
#[cfg(feature = "cluster")]
use crate::wiring::cluster::Name;

/// How often a get looks again before it sleeps: some microseconds, less than a thread needs to wake.
const SPIN_ROUNDS: u32 = 300;

/// Describes a [`Node`] before it starts.
#[derive(Clone, Debug)]
#[must_use = "a builder starts nothing until `start`"]
pub struct NodeBuilder {
    config: NodeConfig,
    arbiter_here: bool,
    compute_threads_max: Option<usize>,
    spin: Option<Duration>,
}

impl NodeBuilder {
    pub(super) fn new() -> Self {
        Self {
            config: NodeConfig::default(),
            arbiter_here: false,
            compute_threads_max: None,
            spin: None,
        }
    }

    /// All settings at once.
    pub fn config(mut self, config: NodeConfig) -> Self {
        self.config = config;
        self
    }

    /// CPUs that tasks may use at once.
    pub const fn num_cpus(mut self, cpus: f64) -> Self {
        self.config.num_cpus = cpus;
        self
    }

    /// An amount of a resource of your own.
    pub fn resource(mut self, name: impl Into<String>, amount: f64) -> Self {
        self.config.resources.insert(name.into(), amount);
        self
    }

    /// Bytes that objects may use together.
    pub const fn store_bytes(mut self, bytes: u64) -> Self {
        self.config.store_bytes = bytes;
        self
    }

    /// Bytes of recipes by which results are made again that were lost with another node.
    pub const fn lineage_bytes(mut self, bytes: u64) -> Self {
        self.config.lineage_bytes = bytes;
        self
    }

    /// Threads that plain functions may occupy or block at once; fewer than the runtime's blocking threads (tokio's
    /// default is 512). It bounds how deep plain functions can nest that wait for each other. Default: 500.
    pub const fn compute_threads_max(mut self, threads: usize) -> Self {
        self.compute_threads_max = Some(threads);
        self
    }

    /// Takes part in a cluster: see [`ClusterConfig`](crate::ClusterConfig).
    #[cfg(feature = "cluster")]
    pub fn cluster(mut self, cluster: crate::ClusterConfig) -> Self {
        self.config.cluster = Some(cluster);
        self
    }

    /// Threads for pinned actors.
    pub const fn arbiters(mut self, count: usize) -> Self {
        self.config.arbiters = count;
        self
    }

    /// Pinned actors run on the calling thread's actix arbiter, and idle threads do not spin: for virtual time.
    #[cfg(feature = "testkit")]
    pub(crate) const fn under_virtual_time(mut self) -> Self {
        self.arbiter_here = true;
        self.spin = Some(Duration::ZERO);
        self
    }

    /// Starts the node on the running tokio runtime.
    ///
    /// # Errors
    /// [`NodeError`]: a setting makes no sense, or the root supervisor did not start. Nothing is left running.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn start(self) -> Result<Node, NodeError> {
        let Self { config, arbiter_here, compute_threads_max, spin } = self;
        config.validate()?;
        let builder = System::builder().arbiters(config.arbiters);
        let system = if arbiter_here { builder.arbiter_here() } else { builder }.build();
        let mut store_config = StoreConfig::default().capacity_bytes(config.store_bytes);
        let mut tasks_config = SchedulerConfig::default()
            .num_cpus(config.num_cpus)
            .queued_max(config.queued_tasks_max);
        if let Some(threads) = compute_threads_max {
            tasks_config = tasks_config.compute_threads_max(threads);
        }
        if config.num_cpus > 1.0 {
            store_config = store_config.spin_rounds(SPIN_ROUNDS);
        }
        if let Some(spin) = spin {
            store_config = store_config.spin_rounds(0);
            tasks_config = tasks_config.spin(spin);
        }
        for (name, amount) in &config.resources {
            tasks_config = tasks_config.resource(name.clone(), *amount);
        }
        #[cfg(feature = "cluster")]
        let name = Name::of(config.cluster.as_ref())?;
        #[cfg(feature = "cluster")]
        if config.cluster.is_some() {
            store_config = store_config.id(name.store());
        }
        let store = Arc::new(Store::new(store_config));
        system.set_extension(Arc::clone(&store));
        let scheduler =
            Arc::new(Scheduler::try_new(system.clone(), Arc::clone(&store), tasks_config)?);
        system.set_extension(Arc::clone(&scheduler));
        system.set_resource_book(Arc::clone(&scheduler) as _);
        system.set_extension(Arc::<crate::topics::Here>::default());
        let root = RootSupervisor::spawn(&system);
        root.ready().await.map_err(NodeError::Root)?;
        let store_actor = StoreActor::spawn(&system, &store);
        #[cfg(feature = "cluster")]
        let groups = PlacementGroups::new(&system, &scheduler);
        #[cfg(feature = "cluster")]
        system.set_extension(Arc::clone(&groups));
        let rooms = Rooms {
            system,
            store,
            scheduler,
            _root: root,
            store_actor,
            config,
            #[cfg(feature = "cluster")]
            groups,
            #[cfg(feature = "cluster")]
            membership: OnceLock::new(),
            #[cfg(feature = "cluster")]
            services: OnceLock::new(),
            #[cfg(feature = "cluster")]
            leave: crate::leaving::Leave::default(),
            #[cfg(feature = "cluster")]
            first_guest: OnceLock::new(),
        };
        let node = Node(Arc::new(rooms));
        node.0.system.set_extension(Arc::new(Slot(Arc::downgrade(&node.0))));
        #[cfg(feature = "cluster")]
        if let Some(cluster) = &node.0.config.cluster
            && let Err(error) = Box::pin(node.take_part(cluster, name)).await
        {
            node.shutdown().await;
            return Err(error);
        }
        Ok(node)
    }
}

/// A node did not start. Nothing is left running.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// A setting makes no sense. Mend it.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The scheduler refused its settings. Mend them.
    #[error(transparent)]
    Tasks(#[from] mobula_tasks::ConfigError),
    /// The root supervisor did not start: a defect of mobula's; please report it.
    #[error("the root supervisor did not start: {0}")]
    Root(ExitReason),
    /// The node could not listen. Mend the address.
    #[cfg(feature = "cluster")]
    #[error(transparent)]
    Listen(#[from] mobula_cluster::error::StartError),
    /// Nobody let the node in.
    #[cfg(feature = "cluster")]
    #[error(transparent)]
    Join(#[from] mobula_cluster::error::JoinError),
}
