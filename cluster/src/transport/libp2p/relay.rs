//! Nodes that cannot be dialed: reached through members that can, and directly once a hole is punched (feature `relay`).
//!
//! One multiplexed connection through the relay would be simplest, and is what the library makes. But a long transfer
//! would then delay the heartbeats behind it, and one end would end all.
//! So each link is a circuit of its own, as it is a socket elsewhere: with Noise and admission between its two ends, a
//! window and an end of its own. What circuits share is the *leg*, the one connection of a node to its relay.
//!
//! While two nodes are connected through a relay, both dial each other at the same moment (the library's `dcutr`), which
//! opens the way through most routers. There is one such connection, so that control, messages and bulk share it then;
//! it is still the better one.
//!
//! The library closes a leg that is given up in good order, and whoever only reads from a circuit over it learns that no
//! sooner than he writes. Heartbeats and busy lanes write.
//!
//! Invariants: a relay sees bytes it cannot read; only admitted nodes reserve and open circuits, because nothing at all is
//! served on other connections; failure to reach a relay says nothing of the node behind it, and is never told as
//! a refusal.
//!
//! `address` is how such a node is written down, `circuit` the stream, `keeper` stays reachable, `server` relays for
//! others, `legs` is what the swarm's task remembers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::io::AsyncWriteExt as _;
use libp2p::{PeerId, StreamProtocol};
use mobula_proto::id::NodeId;
use tokio::sync::oneshot;
use tokio::time::timeout;

pub(super) mod address;
pub(super) mod circuit;
pub(super) mod keeper;
pub(super) mod legs;
pub(super) mod server;

use self::address::CircuitAddress;
use super::Endpoint;
use super::notation::multiaddr;
use super::socket::{CONNECT_LIMIT, MAGIC, check_node, refused, secure};
use super::streams::{self, STREAM_ATTEMPTS};
use super::swarm::Command;
use super::upgrade::key_of;
use crate::admission::ADMISSION_LIMIT;
use crate::admission::rules::Purpose;
use crate::error::OpenError;
use crate::transport::{Link, Target, more_telling, open_error};

/// Links for messages and bulk over a direct connection that was made by way of a relay.
pub(super) const LINK: StreamProtocol = StreamProtocol::new("/mobula/link");

/// The circuits among addresses, and the others.
pub(super) fn split(target: Target) -> (Target, Vec<CircuitAddress>) {
    let mut circuits = Vec::new();
    let mut addresses = Vec::new();
    for address in target.addresses {
        match CircuitAddress::parse(&address) {
            Some(circuit) => circuits.push(circuit),
            None => addresses.push(address),
        }
    }
    (Target { node: target.node, addresses }, circuits)
}

impl Endpoint {
    /// Reaches the node of a control connection through its relays, after `failure` without them.
    pub(super) async fn reach_by_relays(
        &self,
        node: Option<NodeId>,
        circuits: &[CircuitAddress],
        failure: OpenError,
    ) -> Result<PeerId, OpenError> {
        let mut failure = failure;
        for circuit in self.usable(circuits) {
            match self.reach_by(node, circuit).await {
                Ok(peer) => return Ok(peer),
                Err(error) => failure = more_telling(Some(failure), of_a_circuit(error)),
            }
        }
        Err(failure)
    }

    async fn reach_by(
        &self,
        node: Option<NodeId>,
        circuit: &CircuitAddress,
    ) -> Result<PeerId, OpenError> {
        let at = self.leg(circuit).await?;
        self.wish(node, vec![circuit.multiaddr(at)], false).await
    }

    /// A link for messages or bulk to a node that does not have sockets to be dialed alone: by `plain` addresses, over a
    /// direct connection that is there, or by a relay.
    pub(super) fn open_by_relays(
        self,
        node: Option<NodeId>,
        circuits: Vec<CircuitAddress>,
        purpose: Purpose,
        plain: BoxFuture<'static, Result<Link, OpenError>>,
    ) -> BoxFuture<'static, Result<Link, OpenError>> {
        async move {
            let mut failure = match plain.await {
                Ok(link) => return Ok(link),
                Err(error) => error,
            };
            if let Some(peer) = self.directly(node).await {
                match self.open_beside(peer, node, purpose).await {
                    Ok(link) => return Ok(link),
                    Err(error) => failure = more_telling(Some(failure), of_a_circuit(error)),
                }
            }
            for circuit in self.usable(&circuits) {
                match self.open_circuit(circuit, node, purpose).await {
                    Ok(link) => return Ok(link),
                    Err(error) => failure = more_telling(Some(failure), of_a_circuit(error)),
                }
            }
            Err(failure)
        }
        .boxed()
    }

    /// Circuits but those through ourselves: who is behind us is connected or cannot be reached.
    fn usable<'a>(
        &self,
        circuits: &'a [CircuitAddress],
    ) -> impl Iterator<Item = &'a CircuitAddress> + use<'a> {
        let own = self.shared.peer;
        circuits.iter().filter(move |circuit| circuit.relay != own)
    }

    /// The name of `node`, if it is connected without a relay.
    async fn directly(&self, node: Option<NodeId>) -> Option<PeerId> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Directly { node: node?, reply };
        self.shared.commands.send(command).await.ok()?;
        answer.await.ok()?
    }

    /// A link beside the control stream of a direct connection.
    async fn open_beside(
        &self,
        peer: PeerId,
        node: Option<NodeId>,
        purpose: Purpose,
    ) -> Result<Link, OpenError> {
        check_node(self.shared.node, node, &peer)?;
        let mut failure = OpenError::Closed;
        for attempt in 1..=STREAM_ATTEMPTS {
            let mut stream = match self.shared.streams.open(peer, LINK).await {
                Ok(stream) => stream,
                Err(error) => {
                    failure = error;
                    streams::pause(attempt).await;
                    continue;
                }
            };
            let key = key_of(&peer).map_err(refused)?;
            let admitted = self.shared.security.admission.dial(&mut stream, key, purpose).await;
            let peer = admitted.map_err(|error| OpenError::NotAdmitted(Arc::new(error)))?;
            return Ok(Link { peer: Arc::new(peer), purpose, stream: Box::new(stream) });
        }
        Err(failure)
    }

    async fn open_circuit(
        &self,
        circuit: &CircuitAddress,
        node: Option<NodeId>,
        purpose: Purpose,
    ) -> Result<Link, OpenError> {
        let at = self.leg(circuit).await?;
        let limit = CONNECT_LIMIT + ADMISSION_LIMIT;
        let opening = async {
            let circuits = self.shared.circuits.clone();
            let mut stream = circuits.open(circuit.multiaddr(at)).await.map_err(open_error)?;
            stream.write_all(MAGIC).await.map_err(open_error)?;
            let (security, own) = (self.shared.security.clone(), self.shared.node);
            secure(security, (own, node), stream, purpose).await
        };
        timeout(limit, opening).await.unwrap_or(Err(OpenError::TimedOut { limit }))
    }

    /// Sees to it that the circuit's relay is connected, and returns where it is.
    async fn leg(&self, circuit: &CircuitAddress) -> Result<SocketAddr, OpenError> {
        let relay = key_of(&circuit.relay).map_err(refused)?.node();
        let found = tokio::net::lookup_host(&circuit.at).await.map_err(open_error)?;
        let at: Vec<SocketAddr> = found.collect();
        let first = *at.first().ok_or(OpenError::NoAddress)?;
        let addresses = at.into_iter().map(multiaddr).collect();
        let reached = self.wish(Some(relay), addresses, true).await;
        reached.map(|_relay| first).map_err(|error| {
            let text = format!("relay {relay} at {}: {error}", circuit.at);
            OpenError::Unreachable(Arc::new(io::Error::other(text)))
        })
    }
}

/// What a failure on the way through a relay says of the node behind it: less than one on a straight way.
fn of_a_circuit(error: OpenError) -> OpenError {
    match error {
        OpenError::Refused => {
            let text = "refused on the way through a relay";
            OpenError::Unreachable(Arc::new(io::Error::other(text)))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_on_the_way_is_none_of_the_node() {
        assert!(matches!(of_a_circuit(OpenError::Refused), OpenError::Unreachable(_)));
        assert!(matches!(of_a_circuit(OpenError::Oneself), OpenError::Oneself));
    }

    #[test]
    fn circuits_are_told_from_plain_addresses() {
        let circuit = CircuitAddress {
            at: "relay:7000".to_owned(),
            relay: PeerId::random(),
            node: PeerId::random(),
        };
        let addresses = vec!["10.0.0.1:1".to_owned(), circuit.to_string(), "nonsense".to_owned()];
        let (target, circuits) = split(Target { node: None, addresses });
        assert_eq!(target.addresses, ["10.0.0.1:1", "nonsense"]);
        assert_eq!(circuits, [circuit]);
    }
}
