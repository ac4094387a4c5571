//! Actors elsewhere: the port through which the floor reaches other nodes.
//!
//! A reference must be the same type whether its actor is here or far away, and what holds for one node, order,
//! bounds, monitors, deadlines, must hold for many. A second kind of reference would need all of it again. So an
//! actor elsewhere has a *stand-in* here: an ordinary cell, with an ordinary mailbox, watchers and links, in which
//! no actor lives but a forwarder ([`stand_in`]). It takes envelopes out, asks them for their wire form, and hands
//! them to a [`Link`]. Sending to a local actor costs nothing more than before.
//!
//! The floor knows no sockets. Whoever joins nodes implements [`Remote`] and hangs it into the
//! [`System`]; inbound, it calls [`deliver`](inbound::deliver), [`Table::spawn`](table::Table::spawn)
//! and [`ended`](stand_in::ended).

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::actor::{Actor, BoxFuture};
use crate::actor_ref::ActorRef;
use crate::current::MessageContext;
use crate::error::{LookupError, SpawnError, Undelivered, UnknownOutcome};
use crate::exit::ExitReason;
use crate::handle::ActorHandle;
use crate::id::{ActorId, CallerId, GroupId, NodeId};
use crate::mailbox::Mailbox;
use crate::placement::Placement;
use crate::resources::ActorDemand;
use crate::system::System;
use crate::wire::baggage::Hold;

pub mod inbound;
pub(crate) mod outbound;
pub mod stand_in;
#[cfg(fuzzing)]
mod strangers;
pub mod table;

/// Where an actor lives: its node, the life of that node, and its id there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Home {
    /// The node.
    pub node: NodeId,
    /// Which of the node's lives: ids begin anew with each.
    pub incarnation: u64,
    /// The actor's id on it.
    pub actor: ActorId,
}

impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.actor, self.node)
    }
}

/// A reference to the actor at `home`, whose type is known beforehand: a node's own services, say. Others travel in
/// messages.
///
/// # Errors
/// [`LookupError`]: no such actor lives here, it has another type, or the node is alone.
pub fn refer<A: Actor>(system: &System, home: Home) -> Result<ActorRef<A>, LookupError> {
    let unknown = || LookupError::NoSuchName(home.to_string());
    let remote = system.remote().ok_or_else(unknown)?;
    let handle = if remote.here() == (home.node, home.incarnation) {
        system.directory().actor(home.actor).ok_or_else(unknown)?
    } else {
        if let Some(actor) = stand_in::refer(system, &remote, home) {
            return Ok(actor);
        }
        return Err(unknown());
    };
    ActorRef::from_handle(&handle).ok_or_else(|| LookupError::WrongType {
        name: home.to_string(),
        found: handle.type_name(),
        expected: A::NAME,
    })
}

/// The way to other nodes. Implemented by the cluster, hung into a system by
/// [`System::set_remote`](crate::System::set_remote).
pub trait Remote: Send + Sync + 'static {
    /// This node, and which of its lives this is.
    fn here(&self) -> (NodeId, u64);

    /// Shows `visit` the living stand-in for the actor at `home`, if there is one, and keeps what it returns, while no
    /// other thread can add or release one. The home of a new one is told to keep the actor.
    fn stand_in(&self, home: Home, visit: &mut dyn FnMut(Option<&ActorHandle>) -> ActorHandle);

    /// The link of a stand-in to its home. The stand-in hears of the actor's end by
    /// [`ended`](stand_in::ended).
    fn link(&self, home: Home, stand_in: &ActorHandle) -> Arc<dyn Link>;

    /// Whether there is contact with this life of the actor's node. Once there is none, stand-ins linked to it have been
    /// told of the loss, or will be, but not those who begin to wait for an end after that.
    fn has_contact(&self, home: Home) -> bool;

    /// Where an actor of this kind that is to hold this should be spawned now.
    ///
    /// # Errors
    /// [`SpawnError::NoPlace`]: no node fits, with what was seen. [`SpawnError::GroupGone`]: nor ever will.
    fn place(
        &self,
        placement: &Placement,
        kind: &SpawnKind,
        demand: &ActorDemand,
    ) -> Result<Place, SpawnError>;

    /// Spawns on `node`; the future gives the actor's home once it has started, or why it never will. Dropped before, the
    /// actor is held by nobody once it has started.
    fn spawn(
        &self,
        node: NodeId,
        request: SpawnRequest,
    ) -> BoxFuture<'static, Result<Home, NotSpawned>>;

    /// Changes whenever [`place`](Self::place) may find a node that it did not find before.
    fn news(&self) -> watch::Receiver<u64>;
}

/// Why an actor was not spawned elsewhere, by what may be done about it.
#[derive(Clone, Debug)]
pub enum NotSpawned {
    /// It was not begun there: another node, or this one, may take it.
    Refused(ExitReason),
    /// It was begun there, and has ended before it had started: that is its end.
    Ended(ExitReason),
    /// The node is lost. Nobody knows whether it was begun: to begin it again might make two of it.
    Lost(NodeId),
}

impl From<NotSpawned> for ExitReason {
    fn from(not: NotSpawned) -> Self {
        match not {
            NotSpawned::Refused(reason) | NotSpawned::Ended(reason) => reason,
            NotSpawned::Lost(node) => Self::NodeDown(node),
        }
    }
}

/// Where an actor is to be spawned.
pub enum Place {
    /// On this node.
    Here,
    /// On that one.
    There(NodeId),
    /// On another node, which has to be asked for first.
    Later(BoxFuture<'static, Result<NodeId, SpawnError>>),
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here => f.write_str("Here"),
            Self::There(node) => write!(f, "There({node})"),
            Self::Later(_) => f.write_str("Later(..)"),
        }
    }
}

/// What sends one stand-in's messages to its home, in order.
pub trait Link: Send + Sync + 'static {
    /// Ready when there is room for another call on the way.
    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// Sends a call. Its answer, if it wants one, is given exactly once in the end, whatever happens.
    fn call(&self, call: Outbound);

    /// Sends what is no message, in order with the calls.
    fn control(&self, control: Control);

    /// Lets go what is not needed any more: the hold on the actor, or the news of its ends, too. `need` is asked while
    /// no reference can be added; returns what it said.
    fn release(&self, need: &dyn Fn() -> Need) -> Need;
}

/// What a stand-in needs of the actor's home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// That the actor is kept: it is referred to.
    Hold,
    /// News of its ends: it is watched, or linked to. That keeps no actor alive.
    Watch,
    /// Nothing.
    Nothing,
}

/// A call on its way out.
pub struct Outbound {
    /// What it is: see [`paired`](crate::wire::paired).
    pub key: u64,
    /// Its name, for errors.
    pub name: &'static str,
    /// The message's wire form.
    pub body: Vec<u8>,
    /// What must live until the receiver holds it.
    pub baggage: Vec<Hold>,
    /// Who sends.
    pub caller: CallerId,
    /// What comes along: deadline and call chain.
    pub context: Option<Arc<MessageContext>>,
    /// Who waits, if anybody does.
    pub answer: Option<AnswerSink>,
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outbound({})", self.name)
    }
}

/// Takes the answer to a call that crossed a border, with what must live until the receiver holds it.
pub type AnswerSink = Box<dyn FnOnce(WireAnswer, Vec<Hold>) + Send>;

/// The wire form of what came of a call.
#[derive(Debug, Serialize, Deserialize)]
pub enum WireAnswer {
    /// The reply's value.
    Value(#[serde(with = "crate::wire::raw")] Vec<u8>),
    /// The handler's own error.
    Refusal(#[serde(with = "crate::wire::raw")] Vec<u8>),
    /// The handler's own error, where it has no wire form.
    RefusalText(String),
    /// The handler never saw the message.
    NotDelivered(Undelivered),
    /// Nobody knows.
    Unknown(UnknownOutcome),
}

/// What is sent to an actor elsewhere beside messages.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Control {
    /// Take nothing new, handle what waits, end for good.
    Stop(ExitReason),
    /// End at once, for good.
    Kill(ExitReason),
    /// End this generation; a supervisor may start the next.
    Shutdown(ExitReason),
    /// End this generation at once; a supervisor may start the next.
    Exit(ExitReason),
    /// An actor linked to it ended.
    Linked {
        /// Which, by its id on its own node.
        from: ActorId,
        /// Why.
        reason: ExitReason,
    },
}

/// What is to be spawned elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpawnKind {
    /// The actor's type, by the key of its constructor.
    pub key: u64,
    /// Its name, for errors.
    pub name: &'static str,
}

/// An actor to be spawned on another node.
#[derive(Debug, Serialize, Deserialize)]
pub struct SpawnRequest {
    /// The key of its constructor.
    pub key: u64,
    /// The constructor's arguments.
    #[serde(with = "crate::wire::raw")]
    pub args: Vec<u8>,
    /// What was chosen for it.
    pub options: SpawnOptions,
    /// What must live until the other node holds it.
    #[serde(skip)]
    pub baggage: Baggage,
}

/// Holds that go with a request.
#[derive(Default)]
pub struct Baggage(pub Vec<Hold>);

impl fmt::Debug for Baggage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Baggage({})", self.0.len())
    }
}

/// What was chosen for an actor that is spawned elsewhere.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SpawnOptions {
    /// Its name.
    pub name: Option<String>,
    /// The name's namespace.
    pub namespace: Option<String>,
    /// Whether an actor of that name will do.
    pub get_if_exists: bool,
    /// Whether it lives without references.
    pub detached: bool,
    /// How often it is restarted.
    pub max_restarts: Option<u32>,
    /// Its mailbox.
    pub mailbox: Mailbox,
    /// Whether it lives on an arbiter.
    pub pinned: bool,
    /// On that of this group.
    pub group: Option<String>,
    /// How many records its flight recorder keeps.
    pub flight_records: usize,
    /// The placement group that it goes with.
    #[serde(default)]
    pub member_of: Option<GroupId>,
    /// What it is to hold.
    #[serde(default)]
    pub demand: ActorDemand,
}
