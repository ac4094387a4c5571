//! What nodes and their starter say to each other: one line of JSON for each thing, over the node's own pipes.
//!
//! A checker that asks afterwards hears only the survivors, and a log in a file may end in the middle.
//! A pipe keeps what was written until it is read, whatever becomes of the writer: so each node says what it is about
//! to do before it does it, and what it did before it answers. What is not said did not happen, or was not promised.
//!
//! Invariant: lines of one node stand in the order in which they happened there.
//!
//! Pure: no clock, no I/O, no tasks.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One life of one machine's node: counted from zero.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub(crate) struct Place {
    pub(crate) machine: u16,
    pub(crate) life: u16,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.machine, self.life)
    }
}

/// A line from a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// Microseconds of the wall clock, which all processes of a machine share.
    pub(crate) at: u64,
    pub(crate) event: Event,
}

/// A line to a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Say `Joined` when so many members are alive, and from then on `Gone` for each that goes.
    Expect { count: usize },
    /// Begin with the workload.
    Work { seed: u64 },
    /// End what is under way, begin nothing, then say `Drained`.
    Rest,
    /// Say `View`.
    Look,
    /// Say `Census`.
    Count,
    /// Run one task on this node and say `Tasked`.
    Task { on: u64 },
    /// Leave the cluster and end.
    Leave,
}

/// What happened at a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Event {
    /// It listens, and has joined if it was told whom.
    Ready { node: u64, addresses: Vec<String> },
    /// It did not start.
    Failed { why: String },
    /// So many members are alive.
    Joined { count: usize },
    /// A member has another status than before.
    Seen { node: u64, status: String },
    /// A member is down or has left.
    Gone { node: u64 },
    /// All members.
    View { rows: Vec<(u64, String)> },
    /// What it still has of the workload's.
    Census { objects: usize, tasks: usize, actors: usize },
    /// A task ran elsewhere, and its result was here after so many microseconds; none if it failed.
    Tasked { micros: Option<u64> },
    /// Nothing of the workload is under way any more.
    Drained,

    /// A sender has a receiver of its own on `to`.
    Opened { stream: u64, to: u64 },
    /// A message is about to be sent.
    Sent { stream: u64, seq: u64, operation: u64 },
    /// What the sender was told of it.
    Outcome { stream: u64, seq: u64, outcome: Outcome },
    /// The receiver handled it.
    Effect { stream: u64, seq: u64 },
    /// At the end, the receiver had handled so many.
    Closed { stream: u64, count: u64 },
    /// A monitor is about to be set on a stream's receiver.
    Watched { watch: u64, stream: u64 },
    /// It fired.
    Fired { watch: u64, why: String },
    /// Something that must end is about to begin.
    Begun { wait: u64, what: Wait },
    /// It ended.
    Ended { wait: u64, end: End },
    /// An attempt of a task runs here.
    Ran { task: u64 },
}

/// What a sender was told of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// The receiver answered: with this one it has handled so many of the stream.
    Acked { count: u64 },
    /// A tell was taken.
    Taken,
    /// Certainly not handled.
    NotDelivered { why: String },
    /// Handled or not.
    Unknown { why: String },
    /// Anything else.
    Refused { why: String },
}

/// Something that must end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Wait {
    /// A value made here is read there.
    ReadThere { bytes: usize },
    /// A value made there is read here.
    ReadHere { bytes: usize },
    /// Tasks from this number on, each the argument of the next, and how often each may run.
    Tasks { first: u64, count: u64, runs_max: u64 },
    /// The end of an actor that was asked to end.
    Ending,
    /// A last question to a stream's receiver.
    Question,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum End {
    /// With a value, which is right or not.
    Value { is_right: bool },
    /// With a typed error.
    Error { why: String },
}
