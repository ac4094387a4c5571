//! The port to other nodes, for tasks: where an attempt runs, and what comes of one that ran elsewhere.
//!
//! A task that moves would take its graph, its retries and its results along, and every reference to them would have to
//! follow. So a task stays where it was submitted, and only an *attempt* goes elsewhere: a function, by the hash of
//! its entry, and arguments go out, a result or a failure comes back, and everything else is as if it had run
//! here.
//!
//! What has no wire form, or is not known elsewhere, runs here.

use std::fmt;

use mobula_actor_core::wire::packed::Packed;
use mobula_actor_core::{BoxFuture, NodeId, Placement};
use mobula_store::{Failure, ObjectId, StoreId, message::Message};
use serde::{Deserialize, Serialize};

use crate::resources::{Demand, Within};
use crate::wires::FarArg;

/// Where other nodes are asked. Implemented by the roof.
pub trait Elsewhere: Send + Sync + 'static {
    /// Where the next attempt of a task that chose a placement runs.
    fn place(&self, placement: &Placement, wanted: &Wanted<'_>) -> Destination;

    /// Whether `node` has room for a task that would rather run there than here; then it counts as placed there.
    fn has_room(&self, node: NodeId, wanted: &Wanted<'_>) -> bool;

    /// Tasks have waited here for a while: looks for room elsewhere, and calls
    /// [`Scheduler::send`](crate::Scheduler::send) when it has found some. `false` if there is nobody to ask.
    fn overflow(&self, waiting: &[Waiting]) -> bool;

    /// What was seen, if there are other nodes that take tasks and none of them has this function; `None` if one has it, or
    /// if there are none.
    fn unprovided(&self, function: u64) -> Option<String>;

    /// Runs a call there, under a lease if there is one. Dropped before its end, the attempt there is cancelled.
    fn run(
        &self,
        node: NodeId,
        lease: Option<Lease>,
        call: FarCall,
    ) -> BoxFuture<'static, Result<FarValue, FarError>>;
}

/// What a node must have to run a task.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The function, by the hash of its entry; 0 if it can run on this node alone.
    pub function: u64,
    /// Its name.
    pub name: &'a str,
    /// What it takes there.
    pub demand: &'a Demand,
}

/// Tasks of one demand that wait.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// What each takes.
    pub demand: Demand,
    /// The function of one of them that can go elsewhere.
    pub function: u64,
    /// Its name.
    pub name: &'static str,
    /// How many wait, those that cannot go included.
    pub count: usize,
}

/// Room on another node under which attempts go there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The reservation's number.
    pub number: u64,
    /// Which of the attempts under it.
    pub ticket: u64,
}

/// Where an attempt runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// On this node.
    Here,
    /// On that one; if it must be that one, a node that is lost fails the attempt instead of another taking it.
    There {
        /// Which.
        node: NodeId,
        /// Whether no other will do.
        only: bool,
    },
    /// On none: what was asked for, and what was seen.
    Nowhere(String),
    /// On none: its placement group, or the bundle of it, is not there. What became of it.
    GroupGone(String),
    /// On none: a node that must be asked does not let this one submit tasks.
    Denied(String),
    /// On none, because no node that was left to choose from has the function: what they have instead.
    Unprovided(String),
    /// On none yet: it waits here until [`Scheduler::place_group`](crate::Scheduler::place_group), or until somebody has
    /// what it needs.
    Later,
}

/// An attempt as it goes out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FarCall {
    /// The function, by the hash of its entry.
    pub function: u64,
    /// Its name, for errors.
    pub name: String,
    /// The arguments.
    pub args: Vec<FarArg>,
    /// CPUs that it holds there while it runs.
    pub cpus: f64,
    /// Other resources, by name.
    pub resources: Vec<(String, f64)>,
    /// Which attempt it is.
    pub attempt: u32,
    /// The objects that are its results, at the store that keeps them; `None` for one that is not needed.
    pub outputs: Vec<Option<ObjectId>>,
    /// That store.
    pub keeper: StoreId,
    /// Whether no other node will do: then it is not sent back.
    #[serde(default)]
    pub is_bound: bool,
    /// How deep it is nested where it was submitted: deeper ones go first.
    #[serde(default)]
    pub depth: u32,
    /// The group in whose room it runs.
    #[serde(default)]
    pub within: Option<Within>,
    /// Said where it arrives: room is held for it.
    #[serde(skip)]
    pub is_expected: bool,
}

/// A result as it comes back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum FarValue {
    /// A small one travels in the answer.
    Here(Packed),
    /// A large one stays where it was made, until somebody needs it.
    There {
        /// The store that has it.
        store: StoreId,
        /// What that store says of it to the store that keeps the objects.
        messages: Vec<Message>,
    },
}

/// Why nothing came back.
#[derive(Debug)]
pub enum FarError {
    /// It was not begun: another node, or this one, may take it.
    Refused(String),
    /// It was not begun: the node does not have the function. What it has instead.
    Unprovided(String),
    /// It was not begun: its placement group has no room there. What is known of it, and whether the task is worth being
    /// placed anew: what sent it there was hearsay.
    GroupGone {
        /// What is known.
        text: String,
        /// Whether to place it anew.
        was_hearsay: bool,
    },
    /// It was not begun: the node does not let this one submit tasks.
    Denied(String),
    /// It ran and failed.
    Failed(Failure),
    /// Its node was lost, or nobody knows.
    Lost(String),
}

impl fmt::Debug for dyn Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Elsewhere")
    }
}
