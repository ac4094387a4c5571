//! The port over libp2p: TCP, Noise, yamux and gossipsub behind one listening port.
//!
//! libp2p serves the control plane: long-lived connections to a few neighbours, and publications for rare facts.
//! Messages and bulk run over sockets of our own (`socket`) with the same encryption and the same admission, because
//! a multiplexed substream costs half the throughput and shares its connection's fate.
//!
//! Invariants: libp2p's types stop at this folder and at `admission` and `identity`; each file here has one of its
//! concerns: `build` how it is put together, `upgrade` who comes in, `socket` our own sockets, `quic` the same over UDP,
//! `swarm` the task.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::io::{AsyncReadExt as _, AsyncWriteExt as _};
use futures_util::{FutureExt as _, StreamExt as _};
use libp2p::{PeerId, Stream, StreamProtocol, noise};
use mobula_proto::id::NodeId;
use parking_lot::Mutex;
use rand::Rng as _;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::timeout;

mod build;
#[cfg(feature = "quic")]
mod quic;
mod socket;
mod swarm;
mod upgrade;

use self::build::build;
use self::socket::Security;
use self::swarm::{Command, Task};
use self::upgrade::{Guarded, Table};
use super::{
    Arrival, Link, TOPICS_MAX, Target, Transport, check_publication, check_topic, open_error,
};
use crate::admission::rules::Purpose;
use crate::admission::{ADMISSION_LIMIT, Admission};
use crate::error::{ConfigError, OpenError, StartError, TopicError};
use crate::identity::Identity;

/// Commands and arrivals that may wait.
const QUEUE_MAX: usize = 1024;
/// How often a control stream is opened anew when the other end drops it silently.
const STREAM_ATTEMPTS: u32 = 5;
/// What the acceptor of a control stream writes first: without it an open stream may be a dropped one.
const ACCEPTED: u8 = 0x06;

const CONTROL: StreamProtocol = StreamProtocol::new("/mobula/control");

/// An endpoint of the network over libp2p. Dropping the last clone closes it.
#[derive(Clone)]
pub struct Endpoint {
    shared: Arc<Shared>,
}

struct Shared {
    node: NodeId,
    security: Security,
    commands: mpsc::Sender<Command>,
    streams: libp2p_stream::Control,
    table: Arc<Table>,
    addresses: Arc<Mutex<Vec<String>>>,
    #[cfg(feature = "quic")]
    quic: Option<quic::Quic>,
    topics: Mutex<std::collections::BTreeSet<String>>,
    tasks: Vec<AbortHandle>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("node", &self.shared.node).finish_non_exhaustive()
    }
}

/// How an endpoint starts.
#[derive(Clone, Debug, Default)]
pub struct EndpointConfig {
    /// Where to listen; port 0 takes any free one. Empty: only dial.
    pub listen: Vec<SocketAddr>,
    /// What others should dial instead of the addresses listened on (behind a router, say): `host:port`.
    pub advertise: Vec<String>,
    /// Announces the node on the local network and finds others; needs the feature `mdns`.
    pub mdns: bool,
    /// Messages and bulk go by QUIC, on the UDP ports of the same numbers, where the other end has it, too; a link that
    /// cannot be made so within three seconds goes by TCP. Needs the feature `quic`.
    pub quic: bool,
}

impl Endpoint {
    /// Listens and starts the tasks of the endpoint, on the current tokio runtime.
    ///
    /// # Errors
    /// - [`StartError::Config`]: open admission beyond loopback, or too many addresses. Nothing was bound.
    /// - [`StartError::Listen`]: an address is taken or not ours.
    /// - [`StartError::Transport`]: the library refused its configuration.
    ///
    /// # Cancel safety
    /// Dropping the future releases everything.
    pub async fn start(
        identity: &Identity,
        admission: Arc<Admission>,
        config: EndpointConfig,
    ) -> Result<(Self, mpsc::Receiver<Arrival>), StartError> {
        check_open(&admission, &config.listen)?;
        let broken = |error: noise::Error| StartError::Transport(io::Error::other(error));
        let noise = noise::Config::new(identity.keypair()).map_err(broken)?;
        let security = Security { noise: noise.clone(), admission: Arc::clone(&admission) };
        let (arrivals_in, arrivals) = mpsc::channel(QUEUE_MAX);
        let (sockets_in, sockets) = mpsc::channel(socket::HANDSHAKES_MAX);
        let table = Arc::new(Table::default());
        let addresses = Arc::new(Mutex::new(Vec::new()));
        let guarded =
            Guarded { noise, admission: Arc::clone(&admission), table: Arc::clone(&table) };
        let swarm = build(identity, guarded, sockets_in, config.mdns)?;
        let mut streams = swarm.behaviour().streams.new_control();
        let incoming = streams
            .accept(CONTROL)
            .map_err(|error| StartError::Transport(io::Error::other(error)))?;
        let mut task = Task::new(
            swarm,
            identity.node(),
            Arc::clone(&table),
            Arc::clone(&addresses),
            arrivals_in.clone(),
        );
        task.listen(&config.listen).await.map_err(|(address, source)| StartError::Listen {
            address: address.to_string(),
            source,
        })?;
        #[cfg(not(feature = "quic"))]
        if config.quic {
            return Err(without("quic"));
        }
        #[cfg(feature = "quic")]
        let quic = if config.quic {
            let bound: Vec<SocketAddr> =
                addresses.lock().iter().filter_map(|address| address.parse().ok()).collect();
            let quic = quic::Quic::listen(identity, Arc::clone(&admission), &bound);
            Some(quic.map_err(|(address, source)| StartError::Listen {
                address: format!("{address} (UDP)"),
                source,
            })?)
        } else {
            None
        };
        if !config.advertise.is_empty() {
            addresses.lock().clone_from(&config.advertise);
        }
        let mut presence = admission.presence();
        presence.addresses = addresses.lock().iter().take(16).cloned().collect();
        admission.describe(presence)?;
        let (commands, commands_out) = mpsc::channel(QUEUE_MAX);
        #[cfg_attr(not(feature = "quic"), expect(unused_mut, reason = "QUIC adds a task"))]
        let mut tasks = vec![
            tokio::spawn(task.run(commands_out)).abort_handle(),
            tokio::spawn(socket::accept(security.clone(), sockets, arrivals_in.clone()))
                .abort_handle(),
            tokio::spawn(accept_control(incoming, Arc::clone(&table), arrivals_in.clone()))
                .abort_handle(),
        ];
        #[cfg(feature = "quic")]
        if let Some(quic) = quic.clone() {
            tasks.push(tokio::spawn(quic.accept(arrivals_in)).abort_handle());
        }
        let topics = Mutex::default();
        let node = identity.node();
        let shared = Shared {
            node,
            security,
            commands,
            streams,
            table,
            addresses,
            #[cfg(feature = "quic")]
            quic,
            topics,
            tasks,
        };
        Ok((Self { shared: Arc::new(shared) }, arrivals))
    }

    async fn open_control(self, target: Target) -> Result<Link, OpenError> {
        let target = resolve(target).await?;
        let mut failure = OpenError::Closed;
        for attempt in 1..=STREAM_ATTEMPTS {
            // Each time anew: the connection may have ended since, and then the dial says whether anyone is there.
            let peer = self.reach(target.clone()).await?;
            match self.open_stream(peer).await {
                Ok(link) => return Ok(link),
                Err(error) => failure = error,
            }
            let pause = rand::rng().random_range(5..20) * u64::from(attempt);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        Err(failure)
    }

    async fn reach(&self, target: Target) -> Result<PeerId, OpenError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Reach { target, reply };
        self.shared.commands.send(command).await.map_err(|_closed| OpenError::Closed)?;
        answer.await.map_err(|_closed| OpenError::Closed)?
    }

    async fn open_stream(&self, peer: PeerId) -> Result<Link, OpenError> {
        let mut streams = self.shared.streams.clone();
        let opening = async {
            let opened = streams.open_stream(peer, CONTROL).await;
            let mut stream = opened.map_err(io::Error::other).map_err(open_error)?;
            let mut first = [0];
            stream.read_exact(&mut first).await.map_err(open_error)?;
            Ok(stream)
        };
        let limit = ADMISSION_LIMIT;
        let stream = timeout(limit, opening).await.unwrap_or(Err(OpenError::TimedOut { limit }))?;
        // Gone from the table means gone from the swarm: dial anew.
        let peer = self.shared.table.get(&peer).ok_or(OpenError::Closed)?;
        Ok(Link { peer, purpose: Purpose::Control, stream: Box::new(stream) })
    }

    fn tell(&self, command: Command) -> Result<(), TopicError> {
        self.shared.commands.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => TopicError::Busy,
            mpsc::error::TrySendError::Closed(_) => TopicError::Closed,
        })
    }
}

impl Transport for Endpoint {
    fn node(&self) -> NodeId {
        self.shared.node
    }

    fn admission(&self) -> &Arc<Admission> {
        &self.shared.security.admission
    }

    fn addresses(&self) -> Vec<String> {
        self.shared.addresses.lock().clone()
    }

    fn open(
        &self,
        target: Target,
        purpose: Purpose,
    ) -> BoxFuture<'static, Result<Link, OpenError>> {
        match purpose {
            Purpose::Control => self.clone().open_control(target).boxed(),
            Purpose::Messages { .. } | Purpose::Bulk => {
                let security = self.shared.security.clone();
                let dialing = socket::dial(security, self.shared.node, target.clone(), purpose);
                #[cfg(feature = "quic")]
                if let Some(quic) = self.shared.quic.clone() {
                    let own = self.shared.node;
                    return async move {
                        match quic.dial(own, &target, purpose).await {
                            Ok(link) => Ok(link),
                            Err(error) => {
                                tracing::debug!(%error, "no link by QUIC; by TCP, then");
                                dialing.await
                            }
                        }
                    }
                    .boxed();
                }
                dialing.boxed()
            }
        }
    }

    fn publish(&self, topic: &str, payload: Bytes) -> Result<(), TopicError> {
        check_publication(topic, &payload)?;
        self.tell(Command::Publish { topic: topic.to_owned(), payload })
    }

    fn subscribe(&self, topic: &str) -> Result<(), TopicError> {
        check_topic(topic)?;
        let mut topics = self.shared.topics.lock();
        if topics.contains(topic) {
            return Ok(());
        }
        if topics.len() >= TOPICS_MAX {
            return Err(TopicError::TooMany { max: TOPICS_MAX });
        }
        self.tell(Command::Subscribe { topic: topic.to_owned() })?;
        topics.insert(topic.to_owned());
        Ok(())
    }

    fn unsubscribe(&self, topic: &str) {
        let mut topics = self.shared.topics.lock();
        if topics.contains(topic)
            && self.tell(Command::Unsubscribe { topic: topic.to_owned() }).is_ok()
        {
            topics.remove(topic);
        }
    }

    fn disconnect(&self, node: NodeId) {
        let shared = Arc::clone(&self.shared);
        if shared.commands.try_send(Command::Disconnect { node }).is_err() {
            tracing::warn!(%node, "not disconnected: the endpoint is busy or closed");
        }
    }

    fn shutdown(&self) {
        self.shared.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// Names become numbers here, so that the swarm needs no resolver.
async fn resolve(target: Target) -> Result<Target, OpenError> {
    let mut addresses = Vec::with_capacity(target.addresses.len());
    for address in &target.addresses {
        match tokio::net::lookup_host(address).await {
            Ok(found) => addresses.extend(found.map(|address| address.to_string())),
            Err(error) => tracing::debug!(%address, %error, "address not resolved"),
        }
    }
    if addresses.is_empty() && target.node.is_none() {
        return Err(OpenError::NoAddress);
    }
    Ok(Target { node: target.node, addresses })
}

fn check_open(admission: &Admission, listen: &[SocketAddr]) -> Result<(), ConfigError> {
    match listen.iter().find(|address| !address.ip().is_loopback()) {
        Some(address) if admission.is_open() => {
            Err(ConfigError::OpenBeyondLoopback { address: address.to_string() })
        }
        Some(_) | None => Ok(()),
    }
}

/// Hands control streams on. Quickly: the library drops a stream when the one before it was not taken.
async fn accept_control(
    mut incoming: libp2p_stream::IncomingStreams,
    table: Arc<Table>,
    arrivals: mpsc::Sender<Arrival>,
) {
    while let Some((peer, stream)) = incoming.next().await {
        let Some(admitted) = table.get(&peer) else { continue };
        let arrivals = arrivals.clone();
        tokio::spawn(async move {
            if let Ok(Ok(stream)) = timeout(ADMISSION_LIMIT, acknowledge(stream)).await {
                let stream = Box::new(stream);
                let link = Link { peer: admitted, purpose: Purpose::Control, stream };
                let _closed = arrivals.send(Arrival::Link(link)).await;
            }
        });
    }
}

async fn acknowledge(mut stream: Stream) -> io::Result<Stream> {
    stream.write_all(&[ACCEPTED]).await?;
    stream.flush().await?;
    Ok(stream)
}

/// What is asked for was left out of this build.
#[cfg_attr(
    all(feature = "mdns", feature = "quic"),
    expect(dead_code, reason = "nothing was left out")
)]
fn without(feature: &str) -> StartError {
    StartError::Transport(io::Error::other(format!("built without the feature `{feature}`")))
}
