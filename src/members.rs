//! The cluster as a program sees it from one of its nodes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use mobula_actor_core::{ActorId, ActorRef, AskError, Message, NodeId, Undelivered};
use mobula_cluster::error::ProbeError;
use mobula_cluster::{Cluster, Record};
use serde::{Deserialize, Serialize};

use crate::inspector::{FunctionRow, Inspector, NodeRow};
use crate::membership::ClusterConfig;
use crate::node::{Node, NodeError};
use crate::warden::Warden;
use crate::wiring::builds::learning::BuildService;
use crate::wiring::builds::table::BuildTable;
use crate::wiring::cluster::{self, CLIENT, Membership, Name, OBSERVER, Profile, Services};
use crate::wiring::postings::Registrar;
use crate::wiring::stores::StoreService;
use crate::wiring::tasks::TaskService;

/// How long a node may take to answer for itself.
pub(crate) const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// How long until somebody is asked again who could not be reached.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// A member as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MemberRow {
    /// Who.
    pub node: NodeId,
    /// `alive`, `suspect`, `leaving`, `down` or `left`.
    pub status: String,
    /// Where it listens.
    pub addresses: Vec<String>,
    /// What others may place by.
    pub labels: BTreeMap<String, String>,
    /// Whether it only looks.
    pub observer: bool,
    /// Whether it uses others and hosts nothing for them.
    pub client: bool,
    /// Its public key, 64 digits; empty if it does not say.
    pub key: String,
    /// Whether it is the node that was asked.
    pub is_here: bool,
}

/// What the members answered for themselves; those that did not are named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Members<T> {
    /// Each node with its answer, by id.
    pub answers: Vec<(NodeId, T)>,
    /// Nodes that gave none in time, with the reason.
    pub silent: Vec<(NodeId, String)>,
}

impl Node {
    /// Listens and joins, with everything that belongs to it.
    pub(crate) async fn take_part(
        &self,
        config: &ClusterConfig,
        name: Name,
    ) -> Result<(), NodeError> {
        let rooms = Arc::downgrade(self.rooms());
        let services = self.enter_sync(|| {
            let (store, cluster) = StoreService::spawn(self.store());
            let groups = Arc::clone(self.groups());
            let (tasks, port) = TaskService::spawn(groups.rooms());
            let inspector = Inspector::remote(rooms.clone());
            let (warden, registrar) = (Warden::remote(rooms), Registrar::spawn());
            let own_build = BuildTable::linked();
            let builds = BuildService::spawn(Arc::new(own_build.clone()));
            Services {
                inspector,
                warden,
                store,
                tasks,
                registrar,
                port,
                groups,
                builds,
                own_build,
                cluster,
            }
        });
        let membership =
            cluster::start(self.system(), (config, self.config()), name, &services).await?;
        self.set_membership(membership, services);
        Ok(())
    }

    /// This node's name in its cluster; `None` if it is alone.
    #[must_use]
    pub fn id(&self) -> Option<NodeId> {
        self.cluster().map(|cluster| NodeId(cluster.node().0))
    }

    /// Where it listens, or by which relays it is reached: what others name to join. Empty if it is alone.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        self.cluster().map(Cluster::addresses).unwrap_or_default()
    }

    /// Every node that is known of, those down or gone included, by id. Empty if this one is alone.
    #[must_use]
    pub fn nodes(&self) -> Vec<MemberRow> {
        let Some(cluster) = self.cluster() else { return Vec::new() };
        let (own, view) = (cluster.node(), cluster.view());
        view.records().map(|record| row(record, record.node == own)).collect()
    }

    /// Waits until at least `count` members are alive, this one included, can be reached, and have told what their programs
    /// contain, or until `limit`.
    ///
    /// # Errors
    /// How many there were in the end.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn wait_for_nodes(&self, count: usize, limit: Duration) -> Result<(), usize> {
        let Some(membership) = self.membership() else {
            return if count <= 1 { Ok(()) } else { Err(1) };
        };
        let Membership { cluster, builds, exchange } = membership;
        let mut events = cluster.events();
        let (mut news, mut contacts) = (builds.news(), exchange.contacts());
        let found = || {
            let view = cluster.view();
            let is_ready = |record: &&Record| {
                let life = exchange.life_of(NodeId(record.node.0));
                record.node != cluster.node()
                    && life == Some(record.details.life.0)
                    && builds.is_known(Profile::of(record).build)
            };
            // This one is there, and no news says so.
            1 + view.alive().filter(is_ready).count()
        };
        let enough = async {
            while found() < count {
                // Whatever came, or was missed: the view says.
                tokio::select! {
                    _ = events.recv() => {}
                    _ = news.changed() => {}
                    _ = contacts.changed() => {}
                }
            }
        };
        let waited = tokio::time::timeout(limit, enough).await;
        waited.map_err(|_elapsed| found())
    }

    /// Waits until the member `node` is down or has left.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn node_gone(&self, node: NodeId) {
        let Some(cluster) = self.cluster() else { return };
        let mut events = cluster.events();
        let is_live = || cluster.view().live().any(|record| record.node.0 == node.0);
        while is_live() {
            let _ = events.recv().await;
        }
    }

    /// How long a word to a member and back takes on the control connection, the way heartbeats go.
    ///
    /// # Errors
    /// [`ProbeError`]: this node is alone, has no control connection to that one (in a large cluster only some have), or
    /// nothing came back.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn round_trip(&self, node: NodeId) -> Result<Duration, ProbeError> {
        let Some(cluster) = self.cluster() else { return Err(ProbeError::Closed) };
        cluster.round_trip(mobula_cluster::NodeId(node.0)).await
    }

    /// Every node's summary.
    pub async fn cluster_status(&self) -> Members<NodeRow> {
        self.gather(|inspector| async move { inspector.status().timeout(ANSWER_LIMIT).await }).await
    }

    /// Every node's task functions.
    pub async fn cluster_functions(&self) -> Members<Vec<FunctionRow>> {
        self.gather(|inspector| async move { inspector.functions().timeout(ANSWER_LIMIT).await })
            .await
    }

    /// Why a citizen waits, what it does, or how a task ended that is still remembered; by every node that has one of this
    /// id.
    pub async fn why(&self, id: ActorId) -> Members<Option<String>> {
        self.gather(move |inspector| async move { inspector.why(id).timeout(ANSWER_LIMIT).await })
            .await
    }

    /// Asks every live member's inspector at the same time.
    pub(crate) async fn gather<T, M, F>(&self, ask: impl Fn(ActorRef<Inspector>) -> F) -> Members<T>
    where
        M: Message,
        F: Future<Output = Result<T, AskError<M>>>,
    {
        let mut members = Members { answers: Vec::new(), silent: Vec::new() };
        let asked: Vec<(NodeId, Option<ActorRef<Inspector>>)> = match self.cluster() {
            Some(cluster) => {
                let view = cluster.view();
                let own = cluster.node();
                let live = view.live().map(|record| {
                    let inspector = if record.node == own {
                        self.own_inspector()
                    } else {
                        cluster::inspector(self.system(), record)
                    };
                    (NodeId(record.node.0), inspector)
                });
                live.collect()
            }
            None => vec![(NodeId::HERE, self.own_inspector())],
        };
        let ask = &ask;
        let answers = join_all(asked.into_iter().map(|(node, inspector)| async move {
            let answer = match inspector {
                Some(inspector) => insist(|| ask(inspector.clone())).await,
                None => Err("it has no inspector that this build knows".to_owned()),
            };
            (node, answer)
        }));
        for (node, answer) in self.enter(answers).await {
            match answer {
                Ok(answer) => members.answers.push((node, answer)),
                Err(why) => members.silent.push((node, why)),
            }
        }
        members
    }
}

const fn is_denied<M: Message>(error: &AskError<M>) -> bool {
    matches!(error, AskError::NotDelivered { reason: Undelivered::Denied(_), .. })
}

/// Asks again as long as nothing was delivered: a node that has just joined may be known to the others a moment later.
pub(crate) async fn insist<T, M, F>(ask: impl Fn() -> F) -> Result<T, String>
where
    M: Message,
    F: Future<Output = Result<T, AskError<M>>>,
{
    let deadline = tokio::time::Instant::now() + ANSWER_LIMIT;
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error)
                if error.is_safe_to_retry()
                    && !is_denied(&error)
                    && tokio::time::Instant::now() < deadline =>
            {
                tokio::time::sleep(ASK_AGAIN).await;
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

fn row(record: &Record, is_here: bool) -> MemberRow {
    MemberRow {
        node: NodeId(record.node.0),
        status: format!("{:?}", record.status).to_lowercase(),
        addresses: record.details.addresses.clone(),
        labels: record.details.labels.clone(),
        observer: record.details.roles.iter().any(|role| role == OBSERVER),
        client: record.details.roles.iter().any(|role| role == CLIENT),
        key: Profile::of(record).key,
        is_here,
    }
}
