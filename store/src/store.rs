//! The object store of one node: where objects are made, found, counted and listed.
//!
//! Values stay where they were made, as `Arc`s inside their entries; the store itself holds only what entries
//! share. So the store is not a place that every access goes through, and two stores in one process do not
//! know of each other.
//!
//! The running code finds its node's store through [`Current`](mobula_actor_core::Current); there is no global.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{Arc, OnceLock},
};

use mobula_actor_core::{current_system, wire::baggage};
use serde::Serialize;

use crate::{
    address::Address,
    codec::ValueType,
    entry::{Entry, Home, ObjectListing},
    error::ReferenceError,
    hold::LocalHold,
    ledger::Ledger,
    object_id::{ObjectId, StoreId},
};

/// Settings of a store.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoreConfig {
    /// How many bytes of values the store holds, from 0; default 1 GiB. Puts beyond it wait for room. Results
    /// of tasks may overdraw it for a moment, so leave a quarter of the memory free for them.
    pub capacity_bytes: u64,
    /// How often a get looks again before it sleeps when the producer is at work already; default 0, at most
    /// some hundreds. Worth it only where cores are idle: a round takes nanoseconds, a wake-up microseconds.
    pub spin_rounds: u32,
    /// The store's name in references; drawn at random if `None`. Nodes that exchange references must differ.
    pub id: Option<StoreId>,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { capacity_bytes: 1 << 30, spin_rounds: 0, id: None }
    }
}

impl StoreConfig {
    /// The same settings with this capacity.
    #[must_use]
    pub const fn capacity_bytes(mut self, bytes: u64) -> Self {
        self.capacity_bytes = bytes;
        self
    }

    /// The same settings with this many rounds.
    #[must_use]
    pub const fn spin_rounds(mut self, rounds: u32) -> Self {
        self.spin_rounds = rounds;
        self
    }

    /// The same settings with this name.
    #[must_use]
    pub const fn id(mut self, id: StoreId) -> Self {
        self.id = Some(id);
        self
    }
}

/// What a store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StoreUsage {
    /// Objects that somebody references, pending ones included.
    pub objects: usize,
    /// Bytes of all sealed values.
    pub bytes: u64,
    /// What the store may hold.
    pub capacity_bytes: u64,
    /// Puts that wait for room.
    pub waiting_puts: usize,
    /// Values that came from other nodes since the start.
    pub pulled: u64,
    /// Messages to the stores of other nodes since the start.
    pub told: u64,
}

/// The object store of one node; clones are the same store.
#[derive(Clone)]
pub struct Store {
    home: Arc<Home>,
}

impl Store {
    /// An empty store.
    #[must_use]
    pub fn new(config: StoreConfig) -> Self {
        let StoreConfig { capacity_bytes, spin_rounds, id } = config;
        let store_id = id.unwrap_or_else(|| StoreId::alone(RandomState::new().hash_one("store")));
        let ledger = Ledger::new(store_id, capacity_bytes);
        let home = Home { store_id, spin_rounds, ledger, elsewhere: OnceLock::new() };
        Self { home: Arc::new(home) }
    }

    /// The store of the node that the running code belongs to; `None` outside a node.
    #[must_use]
    pub fn current() -> Option<Arc<Self>> {
        current_system()?.extension::<Self>()
    }

    /// The store's name in references.
    #[must_use]
    pub fn id(&self) -> StoreId {
        self.home.store_id
    }

    /// What the store holds now.
    #[must_use]
    pub fn usage(&self) -> StoreUsage {
        let rooms = self.home.ledger.usage();
        StoreUsage {
            objects: self.home.ledger.len(),
            bytes: rooms.used_bytes,
            capacity_bytes: rooms.capacity_bytes,
            waiting_puts: rooms.waiting_puts,
            pulled: self.home.ledger.pulled(),
            told: self.home.ledger.told(),
        }
    }

    /// Every object that somebody references, by id.
    #[must_use]
    pub fn list(&self) -> Vec<ObjectListing> {
        let entries = self.home.ledger.entries();
        entries.iter().filter(|entry| entry.is_wanted()).map(|entry| entry.listing()).collect()
    }

    /// Frees an object by name; false if it is unknown.
    #[expect(clippy::must_use_candidate, reason = "unknown is as good as freed")]
    pub fn free(&self, object: ObjectId) -> bool {
        let entry = self.home.ledger.find(object);
        entry.inspect(|entry| entry.free()).is_some()
    }

    /// The store whose entries share `home`.
    pub(crate) fn of(home: &Arc<Home>) -> Self {
        Self { home: Arc::clone(home) }
    }

    pub(crate) const fn home(&self) -> &Arc<Home> {
        &self.home
    }

    /// The entry of a reference that came from elsewhere, kept from now on.
    pub(crate) fn open(
        &self,
        address: Address,
        value_type: &'static ValueType,
    ) -> Result<LocalHold, ReferenceError> {
        let object = address.object;
        let theirs = object.owner();
        if theirs != self.id() {
            let foreign = ReferenceError::Foreign { object, theirs, ours: self.id() };
            return self.borrow(address, value_type).unwrap_or(Err(foreign));
        }
        let unknown = ReferenceError::Unknown { object };
        let Some(entry) = self.home.ledger.find(object) else {
            // One that was handed over comes back as somebody else's.
            let is_moved = self.home.elsewhere.get().is_some_and(|elsewhere| {
                elsewhere.keepers(object).is_some_and(|(keeper, _)| keeper != self.id())
            });
            let borrowed = is_moved.then(|| self.borrow(address, value_type)).flatten();
            return borrowed.unwrap_or(Err(unknown));
        };
        check_type(&entry, value_type)?;
        LocalHold::revive(entry).ok_or(unknown)
    }

    /// The entry of a foreign object, kept from now on; `None` if this store knows no others.
    fn borrow(
        &self,
        address: Address,
        value_type: &'static ValueType,
    ) -> Option<Result<LocalHold, ReferenceError>> {
        let object = address.object;
        let elsewhere = self.home.elsewhere.get()?;
        // First the need, then the entry: it must not be there without.
        elsewhere.hold(address);
        let make = || Entry::borrowed(&self.home, object, value_type);
        let (hold, is_new) = LocalHold::find_or_make(&self.home.ledger, object, make);
        if let Some(ticket) = baggage::ticket() {
            elsewhere.arrived(object, ticket);
        }
        if !is_new {
            elsewhere.let_go(object);
            return Some(check_type(hold.entry(), value_type).map(|()| hold));
        }
        if let Some(loss) = elsewhere.loss(object) {
            hold.entry().lose(loss);
        }
        Some(Ok(hold))
    }
}

fn check_type(entry: &Entry, value_type: &'static ValueType) -> Result<(), ReferenceError> {
    if entry.value_type_id() == (value_type.id)() {
        return Ok(());
    }
    Err(ReferenceError::WrongType {
        object: entry.id(),
        expected: (value_type.name)(),
        actual: entry.type_name(),
    })
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("id", &self.id()).field("usage", &self.usage()).finish()
    }
}
