//! Postings: what a node says of its own actors to all other nodes, and the port by which it does.
//!
//! Groups and names must be read without asking anybody, so each node is told what the others have. The floor only says
//! what it has, and takes up what it hears; whoever joins nodes carries it.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::actor::BoxFuture;
use crate::error::{GroupError, PostingsFull};
use crate::id::{ActorId, NodeId};
use crate::names::FullName;
use crate::remote::Home;
use crate::system::System;

/// One thing that a node says of one of its actors.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Posting {
    /// It is in a group.
    #[serde(rename = "g")]
    Member {
        /// The group's name.
        #[serde(rename = "n")]
        group: Arc<str>,
        /// The number of the actor's type.
        #[serde(rename = "k")]
        key: u64,
        /// The actor.
        #[serde(rename = "a")]
        actor: ActorId,
    },
    /// It has a name.
    #[serde(rename = "n")]
    Name {
        /// The name.
        #[serde(rename = "n")]
        name: Arc<FullName>,
        /// The number of the actor's type.
        #[serde(rename = "k")]
        key: u64,
        /// The actor.
        #[serde(rename = "a")]
        actor: ActorId,
    },
}

/// What groups and names ask of other nodes. Implemented by the cluster, hung into a system by
/// [`System::set_elsewhere`].
pub trait Elsewhere: Send + Sync + 'static {
    /// Says this to all nodes from now on. Said twice, it is said once.
    ///
    /// # Errors
    /// [`PostingsFull`]: this node says too much already.
    fn post(&self, posting: Posting) -> Result<(), PostingsFull>;

    /// Says it no longer.
    fn withdraw(&self, posting: &Posting);

    /// Makes an actor of another node a member of a group there, or ends that; whether that changed anything.
    fn enroll(
        &self,
        home: Home,
        group: Arc<str>,
        key: u64,
        is_in: bool,
    ) -> BoxFuture<'static, Result<bool, GroupError>>;

    /// How many messages wait for an actor of another node; `None` if that cannot be learnt quickly.
    fn waiting(&self, home: Home) -> BoxFuture<'static, Option<usize>>;
}

/// The port, as an extension.
struct ElsewherePort(Arc<dyn Elsewhere>);

impl System {
    /// Joins this node's groups and names to those of others: all that is posted goes there, from now on. Cleared with
    /// the other extensions.
    pub fn set_elsewhere(&self, elsewhere: Arc<dyn Elsewhere>) {
        let port = Arc::new(ElsewherePort(elsewhere));
        // Under both locks: nothing is said twice in the wrong order, or not at all.
        self.groups().while_nothing_changes(|groups| {
            self.names().while_nothing_changes(|names| {
                self.set_extension(Arc::clone(&port));
                for posting in groups.chain(names) {
                    if let Err(error) = port.0.post(posting) {
                        tracing::warn!(%error, "not all groups and names are posted");
                    }
                }
            });
        });
    }

    /// What groups and names ask other nodes by, if this node has others.
    #[must_use]
    pub(crate) fn elsewhere(&self) -> Option<Arc<dyn Elsewhere>> {
        self.extension::<ElsewherePort>().map(|port| Arc::clone(&port.0))
    }
}

impl fmt::Debug for ElsewherePort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ElsewherePort")
    }
}

/// Takes up what another node, in this life of it, says now and says no longer.
pub fn heard(
    system: &System,
    (node, life): (NodeId, u64),
    added: Vec<Posting>,
    removed: Vec<Posting>,
) {
    system.groups().heard((node, life), &added, &removed);
    system.names().heard((node, life), added, removed);
}

/// Forgets all that a node said in this life of it.
pub fn gone(system: &System, (node, life): (NodeId, u64)) {
    system.groups().gone((node, life));
    system.names().gone((node, life));
}
