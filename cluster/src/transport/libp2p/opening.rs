//! Opening links: a stream of the connection for control, a connection of its own for everything else.
//!
//! A control stream may find its connection there already, made by either end. If not, the addresses are dialed in turn,
//! and where they lead nowhere the relays that the node is reached by (feature `relay`).
//!
//! Invariant: a link leads to the node that was asked for.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use libp2p::{Multiaddr, PeerId};
use mobula_proto::id::NodeId;
use tokio::sync::oneshot;

use super::Endpoint;
use super::notation::multiaddr;
#[cfg(feature = "relay")]
use super::relay;
use super::socket;
use super::streams::{self, CONTROL, STREAM_ATTEMPTS};
use super::swarm::{Command, Wish};
use crate::admission::rules::Purpose;
use crate::error::OpenError;
use crate::transport::{Link, Target};

impl Endpoint {
    pub(super) async fn open_control(self, target: Target) -> Result<Link, OpenError> {
        #[cfg(feature = "relay")]
        let (target, circuits) = relay::split(target);
        #[cfg(feature = "relay")]
        let has_circuits = !circuits.is_empty();
        #[cfg(not(feature = "relay"))]
        let has_circuits = false;
        let addresses = resolve(&target).await;
        if addresses.is_empty() && target.node.is_none() && !has_circuits {
            return Err(OpenError::NoAddress);
        }
        let mut failure = OpenError::Closed;
        for attempt in 1..=STREAM_ATTEMPTS {
            // Each time anew: the connection may have ended since, and then the dial says whether anyone is there.
            let reached = self.wish(target.node, addresses.clone(), false).await;
            #[cfg(feature = "relay")]
            let reached = match reached {
                Err(error) => self.reach_by_relays(target.node, &circuits, error).await,
                reached @ Ok(_) => reached,
            };
            let peer = reached?;
            match self.open_stream(peer).await {
                Ok(link) => return Ok(link),
                Err(error) => failure = error,
            }
            streams::pause(attempt).await;
        }
        Err(failure)
    }

    /// Asks the swarm's task to reach somebody.
    pub(super) async fn wish(
        &self,
        node: Option<NodeId>,
        addresses: Vec<Multiaddr>,
        is_leg: bool,
    ) -> Result<PeerId, OpenError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Reach(Wish { node, addresses, is_leg, reply });
        self.shared.commands.send(command).await.map_err(|_closed| OpenError::Closed)?;
        answer.await.map_err(|_closed| OpenError::Closed)?
    }

    async fn open_stream(&self, peer: PeerId) -> Result<Link, OpenError> {
        let stream = self.shared.streams.open(peer, CONTROL).await?;
        // Gone from the table means gone from the swarm: dial anew.
        let peer = self.shared.table.get(&peer).ok_or(OpenError::Closed)?;
        Ok(Link { peer, purpose: Purpose::Control, stream: Box::new(stream) })
    }

    /// A link of its own connection.
    pub(super) fn open_apart(
        self,
        target: Target,
        purpose: Purpose,
    ) -> BoxFuture<'static, Result<Link, OpenError>> {
        #[cfg(feature = "relay")]
        let (target, circuits) = relay::split(target);
        #[cfg(feature = "relay")]
        let (node, is_dialed_only) =
            (target.node, circuits.is_empty() && !target.addresses.is_empty());
        let (security, own) = (self.shared.security.clone(), self.shared.node);
        let dialing = socket::dial(security, own, target.clone(), purpose);
        #[cfg(feature = "quic")]
        let dialing = {
            let quic = self.shared.quic.clone();
            async move {
                let Some(quic) = quic else { return dialing.await };
                match quic.dial(own, &target, purpose).await {
                    Ok(link) => Ok(link),
                    Err(error) => {
                        tracing::debug!(%error, "no link by QUIC; by TCP, then");
                        dialing.await
                    }
                }
            }
        };
        let dialing = dialing.boxed();
        #[cfg(feature = "relay")]
        if !is_dialed_only {
            return self.open_by_relays(node, circuits, purpose, dialing);
        }
        dialing
    }
}

/// Names become numbers here, so that the swarm needs no resolver.
async fn resolve(target: &Target) -> Vec<Multiaddr> {
    let mut addresses = Vec::with_capacity(target.addresses.len());
    for address in &target.addresses {
        match tokio::net::lookup_host(address).await {
            Ok(found) => addresses.extend(found.map(multiaddr)),
            Err(error) => tracing::debug!(%address, %error, "address not resolved"),
        }
    }
    addresses
}
