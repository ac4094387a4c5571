//! What a node says of itself to all members, beside what the membership carries anyway.

use std::collections::BTreeMap;

use mobula_actor_core::ActorId;
use mobula_cluster::Record;
use serde::{Deserialize, Serialize};

/// What a node says of itself beside addresses and labels.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Profile {
    /// Stands for everything that its program does for others: equal tables, equal numbers. Zero: it does not say.
    #[serde(default)]
    pub(crate) build: u64,
    /// What tells its table of functions, constructors and handlers.
    #[serde(default)]
    pub(crate) builds: Option<ActorId>,
    /// Its public key, by which an authority takes back what it granted.
    #[serde(default)]
    pub(crate) key: String,
    /// Its inspector.
    #[serde(default)]
    pub(crate) inspector: Option<ActorId>,
    /// What ends citizens, and the node.
    #[serde(default)]
    pub(crate) warden: Option<ActorId>,
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
    /// What else tasks may use, in ten-thousandths.
    #[serde(default)]
    pub(crate) resources: BTreeMap<String, u64>,
}

impl Profile {
    /// What a member says; nothing, if this build cannot read it.
    pub(crate) fn of(record: &Record) -> Self {
        serde_json::from_slice(&record.details.meta).unwrap_or_default()
    }
}

/// The role of nodes that only look.
pub(crate) const OBSERVER: &str = "observer";

/// The role of nodes that use others and host nothing for them.
pub(crate) const CLIENT: &str = "client";

/// Whether a member hosts what others place.
pub(crate) fn hosts(record: &Record) -> bool {
    record.details.roles.iter().all(|role| role != OBSERVER && role != CLIENT)
}
