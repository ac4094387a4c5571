//! Nodes that meet on loopback, each on a runtime of its own, so that one can be lost without a word.

use std::collections::BTreeMap;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use mobula::prelude::*;
use mobula::{NodeBuilder, NodeId, ObjectId, Placement};
use parking_lot::Mutex;
use tokio::runtime::{Builder, Runtime};

pub(crate) use crate::fixture::LIMIT;
use crate::fixture::listening;

/// More than travels as a value.
pub const LARGE: usize = 300_000;

/// A node and the threads it runs on.
pub struct House {
    pub node: Node,
    runtime: Runtime,
}

impl House {
    async fn build(works: bool, join: Vec<String>, builder: NodeBuilder) -> Self {
        let mut config = listening(&join);
        if works {
            config.labels.insert("zone".to_owned(), "works".to_owned());
        }
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (tell, hear) = mpsc::channel();
        runtime.spawn(async move {
            tell.send(builder.cluster(config).start().await.unwrap()).unwrap();
        });
        let node = tokio::task::spawn_blocking(move || hear.recv().unwrap()).await.unwrap();
        Self { node, runtime }
    }

    pub fn id(&self) -> NodeId {
        self.node.id().unwrap()
    }

    /// Rather here than elsewhere.
    pub fn rather(&self) -> Placement {
        Placement::OnNode { node: self.id(), or_elsewhere: true }
    }

    /// Here and nowhere else.
    pub fn only(&self) -> Placement {
        Placement::OnNode { node: self.id(), or_elsewhere: false }
    }

    /// Objects in its store, and their bytes.
    pub fn objects(&self) -> (usize, u64) {
        let usage = self.node.store().usage();
        (usage.objects, usage.bytes)
    }

    /// The nodes beside this one that have a copy of an object that this one keeps.
    pub fn copies(&self, object: ObjectId) -> Vec<u64> {
        let place = self.node.store().whereabouts(object);
        place
            .map(|place| place.copies.iter().map(|store| store.node.0).collect())
            .unwrap_or_default()
    }

    /// Waits until another node has a copy of the object, and this one has none.
    pub async fn made_elsewhere(&self, object: ObjectId) {
        until(|| !self.copies(object).is_empty()).await;
        assert!(!self.node.store().whereabouts(object).unwrap().is_here);
    }
}

/// Some nodes that know each other. The second and the third are labelled `zone=works`.
pub struct Town(Vec<Option<House>>);

impl Town {
    pub async fn new(count: usize) -> Self {
        Self::with(count, || Node::builder().num_cpus(2.0)).await
    }

    pub async fn with(count: usize, builder: impl Fn() -> NodeBuilder) -> Self {
        let mut houses = vec![Some(House::build(false, Vec::new(), builder()).await)];
        while houses.len() < count {
            let addresses = houses[0].as_ref().unwrap().node.addresses();
            let works = matches!(houses.len(), 1 | 2);
            houses.push(Some(House::build(works, addresses, builder()).await));
        }
        for house in houses.iter().flatten() {
            house.node.wait_for_nodes(count, LIMIT).await.unwrap();
        }
        Self(houses)
    }

    pub fn at(&self, place: usize) -> &House {
        self.0[place].as_ref().unwrap()
    }

    /// Whether the node of this number is there, at this place.
    pub fn holds(&self, place: usize, node: u64) -> bool {
        self.0[place].as_ref().is_some_and(|house| house.id().0 == node)
    }

    pub fn houses(&self) -> impl Iterator<Item = &House> {
        self.0.iter().flatten()
    }

    /// A node ends without a word; returns when all others know.
    pub async fn lose(&mut self, place: usize) {
        let House { node, runtime } = self.0[place].take().unwrap();
        let gone = node.id().unwrap();
        runtime.shutdown_background();
        drop(node);
        for house in self.houses() {
            tokio::time::timeout(LIMIT, house.node.node_gone(gone)).await.unwrap();
        }
    }

    /// Waits until no node has any object.
    pub async fn is_empty(&self) {
        until(|| self.houses().all(|house| house.objects() == (0, 0))).await;
    }

    pub async fn end(self) {
        for house in self.0.into_iter().flatten() {
            let House { node, runtime } = house;
            node.shutdown().await;
            drop(node);
            runtime.shutdown_background();
        }
    }
}

/// Looks until it is so, from time to time: who looks all the time keeps the nodes from doing anything.
pub async fn until(is_so: impl Fn() -> bool) {
    let waited = tokio::time::timeout(LIMIT, async {
        let mut looks = tokio::time::interval(Duration::from_millis(2));
        while !is_so() {
            looks.tick().await;
        }
    });
    waited.await.expect("it comes about");
}

/// How often tasks ran, by what they were called.
static RUNS: Mutex<BTreeMap<String, u32>> = Mutex::new(BTreeMap::new());

pub fn ran(label: &str) {
    *RUNS.lock().entry(label.to_owned()).or_default() += 1;
}

pub fn runs(label: &str) -> u32 {
    RUNS.lock().get(label).copied().unwrap_or(0)
}

/// A value of this many bytes.
#[mobula::task]
pub fn make(label: String, size: usize) -> Vec<u8> {
    ran(&label);
    vec![7; size]
}

/// A value of one more byte.
#[mobula::task]
pub fn longer(label: String, bytes: Arc<Vec<u8>>) -> Vec<u8> {
    ran(&label);
    let mut bytes = bytes.to_vec();
    bytes.push(7);
    bytes
}

#[mobula::task]
pub fn length(bytes: Arc<Vec<u8>>) -> usize {
    bytes.len()
}

#[mobula::task]
pub async fn forever() -> Vec<u8> {
    std::future::pending().await
}

type Bytes = ObjectRef<Vec<u8>>;

/// Keeps references, and reads what they lead to.
pub struct Shelf(Vec<Bytes>);

#[mobula::actor]
impl Shelf {
    pub fn new() -> Self {
        Self(Vec::new())
    }
    pub fn keep(&mut self, object: Vec<Bytes>) -> usize {
        self.0.extend(object);
        self.0.len()
    }
    pub fn drop_one(&mut self) -> usize {
        drop(self.0.pop());
        self.0.len()
    }
    /// The length of what the reference leads to; or what became of it.
    pub async fn read(&mut self, object: Vec<Bytes>) -> Result<usize, String> {
        let bytes = object[0].get().await.map_err(|error| error.to_string())?;
        Ok(bytes.len())
    }
    pub async fn read_kept(&mut self) -> Result<usize, String> {
        let bytes = self.0[0].get().await.map_err(|error| error.to_string())?;
        Ok(bytes.len())
    }
    /// A value that belongs to this node.
    pub async fn put(&mut self, size: usize) -> Bytes {
        mobula::put(vec![7; size]).await.unwrap()
    }
    pub async fn put_durable(&mut self, size: usize) -> Bytes {
        mobula::put(vec![7; size]).durable().await.unwrap()
    }
    /// The result of a task that never ends.
    pub fn begin(&mut self) -> Bytes {
        forever::remote()
    }
    pub async fn answer(&mut self) -> u64 {
        std::future::pending().await
    }
}
