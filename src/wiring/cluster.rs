//! A node's part in the cluster: the exchange between its actors and the lanes, and what it says of itself.

use std::sync::Arc;

use mobula_actor_core::remote::table::Table;
use mobula_actor_core::remote::{Home, Remote, refer};
use mobula_actor_core::{ActorId, ActorRef, NodeId, System};
use mobula_cluster::admission::AdmissionMode;
use mobula_cluster::exchange::carrier::Carrier;
use mobula_cluster::exchange::{Courier, Exchange, Placer};
use mobula_cluster::{Cluster, Details, Record, Upper};
use serde::{Deserialize, Serialize};

use super::placement::Placing;
use crate::inspector::Inspector;
use crate::membership::ClusterConfig;
use crate::node::NodeError;

/// A node among others.
pub(crate) struct Membership {
    pub(crate) cluster: Cluster,
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) placing: Arc<Placing>,
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
}

impl Profile {
    /// What a member says; nothing, if this build cannot read it.
    pub(crate) fn of(record: &Record) -> Self {
        serde_json::from_slice(&record.details.meta).unwrap_or_default()
    }
}

/// The role of nodes on which nothing is placed.
pub(crate) const OBSERVER: &str = "observer";

/// Listens, and joins whom the configuration names.
pub(crate) async fn start(
    system: &System,
    config: &ClusterConfig,
    inspector: &ActorRef<Inspector>,
) -> Result<Membership, NodeError> {
    let mode = match &config.secret {
        Some(secret) => AdmissionMode::Secret(secret.clone().into_bytes()),
        None => AdmissionMode::Open,
    };
    let provided = Table::linked().provided();
    let profile = Profile { build: fingerprint(&provided), inspector: Some(inspector.id()) };
    let mut settings = mobula_cluster::ClusterConfig::new(&config.name, mode, config.listen);
    settings.endpoint.advertise.clone_from(&config.advertise);
    settings.details = Details {
        labels: config.labels.clone(),
        roles: if config.observer { vec![OBSERVER.to_owned()] } else { Vec::new() },
        meta: serde_json::to_vec(&profile).unwrap_or_default(),
        ..Details::default()
    };
    let carrier = Carrier::new();
    let inbound = Arc::clone(&carrier);
    let upper = Upper { inbound, source: Arc::new(super::bulk::NoBytes) };
    let cluster = Cluster::start(settings, upper).await?;
    let placing = Arc::new(Placing::new(cluster.clone(), profile.build, provided));
    let here = (NodeId(cluster.node().0), cluster.life().0);
    let courier = Arc::clone(&carrier) as Arc<dyn Courier>;
    let placer = Arc::clone(&placing) as Arc<dyn Placer>;
    let exchange = Exchange::new(system.clone(), here, courier, placer);
    system.set_remote(Arc::clone(&exchange) as Arc<dyn Remote>);
    carrier.open(&cluster, &exchange);
    if !config.join.is_empty() {
        cluster.join(&config.join, config.join_limit).await?;
    }
    Ok(Membership { cluster, exchange, placing })
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
