//! The port inside one process: the same semantics without sockets, under virtual time and with faults.
//!
//! A test over real sockets waits for wall time and cannot say "now the cable is cut".
//! Here a [`Network`] holds the cables between its endpoints; it cuts, heals, slows and loses by a seed, and the same
//! admission runs over them as over sockets (only the encryption is spared: keys are taken at their word).
//!
//! Invariant: on a paused, single-threaded tokio runtime the same seed and the same calls give the same run.
//!
//! As in TCP, loss on a link shows as delay, and a cut stalls a link without an error until it is healed or reset.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use mobula_proto::id::NodeId;
use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, timeout};

mod cable;

use self::cable::{Cable, Plug};
use super::{
    Arrival, Link, TOPICS_MAX, Target, Transport, check_publication, check_topic, more_telling,
};
use crate::admission::Admission;
use crate::admission::rules::Purpose;
use crate::error::{OpenError, TopicError};
use crate::identity::{Identity, PublicKey};

/// What a lost packet costs a link: the retransmission timeout.
const RETRANSMISSION: Duration = Duration::from_millis(200);
/// How long a dialer waits on a cut cable.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// Arrivals that may wait.
const QUEUE_MAX: usize = 1024;

/// A network in this process. Clones are the same network.
#[derive(Clone)]
pub struct Network {
    world: Arc<World>,
}

struct World {
    state: Mutex<State>,
    healed: Notify,
}

struct State {
    rng: SmallRng,
    delay: Range<Duration>,
    loss: f64,
    cuts: BTreeSet<(NodeId, NodeId)>,
    sites: BTreeMap<String, Site>,
    cables: Vec<Cable>,
    next_address: u64,
}

#[derive(Clone)]
struct Site {
    key: PublicKey,
    admission: Arc<Admission>,
    arrivals: mpsc::Sender<Arrival>,
    topics: BTreeSet<String>,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.world.state.lock();
        f.debug_struct("Network")
            .field("endpoints", &state.sites.len())
            .field("cuts", &state.cuts)
            .finish_non_exhaustive()
    }
}

impl Network {
    /// A network without faults whose links take 0.2 to 1 ms; chance follows `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let state = State {
            rng: SmallRng::seed_from_u64(seed),
            delay: Duration::from_micros(200)..Duration::from_millis(1),
            loss: 0.0,
            cuts: BTreeSet::new(),
            sites: BTreeMap::new(),
            cables: Vec::new(),
            next_address: 1,
        };
        Self { world: Arc::new(World { state: Mutex::new(state), healed: Notify::new() }) }
    }

    /// A new endpoint with an address of its own (`memory:1`, `memory:2`, …).
    #[must_use]
    pub fn endpoint(
        &self,
        identity: &Identity,
        admission: Arc<Admission>,
    ) -> (MemoryEndpoint, mpsc::Receiver<Arrival>) {
        let (arrivals_in, arrivals) = mpsc::channel(QUEUE_MAX);
        let mut state = self.world.state.lock();
        let address = format!("memory:{}", state.next_address);
        state.next_address += 1;
        let mut presence = admission.presence();
        presence.addresses = vec![address.clone()];
        // One short address cannot be beyond the limits.
        let _within_limits = admission.describe(presence);
        let site = Site {
            key: identity.public(),
            admission: Arc::clone(&admission),
            arrivals: arrivals_in,
            topics: BTreeSet::new(),
        };
        state.sites.insert(address.clone(), site);
        drop(state);
        let world = Arc::clone(&self.world);
        (MemoryEndpoint { world, key: identity.public(), admission, address }, arrivals)
    }

    /// How long a write takes to the other end.
    pub fn delay(&self, delay: Range<Duration>) {
        self.world.state.lock().delay = delay;
    }

    /// How likely a publication is lost and a write has to be repeated: 0 to 1.
    pub fn loss(&self, probability: f64) {
        self.world.state.lock().loss = probability;
    }

    /// Cuts the way from `from` to `to`; what is under way waits. Cut both ways for a partition.
    pub fn cut(&self, from: NodeId, to: NodeId) {
        self.world.state.lock().cuts.insert((from, to));
    }

    /// Heals every cut between the two.
    pub fn heal(&self, one: NodeId, other: NodeId) {
        let mut state = self.world.state.lock();
        state.cuts.remove(&(one, other));
        state.cuts.remove(&(other, one));
        state.cables.iter().for_each(Cable::nudge);
        drop(state);
        self.world.healed.notify_waiters();
    }

    /// Breaks every link between the two; what was under way is lost.
    pub fn reset(&self, one: NodeId, other: NodeId) {
        let mut state = self.world.state.lock();
        state.cables.retain(|cable| cable.is_alive());
        let between = |cable: &&Cable| cable.joins(one, other);
        state.cables.iter().filter(between).for_each(Cable::reset);
    }

    /// Ends a node as `kill -9` does: its links break and its address refuses.
    pub fn kill(&self, node: NodeId) {
        let mut state = self.world.state.lock();
        state.sites.retain(|_, site| site.key.node() != node);
        state.cables.retain(|cable| cable.is_alive());
        state.cables.iter().filter(|cable| cable.ends_at(node)).for_each(Cable::reset);
    }
}

impl World {
    fn is_cut(&self, from: NodeId, to: NodeId) -> bool {
        self.state.lock().cuts.contains(&(from, to))
    }

    /// When something written now arrives.
    fn arrival(&self) -> Instant {
        let mut state = self.state.lock();
        Instant::now() + state.draw_delay()
    }
}

impl State {
    /// Who is joined to `from` by control connections, over others, too: gossip goes no other way.
    fn reached_from(&self, from: NodeId) -> BTreeSet<NodeId> {
        let names: Vec<NodeId> = self.sites.values().map(|site| site.key.node()).collect();
        let control = |cable: &&Cable| cable.purpose() == Purpose::Control && cable.is_alive();
        let cables: Vec<&Cable> = self.cables.iter().filter(control).collect();
        let mut reached = BTreeSet::from([from]);
        let mut next = vec![from];
        while let Some(node) = next.pop() {
            for name in &names {
                if cables.iter().any(|cable| cable.joins(node, *name)) && reached.insert(*name) {
                    next.push(*name);
                }
            }
        }
        reached
    }

    fn draw_delay(&mut self) -> Duration {
        let mut delay = if self.delay.is_empty() {
            self.delay.start
        } else {
            self.rng.random_range(self.delay.clone())
        };
        if self.loss > 0.0 && self.rng.random_bool(self.loss.min(1.0)) {
            delay += RETRANSMISSION;
        }
        delay
    }
}

/// One end of the network in this process.
#[derive(Clone)]
pub struct MemoryEndpoint {
    world: Arc<World>,
    key: PublicKey,
    admission: Arc<Admission>,
    address: String,
}

impl fmt::Debug for MemoryEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryEndpoint")
            .field("node", &self.key.node())
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl MemoryEndpoint {
    async fn dial(
        &self,
        expected: Option<NodeId>,
        address: &str,
        purpose: Purpose,
    ) -> Result<Link, OpenError> {
        let own = self.key.node();
        let site = {
            let state = self.world.state.lock();
            if !state.sites.contains_key(&self.address) {
                return Err(OpenError::Closed);
            }
            state.sites.get(address).cloned().ok_or(OpenError::Refused)?
        };
        let found = site.key.node();
        match expected {
            _ if found == own => return Err(OpenError::Oneself),
            Some(expected) if expected != found => {
                return Err(OpenError::AnotherNode { expected, found });
            }
            Some(_) | None => {}
        }
        loop {
            let healed = self.world.healed.notified();
            if !self.world.is_cut(own, found) && !self.world.is_cut(found, own) {
                break;
            }
            healed.await;
        }
        let delay = self.world.state.lock().draw_delay();
        sleep(delay).await;
        let (mut ours, theirs) = self.plug_in(found, purpose);
        tokio::spawn(admit(site.clone(), theirs, self.key));
        let admitted = self.admission.dial(&mut ours, site.key, purpose).await;
        let peer = Arc::new(admitted.map_err(|error| OpenError::NotAdmitted(Arc::new(error)))?);
        Ok(Link { peer, purpose, stream: Box::new(ours) })
    }

    fn plug_in(&self, to: NodeId, purpose: Purpose) -> (Plug, Plug) {
        let (cable, ours, theirs) = Cable::new(&self.world, (self.key.node(), to), purpose);
        let mut state = self.world.state.lock();
        state.cables.retain(|cable| cable.is_alive());
        state.cables.push(cable);
        (ours, theirs)
    }

    fn topics<T>(&self, change: impl FnOnce(&mut BTreeSet<String>) -> T) -> Option<T> {
        self.world.state.lock().sites.get_mut(&self.address).map(|site| change(&mut site.topics))
    }
}

async fn admit(site: Site, mut plug: Plug, dialer: PublicKey) {
    match site.admission.listen(&mut plug, dialer).await {
        Ok((purpose, admitted)) => {
            let link = Link { peer: Arc::new(admitted), purpose, stream: Box::new(plug) };
            let _closed = site.arrivals.send(Arrival::Link(link)).await;
        }
        Err(error) => tracing::debug!(%error, "not admitted"),
    }
}

impl Transport for MemoryEndpoint {
    fn node(&self) -> NodeId {
        self.key.node()
    }

    fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }

    fn addresses(&self) -> Vec<String> {
        vec![self.address.clone()]
    }

    fn open(
        &self,
        target: Target,
        purpose: Purpose,
    ) -> BoxFuture<'static, Result<Link, OpenError>> {
        let this = self.clone();
        async move {
            let (limit, mut failure) = (CONNECT_LIMIT, None);
            for address in &target.addresses {
                let dialing = timeout(limit, this.dial(target.node, address, purpose));
                match dialing.await.unwrap_or(Err(OpenError::TimedOut { limit })) {
                    Ok(link) => return Ok(link),
                    Err(error) => failure = Some(more_telling(failure, error)),
                }
            }
            Err(failure.unwrap_or(OpenError::NoAddress))
        }
        .boxed()
    }

    fn publish(&self, topic: &str, payload: Bytes) -> Result<(), TopicError> {
        check_publication(topic, &payload)?;
        let from = self.key.node();
        let mut state = self.world.state.lock();
        if !state.sites.contains_key(&self.address) {
            return Err(TopicError::Closed);
        }
        let reached = state.reached_from(from);
        let listeners: Vec<_> = state
            .sites
            .values()
            .filter(|site| site.topics.contains(topic) && site.key != self.key)
            .filter(|site| reached.contains(&site.key.node()))
            .filter(|site| !state.cuts.contains(&(from, site.key.node())))
            .map(|site| site.arrivals.clone())
            .collect();
        for arrivals in listeners {
            let loss = state.loss.min(1.0);
            if loss > 0.0 && state.rng.random_bool(loss) {
                continue;
            }
            let delay = state.draw_delay();
            let (topic, payload) = (topic.to_owned(), payload.clone());
            tokio::spawn(async move {
                sleep(delay).await;
                let _full = arrivals.try_send(Arrival::Publication { topic, from, payload });
            });
        }
        Ok(())
    }

    fn subscribe(&self, topic: &str) -> Result<(), TopicError> {
        check_topic(topic)?;
        self.topics(|topics| {
            if topics.len() >= TOPICS_MAX && !topics.contains(topic) {
                return Err(TopicError::TooMany { max: TOPICS_MAX });
            }
            topics.insert(topic.to_owned());
            Ok(())
        })
        .unwrap_or(Err(TopicError::Closed))
    }

    fn unsubscribe(&self, topic: &str) {
        self.topics(|topics| topics.remove(topic));
    }

    fn disconnect(&self, node: NodeId) {
        let state = self.world.state.lock();
        let own = self.key.node();
        let control = |cable: &&Cable| cable.purpose() == Purpose::Control;
        let between = |cable: &&Cable| cable.joins(own, node);
        state.cables.iter().filter(control).filter(between).for_each(Cable::reset);
    }

    fn shutdown(&self) {
        Network { world: Arc::clone(&self.world) }.kill(self.key.node());
    }
}
