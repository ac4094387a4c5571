//! Groups and names across nodes: what the floor says to others goes by the cluster, what it asks of one goes to an
//! actor there.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use mobula_actor_core::error::PostingsFull;
use mobula_actor_core::postings::{self, Elsewhere, Posting};
use mobula_actor_core::remote::{Home, refer};
use mobula_actor_core::{
    Actor, ActorId, ActorRef, AskError, BoxFuture, FullName, GroupError, LookupError, NodeId,
    System, current,
};
use mobula_cluster::postings::Reader;
use mobula_cluster::{Cluster, Incarnation, PostError, Record, Status};

use super::cluster::Profile;

/// How long another node may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// Nodes that are asked for a name of which nothing is known.
const ASKED_MAX: usize = 256;

/// Answers other nodes about this node's groups and names.
pub(crate) struct Registrar;

#[crate::actor]
impl Registrar {
    pub(crate) fn new() -> Self {
        Self
    }

    /// An actor of this node joins a group, or leaves it; whether that changed anything.
    pub fn enroll(
        &self,
        group: Arc<str>,
        key: u64,
        actor: ActorId,
        is_in: bool,
    ) -> Result<bool, GroupError> {
        let system = current::expect_system();
        if !is_in {
            return Ok(system.groups().leave(&system, &group, key, actor));
        }
        let found = system.directory().actor(actor).filter(|actor| actor.type_key() == key);
        let actor = found.ok_or(GroupError::ActorGone)?;
        system.groups().join(&system, &group, key, &actor)
    }

    /// How many messages wait for an actor of this node.
    pub fn waiting(&self, actor: ActorId) -> Option<usize> {
        let system = current::expect_system();
        system.directory().get(actor).map(|citizen| citizen.mailbox_len())
    }

    /// The actor of this node that has the name, with the number and the name of its type.
    pub fn find(&self, name: FullName) -> Option<(ActorId, u64, String)> {
        let holder = current::expect_system().names().get(&name)?;
        Some((holder.id(), holder.type_key(), holder.type_name()))
    }
}

impl Registrar {
    pub(crate) fn spawn() -> ActorRef<Self> {
        Self::options().detached().remote()
    }
}

/// Joins this node's groups and names to those of others. Before the node joins others.
pub(crate) fn open(system: &System, cluster: &Cluster) {
    cluster.read_postings(Arc::new(Ear(system.clone())));
    let (system, cluster) = (system.clone(), cluster.clone());
    system.clone().set_elsewhere(Arc::new(Abroad { system, cluster }));
}

/// Takes up what others post.
struct Ear(System);

impl Reader for Ear {
    fn changed(
        &self,
        from: (mobula_cluster::NodeId, Incarnation),
        added: Vec<Posting>,
        removed: Vec<Posting>,
    ) {
        postings::heard(&self.0, (NodeId(from.0.0), from.1.0), added, removed);
    }

    fn gone(&self, from: (mobula_cluster::NodeId, Incarnation)) {
        postings::gone(&self.0, (NodeId(from.0.0), from.1.0));
    }
}

/// This node's way to the groups and names of others.
struct Abroad {
    system: System,
    cluster: Cluster,
}

impl Abroad {
    fn registrar(&self, home: Home, is_fit: fn(Status) -> bool) -> Option<ActorRef<Registrar>> {
        let view = self.cluster.view();
        let record = view.get(mobula_cluster::NodeId(home.node.0))?;
        let is_there = is_fit(record.status) && record.details.life.0 == home.incarnation;
        is_there.then(|| registrar(&self.system, record)).flatten()
    }
}

impl Elsewhere for Abroad {
    fn post(&self, posting: Posting) -> Result<(), PostingsFull> {
        self.cluster.post(posting).map_err(|error| match error {
            PostError::Full { max } => PostingsFull { max },
            _ => PostingsFull { max: mobula_actor_core::groups::MEMBERSHIPS_MAX },
        })
    }

    fn withdraw(&self, posting: &Posting) {
        self.cluster.withdraw(posting);
    }

    fn enroll(
        &self,
        home: Home,
        group: Arc<str>,
        key: u64,
        is_in: bool,
    ) -> BoxFuture<'static, Result<bool, GroupError>> {
        let registrar = self.registrar(home, Status::is_live);
        Box::pin(async move {
            let registrar = registrar.ok_or(GroupError::NoAnswer(home.node))?;
            let asked = registrar.enroll(group, key, home.actor, is_in).timeout(ANSWER_LIMIT).await;
            asked.map_err(|error| match error {
                AskError::Refused(refusal) => refusal,
                _ => GroupError::NoAnswer(home.node),
            })
        })
    }

    fn waiting(&self, home: Home) -> BoxFuture<'static, Option<usize>> {
        let registrar = self.registrar(home, |status| status == Status::Alive);
        Box::pin(async move { registrar?.waiting(home.actor).await.ok().flatten() })
    }
}

/// What answers for a member's groups and names.
fn registrar(system: &System, record: &Record) -> Option<ActorRef<Registrar>> {
    let actor = Profile::of(record).registrar?;
    let home = Home { node: NodeId(record.node.0), incarnation: record.details.life.0, actor };
    refer(system, home).ok()
}

/// The living actor of this name on any other node: those that are said to have it are asked first, then all.
pub(crate) async fn find<A: Actor>(
    (system, cluster): (&System, &Cluster),
    name: &FullName,
) -> Result<ActorRef<A>, LookupError> {
    let mut other_type = None;
    let view = cluster.view();
    let hinted = system.names().hints(name);
    for home in hinted.iter().map(|(home, _)| *home) {
        let record = view.get(mobula_cluster::NodeId(home.node.0));
        let answer = match record.filter(|record| record.status.is_live()) {
            Some(record) => ask(system, record, name).await,
            None => None,
        };
        match answer.map(|found| found.refer::<A>(system, name)) {
            Some(Ok(actor)) => return Ok(actor),
            Some(Err(error)) => other_type = Some(error),
            // It led nowhere; its own node will say so, too, if it lives.
            None => system.names().forget_hint(name, home),
        }
    }
    let others = view.live().filter(|record| record.node != cluster.node()).take(ASKED_MAX);
    let mut asked: FuturesUnordered<_> = others.map(|record| ask(system, record, name)).collect();
    while let Some(answer) = asked.next().await {
        match answer.map(|found| found.refer::<A>(system, name)) {
            Some(Ok(actor)) => return Ok(actor),
            Some(Err(error)) => other_type = Some(error),
            None => {}
        }
    }
    Err(other_type.unwrap_or_else(|| LookupError::NoSuchName(name.to_string())))
}

/// An actor that has a name on its node.
struct Found {
    home: Home,
    key: u64,
    type_name: String,
}

impl Found {
    fn refer<A: Actor>(self, system: &System, name: &FullName) -> Result<ActorRef<A>, LookupError> {
        if self.key != A::KEY {
            let (name, found) = (name.to_string(), self.type_name);
            return Err(LookupError::WrongType { name, found, expected: A::NAME });
        }
        refer(system, self.home)
    }
}

/// Whether a member's node has an actor of this name.
async fn ask(system: &System, record: &Record, name: &FullName) -> Option<Found> {
    let asked = registrar(system, record)?.find(name.clone()).timeout(ANSWER_LIMIT).await;
    let (actor, key, type_name) = asked.ok()??;
    let home = Home { node: NodeId(record.node.0), incarnation: record.details.life.0, actor };
    Some(Found { home, key, type_name })
}
