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
use libp2p::swarm::{ConnectionId, NetworkBehaviour, Swarm, SwarmEvent};
use libp2p::{Multiaddr, PeerId, TransportError, connection_limits, gossipsub, identify, ping};
use mobula_proto::id::NodeId;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use super::notation::{multiaddr, socket_address};
#[cfg(feature = "relay")]
use super::relay::circuit::Cuts;
#[cfg(feature = "relay")]
use super::relay::legs::{Holders, Legs};
use super::socket::check_node;
use super::upgrade::{Table, key_of};
use crate::error::{OpenError, StartError};
use crate::transport::Arrival;

mod failure;
mod reaching;
#[cfg(feature = "relay")]
mod relaying;

use self::failure::dial_error;
use self::reaching::Reaching;

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
    #[cfg(feature = "relay")]
    pub(crate) relay_server: libp2p::swarm::behaviour::toggle::Toggle<libp2p::relay::Behaviour>,
    #[cfg(feature = "relay")]
    pub(crate) relay_client: libp2p::relay::client::Behaviour,
    #[cfg(feature = "relay")]
    pub(crate) dcutr: libp2p::dcutr::Behaviour,
}

/// What the endpoint asks of the task.
pub(crate) enum Command {
    Reach(Wish),
    #[cfg(feature = "relay")]
    Reserve {
        relay: PeerId,
        listener: Multiaddr,
        granted: oneshot::Sender<()>,
        ended: oneshot::Sender<io::Error>,
    },
    /// Who is connected without a relay?
    #[cfg(feature = "relay")]
    Directly {
        node: NodeId,
        reply: oneshot::Sender<Option<PeerId>>,
    },
    Publish {
        topic: String,
        payload: Bytes,
    },
    Subscribe {
        topic: String,
    },
    Unsubscribe {
        topic: String,
    },
    Disconnect {
        node: NodeId,
    },
    /// As `Disconnect`, but if circuits run over the connection.
    Release {
        node: NodeId,
    },
    /// `Disconnect` if circuits run over the connection: they lead nowhere.
    #[cfg(feature = "relay")]
    GiveUp {
        node: NodeId,
    },
}

/// Somebody is to be reached.
pub(crate) struct Wish {
    /// Who must be there; `None` takes whoever answers and is admitted.
    pub(crate) node: Option<NodeId>,
    /// Tried in this order.
    pub(crate) addresses: Vec<Multiaddr>,
    /// Circuits are to run over the connection. Wishes of this kind for one node are one.
    pub(crate) is_leg: bool,
    pub(crate) reply: oneshot::Sender<Result<PeerId, OpenError>>,
}

pub(crate) struct Task {
    pub(crate) swarm: Swarm<Behaviour>,
    pub(crate) own: NodeId,
    pub(crate) table: Arc<Table>,
    pub(crate) addresses: Arc<Mutex<Vec<String>>>,
    pub(crate) arrivals: mpsc::Sender<Arrival>,
    /// Whether the addresses listened on are what others should dial.
    pub(crate) announces: bool,
    /// Whether to dial from the port listened on, so that a router that lets answers in lets in others there, too.
    pub(crate) reuses_port: bool,
    /// Whether to relay for others.
    #[cfg(feature = "relay")]
    pub(crate) serves: bool,
    #[cfg(feature = "relay")]
    pub(crate) cuts: Cuts,
    #[cfg(feature = "relay")]
    pub(crate) holders: Holders,
    #[cfg(feature = "relay")]
    legs: Legs,
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
        Self {
            swarm,
            own,
            table,
            addresses,
            arrivals,
            announces: true,
            reuses_port: false,
            #[cfg(feature = "relay")]
            serves: false,
            #[cfg(feature = "relay")]
            cuts: Cuts::default(),
            #[cfg(feature = "relay")]
            holders: Holders::default(),
            #[cfg(feature = "relay")]
            legs: Legs::default(),
            reaching: HashMap::new(),
            connected: HashMap::new(),
            lost_publications: 0,
        }
    }

    /// Listens, and returns once every listener knows its address.
    pub(crate) async fn listen(&mut self, on: &[SocketAddr]) -> Result<(), StartError> {
        let failed = |address: SocketAddr, source| {
            let address = address.to_string();
            StartError::Listen { address, source }
        };
        let mut waiting = HashMap::new();
        for &address in on {
            let listener = self.swarm.listen_on(multiaddr(address)).map_err(|error| {
                let source = match error {
                    TransportError::Other(error) => error,
                    other @ TransportError::MultiaddrNotSupported(_) => io::Error::other(other),
                };
                failed(address, source)
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
                        return Err(failed(address, kind.into()));
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
            Command::Reach(wish) => self.on_wish(wish),
            #[cfg(feature = "relay")]
            Command::Reserve { relay, listener, granted, ended } => {
                self.reserve(relay, listener, granted, ended);
            }
            #[cfg(feature = "relay")]
            Command::Directly { node, reply } => drop(reply.send(self.directly(node))),
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
            Command::Disconnect { node } => self.disconnect(node),
            #[cfg(feature = "relay")]
            Command::Release { node } if self.is_leg(node) => {}
            Command::Release { node } => self.disconnect(node),
            #[cfg(feature = "relay")]
            Command::GiveUp { node } => {
                if self.is_leg(node) {
                    self.disconnect(node);
                }
            }
        }
    }

    fn disconnect(&mut self, node: NodeId) {
        if let Some(&peer) = self.connected.get(&node) {
            let _not_connected = self.swarm.disconnect_peer_id(peer);
        }
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        #[cfg(feature = "relay")]
        self.on_relaying(&event);
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, .. } => {
                if let Ok(key) = key_of(&peer_id) {
                    self.connected.insert(key.node(), peer_id);
                }
                if let Some(mut reaching) = self.reaching.remove(&connection_id) {
                    match check_node(self.own, reaching.node, &peer_id) {
                        Ok(()) => self.reached(reaching.replies, peer_id, reaching.is_leg),
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
                if let Some(address) = socket_address(&address).filter(|_| self.announces) {
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
