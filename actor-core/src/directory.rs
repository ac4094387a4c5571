//! The directory: every citizen of a node, for listings, and to reach one by its id.
//!
//! One map under one lock would make each spawn and each task wait for every other; the map is split by
//! id instead, and an entry lives exactly as long as its citizen.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;

use crate::handle::ActorHandle;
use crate::id::{ActorId, GroupId};

mod pages;

use pages::Pages;

const SHARDS: u64 = 16;

/// What a citizen is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub enum Kind {
    /// A long-lived actor.
    Actor,
    /// A one-shot actor: a task.
    Task,
    /// The object store.
    Store,
    /// A supervisor.
    Supervisor,
    /// A guest of another framework.
    Guest,
}

/// Whoever lives on a node and can be listed, found and killed.
pub trait Citizen: Send + Sync {
    /// Its id.
    fn id(&self) -> ActorId;
    /// What it is.
    fn kind(&self) -> Kind;
    /// The name of its type or function.
    fn type_name(&self) -> Cow<'static, str>;
    /// The name it is registered under.
    fn name(&self) -> Option<String> {
        None
    }
    /// What it does now, in a word.
    fn state(&self) -> &'static str;
    /// Messages waiting.
    fn mailbox_len(&self) -> usize {
        0
    }
    /// How often it was started.
    fn generation(&self) -> u64 {
        0
    }
    /// Ends it at once.
    fn kill(&self);
    /// Why it is in its state: what it waits for.
    fn why(&self) -> Option<String> {
        None
    }
    /// The placement group that it goes with.
    fn group(&self) -> Option<GroupId> {
        None
    }
    /// Its placement group is gone, against everybody's will: ends it at once, and says so where it can.
    fn end_with_group(&self, why: &str) {
        let _ = why;
        self.kill();
    }
    /// Whether it belongs into listings of this node; a stand-in for an actor elsewhere does not.
    fn is_listed(&self) -> bool {
        true
    }

    /// The actor behind it, if it is one.
    fn as_actor(&self) -> Option<ActorHandle> {
        None
    }
}

/// One row of a listing.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ActorListing {
    /// Its id.
    pub id: ActorId,
    /// What it is.
    pub kind: Kind,
    /// The name of its type or function.
    pub type_name: Cow<'static, str>,
    /// The name it is registered under.
    pub name: Option<String>,
    /// What it did when asked.
    pub state: &'static str,
    /// Messages waiting when asked.
    pub mailbox_len: usize,
    /// How often it was started.
    pub generation: u64,
}

type Shard = Mutex<Pages<Arc<dyn Citizen>>>;

/// Every citizen of one node.
pub struct Directory {
    shards: Box<[Shard]>,
}

impl Directory {
    pub(crate) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Shard::default()).collect() }
    }

    /// The shard of this id, and its number there: neighbours lie in different shards, and a shard's are consecutive.
    fn place(&self, id: ActorId) -> (&Shard, u64) {
        let index = usize::try_from(id.as_u64() % SHARDS).unwrap_or(0);
        (&self.shards[index], id.as_u64() / SHARDS)
    }

    /// Enters a citizen; it stays until [`remove`](Self::remove).
    pub fn insert(&self, citizen: Arc<dyn Citizen>) {
        let (shard, number) = self.place(citizen.id());
        let replaced = shard.lock().insert(number, citizen);
        drop(replaced);
    }

    /// Strikes a citizen out; an unknown id is no error.
    pub fn remove(&self, id: ActorId) {
        let (shard, number) = self.place(id);
        let removed = shard.lock().remove(number);
        drop(removed);
    }

    /// The citizen with this id, if it lives.
    #[must_use]
    pub fn get(&self, id: ActorId) -> Option<Arc<dyn Citizen>> {
        let (shard, number) = self.place(id);
        shard.lock().get(number).cloned()
    }

    /// The actor with this id, if it lives and is one.
    #[must_use]
    pub fn actor(&self, id: ActorId) -> Option<ActorHandle> {
        self.get(id)?.as_actor()
    }

    /// How many citizens there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// Whether nobody lives here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All citizens, by id. A snapshot per shard, not of one instant.
    #[must_use]
    pub fn list(&self) -> Vec<ActorListing> {
        let mut citizens: Vec<Arc<dyn Citizen>> = Vec::new();
        for shard in &self.shards {
            citizens.extend(shard.lock().values().filter(|citizen| citizen.is_listed()).cloned());
        }
        citizens.sort_unstable_by_key(|citizen| citizen.id());
        citizens
            .iter()
            .map(|citizen| ActorListing {
                id: citizen.id(),
                kind: citizen.kind(),
                type_name: citizen.type_name(),
                name: citizen.name(),
                state: citizen.state(),
                mailbox_len: citizen.mailbox_len(),
                generation: citizen.generation(),
            })
            .collect()
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory").field("citizens", &self.len()).finish()
    }
}
