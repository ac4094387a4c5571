//! Several stores in one process, joined by a port that keeps everything in memory.
//!
//! Messages travel as bytes, so that whatever cannot be encoded shows. They are delivered when the test says so, in
//! order, or by a task that delivers at once.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use mobula_store::{
    Incarnation, NodeId, ObjectId, ObjectRef, Rebuild, Remote, Store, StoreConfig, StoreId, Time,
    collect_refs, message::Message, message::Parcel, owner::OwnerLimits,
};
use parking_lot::Mutex;
use serde::{Serialize, de::DeserializeOwned};

#[derive(Debug, Default)]
struct Shared {
    stores: Mutex<BTreeMap<StoreId, Store>>,
    queue: Mutex<VecDeque<(StoreId, StoreId, Vec<u8>)>>,
    micros: AtomicU64,
    counts: Mutex<BTreeMap<&'static str, usize>>,
    rebuilds: Mutex<Vec<Rebuild>>,
    bulk_pairs: Mutex<Vec<(StoreId, StoreId, ObjectId, u64)>>,
}

#[derive(Debug)]
struct Port {
    me: StoreId,
    shared: Arc<Shared>,
}

impl Remote for Port {
    fn now(&self) -> Time {
        Time(self.shared.micros.load(Ordering::SeqCst))
    }

    fn send(&self, to: StoreId, message: Message) {
        let bytes = rmp_serde::to_vec_named(&message).expect("messages encode");
        self.shared.queue.lock().push_back((self.me, to, bytes));
    }

    fn members(&self) -> Vec<StoreId> {
        self.shared.stores.lock().keys().filter(|id| **id != self.me).copied().collect()
    }

    fn rebuild(&self, tasks: Vec<Rebuild>) {
        self.shared.rebuilds.lock().extend(tasks);
    }
}

/// Stores that know each other.
pub(crate) struct Cluster {
    shared: Arc<Shared>,
    pub(crate) stores: Vec<Store>,
}

pub(crate) fn id(node: u64) -> StoreId {
    StoreId::new(NodeId(node), Incarnation(node + 100))
}

impl Cluster {
    pub(crate) fn new(count: u64) -> Self {
        Self::with_capacity(count, 1 << 30)
    }

    pub(crate) fn with_capacity(count: u64, capacity_bytes: u64) -> Self {
        let shared = Arc::new(Shared::default());
        let mut stores = Vec::new();
        for node in 1..=count {
            let config = StoreConfig::default().id(id(node)).capacity_bytes(capacity_bytes);
            let store = Store::new(config);
            let port = Arc::new(Port { me: id(node), shared: Arc::clone(&shared) });
            store.attach(port, OwnerLimits::default(), node).expect("once");
            shared.stores.lock().insert(id(node), store.clone());
            stores.push(store);
        }
        Self { shared, stores }
    }

    /// Delivers everything, and whatever follows from it.
    pub(crate) fn deliver(&self) {
        loop {
            let next = self.shared.queue.lock().pop_front();
            let Some((from, to, bytes)) = next else { return };
            let message: Message = rmp_serde::from_slice(&bytes).expect("messages decode");
            self.count(from, to, &message);
            let store = self.shared.stores.lock().get(&to).cloned();
            if let Some(store) = store {
                store.receive(from, message);
            }
        }
    }

    fn count(&self, from: StoreId, to: StoreId, message: &Message) {
        let name = match message {
            Message::Borrow { .. } => "borrow",
            Message::Release { .. } => "release",
            Message::Chunk { object, offset, .. } => {
                self.shared.bulk_pairs.lock().push((from, to, *object, *offset));
                "chunk"
            }
            Message::Answer { .. } => "answer",
            _ => "other",
        };
        *self.shared.counts.lock().entry(name).or_default() += 1;
    }

    pub(crate) fn counted(&self, name: &'static str) -> usize {
        self.shared.counts.lock().get(name).copied().unwrap_or(0)
    }

    /// Each transfer of a part, from whom to whom.
    pub(crate) fn parts(&self) -> Vec<(StoreId, StoreId, ObjectId, u64)> {
        self.shared.bulk_pairs.lock().clone()
    }

    /// What was asked to be made again since last time.
    pub(crate) fn rebuilds(&self) -> Vec<Rebuild> {
        std::mem::take(&mut *self.shared.rebuilds.lock())
    }

    /// Lets time pass for all, a little at a time.
    pub(crate) fn pass(&self, time: Duration) {
        let step = Duration::from_millis(250);
        let mut passed = Duration::ZERO;
        while passed < time {
            passed += step;
            let micros = u64::try_from(step.as_micros()).expect("small");
            self.shared.micros.fetch_add(micros, Ordering::SeqCst);
            for store in &self.stores {
                store.tick();
            }
            self.deliver();
        }
    }

    /// The node dies with all it has; the others notice.
    pub(crate) fn kill(&self, node: u64) {
        self.shared.stores.lock().remove(&id(node));
        self.shared.queue.lock().retain(|(from, ..)| *from != id(node));
        let left: Vec<Store> = self.shared.stores.lock().values().cloned().collect();
        for store in left {
            store.node_down(id(node));
        }
        self.deliver();
    }

    /// Sends a value from one store to another, as a message would be.
    pub(crate) fn send<T: Serialize + DeserializeOwned>(&self, from: u64, to: u64, value: &T) -> T {
        let (bytes, parcel) = self.pack(from, to, value);
        self.unpack(from, to, &bytes, parcel.as_ref())
    }

    pub(crate) fn pack<T: Serialize>(
        &self,
        from: u64,
        to: u64,
        value: &T,
    ) -> (Vec<u8>, Option<Parcel>) {
        let (bytes, met) = collect_refs(|| rmp_serde::to_vec_named(value).expect("it encodes"));
        (bytes, self.store(from).pin(id(to), met).expect("room"))
    }

    pub(crate) fn unpack<T: DeserializeOwned>(
        &self,
        from: u64,
        to: u64,
        bytes: &[u8],
        parcel: Option<&Parcel>,
    ) -> T {
        let decode = || rmp_serde::from_slice(bytes).expect("it decodes");
        self.store(to).unpack(id(from), parcel, decode).expect("in time")
    }

    pub(crate) fn store(&self, node: u64) -> &Store {
        &self.stores[usize::try_from(node - 1).expect("small")]
    }

    pub(crate) fn objects(&self, node: u64) -> (usize, u64) {
        let usage = self.store(node).usage();
        (usage.objects, usage.bytes)
    }

    /// The value, delivering while it is not there; looks only once if nothing more comes.
    pub(crate) fn get<T: Send + Sync + 'static>(
        &self,
        object: &ObjectRef<T>,
    ) -> Result<Arc<T>, mobula_store::GetError> {
        let waker = std::task::Waker::noop();
        let mut cx = std::task::Context::from_waker(waker);
        let mut get = std::pin::pin!(object.get());
        loop {
            if let std::task::Poll::Ready(value) = get.as_mut().poll(&mut cx) {
                return value;
            }
            assert!(!self.shared.queue.lock().is_empty(), "{object:?}: nothing more comes");
            self.deliver();
        }
    }

    /// Begins to wait without waiting.
    pub(crate) fn begin<T: Send + Sync + 'static>(
        &self,
        object: &ObjectRef<T>,
    ) -> mobula_store::Get<T> {
        let mut get = object.get();
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(std::pin::Pin::new(&mut get).poll(&mut cx).is_pending());
        get
    }
}

/// Whether a get under way has ended, and how.
pub(crate) fn look<T: Send + Sync + 'static>(
    get: &mut mobula_store::Get<T>,
) -> Option<Result<Arc<T>, mobula_store::GetError>> {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::Pin::new(get).poll(&mut cx) {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    }
}
