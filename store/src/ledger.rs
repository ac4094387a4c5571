//! What all objects of one store share: the index of living objects, the budget, and two counters.
//!
//! One map under one lock would put every task of the node in line behind every other. The index is split
//! by object number instead, so that two threads seldom meet, and it holds weak pointers: being listed keeps
//! nothing alive. The budget is one lock, held for a few additions and never while anything is dropped.
//!
//! Invariants:
//! 1. Sequence numbers are given in the order in which objects become ready.
//! 2. Wakers are called with no lock held.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    task::{Poll, Waker},
};

use parking_lot::Mutex;

use crate::{
    budget::{Budget, Ticket},
    object_id::{ObjectId, StoreId},
};

const SHARDS: usize = 16;

type Shard<E> = Mutex<HashMap<ObjectId, Weak<E>, BuildHasherDefault<ByNumber>>>;

/// The books of one store over entries `E`.
#[derive(Debug)]
pub(crate) struct Ledger<E> {
    store_id: StoreId,
    shards: [Shard<E>; SHARDS],
    objects_made: AtomicU64,
    objects_ready: AtomicU64,
    objects_pulled: AtomicU64,
    messages_told: AtomicU64,
    rooms: Mutex<Rooms>,
}

/// The budget, and the wakers of those who wait for room.
#[derive(Debug)]
struct Rooms {
    budget: Budget,
    wakers: HashMap<Ticket, Waker>,
}

/// Bytes held, and who waits for more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoomsUsage {
    pub(crate) used_bytes: u64,
    pub(crate) capacity_bytes: u64,
    pub(crate) waiting_puts: usize,
}

impl<E> Ledger<E> {
    pub(crate) fn new(store_id: StoreId, capacity_bytes: u64) -> Self {
        Self {
            store_id,
            shards: std::array::from_fn(|_| Mutex::default()),
            objects_made: AtomicU64::new(0),
            objects_ready: AtomicU64::new(0),
            objects_pulled: AtomicU64::new(0),
            messages_told: AtomicU64::new(0),
            rooms: Mutex::new(Rooms {
                budget: Budget::new(capacity_bytes),
                wakers: HashMap::new(),
            }),
        }
    }

    pub(crate) fn next_id(&self) -> ObjectId {
        ObjectId::counted(self.store_id, self.objects_made.fetch_add(1, Ordering::Relaxed))
    }

    /// The place of an object in the order of becoming ready; counted from 1.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.objects_ready.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A value has come from another store.
    pub(crate) fn count_pull(&self) {
        self.objects_pulled.fetch_add(1, Ordering::Relaxed);
    }

    /// A message goes to another store.
    pub(crate) fn count_message(&self) {
        self.messages_told.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn told(&self) -> u64 {
        self.messages_told.load(Ordering::Relaxed)
    }

    pub(crate) fn pulled(&self) -> u64 {
        self.objects_pulled.load(Ordering::Relaxed)
    }

    // Index.

    pub(crate) fn enter(&self, id: ObjectId, entry: &Arc<E>) {
        self.shard(id).lock().insert(id, Arc::downgrade(entry));
    }

    /// The living entry of this id, or a new one; true if it is new.
    pub(crate) fn find_or_enter(
        &self,
        id: ObjectId,
        revive: impl FnOnce(&Arc<E>) -> bool,
        make: impl FnOnce() -> Arc<E>,
    ) -> (Arc<E>, bool) {
        let mut shard = self.shard(id).lock();
        let found = shard.get(&id).and_then(Weak::upgrade);
        if let Some(living) = &found
            && revive(living)
        {
            return (Arc::clone(living), false);
        }
        let entry = make();
        shard.insert(id, Arc::downgrade(&entry));
        drop(shard);
        // An entry that ended; it must not end under the lock.
        drop(found);
        (entry, true)
    }

    /// Strikes this entry out, unless another one took its place.
    pub(crate) fn leave(&self, id: ObjectId, entry: &E) {
        let mut shard = self.shard(id).lock();
        if shard.get(&id).is_some_and(|listed| std::ptr::eq(listed.as_ptr(), entry)) {
            shard.remove(&id);
        }
    }

    pub(crate) fn find(&self, id: ObjectId) -> Option<Arc<E>> {
        self.shard(id).lock().get(&id).and_then(Weak::upgrade)
    }

    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// Every entry in the index, by id.
    pub(crate) fn entries(&self) -> Vec<Arc<E>> {
        let mut entries: Vec<(ObjectId, Arc<E>)> = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock();
            entries.extend(shard.iter().filter_map(|(id, entry)| Some((*id, entry.upgrade()?))));
        }
        entries.sort_unstable_by_key(|(id, _)| *id);
        entries.into_iter().map(|(_, entry)| entry).collect()
    }

    fn shard(&self, id: ObjectId) -> &Shard<E> {
        let place = id.number() as usize % SHARDS;
        &self.shards[place]
    }

    // Budget.

    pub(crate) fn try_admit(&self, bytes: u64) -> bool {
        self.rooms.lock().budget.try_admit(bytes)
    }

    pub(crate) fn charge(&self, bytes: u64) -> bool {
        self.rooms.lock().budget.charge(bytes)
    }

    pub(crate) fn is_too_large(&self, bytes: u64) -> bool {
        self.rooms.lock().budget.is_too_large(bytes)
    }

    /// Takes a place in the queue for room.
    pub(crate) fn queue(&self, bytes: u64) -> Ticket {
        self.rooms.lock().budget.queue(bytes)
    }

    /// Whether the bytes of `ticket` can be claimed; if not, `waker` is called when they can.
    pub(crate) fn poll_admitted(&self, ticket: Ticket, waker: &Waker) -> Poll<()> {
        let mut rooms = self.rooms.lock();
        if rooms.budget.is_admitted(ticket) {
            return Poll::Ready(());
        }
        rooms.wakers.insert(ticket, waker.clone());
        Poll::Pending
    }

    /// Takes the bytes that `ticket` waited for, if they were admitted.
    pub(crate) fn claim(&self, ticket: Ticket) -> bool {
        let mut rooms = self.rooms.lock();
        let claimed = rooms.budget.claim(ticket);
        if claimed {
            rooms.wakers.remove(&ticket);
        }
        claimed
    }

    pub(crate) fn withdraw(&self, ticket: Ticket) {
        self.change(|rooms| {
            rooms.wakers.remove(&ticket);
            rooms.budget.withdraw(ticket)
        });
    }

    pub(crate) fn release(&self, bytes: u64) {
        self.change(|rooms| rooms.budget.release(bytes));
    }

    pub(crate) fn usage(&self) -> RoomsUsage {
        let rooms = self.rooms.lock();
        RoomsUsage {
            used_bytes: rooms.budget.used(),
            capacity_bytes: rooms.budget.capacity(),
            waiting_puts: rooms.budget.waiting(),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Rooms) -> Vec<Ticket>) {
        let mut rooms = self.rooms.lock();
        let going = change(&mut rooms);
        let wakers: Vec<Waker> =
            going.iter().filter_map(|ticket| rooms.wakers.remove(ticket)).collect();
        drop(rooms);
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// Object numbers are counted, so the number is its own best hash; the multiplication spreads it to the
/// high bits, from which the map takes its tags.
#[derive(Debug, Default)]
struct ByNumber(u64);

impl Hasher for ByNumber {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(self.0.rotate_left(8) ^ u64::from(byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
