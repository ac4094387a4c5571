//! The port over libp2p: TCP, Noise, yamux and gossipsub behind one listening port.
//!
//! libp2p serves the control plane: long-lived connections to a few neighbours, and publications for rare facts.
//! Messages and bulk run over sockets of our own (`socket`) with the same encryption and the same admission, because
//! a multiplexed substream costs half the throughput and shares its connection's fate.
//!
//! Nodes that cannot be dialed are reached through a relay (feature `relay`): each link is a circuit of its own then, with
//! its own encryption, window and end, but all circuits of a node share the fate of its one connection to the relay; and
//! once a hole is punched, later links share the one connection that goes through it.
//!
//! Invariants: libp2p's types stop at this folder and at `admission` and `identity`; each file here has one of its
//! concerns: `build` how it is put together, `upgrade` who comes in, `opening` whom we open links to, `streams` libp2p's
//! own streams, `socket` our own sockets, `quic` the same over UDP, `relay` the same through another node, `swarm` the task.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
#[cfg(feature = "relay")]
use libp2p::PeerId;
use libp2p::noise;
use mobula_proto::id::NodeId;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

mod build;
mod config;
mod limits;
mod notation;
mod opening;
#[cfg(feature = "quic")]
mod quic;
#[cfg(feature = "relay")]
mod relay;
mod socket;
mod streams;
mod swarm;
mod upgrade;

pub use self::config::{EndpointConfig, RELAYS_MAX};
pub use self::limits::{CIRCUITS_MAX, RelayLimits};

use self::build::build;
use self::socket::Security;
use self::streams::{CONTROL, Streams, accept_control};
use self::swarm::{Command, Task};
use self::upgrade::{Guarded, Table};
use super::{Arrival, Link, TOPICS_MAX, Target, Transport, check_publication, check_topic};
use crate::admission::Admission;
use crate::admission::rules::{ADDRESSES_MAX, Purpose};
use crate::error::{ConfigError, OpenError, StartError, TopicError};
use crate::identity::Identity;

/// Commands and arrivals that may wait.
const QUEUE_MAX: usize = 1024;
/// How long a node waits at its start for one of its relays.
#[cfg(feature = "relay")]
const RELAY_LIMIT: std::time::Duration = std::time::Duration::from_secs(10);

/// An endpoint of the network over libp2p. Dropping the last clone closes it.
#[derive(Clone)]
pub struct Endpoint {
    shared: Arc<Shared>,
}

struct Shared {
    node: NodeId,
    security: Security,
    commands: mpsc::Sender<Command>,
    streams: Streams,
    table: Arc<Table>,
    addresses: Arc<Mutex<Vec<String>>>,
    #[cfg(feature = "quic")]
    quic: Option<quic::Quic>,
    #[cfg(feature = "relay")]
    circuits: relay::circuit::Circuits,
    #[cfg(feature = "relay")]
    peer: PeerId,
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

impl Endpoint {
    /// Listens and starts the tasks of the endpoint, on the current tokio runtime.
    ///
    /// With relays it returns as soon as it is reached by one of them, or each has failed once, after 10 s at the latest;
    /// those that failed are asked again for as long as the endpoint runs.
    ///
    /// # Errors
    /// - [`StartError::Config`]: open admission beyond loopback, too many addresses or relays, or limits out of range.
    ///   Nothing was bound.
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
        config.validate(&admission)?;
        let broken = |error: noise::Error| StartError::Transport(io::Error::other(error));
        let noise = noise::Config::new(identity.keypair()).map_err(broken)?;
        let security = Security { noise: noise.clone(), admission: Arc::clone(&admission) };
        let (arrivals_in, arrivals) = mpsc::channel(QUEUE_MAX);
        let (sockets_in, sockets) = mpsc::channel(socket::HANDSHAKES_MAX);
        let table = Arc::new(Table::default());
        let addresses = Arc::new(Mutex::new(Vec::new()));
        let guarded =
            Guarded { noise, admission: Arc::clone(&admission), table: Arc::clone(&table) };
        let built = build(identity, guarded, sockets_in, &config)?;
        let mut streams = built.swarm.behaviour().streams.new_control();
        let mut accept = |protocol| {
            let accepted = streams.accept(protocol);
            accepted.map_err(|error| StartError::Transport(io::Error::other(error)))
        };
        let incoming = accept(CONTROL)?;
        #[cfg(feature = "relay")]
        let links = accept(relay::LINK)?;
        // Boxed, so that whoever starts a node does not carry the swarm on his stack.
        let mut task = Box::new(Task::new(
            built.swarm,
            identity.node(),
            Arc::clone(&table),
            Arc::clone(&addresses),
            arrivals_in.clone(),
        ));
        #[cfg(feature = "relay")]
        {
            task.serves = config.relay_server.is_some();
            (task.cuts, task.holders) = (built.cuts, built.holders);
        }
        task.listen(&config.listen).await?;
        #[cfg(feature = "quic")]
        let quic = config
            .quic
            .then(|| quic::Quic::start(identity, Arc::clone(&admission), &addresses.lock()))
            .transpose()?;
        task.reuses_port = !config.relays.is_empty();
        task.announces = config.announces();
        announce(&config, &admission, &mut addresses.lock())?;
        let (commands, commands_out) = mpsc::channel(QUEUE_MAX);
        #[cfg_attr(
            not(any(feature = "quic", feature = "relay")),
            expect(unused_mut, reason = "they add tasks")
        )]
        let mut tasks = vec![
            tokio::spawn(task.run(commands_out)).abort_handle(),
            tokio::spawn(socket::accept(security.clone(), sockets, arrivals_in.clone()))
                .abort_handle(),
            tokio::spawn(accept_control(incoming, Arc::clone(&table), arrivals_in.clone()))
                .abort_handle(),
        ];
        #[cfg(feature = "quic")]
        if let Some(quic) = quic.clone() {
            tasks.push(tokio::spawn(quic.accept(arrivals_in.clone())).abort_handle());
        }
        #[cfg(feature = "relay")]
        let mut reached = {
            let (addresses, own) = (Arc::clone(&addresses), identity.keypair().public());
            let announcer =
                relay::keeper::Announcer { addresses, admission, arrivals: arrivals_in };
            let (gate, into) = (Arc::clone(&announcer.admission), announcer.arrivals.clone());
            tasks.push(tokio::spawn(streams::accept_links(links, gate, into)).abort_handle());
            relay::keeper::keep(&config.relays, own.into(), &commands, &announcer, &mut tasks)
        };
        let shared = Shared {
            node: identity.node(),
            security,
            commands,
            streams: Streams { control: streams },
            table,
            addresses,
            #[cfg(feature = "quic")]
            quic,
            #[cfg(feature = "relay")]
            circuits: built.circuits,
            #[cfg(feature = "relay")]
            peer: identity.keypair().public().to_peer_id(),
            topics: Mutex::default(),
            tasks,
        };
        let endpoint = Self { shared: Arc::new(shared) };
        #[cfg(feature = "relay")]
        let _reached_or_not = tokio::time::timeout(RELAY_LIMIT, reached.recv()).await;
        Ok((endpoint, arrivals))
    }

    fn tell(&self, command: Command) -> Result<(), TopicError> {
        self.shared.commands.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => TopicError::Busy,
            mpsc::error::TrySendError::Closed(_) => TopicError::Closed,
        })
    }

    fn order(&self, node: NodeId, command: Command) {
        if self.shared.commands.try_send(command).is_err() {
            tracing::warn!(%node, "not disconnected: the endpoint is busy or closed");
        }
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
            Purpose::Messages { .. } | Purpose::Bulk => self.clone().open_apart(target, purpose),
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
        self.order(node, Command::Disconnect { node });
    }

    fn release(&self, node: NodeId) {
        self.order(node, Command::Release { node });
    }

    #[cfg(feature = "relay")]
    fn give_up(&self, node: NodeId) {
        self.order(node, Command::GiveUp { node });
    }

    fn shutdown(&self) {
        self.shared.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// Says where the node is reached: where it listens, unless the configuration says better.
fn announce(
    config: &EndpointConfig,
    admission: &Admission,
    addresses: &mut Vec<String>,
) -> Result<(), ConfigError> {
    if !config.announces() {
        addresses.clone_from(&config.advertise);
    }
    let mut presence = admission.presence();
    presence.addresses = addresses.iter().take(ADDRESSES_MAX).cloned().collect();
    admission.describe(presence)
}

/// What is asked for was left out of this build.
#[cfg_attr(
    all(feature = "mdns", feature = "quic", feature = "relay"),
    expect(dead_code, reason = "nothing was left out")
)]
fn without(feature: &str) -> StartError {
    StartError::Transport(io::Error::other(format!("built without the feature `{feature}`")))
}
