//! Asks members of unknown builds for their tables, as long as the node takes part.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use mobula_actor_core::remote::{Home, refer};
use mobula_actor_core::{ActorRef, Current, Mailbox, NodeId, System, scope};
use mobula_cluster::{Cluster, Record};
use tokio::sync::broadcast::error::RecvError;

use super::Builds;
use super::table::BuildTable;
use crate::wiring::profile::Profile;

/// How long a member may take to tell what its program contains.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// How long after a failure another member, or the same, is asked.
const PAUSE: Duration = Duration::from_millis(250);

/// Questions that may wait.
const MAILBOX: u32 = 1024;

/// Tells other nodes what this program contains. Open to every member: it is asked before anything else is.
pub(crate) struct BuildService {
    own: Arc<BuildTable>,
}

#[crate::actor]
impl BuildService {
    pub(crate) fn new(own: Arc<BuildTable>) -> Self {
        Self { own }
    }

    /// Everything that this program does for others.
    pub fn table(&self) -> BuildTable {
        BuildTable::clone(&self.own)
    }
}

impl BuildService {
    pub(crate) fn spawn(own: Arc<BuildTable>) -> ActorRef<Self> {
        Self::options().mailbox(Mailbox::bounded(MAILBOX)).detached().remote(own)
    }
}

/// Learns every build that appears; ends with the node.
pub(crate) async fn learn(cluster: Cluster, system: System, builds: Weak<Builds>) {
    let here = Current::root(system);
    let mut events = cluster.events();
    loop {
        let is_done = {
            let Some(builds) = builds.upgrade() else { return };
            scope(here.clone(), learn_once(&cluster, &here.system, &builds)).await
        };
        let event = async {
            match events.recv().await {
                Ok(_) | Err(RecvError::Lagged(_)) => true,
                Err(RecvError::Closed) => false,
            }
        };
        let goes_on = if is_done {
            event.await
        } else {
            tokio::time::timeout(PAUSE, event).await.unwrap_or(true)
        };
        if !goes_on {
            return;
        }
    }
}

/// Asks one member of each unknown build after the other; whether none is left.
async fn learn_once(cluster: &Cluster, system: &System, builds: &Builds) -> bool {
    let view = cluster.view();
    let mut unknown: BTreeMap<u64, Vec<&Record>> = BTreeMap::new();
    for record in view.live() {
        let build = Profile::of(record).build;
        if !builds.is_known(build) {
            unknown.entry(build).or_default().push(record);
        }
    }
    let mut is_done = true;
    for (build, members) in unknown {
        let mut table = None;
        for record in members {
            let Some(service) = service(system, record) else { continue };
            match service.table().timeout(ANSWER_LIMIT).await {
                Ok(told) => {
                    table = Some(told);
                    break;
                }
                Err(error) => {
                    tracing::debug!(node = %record.node, %error, "a build is not known yet");
                }
            }
        }
        let is_needed = |build| view.live().any(|record| Profile::of(record).build == build);
        let is_learnt = table.map(|table| builds.learn(build, table, is_needed));
        match is_learnt {
            Some(true) => tracing::info!("another build takes part: {build:016x}"),
            Some(false) => {
                tracing::warn!("a node told a table that is not the one of build {build:016x}");
            }
            None => {}
        }
        is_done &= is_learnt == Some(true);
    }
    is_done
}

fn service(system: &System, record: &Record) -> Option<ActorRef<BuildService>> {
    let actor = Profile::of(record).builds?;
    let home = Home { node: NodeId(record.node.0), incarnation: record.details.life.0, actor };
    refer(system, home).ok()
}
