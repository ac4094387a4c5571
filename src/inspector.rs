//! The inspector: what other nodes, and the command line, may ask a node about itself.
//!
//! An actor like any other, so that whoever reaches a node reaches this: its id is in what the node says of itself to
//! all members. It answers with plain rows; who asked adds them up.

use std::sync::Weak;
use std::time::Duration;

use mobula_actor_core::{ActorId, Kind};
use serde::{Deserialize, Serialize};

use crate::listing::{Listing, Row, Wanted, list};
use crate::node::{Node, Rooms};
use crate::tasks::{EndedTask, functions};

/// Answers for one node.
pub(crate) struct Inspector {
    node: Weak<Rooms>,
}

/// A citizen of some node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ActorRow {
    /// Its id on its node.
    pub id: ActorId,
    /// `actor`, `task`, `store`, `supervisor` or `guest`.
    pub kind: String,
    /// The name of its type or function.
    pub type_name: String,
    /// The name it is registered under.
    pub name: Option<String>,
    /// What it did when asked.
    pub state: String,
    /// Messages waiting when asked.
    pub mailbox_len: usize,
    /// How often it was started.
    pub generation: u64,
}

/// A task of some node: one that is not over, or one that is and is still remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TaskRow {
    /// Its id on its node.
    pub id: ActorId,
    /// Its function.
    pub function: String,
    /// The name it was given.
    pub name: Option<String>,
    /// `waiting`, `queued`, `running`, `retrying`, `cancelling`; or, if it is over, `finished`, `failed`, `cancelled`.
    pub state: String,
    /// How many attempts were begun.
    pub attempts: u32,
    /// What it waits for, or what went wrong.
    pub why: Option<String>,
    /// The node its last attempt ran on, if it was another one; known of those that are over.
    pub ran_on: Option<String>,
    /// How long its last attempt took, if it is over and ever ran.
    pub took_micros: Option<u64>,
    /// How long ago it was over.
    pub ended_micros_ago: Option<u64>,
}

/// An object in some node's store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ObjectRow {
    /// The object.
    pub id: String,
    /// The type of its value.
    pub type_name: String,
    /// `pending`, `sealed`, `failed` or `freed`.
    pub state: String,
    /// Its size as charged to the store.
    pub bytes: u64,
}

/// A task function that some node's program contains.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FunctionRow {
    /// Its path.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// Its signature as written.
    pub signature: String,
    /// What nodes agree on a function by.
    pub hash: String,
}

/// A node's own summary.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NodeRow {
    /// Actors, unfinished tasks, supervisors, the store.
    pub citizens: usize,
    /// Tasks that wait or run.
    pub unfinished_tasks: usize,
    /// Dead letters since the start.
    pub dead_letters: u64,
    /// Bytes that objects use.
    pub store_bytes: u64,
    /// Bytes that they may use.
    pub store_capacity_bytes: u64,
    /// Objects in the store.
    pub objects: usize,
    /// CPUs that tasks can have.
    pub cpus: f64,
    /// How many of them are free.
    pub cpus_free: f64,
    /// Tasks that have a result, since the start.
    pub finished_tasks: u64,
    /// Tasks that failed or were cancelled, since the start.
    pub failed_tasks: u64,
}

#[crate::actor]
impl Inspector {
    pub(crate) fn new(node: Weak<Rooms>) -> Self {
        Self { node }
    }

    /// A summary.
    pub fn status(&self) -> NodeRow {
        let Some(node) = self.node() else { return NodeRow::default() };
        let status = node.status();
        let cpus = status.resources.iter().find(|resource| resource.resource == "cpu");
        let ended = node.scheduler().ended_counts();
        NodeRow {
            citizens: status.citizens,
            unfinished_tasks: status.unfinished_tasks,
            dead_letters: status.dead_letters,
            store_bytes: status.store.bytes,
            store_capacity_bytes: status.store.capacity_bytes,
            objects: status.store.objects,
            cpus: cpus.map_or(0.0, |cpus| cpus.total.as_f64()),
            cpus_free: cpus.map_or(0.0, |cpus| cpus.free.as_f64()),
            finished_tasks: ended.finished,
            failed_tasks: ended.failed + ended.cancelled,
        }
    }

    /// Citizens.
    pub fn actors(&self, wanted: Wanted) -> Listing<ActorRow> {
        let Some(node) = self.node() else { return Listing::default() };
        let rows = node.actors().into_iter().map(|listing| ActorRow {
            id: listing.id,
            kind: kind(listing.kind).to_owned(),
            type_name: listing.type_name.into_owned(),
            name: listing.name,
            state: listing.state.to_owned(),
            mailbox_len: listing.mailbox_len,
            generation: listing.generation,
        });
        list(rows, &wanted)
    }

    /// Tasks that are not over, by id; or those that are and are remembered, the newest first.
    pub fn tasks(&self, ended: bool, wanted: Wanted) -> Listing<TaskRow> {
        let Some(node) = self.node() else { return Listing::default() };
        if ended {
            let age = node.scheduler().age();
            let rows = node.scheduler().ended().into_iter().rev();
            return list(rows.map(|task| ended_row(&task, age)), &wanted);
        }
        let directory = node.system().directory();
        let tasks = node.actors().into_iter().filter(|listing| listing.kind == Kind::Task);
        let rows = tasks.map(|listing| TaskRow {
            id: listing.id,
            function: listing.type_name.into_owned(),
            name: listing.name,
            state: listing.state.to_owned(),
            attempts: u32::try_from(listing.generation).unwrap_or(u32::MAX),
            why: directory.get(listing.id).and_then(|task| task.why()),
            ran_on: None,
            took_micros: None,
            ended_micros_ago: None,
        });
        list(rows, &wanted)
    }

    /// Objects.
    pub fn objects(&self, wanted: Wanted) -> Listing<ObjectRow> {
        let Some(node) = self.node() else { return Listing::default() };
        let rows = node.objects().into_iter().map(|listing| ObjectRow {
            id: listing.id.to_string(),
            type_name: listing.type_name.to_owned(),
            state: listing.state.to_owned(),
            bytes: listing.bytes,
        });
        list(rows, &wanted)
    }

    /// Every task function.
    pub fn functions(&self) -> Vec<FunctionRow> {
        let rows = functions().into_iter().map(|entry| FunctionRow {
            name: entry.name.to_owned(),
            version: entry.version,
            signature: entry.signature.to_owned(),
            hash: format!("{:016x}", entry.hash),
        });
        rows.collect()
    }

    /// Why a citizen waits, or what it waits for, or how a task ended; `None` if there is none of this id.
    pub fn why(&self, id: ActorId) -> Option<String> {
        let node = self.node()?;
        if let Some(citizen) = node.system().directory().get(id) {
            return Some(citizen.why().unwrap_or_else(|| citizen.state().to_owned()));
        }
        node.scheduler().ended_task(id).map(|task| end_of(&task))
    }
}

impl Inspector {
    fn node(&self) -> Option<Node> {
        Node::of(&self.node)
    }
}

fn ended_row(task: &EndedTask, age: Duration) -> TaskRow {
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    TaskRow {
        id: task.id,
        function: task.function.rsplit("::").next().unwrap_or(task.function).to_owned(),
        name: task.name.as_deref().map(Into::into),
        state: task.outcome.word().to_owned(),
        attempts: task.attempts,
        why: task.error.as_deref().map(Into::into),
        ran_on: task.ran_on.map(|node| node.to_string()),
        took_micros: task.began.map(|began| micros(task.ended.saturating_sub(began))),
        ended_micros_ago: Some(micros(age.saturating_sub(task.ended))),
    }
}

/// How a task ended, as a sentence.
fn end_of(task: &EndedTask) -> String {
    let on = task.ran_on.map(|node| format!(", the last on node {node}")).unwrap_or_default();
    let after = match task.attempts {
        0 => "without an attempt".to_owned(),
        1 => format!("in its first attempt{on}"),
        count => format!("after {count} attempts{on}"),
    };
    let why = task.error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
    format!("{} {after}{why}", task.outcome.word())
}

impl Row for ActorRow {
    fn kind(&self) -> &str {
        &self.kind
    }
    fn state(&self) -> &str {
        &self.state
    }
    fn names(&self) -> impl Iterator<Item = &str> {
        [self.type_name.as_str()].into_iter().chain(self.name.as_deref())
    }
    fn values(&self) -> Vec<String> {
        let own = [&self.kind, &self.type_name, &self.state].into_iter().chain(&self.name);
        [self.id.to_string()].into_iter().chain(own.cloned()).collect()
    }
}

impl Row for TaskRow {
    fn kind(&self) -> &'static str {
        "task"
    }
    fn state(&self) -> &str {
        &self.state
    }
    fn names(&self) -> impl Iterator<Item = &str> {
        [self.function.as_str()].into_iter().chain(self.name.as_deref())
    }
    fn values(&self) -> Vec<String> {
        let own = [&self.function, &self.state].into_iter();
        let own = own.chain(&self.name).chain(&self.why).chain(&self.ran_on);
        [self.id.to_string()].into_iter().chain(own.cloned()).collect()
    }
}

impl Row for ObjectRow {
    fn kind(&self) -> &'static str {
        "object"
    }
    fn state(&self) -> &str {
        &self.state
    }
    fn names(&self) -> impl Iterator<Item = &str> {
        [self.type_name.as_str()].into_iter()
    }
    fn values(&self) -> Vec<String> {
        vec![self.id.clone(), self.type_name.clone(), self.state.clone(), self.bytes.to_string()]
    }
    fn bytes(&self) -> u64 {
        self.bytes
    }
}

const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Actor => "actor",
        Kind::Task => "task",
        Kind::Store => "store",
        Kind::Supervisor => "supervisor",
        Kind::Guest => "guest",
        _ => "other",
    }
}
