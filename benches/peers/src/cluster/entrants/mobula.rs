//! mobula, as its users write it: an actor spawned on the other node by placement, called by its reference; tasks on
//! that node; an object that is read here and lies there.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mobula::{ActorRef, ClusterConfig, Node, NodeId, ObjectRef, Placement, get};

use crate::cluster::caller::{Caller, Tally};
use crate::cluster::ground::serve_at;
use crate::cluster::measure::{percentile, verify};
use crate::cluster::pattern::{FarPattern, TEXT};
use crate::cluster::play::play;
use crate::error::BenchError;

/// What both ends must know to be let in.
pub(crate) const SECRET: &str = "what only the nodes of this benchmark know";
/// How long nodes may take to meet.
pub(crate) const MEET_LIMIT: Duration = Duration::from_secs(30);
/// Room for the object, as it is made and as it arrives.
const STORE_BYTES: u64 = 4 << 30;
/// Tasks of one batch.
const BATCH: u64 = 10_000;

pub(crate) struct Tallier(Tally);

#[mobula::actor]
impl Tallier {
    pub(crate) fn new() -> Self {
        Self(Tally::default())
    }

    pub(crate) fn note(&mut self, number: u64, text: String) {
        self.0.take(number, &text);
    }

    pub(crate) fn add(&mut self, number: u64, text: String) -> u64 {
        self.0.take(number, &text);
        self.0.sum
    }

    pub(crate) fn count(&self) -> Tally {
        self.0
    }

    pub(crate) async fn make(&mut self, bytes: usize) -> Result<ObjectRef<Vec<u8>>, String> {
        mobula::put(vec![1; bytes]).await.map_err(|error| error.to_string())
    }
}

#[mobula::task]
fn increment(number: u64) -> u64 {
    number + 1
}

fn refused(error: impl std::fmt::Display) -> BenchError {
    BenchError::refused("mobula")(error.to_string())
}

/// A node that listens on loopback.
pub(crate) async fn node(join: Vec<String>) -> Result<Node, BenchError> {
    let mut config = ClusterConfig::listen(SocketAddr::from(([127, 0, 0, 1], 0)));
    config.join = join;
    config.secret = Some(SECRET.to_owned());
    let building = Node::builder().store_bytes(STORE_BYTES).cluster(config);
    building.start().await.map_err(refused)
}

/// A node that waits for the other one.
pub(crate) async fn far() -> Result<(), BenchError> {
    let node = node(Vec::new()).await?;
    let id = node.id().map_or(0, |id| id.0);
    let address = node.addresses().into_iter().next().unwrap_or_default();
    serve_at(&format!("{id}@{address}")).await
}

/// A node beside the far one, and what is called there.
#[derive(Clone)]
pub(crate) struct Mobula {
    node: Node,
    far: NodeId,
    tallier: ActorRef<Tallier>,
}

/// Joins the far node and plays.
pub(crate) async fn near(
    pattern: FarPattern,
    load: u64,
    address: String,
) -> Result<Vec<f64>, BenchError> {
    let unreadable = || refused(format!("`{address}` is no address"));
    let (id, at) = address.split_once('@').ok_or_else(unreadable)?;
    let far = NodeId(id.parse().map_err(|_no_number| unreadable())?);
    let node = node(vec![at.to_owned()]).await?;
    let met = node.wait_for_nodes(2, MEET_LIMIT).await;
    met.map_err(|count| refused(format!("{count} nodes instead of two")))?;
    node.clone()
        .enter(async move {
            let there = Placement::OnNode { node: far, or_elsewhere: false };
            let tallier = Tallier::options().on(there).remote();
            let caller = Mobula { node, far, tallier };
            match pattern {
                FarPattern::ControlRoundTrip => caller.control(load).await,
                FarPattern::RemoteTasks => caller.tasks(load).await,
                _ => play(&caller, pattern, load).await,
            }
        })
        .await
}

impl Caller for Mobula {
    async fn ask(&self, number: u64) -> Result<u64, BenchError> {
        self.tallier.add(number, TEXT.to_owned()).await.map_err(refused)
    }

    async fn tell(&self, number: u64) -> Result<(), BenchError> {
        self.tallier.note(number, TEXT.to_owned()).tell().await.map_err(refused)
    }

    async fn tally(&self) -> Result<Tally, BenchError> {
        self.tallier.count().await.map_err(refused)
    }

    /// From the other node's store into this one's.
    async fn fetch(&self, bytes: u64) -> Result<Duration, BenchError> {
        let wanted = usize::try_from(bytes).unwrap_or(0);
        let object = self.tallier.make(wanted).await.map_err(refused)?;
        let begun = Instant::now();
        let value = object.get().await.map_err(refused)?;
        let took = begun.elapsed();
        verify(bytes, value.iter().map(|byte| u64::from(*byte)).sum())?;
        Ok(took)
    }

    async fn task<F>(&self, work: F) -> Result<(), BenchError>
    where
        F: Future<Output = Result<(), BenchError>> + Send + 'static,
    {
        tokio::spawn(self.node.enter(work)).await.unwrap_or(Err(BenchError::DriverLost))
    }
}

impl Mobula {
    /// The control connection's round trip: alone, then while an object comes, again and again.
    async fn control(&self, probes: u64) -> Result<Vec<f64>, BenchError> {
        let object_bytes = FarPattern::Object1Gib.load();
        self.probe(probes / 10).await?;
        let alone = percentile(&mut self.probe(probes).await?, 50);
        let other = self.clone();
        let fetching =
            tokio::spawn(self.node.enter(async move { other.fetch(object_bytes).await }));
        // The object is made there first, which is no transfer yet.
        let mut times = Vec::new();
        while !fetching.is_finished() {
            times.extend(self.probe(20).await?);
        }
        let took = fetching.await.unwrap_or(Err(BenchError::DriverLost))?;
        // Those of the transfer are the last ones.
        let mut within = Duration::ZERO;
        let last = times.iter().rev().take_while(|time| {
            within += **time;
            within < took
        });
        let mut beside: Vec<Duration> = last.copied().collect();
        let beside = percentile(&mut beside, 50);
        Ok(vec![alone, beside, beside / alone])
    }

    async fn probe(&self, count: u64) -> Result<Vec<Duration>, BenchError> {
        let mut times = Vec::new();
        for _ in 0..count {
            times.push(self.node.round_trip(self.far).await.map_err(refused)?);
        }
        Ok(times)
    }

    async fn tasks(&self, batches: u64) -> Result<Vec<f64>, BenchError> {
        self.batch().await?;
        let begun = Instant::now();
        for _ in 0..batches {
            self.batch().await?;
        }
        Ok(vec![(batches * BATCH) as f64 / begun.elapsed().as_secs_f64()])
    }

    async fn batch(&self) -> Result<(), BenchError> {
        let there = Placement::OnNode { node: self.far, or_elsewhere: false };
        let results: Vec<ObjectRef<u64>> = (0..BATCH)
            .map(|number| increment::options().on(there.clone()).remote(number))
            .collect();
        let numbers = get(&results).await.map_err(refused)?;
        verify(BATCH * (BATCH + 1) / 2, numbers.iter().map(|number| **number).sum())
    }
}
