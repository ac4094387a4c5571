//! A node's part in the cluster: the exchange between its actors and the lanes, and what it says of itself.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, Weak};

use mobula_actor_core::remote::{Home, Remote, refer};
use mobula_actor_core::{ActorRef, NodeId, System};
use mobula_cluster::admission::AdmissionMode;
use mobula_cluster::admission::certificate::{Capabilities, Role};
use mobula_cluster::bulk::Source;
use mobula_cluster::exchange::carrier::Carrier;
use mobula_cluster::exchange::rights::Rights;
use mobula_cluster::exchange::{Courier, Exchange, Placer};
use mobula_cluster::scheduling::CPU;
use mobula_cluster::{Cluster, Details, Identity, Incarnation, Record, Upper};
use mobula_store::owner::OwnerLimits;
use mobula_store::{Store, StoreId};
use mobula_tasks::{Quantity, Scheduler};

use super::builds::Builds;
use super::builds::learning::{self, BuildService};
use super::builds::table::BuildTable;
use super::bulk::Parts;
use super::bundles::PlacementGroups;
use super::placement::Placing;
use super::postings::{self, Registrar};
pub(crate) use super::profile::{CLIENT, OBSERVER, Profile};
use super::stores::{self, StorePort, StoreService};
use super::tasks::{self, TaskPort, TaskService};
use crate::config::{ConfigError, NodeConfig};
use crate::inspector::Inspector;
use crate::membership::{ClusterConfig, Papers};
use crate::node::NodeError;
use crate::warden::Warden;

/// A node among others.
pub(crate) struct Membership {
    pub(crate) cluster: Cluster,
    /// What the members' programs contain.
    pub(crate) builds: Arc<Builds>,
    /// Its last owner beside the system, which forgets it when the node stops.
    pub(crate) exchange: Arc<Exchange>,
}

/// Who the node will be, decided before anything of it starts: objects carry its name.
#[derive(Debug)]
pub(crate) struct Name {
    identity: Identity,
    life: Incarnation,
    /// What it shows to be let in.
    mode: AdmissionMode,
    /// How it takes part, and what it may ask for.
    rights: Rights,
}

impl Name {
    /// A name for a node that is to be told so much.
    ///
    /// # Errors
    /// [`ConfigError`]: what it should show cannot be read.
    pub(crate) fn of(config: Option<&ClusterConfig>) -> Result<Self, ConfigError> {
        let papers = match config.and_then(|config| Some((config, config.authority.as_ref()?))) {
            Some((config, authority)) => authority.papers(&config.name)?,
            None => Papers {
                identity: Identity::generate(),
                mode: match config.and_then(|config| config.secret.as_ref()) {
                    Some(secret) => AdmissionMode::Secret(secret.clone().into_bytes()),
                    None => AdmissionMode::Open,
                },
                terms: (Role::Member, Capabilities::ALL),
            },
        };
        let Papers { identity, mode, terms: (mut role, mut capabilities) } = papers;
        if let Some(config) = config {
            role = role.max(config.role);
            capabilities = capabilities.only(config.capabilities);
        }
        let rights = Rights { role, capabilities };
        Ok(Self { identity, life: mobula_cluster::new_life(), mode, rights })
    }

    pub(crate) fn store(&self) -> StoreId {
        let node = mobula_store::NodeId(self.identity.node().0);
        StoreId::new(node, mobula_store::Incarnation(self.life.0))
    }
}

/// The actors by which other nodes reach the rooms of this one.
pub(crate) struct Services {
    pub(crate) inspector: ActorRef<Inspector>,
    pub(crate) warden: ActorRef<Warden>,
    pub(crate) store: ActorRef<StoreService>,
    pub(crate) tasks: ActorRef<TaskService>,
    pub(crate) registrar: ActorRef<Registrar>,
    pub(crate) builds: ActorRef<BuildService>,
    /// What this program contains.
    pub(crate) own_build: BuildTable,
    /// Where the tasks' service finds the way to others.
    pub(crate) port: Arc<OnceLock<Weak<TaskPort>>>,
    /// The placement groups of this node.
    pub(crate) groups: Arc<PlacementGroups>,
    /// Where the store's service finds the cluster.
    pub(crate) cluster: Arc<OnceLock<Cluster>>,
}

/// Listens, and joins whom the configuration names.
pub(crate) async fn start(
    system: &System,
    (config, node): (&ClusterConfig, &NodeConfig),
    name: Name,
    services: &Services,
) -> Result<Membership, NodeError> {
    let builds = Arc::new(Builds::new(services.own_build.clone()));
    let (cpus, resources) = totals(system);
    let profile = Profile {
        build: builds.own().number(),
        builds: Some(services.builds.id()),
        key: name.identity.public().to_string(),
        inspector: Some(services.inspector.id()),
        warden: Some(services.warden.id()),
        store: Some(services.store.id()),
        tasks: Some(services.tasks.id()),
        registrar: Some(services.registrar.id()),
        cpus,
        resources,
    };
    let (me, rights) = (name.store(), name.rights);
    let mut settings = mobula_cluster::ClusterConfig::new(&config.name, name.mode, config.listen);
    settings.limits = Some((rights.role, rights.capabilities));
    settings.identity = name.identity;
    settings.life = Some(name.life);
    settings.endpoint.advertise.clone_from(&config.advertise);
    (settings.endpoint.mdns, settings.endpoint.quic) = (config.mdns, config.quic);
    settings.endpoint.relay_server.clone_from(&config.relay_server);
    settings.endpoint.relays.clone_from(&config.relays);
    if config.dial_only {
        settings.endpoint.listen.clear();
    }
    settings.details = Details {
        labels: config.labels.clone(),
        roles: match rights.role {
            Role::Observer => vec![OBSERVER.to_owned()],
            Role::Client => vec![CLIENT.to_owned()],
            _ => Vec::new(),
        },
        meta: serde_json::to_vec(&profile).unwrap_or_default(),
        ..Details::default()
    };
    let carrier = Carrier::new();
    let inbound = Arc::clone(&carrier);
    let parts = Parts::new(system.runtime().clone());
    let source = Arc::clone(&parts) as Arc<dyn Source>;
    let upper = Upper { inbound, source };
    let cluster = Cluster::start(settings, upper).await?;
    let groups = Arc::clone(&services.groups);
    let placing = Placing::new(cluster.clone(), Arc::clone(&builds), Arc::clone(&groups));
    let placing = Arc::new(placing);
    tokio::spawn(Arc::clone(&placing).keep_telling());
    let here = (NodeId(cluster.node().0), cluster.life().0);
    let courier = Arc::clone(&carrier) as Arc<dyn Courier>;
    let placer = Arc::clone(&placing) as Arc<dyn Placer>;
    let exchange = Exchange::new(system.clone(), here, courier, placer);
    guard(&exchange, services, system.extension::<Store>().as_ref().map(Arc::downgrade));
    system.set_remote(Arc::clone(&exchange) as Arc<dyn Remote>);
    carrier.open(&cluster, &exchange);
    // A node takes part once.
    let _ = services.cluster.set(cluster.clone());
    if let Some(store) = system.extension::<Store>() {
        let port = StorePort::new((me, rights), system.clone(), cluster.clone(), parts);
        let remote = Arc::clone(&port) as Arc<dyn mobula_store::Remote>;
        // Attached twice, the first stands; the seed only spreads choices.
        let mut limits = OwnerLimits::default();
        limits.lineage_max_bytes = node.lineage_bytes;
        let _ = store.attach(remote, limits, me.incarnation.0);
        tokio::spawn(stores::keep_ticking(Arc::downgrade(&store)));
        tokio::spawn(stores::follow(cluster.clone(), Arc::downgrade(&store), port));
    }
    if let Some(scheduler) = system.extension::<Scheduler>() {
        let port = TaskPort::new(
            system.clone(),
            cluster.clone(),
            Arc::clone(&placing),
            &scheduler,
            Arc::clone(&groups),
        );
        // A node takes part once.
        let _ = services.port.set(Arc::downgrade(&port));
        groups.join(&port, (cluster.node(), cluster.life().0));
        tasks::begin(&port, &scheduler, services.tasks.clone());
        tokio::spawn(placing.keep_reporting(Arc::downgrade(&scheduler)));
        scheduler.set_elsewhere(port);
    }
    postings::open(system, &cluster);
    tokio::spawn(learning::learn(cluster.clone(), system.clone(), Arc::downgrade(&builds)));
    if config.mdns {
        cluster.meet_discovered();
    }
    if !config.join.is_empty() {
        cluster.join(&config.join, config.join_limit).await?;
        cluster.keep_dialing(config.join.clone());
    }
    Ok(Membership { cluster, builds, exchange })
}

/// Says what other nodes need to ask a node's services.
fn guard(exchange: &Exchange, services: &Services, store_here: Option<Weak<Store>>) {
    let Services { inspector, warden, store, tasks, builds, .. } = services;
    // Asked before anything else, by everybody.
    exchange.guard(builds.id(), Capabilities::NONE, None);
    exchange.guard(inspector.id(), Capabilities::OBSERVE, None);
    exchange.guard(warden.id(), Capabilities::KILL, None);
    exchange.guard(tasks.id(), Capabilities::SUBMIT, None);
    let denied = move |node: NodeId, life: u64| {
        // A store that may not speak to us will never answer.
        if let Some(store) = store_here.as_ref().and_then(Weak::upgrade) {
            let node = mobula_store::NodeId(node.0);
            store.node_down(StoreId::new(node, mobula_store::Incarnation(life)));
        }
    };
    exchange.guard(store.id(), Capabilities::SUBMIT, Some(Arc::new(denied)));
}

/// The warden of a member.
pub(crate) fn warden(system: &System, record: &Record) -> Option<ActorRef<Warden>> {
    let actor = Profile::of(record).warden?;
    let home = Home { node: NodeId(record.node.0), incarnation: record.details.life.0, actor };
    refer(system, home).ok()
}

/// What tasks may use on this node.
fn totals(system: &System) -> (f64, BTreeMap<String, u64>) {
    let Some(scheduler) = system.extension::<Scheduler>() else { return (0.0, BTreeMap::new()) };
    let amounts = scheduler.resources().into_iter();
    let mut totals: BTreeMap<String, Quantity> =
        amounts.map(|amount| (amount.resource, amount.total)).collect();
    let cpus = totals.remove(CPU).unwrap_or_default().as_f64();
    (cpus, totals.into_iter().map(|(name, total)| (name, total.units())).collect())
}

/// Tells the others that tasks may use more on this node than before.
pub(crate) fn describe_resources(system: &System, cluster: &Cluster) {
    let own = cluster.node();
    let Some(mut details) = cluster.view().get(own).map(|record| (*record.details).clone()) else {
        return;
    };
    let mut profile: Profile = serde_json::from_slice(&details.meta).unwrap_or_default();
    (profile.cpus, profile.resources) = totals(system);
    details.meta = serde_json::to_vec(&profile).unwrap_or_default();
    let cluster = cluster.clone();
    drop(system.runtime().spawn(async move { cluster.describe(details).await }));
}

/// The inspector of a member.
pub(crate) fn inspector(system: &System, record: &Record) -> Option<ActorRef<Inspector>> {
    let actor = Profile::of(record).inspector?;
    let home = Home { node: NodeId(record.node.0), incarnation: record.details.life.0, actor };
    refer(system, home).ok()
}
