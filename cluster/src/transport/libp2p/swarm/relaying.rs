//! The part of the swarm's task that has to do with relays: it keeps [`Legs`] up to date and carries out what follows.

use std::io;

use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, PeerId, identify, ping, relay};
use mobula_proto::id::NodeId;
use tokio::sync::oneshot;

use super::{BehaviourEvent, Task};
use crate::transport::Arrival;
use crate::transport::libp2p::notation::socket_address;
use crate::transport::libp2p::upgrade::key_of;

impl Task {
    /// Looks at an event on its way to the rest of the task.
    pub(super) fn on_relaying(&mut self, event: &SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.legs.opened(*peer_id, *connection_id, endpoint.is_relayed());
                self.prefer_direct(peer_id);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, .. } => {
                self.legs.closed(peer_id, *connection_id);
            }
            SwarmEvent::NewListenAddr { listener_id, address } => {
                self.legs.granted(*listener_id);
                // A relay must name addresses of its own in every reservation.
                if self.serves && socket_address(address).is_some() {
                    self.swarm.add_external_address(address.clone());
                }
            }
            SwarmEvent::ExpiredListenAddr { address, .. } if self.serves => {
                self.swarm.remove_external_address(address);
            }
            SwarmEvent::ListenerClosed { listener_id, reason, .. } => {
                let why = match reason {
                    Ok(()) => io::Error::from(io::ErrorKind::NotConnected),
                    Err(error) => io::Error::new(error.kind(), chain(error)),
                };
                self.legs.ended(*listener_id, why);
            }
            SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Received {
                connection_id,
                peer_id,
                ..
            })) => {
                if self.legs.heard(peer_id, *connection_id)
                    && let Ok(key) = key_of(peer_id)
                {
                    let _full = self.arrivals.try_send(Arrival::Direct { node: key.node() });
                }
                self.prefer_direct(peer_id);
            }
            SwarmEvent::Behaviour(BehaviourEvent::RelayServer(event)) => self.on_served(event),
            SwarmEvent::Behaviour(BehaviourEvent::Dcutr(event)) => {
                if let Err(error) = &event.result {
                    tracing::debug!(peer = %event.remote_peer_id, %error, "no hole punched");
                }
            }
            // A router forgot the way: the other end hears nothing, and only those who carry their own heartbeats notice.
            SwarmEvent::Behaviour(BehaviourEvent::Ping(ping::Event {
                peer,
                connection,
                result: Err(ping::Failure::Timeout),
            })) if self.legs.is_kept(peer) => {
                let _closed_already = self.swarm.close_connection(*connection);
            }
            // The enum is the library's and grows.
            _ => {}
        }
    }

    fn on_served(&mut self, event: &relay::Event) {
        match event {
            relay::Event::ReservationReqAccepted { src_peer_id, .. }
            | relay::Event::CircuitReqAccepted { src_peer_id, .. } => self.legs.keep(*src_peer_id),
            // Told of every connection of the peer that ends, whether it had reserved by it or not.
            relay::Event::ReservationClosed { src_peer_id }
                if self.swarm.is_connected(src_peer_id) => {}
            relay::Event::ReservationClosed { src_peer_id }
            | relay::Event::ReservationTimedOut { src_peer_id } => {
                self.holders.lock().remove(src_peer_id);
            }
            relay::Event::ReservationReqDenied { src_peer_id, status } => {
                tracing::warn!(peer = %src_peer_id, ?status, "reservation refused");
            }
            relay::Event::CircuitReqDenied { src_peer_id, dst_peer_id, status } => {
                tracing::debug!(from = %src_peer_id, to = %dst_peer_id, ?status, "circuit refused");
            }
            // The enum is the library's and grows.
            _ => {}
        }
    }

    /// Gives up the connections through a relay to a peer that is reached directly.
    fn prefer_direct(&mut self, peer: &PeerId) {
        if self.legs.is_superseded(peer) {
            self.cuts.cut(peer);
        }
    }

    pub(super) fn reserve(
        &mut self,
        relay: PeerId,
        listener: Multiaddr,
        granted: oneshot::Sender<()>,
        ended: oneshot::Sender<io::Error>,
    ) {
        if self.legs.is_reserved(&relay) {
            let error = io::Error::new(io::ErrorKind::AlreadyExists, "this relay is named twice");
            return drop(ended.send(error));
        }
        match self.swarm.listen_on(listener) {
            Ok(listener) => self.legs.reserve(listener, relay, granted, ended),
            Err(error) => drop(ended.send(io::Error::other(error))),
        }
    }

    /// The peer to open links beside the control stream with; its connection is kept from now on.
    pub(super) fn directly(&mut self, node: NodeId) -> Option<PeerId> {
        let peer = self.connected.get(&node).copied().filter(|peer| self.legs.is_direct(peer))?;
        self.legs.keep(peer);
        Some(peer)
    }

    /// Whether circuits or links run over the connection with `node`. A node that is reached through relays does not know
    /// which of its connections others open links beside, and keeps all.
    pub(super) fn is_leg(&self, node: NodeId) -> bool {
        let peer = self.connected.get(&node);
        peer.is_some_and(|peer| self.reuses_port || self.legs.is_kept(peer))
    }
}

/// What went wrong, with its causes: the library says the deepest alone in its own words.
fn chain(error: &io::Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
