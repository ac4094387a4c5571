//! The task that owns the libp2p swarm: control connections and publications.
//!
//! libp2p's behaviours bring timers of their own, which no virtual clock turns; so nothing here decides who is a member
//! or who is down. The task dials when told, says what happened, and carries bytes.
//!
//! Invariant: whoever asked to reach a node gets one answer: a connected peer, or why there is none.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::swarm::{ConnectionId, DialError, NetworkBehaviour, Swarm, SwarmEvent};
use libp2p::{Multiaddr, PeerId, TransportError, connection_limits, gossipsub, identify, ping};
use mobula_proto::id::NodeId;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use super::socket::check_node;
use super::upgrade::{Table, UpgradeError, key_of};
use crate::error::OpenError;
use crate::transport::{Arrival, Target, more_telling};

#[derive(NetworkBehaviour)]
#[behaviour(prelude = "libp2p::swarm::derive_prelude")]
pub(crate) struct Behaviour {
    pub(crate) limits: connection_limits::Behaviour,
    pub(crate) streams: libp2p_stream::Behaviour,
    pub(crate) gossip: gossipsub::Behaviour,
    pub(crate) identify: identify::Behaviour,
    pub(crate) ping: ping::Behaviour,
    #[cfg(feature = "mdns")]
    pub(crate) mdns: libp2p::swarm::behaviour::toggle::Toggle<libp2p::mdns::tokio::Behaviour>,
}

/// What the endpoint asks of the task.
pub(crate) enum Command {
    Reach { target: Target, reply: oneshot::Sender<Result<PeerId, OpenError>> },
    Publish { topic: String, payload: Bytes },
    Subscribe { topic: String },
    Unsubscribe { topic: String },
    Disconnect { node: NodeId },
}

/// A wish to reach somebody, between two dials.
struct Reaching {
    target: Target,
    next: usize,
    failure: Option<OpenError>,
    reply: oneshot::Sender<Result<PeerId, OpenError>>,
}

pub(crate) struct Task {
    pub(crate) swarm: Swarm<Behaviour>,
    pub(crate) own: NodeId,
    pub(crate) table: Arc<Table>,
    pub(crate) addresses: Arc<Mutex<Vec<String>>>,
    pub(crate) arrivals: mpsc::Sender<Arrival>,
    reaching: HashMap<ConnectionId, Reaching>,
    connected: HashMap<NodeId, PeerId>,
    lost_publications: u64,
}

/// When this many peers are in the table beyond those connected, it is swept.
const STRANGERS_MAX: usize = 1024;

impl Task {
    pub(crate) fn new(
        swarm: Swarm<Behaviour>,
        own: NodeId,
        table: Arc<Table>,
        addresses: Arc<Mutex<Vec<String>>>,
        arrivals: mpsc::Sender<Arrival>,
    ) -> Self {
        let (reaching, connected) = (HashMap::new(), HashMap::new());
        Self { swarm, own, table, addresses, arrivals, reaching, connected, lost_publications: 0 }
    }

    /// Listens, and returns once every listener knows its address.
    pub(crate) async fn listen(
        &mut self,
        on: &[SocketAddr],
    ) -> Result<(), (SocketAddr, io::Error)> {
        let mut waiting = HashMap::new();
        for &address in on {
            let listener = self.swarm.listen_on(multiaddr(address)).map_err(|error| {
                let source = match error {
                    TransportError::Other(error) => error,
                    other @ TransportError::MultiaddrNotSupported(_) => io::Error::other(other),
                };
                (address, source)
            })?;
            waiting.insert(listener, address);
        }
        while !waiting.is_empty() {
            let event = self.swarm.select_next_some().await;
            match &event {
                SwarmEvent::NewListenAddr { listener_id, .. } => drop(waiting.remove(listener_id)),
                SwarmEvent::ListenerClosed { listener_id, reason, .. } => {
                    if let Some(address) = waiting.remove(listener_id) {
                        let kind =
                            reason.as_ref().err().map_or(io::ErrorKind::Other, io::Error::kind);
                        return Err((address, kind.into()));
                    }
                }
                _ => {}
            }
            self.on_event(event);
        }
        Ok(())
    }

    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.on_command(command),
                    None => return,
                },
                event = self.swarm.select_next_some() => self.on_event(event),
            }
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Reach { target, reply } => {
                match target.node.and_then(|node| self.connected.get(&node)) {
                    Some(&peer) => drop(reply.send(Ok(peer))),
                    None => self.dial(Reaching { target, next: 0, failure: None, reply }),
                }
            }
            Command::Publish { topic, payload } => {
                let topic = gossipsub::IdentTopic::new(topic);
                let behaviour = self.swarm.behaviour_mut();
                match behaviour.gossip.publish(topic, payload.to_vec()) {
                    // Nobody else listens: the publication reached all subscribers there are.
                    Ok(_) | Err(gossipsub::PublishError::NoPeersSubscribedToTopic) => {}
                    Err(error) => self.count_lost(&error),
                }
            }
            Command::Subscribe { topic } => {
                let topic = gossipsub::IdentTopic::new(topic);
                if let Err(error) = self.swarm.behaviour_mut().gossip.subscribe(&topic) {
                    tracing::warn!(%topic, %error, "not subscribed");
                }
            }
            Command::Unsubscribe { topic } => {
                let topic = gossipsub::IdentTopic::new(topic);
                self.swarm.behaviour_mut().gossip.unsubscribe(&topic);
            }
            Command::Disconnect { node } => {
                if let Some(&peer) = self.connected.get(&node) {
                    let _not_connected = self.swarm.disconnect_peer_id(peer);
                }
            }
        }
    }

    /// Dials the next address, or answers.
    fn dial(&mut self, mut reaching: Reaching) {
        if reaching.reply.is_closed() {
            return;
        }
        while let Some(address) = reaching.target.addresses.get(reaching.next) {
            reaching.next += 1;
            let Ok(address) = address.parse().map(multiaddr) else { continue };
            let opts = DialOpts::unknown_peer_id().address(address).allocate_new_port().build();
            let id = opts.connection_id();
            match self.swarm.dial(opts) {
                Ok(()) => {
                    self.reaching.insert(id, reaching);
                    return;
                }
                Err(error) => reaching.fail(dial_error(&error)),
            }
        }
        let failure = reaching.failure.unwrap_or(OpenError::NoAddress);
        drop(reaching.reply.send(Err(failure)));
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, .. } => {
                if let Ok(key) = key_of(&peer_id) {
                    self.connected.insert(key.node(), peer_id);
                }
                if let Some(mut reaching) = self.reaching.remove(&connection_id) {
                    match check_node(self.own, reaching.target.node, &peer_id) {
                        Ok(()) => drop(reaching.reply.send(Ok(peer_id))),
                        Err(error) => {
                            self.swarm.close_connection(connection_id);
                            reaching.fail(error);
                            self.dial(reaching);
                        }
                    }
                }
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, .. } => {
                if let Ok(key) = key_of(&peer_id) {
                    self.connected.remove(&key.node());
                }
                if self.table.len() > self.connected.len() + STRANGERS_MAX {
                    let connected: HashSet<_> = self.connected.values().copied().collect();
                    self.table.sweep(|peer| connected.contains(peer));
                }
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                if let Some(mut reaching) = self.reaching.remove(&connection_id) {
                    reaching.fail(dial_error(&error));
                    self.dial(reaching);
                }
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                if let Some(address) = socket_address(&address) {
                    self.addresses.lock().push(address.to_string());
                }
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                if let Some(address) = socket_address(&address) {
                    self.addresses.lock().retain(|known| *known != address.to_string());
                }
            }
            SwarmEvent::IncomingConnectionError { error, .. } => {
                tracing::debug!(%error, "incoming connection ended early");
            }
            // The enum is the library's and grows.
            _ => {}
        }
    }

    fn on_behaviour(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Gossip(gossipsub::Event::Message { message, .. }) => {
                let author = message.source.and_then(|peer| key_of(&peer).ok());
                let Some(author) = author else { return };
                let arrival = Arrival::Publication {
                    topic: message.topic.into_string(),
                    from: author.node(),
                    payload: message.data.into(),
                };
                if let Err(error) = self.arrivals.try_send(arrival) {
                    self.count_lost(&error);
                }
            }
            #[cfg(feature = "mdns")]
            BehaviourEvent::Mdns(libp2p::mdns::Event::Discovered(found)) => {
                for (_, address) in found {
                    if let Some(address) = socket_address(&address) {
                        let address = address.to_string();
                        let _full = self.arrivals.try_send(Arrival::Discovered { address });
                    }
                }
            }
            // What identify and ping learn is in the library's own logs.
            _ => {}
        }
    }

    fn count_lost(&mut self, error: &dyn std::error::Error) {
        self.lost_publications += 1;
        if self.lost_publications.is_power_of_two() {
            tracing::warn!(%error, count = self.lost_publications, "publications lost");
        }
    }
}

impl Reaching {
    fn fail(&mut self, error: OpenError) {
        self.failure = Some(more_telling(self.failure.take(), error));
    }
}

pub(crate) fn multiaddr(address: SocketAddr) -> Multiaddr {
    Multiaddr::from(address.ip()).with(Protocol::Tcp(address.port()))
}

fn socket_address(address: &Multiaddr) -> Option<SocketAddr> {
    let mut parts = address.iter();
    let ip = match parts.next()? {
        Protocol::Ip4(ip) => ip.into(),
        Protocol::Ip6(ip) => ip.into(),
        _ => return None,
    };
    match parts.next()? {
        Protocol::Tcp(port) => Some(SocketAddr::new(ip, port)),
        _ => None,
    }
}

/// The library boxes our errors into its own; this finds them again.
fn dial_error(error: &DialError) -> OpenError {
    let errors = match error {
        DialError::Transport(errors) => errors,
        // The swarm strikes out the addresses it listens on itself, and one address was given.
        DialError::LocalPeerId { .. } | DialError::NoAddresses => return OpenError::Oneself,
        other => {
            let text = io::Error::other(other.to_string());
            return OpenError::Unreachable(Arc::new(text));
        }
    };
    let found = errors.iter().map(|(_, error)| match error {
        TransportError::Other(error) => cause(error),
        TransportError::MultiaddrNotSupported(_) => OpenError::NoAddress,
    });
    found.fold(None, |first, next| Some(more_telling(first, next))).unwrap_or(OpenError::NoAddress)
}

fn cause(error: &io::Error) -> OpenError {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(UpgradeError::Admission(refusal)) = error.downcast_ref() {
            return OpenError::NotAdmitted(Arc::clone(refusal));
        }
        next = match error.downcast_ref::<io::Error>() {
            Some(io) if io.kind() == io::ErrorKind::ConnectionRefused => return OpenError::Refused,
            // `source` of an io error skips the error inside it.
            Some(io) => io.get_ref().map(|inner| inner as _),
            None => error.source(),
        };
    }
    OpenError::Unreachable(Arc::new(io::Error::new(error.kind(), error.to_string())))
}
