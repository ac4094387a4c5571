//! The cluster as the rooms above see it: start, look, listen, publish, fetch, leave.
//!
//! Each room could hold its own transport and its own picture of the members, and they would disagree.
//! So one handle is built at one place and handed down; behind it one driver, the lanes and the bulk connections share
//! one view.
//!
//! Invariant: whoever holds a [`Cluster`] sees views and events of one driver; when it ends, everything it started ends.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use mobula_proto::association::Settings;
use mobula_proto::config::Config as MembershipConfig;
use mobula_proto::id::{Incarnation, NodeId};
use mobula_proto::member::{Details, Member};
use mobula_proto::membership::{Input, LoadDigest, Membership, MembershipEvent};
use mobula_proto::time::Time;
use rand::Rng as _;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::Instant;

use crate::admission::certificate::{Capabilities, Revocation, Role, Signed};
use crate::admission::clock::wall_time_millis;
use crate::admission::rules::{Presence, Purpose, Refusal};
use crate::admission::{Admission, AdmissionMode, Admitted};
use crate::bulk::{Bulk, Source};
use crate::driver::{Driver, Happening, MEMBERS_TOPIC, Queues, REVOCATIONS_TOPIC};
use crate::error::{OpenError, StartError, TopicError};
use crate::identity::Identity;
use crate::lanes::{Inbound, Lanes};
use crate::life::rng;
use crate::neighbours::Neighbours;
use crate::postings::Board;
use crate::topics::{Subscription, Topics};
use crate::transport::libp2p::{Endpoint, EndpointConfig};
use crate::transport::{Arrival, Link, Target, Transport};
use crate::view::{Directory, View};

mod joining;
mod options;
mod postings;
mod round_trip;

pub use self::options::{Options, labels};

/// Events that wait for one listener; a slower one must look at the view again.
const EVENTS_MAX: usize = 4096;
/// What may wait for the driver.
const QUEUE_MAX: usize = 1024;
/// Addresses found by multicast that wait for the joiner.
const DISCOVERED_MAX: usize = 64;

/// How a node takes part.
#[derive(Debug)]
pub struct ClusterConfig {
    /// Name of the cluster, 1 to 64 bytes; nodes of different clusters never join.
    pub cluster: String,
    /// Who this node is.
    pub identity: Identity,
    /// How membership is proved.
    pub admission: AdmissionMode,
    /// Addresses and discovery.
    pub endpoint: EndpointConfig,
    /// What the node says of itself to everybody: roles, labels, up to 4 KiB of `meta`. Life and addresses are filled in.
    pub details: Details,
    /// What it says once to each control neighbour, at most 1 MiB.
    pub hello: Vec<u8>,
    /// Times and limits of failure detection.
    pub membership: MembershipConfig,
    /// Lanes and their limits.
    pub lanes: Settings,
    /// What the node will do at most, however much its proof allows; `None`: whatever that is.
    pub limits: Option<(Role, Capabilities)>,
    /// Which life this is, if that was decided before; `None` draws one from the wall clock.
    pub life: Option<Incarnation>,
    /// Makes the node's choices repeatable in tests; `None` draws from the operating system.
    pub seed: Option<u64>,
}

impl ClusterConfig {
    /// A node with a fresh identity that listens on `listen` and is otherwise as usual.
    #[must_use]
    pub fn new(cluster: impl Into<String>, admission: AdmissionMode, listen: SocketAddr) -> Self {
        Self {
            cluster: cluster.into(),
            identity: Identity::generate(),
            admission,
            endpoint: EndpointConfig { listen: vec![listen], ..EndpointConfig::default() },
            details: Details::default(),
            hello: Vec::new(),
            limits: None,
            membership: MembershipConfig::default(),
            lanes: Settings::default(),
            life: None,
            seed: None,
        }
    }
}

/// What the rooms above provide.
#[derive(Clone)]
pub struct Upper {
    /// Takes messages.
    pub inbound: Arc<dyn Inbound>,
    /// Serves bytes.
    pub source: Arc<dyn Source>,
}

impl std::fmt::Debug for Upper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Upper")
    }
}

/// A running node. Clones are the same node; when the last is dropped it ends without a word (see [`Cluster::leave`]).
#[derive(Clone, Debug)]
pub struct Cluster {
    shared: Arc<Shared>,
}

/// A cluster that does not go on for this one's sake.
pub(crate) struct WeakCluster(std::sync::Weak<Shared>);

impl WeakCluster {
    pub(crate) fn upgrade(&self) -> Option<Cluster> {
        self.0.upgrade().map(|shared| Cluster { shared })
    }
}

#[derive(Debug)]
struct Shared {
    transport: Arc<dyn Transport>,
    directory: Arc<Directory>,
    lanes: Lanes,
    bulk: Bulk,
    topics: Arc<Topics>,
    board: Arc<Board>,
    events: broadcast::Sender<MembershipEvent>,
    happenings: mpsc::Sender<Happening>,
    /// `None` once somebody else takes what comes.
    discovered: tokio::sync::Mutex<Option<mpsc::Receiver<String>>>,
}

impl Cluster {
    pub(crate) fn downgrade(&self) -> WeakCluster {
        WeakCluster(Arc::downgrade(&self.shared))
    }

    /// Listens and starts a node that is alone so far; see [`Cluster::join`].
    ///
    /// # Errors
    /// [`StartError`]: nothing stays bound.
    ///
    /// # Cancel safety
    /// Dropping the future releases everything.
    pub async fn start(config: ClusterConfig, upper: Upper) -> Result<Self, StartError> {
        let mut rng = rng(config.seed);
        let drawn = Incarnation::starting_at(wall_time_millis(), rng.random());
        let incarnation = config.life.unwrap_or(drawn);
        let (hello, limits) = (config.hello.clone(), config.limits);
        let presence = Presence { incarnation, limits, hello, ..Presence::default() };
        let public = config.identity.public();
        let admission = Admission::new(public, config.cluster.clone(), config.admission, presence)?;
        let endpoint = config.endpoint.clone();
        let (endpoint, arrivals) =
            Endpoint::start(&config.identity, Arc::new(admission), endpoint).await?;
        let options = Options {
            details: config.details,
            membership: config.membership,
            lanes: config.lanes,
            seed: config.seed,
        };
        Self::over(Arc::new(endpoint), arrivals, options, upper)
    }

    /// Starts a node over a transport of one's own, such as the one in memory.
    ///
    /// # Errors
    /// [`StartError::Topics`]: the transport refuses our subscriptions.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn over(
        transport: Arc<dyn Transport>,
        arrivals: mpsc::Receiver<Arrival>,
        options: Options,
        upper: Upper,
    ) -> Result<Self, StartError> {
        transport.subscribe(MEMBERS_TOPIC)?;
        transport.subscribe(REVOCATIONS_TOPIC)?;
        let mut details = options.details;
        details.addresses = transport.addresses();
        details.addresses.truncate(mobula_proto::member::ADDRESSES_MAX);
        let node = transport.node();
        let me = Member::new(node, transport.admission().presence().incarnation, details);
        let directory = Arc::new(Directory::default());
        let book = Arc::clone(&directory);
        let lanes = Lanes::new(Arc::clone(&transport), book.clone(), upper.inbound, options.lanes);
        let bulk = Bulk::new(Arc::clone(&transport), book, upper.source);
        let topics = Arc::new(Topics::new(Arc::clone(&transport)));
        let origin = Instant::now();
        let board = Arc::new(Board::new(node, me.details.life, origin));
        let events = broadcast::Sender::new(EVENTS_MAX);
        let (happenings, happenings_out) = mpsc::channel(QUEUE_MAX);
        let (notices, notices_out) = mpsc::channel(QUEUE_MAX);
        let (discovered_in, discovered) = mpsc::channel(DISCOVERED_MAX);
        let driver = Driver {
            core: Membership::new(options.membership, me, Time::ZERO),
            rng: rng(options.seed),
            origin,
            transport: Arc::clone(&transport),
            neighbours: Neighbours::new(node, notices),
            directory: Arc::clone(&directory),
            lanes: lanes.clone(),
            bulk: bulk.clone(),
            topics: Arc::clone(&topics),
            board: Arc::clone(&board),
            events: events.clone(),
            discovered: discovered_in,
            happenings: happenings.downgrade(),
            outputs: Vec::new(),
        };
        let queues = Queues { happenings: happenings_out, arrivals, notices: notices_out };
        tokio::spawn(driver.run(queues));
        let discovered = tokio::sync::Mutex::new(Some(discovered));
        let shared = Shared {
            transport,
            directory,
            lanes,
            bulk,
            topics,
            board,
            events,
            happenings,
            discovered,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Our name.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.shared.transport.node()
    }

    /// Which of its lives this is.
    #[must_use]
    pub fn life(&self) -> Incarnation {
        self.admission().presence().incarnation
    }

    /// Where we listen, or by which relays we are reached: what others pass to [`Cluster::join`].
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        self.shared.transport.addresses()
    }

    /// The newest snapshot; one atomic load.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        self.shared.directory.view.load_full()
    }

    /// Events from now on. A listener that is more than 4096 events behind is told so and looks at the view again.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<MembershipEvent> {
        self.shared.events.subscribe()
    }

    /// The lanes to all nodes.
    #[must_use]
    pub fn lanes(&self) -> &Lanes {
        &self.shared.lanes
    }

    /// The bulk connections to all nodes.
    #[must_use]
    pub fn bulk(&self) -> &Bulk {
        &self.shared.bulk
    }

    /// The doorkeeper.
    #[must_use]
    pub fn admission(&self) -> &Arc<Admission> {
        self.shared.transport.admission()
    }

    /// A control neighbour as it was let in, with its hello.
    #[must_use]
    pub fn neighbour(&self, node: NodeId) -> Option<Arc<Admitted>> {
        self.shared.directory.met.lock().get(&node).cloned()
    }

    /// Publishes to every subscriber of `topic` in the cluster, ourselves included; may be lost.
    ///
    /// # Errors
    /// [`TopicError`]; nothing was sent.
    pub fn publish(&self, topic: &str, payload: Bytes) -> Result<(), TopicError> {
        self.shared.topics.publish(topic, payload)
    }

    /// Listens to `topic`. At most 98 topics at one time: the network carries 100, and two are ours.
    ///
    /// # Errors
    /// [`TopicError::TooMany`], [`TopicError::Name`], [`TopicError::Busy`], [`TopicError::Closed`].
    pub fn subscribe(&self, topic: &str) -> Result<Subscription, TopicError> {
        Topics::subscribe(&self.shared.topics, topic)
    }

    /// Says something new of this node to all members; life and addresses are filled in.
    pub async fn describe(&self, mut details: Details) {
        details.addresses = self.addresses();
        details.life = self.admission().presence().incarnation;
        self.tell(Input::Describe(details)).await;
    }

    /// Tells the others how busy we are, with the next heartbeats.
    pub async fn load(&self, load: LoadDigest) {
        self.tell(Input::Load(load)).await;
    }

    /// Takes no more work: the others place nothing here from now on.
    pub async fn drain(&self) {
        self.tell(Input::Drain).await;
    }

    /// Takes up a revocation signed by the authority, closes what it concerns and passes it on.
    ///
    /// # Errors
    /// [`Refusal::Forged`]: another authority's, or about another cluster. [`Refusal::Unproved`]: there is no authority
    /// here. [`Refusal::Full`]: no room for another. Nothing is passed on.
    ///
    /// # Cancel safety
    /// Once polled, it is taken up even if the future is dropped.
    pub async fn revoke(&self, entry: Signed<Revocation>) -> Result<(), Refusal> {
        let (done, outcome) = oneshot::channel();
        let _stopped = self.shared.happenings.send(Happening::Revoke(entry, done)).await;
        outcome.await.unwrap_or(Ok(()))
    }

    /// Leaves: says farewell to all, so that nobody suspects us, and ends everything. At most half a second.
    ///
    /// # Cancel safety
    /// Once polled, the node leaves even if the future is dropped.
    pub async fn leave(&self) {
        let (done, gone) = oneshot::channel();
        if self.shared.happenings.send(Happening::Stop(done)).await.is_ok() {
            let _stopped = gone.await;
        }
    }

    pub(crate) fn directory(&self) -> &Directory {
        &self.shared.directory
    }

    pub(crate) async fn tell(&self, input: Input) {
        let _stopped = self.happens(Happening::Tell(input)).await;
    }

    pub(crate) async fn happens(&self, what: Happening) -> bool {
        self.shared.happenings.send(what).await.is_ok()
    }

    pub(crate) async fn open_control(&self, address: &str) -> Result<NodeId, OpenError> {
        let target = Target { node: None, addresses: vec![address.to_owned()] };
        let link: Link = self.shared.transport.open(target, Purpose::Control).await?;
        let node = link.node();
        if self.happens(Happening::Opened(link)).await { Ok(node) } else { Err(OpenError::Closed) }
    }
}
