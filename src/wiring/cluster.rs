//! A node's part in the cluster: the exchange between its actors and the lanes, and what it says of itself.

use std::sync::{Arc, OnceLock};

use mobula_actor_core::remote::table::Table;
use mobula_actor_core::remote::{Home, Remote, refer};
use mobula_actor_core::{ActorId, ActorRef, NodeId, System};
use mobula_cluster::admission::AdmissionMode;
use mobula_cluster::bulk::Source;
use mobula_cluster::exchange::carrier::Carrier;
use mobula_cluster::exchange::{Courier, Exchange, Placer};
use mobula_cluster::{Cluster, Details, Identity, Incarnation, Record, Upper};
use mobula_store::owner::OwnerLimits;
use mobula_store::{Store, StoreId};
use mobula_tasks::Scheduler;
use serde::{Deserialize, Serialize};

use super::bulk::Parts;
use super::placement::Placing;
use super::postings::{self, Registrar};
use super::stores::{self, StorePort, StoreService};
use super::tasks::{TaskPort, TaskService};
use crate::inspector::Inspector;
use crate::membership::ClusterConfig;
use crate::node::NodeError;

/// A node among others.
pub(crate) struct Membership {
    pub(crate) cluster: Cluster,
    /// Its last owner beside the system, which forgets it when the node stops.
    _exchange: Arc<Exchange>,
}

/// What a node says of itself beside addresses and labels.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Profile {
    /// Stands for everything that its program does for others: equal builds, equal numbers.
    #[serde(default)]
    pub(crate) build: u64,
    /// Its inspector.
    #[serde(default)]
    pub(crate) inspector: Option<ActorId>,
    /// What hears other stores.
    #[serde(default)]
    pub(crate) store: Option<ActorId>,
    /// What runs tasks for other nodes.
    #[serde(default)]
    pub(crate) tasks: Option<ActorId>,
    /// What answers for groups and names.
    #[serde(default)]
    pub(crate) registrar: Option<ActorId>,
    /// CPUs that tasks may use.
    #[serde(default)]
    pub(crate) cpus: f64,
}

impl Profile {
    /// What a member says; nothing, if this build cannot read it.
    pub(crate) fn of(record: &Record) -> Self {
        serde_json::from_slice(&record.details.meta).unwrap_or_default()
    }
}

/// The role of nodes on which nothing is placed.
pub(crate) const OBSERVER: &str = "observer";

/// Who the node will be, decided before anything of it starts: objects carry its name.
#[derive(Debug)]
pub(crate) struct Name {
    identity: Identity,
    life: Incarnation,
}

impl Name {
    pub(crate) fn new() -> Self {
        Self { identity: Identity::generate(), life: mobula_cluster::new_life() }
    }

    pub(crate) fn store(&self) -> StoreId {
        let node = mobula_store::NodeId(self.identity.node().0);
        StoreId::new(node, mobula_store::Incarnation(self.life.0))
    }
}

/// The actors by which other nodes reach the rooms of this one.
pub(crate) struct Services {
    pub(crate) inspector: ActorRef<Inspector>,
    pub(crate) store: ActorRef<StoreService>,
    pub(crate) tasks: ActorRef<TaskService>,
    pub(crate) registrar: ActorRef<Registrar>,
    /// Where the store's service finds the cluster.
    pub(crate) cluster: Arc<OnceLock<Cluster>>,
}

/// Listens, and joins whom the configuration names.
pub(crate) async fn start(
    system: &System,
    (config, cpus): (&ClusterConfig, f64),
    name: Name,
    services: &Services,
) -> Result<Membership, NodeError> {
    let mode = match &config.secret {
        Some(secret) => AdmissionMode::Secret(secret.clone().into_bytes()),
        None => AdmissionMode::Open,
    };
    let provided = Table::linked().provided();
    let profile = Profile {
        build: fingerprint(&provided),
        inspector: Some(services.inspector.id()),
        store: Some(services.store.id()),
        tasks: Some(services.tasks.id()),
        registrar: Some(services.registrar.id()),
        cpus,
    };
    let mut settings = mobula_cluster::ClusterConfig::new(&config.name, mode, config.listen);
    let me = name.store();
    settings.identity = name.identity;
    settings.life = Some(name.life);
    settings.endpoint.advertise.clone_from(&config.advertise);
    settings.details = Details {
        labels: config.labels.clone(),
        roles: if config.observer { vec![OBSERVER.to_owned()] } else { Vec::new() },
        meta: serde_json::to_vec(&profile).unwrap_or_default(),
        ..Details::default()
    };
    let carrier = Carrier::new();
    let inbound = Arc::clone(&carrier);
    let parts = Parts::new(system.runtime().clone());
    let source = Arc::clone(&parts) as Arc<dyn Source>;
    let upper = Upper { inbound, source };
    let cluster = Cluster::start(settings, upper).await?;
    let placing = Arc::new(Placing::new(cluster.clone(), profile.build, provided));
    let here = (NodeId(cluster.node().0), cluster.life().0);
    let courier = Arc::clone(&carrier) as Arc<dyn Courier>;
    let placer = Arc::clone(&placing) as Arc<dyn Placer>;
    let exchange = Exchange::new(system.clone(), here, courier, placer);
    system.set_remote(Arc::clone(&exchange) as Arc<dyn Remote>);
    carrier.open(&cluster, &exchange);
    // A node takes part once.
    let _ = services.cluster.set(cluster.clone());
    if let Some(store) = system.extension::<Store>() {
        let port = StorePort::new(me, system.clone(), cluster.clone(), parts);
        let remote = Arc::clone(&port) as Arc<dyn mobula_store::Remote>;
        // Attached twice, the first stands; the seed only spreads choices.
        let _ = store.attach(remote, OwnerLimits::default(), me.incarnation.0);
        tokio::spawn(stores::keep_ticking(Arc::downgrade(&store)));
        tokio::spawn(stores::follow(cluster.clone(), Arc::downgrade(&store), port));
    }
    if let Some(scheduler) = system.extension::<Scheduler>() {
        let port = TaskPort::new(system.clone(), cluster.clone(), Arc::clone(&placing));
        scheduler.set_elsewhere(port);
    }
    postings::open(system, &cluster);
    if !config.join.is_empty() {
        cluster.join(&config.join, config.join_limit).await?;
        cluster.keep_dialing(config.join.clone());
    }
    Ok(Membership { cluster, _exchange: exchange })
}

/// The same number for the same table, whatever machine or order.
fn fingerprint(keys: &[u64]) -> u64 {
    keys.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, key| {
        (hash ^ key).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23)
    })
}

/// The inspector of a member.
pub(crate) fn inspector(system: &System, record: &Record) -> Option<ActorRef<Inspector>> {
    let actor = Profile::of(record).inspector?;
    let home = Home { node: NodeId(record.node.0), incarnation: record.details.life.0, actor };
    refer(system, home).ok()
}
