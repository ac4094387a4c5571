//! The inspector: what other nodes, and the command line, may ask a node about itself.
//!
//! An actor like any other, so that whoever reaches a node reaches this: its id is in what the node says of itself to
//! all members. It answers with plain rows; who asked adds them up.

use std::sync::Weak;

use mobula_actor_core::{ActorId, Kind};
use serde::{Deserialize, Serialize};

use crate::node::{Node, Rooms};
use crate::tasks::functions;

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
    /// CPUs that tasks can have, and how many are free.
    pub cpus: (f64, f64),
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
        NodeRow {
            citizens: status.citizens,
            unfinished_tasks: status.unfinished_tasks,
            dead_letters: status.dead_letters,
            store_bytes: status.store.bytes,
            store_capacity_bytes: status.store.capacity_bytes,
            objects: status.store.objects,
            cpus: cpus.map_or((0.0, 0.0), |cpus| (cpus.total.as_f64(), cpus.free.as_f64())),
        }
    }

    /// Every citizen.
    pub fn actors(&self) -> Vec<ActorRow> {
        let Some(node) = self.node() else { return Vec::new() };
        let rows = node.actors().into_iter().map(|listing| ActorRow {
            id: listing.id,
            kind: kind(listing.kind).to_owned(),
            type_name: listing.type_name.into_owned(),
            name: listing.name,
            state: listing.state.to_owned(),
            mailbox_len: listing.mailbox_len,
            generation: listing.generation,
        });
        rows.collect()
    }

    /// Every object.
    pub fn objects(&self) -> Vec<ObjectRow> {
        let Some(node) = self.node() else { return Vec::new() };
        let rows = node.objects().into_iter().map(|listing| ObjectRow {
            id: listing.id.to_string(),
            type_name: listing.type_name.to_owned(),
            state: listing.state.to_owned(),
            bytes: listing.bytes,
        });
        rows.collect()
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

    /// Why a citizen waits, or what it waits for; `None` if there is none of this id.
    pub fn why(&self, id: ActorId) -> Option<String> {
        let node = self.node()?;
        let citizen = node.system().directory().get(id)?;
        Some(citizen.why().unwrap_or_else(|| citizen.state().to_owned()))
    }
}

impl Inspector {
    fn node(&self) -> Option<Node> {
        Node::of(&self.node)
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
