//! The directory: every citizen of a node, for listings, and to reach one by its id.
//!
//! One map under one lock would make each spawn and each task wait for every other; the map is split by
//! id instead, and an entry lives exactly as long as its citizen.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;

use crate::handle::ActorHandle;
use crate::id::{ActorId, GroupId};

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

type Shard = Mutex<HashMap<ActorId, Arc<dyn Citizen>, BuildHasherDefault<IdHasher>>>;

/// Every citizen of one node.
pub struct Directory {
    shards: Box<[Shard]>,
}

impl Directory {
    pub(crate) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Shard::default()).collect() }
    }

    fn shard(&self, id: ActorId) -> &Shard {
        let index = usize::try_from(id.as_u64() % SHARDS).unwrap_or(0);
        &self.shards[index]
    }

    /// Enters a citizen; it stays until [`remove`](Self::remove).
    pub fn insert(&self, citizen: Arc<dyn Citizen>) {
        self.shard(citizen.id()).lock().insert(citizen.id(), citizen);
    }

    /// Strikes a citizen out; an unknown id is no error.
    pub fn remove(&self, id: ActorId) {
        let removed = self.shard(id).lock().remove(&id);
        drop(removed);
    }

    /// The citizen with this id, if it lives.
    #[must_use]
    pub fn get(&self, id: ActorId) -> Option<Arc<dyn Citizen>> {
        self.shard(id).lock().get(&id).cloned()
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

/// Ids are consecutive numbers that no stranger chooses: a multiplication spreads them well enough.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    }
}
