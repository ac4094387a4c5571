//! Reaching somebody: one address after the other, until one answers as whom it should be.
//!
//! Invariant: whoever wished gets one answer.

use libp2p::swarm::dial_opts::DialOpts;
use libp2p::{Multiaddr, PeerId};
use mobula_proto::id::NodeId;
use tokio::sync::oneshot;

use super::failure::dial_error;
use super::{Task, Wish};
use crate::error::OpenError;
use crate::transport::more_telling;

/// A wish to reach somebody, between two dials.
pub(super) struct Reaching {
    pub(super) node: Option<NodeId>,
    addresses: Vec<Multiaddr>,
    pub(super) is_leg: bool,
    next: usize,
    failure: Option<OpenError>,
    pub(super) replies: Vec<oneshot::Sender<Result<PeerId, OpenError>>>,
}

impl Reaching {
    pub(super) fn fail(&mut self, error: OpenError) {
        self.failure = Some(more_telling(self.failure.take(), error));
    }
}

impl Task {
    pub(super) fn on_wish(&mut self, wish: Wish) {
        let Wish { node, addresses, is_leg, reply } = wish;
        if let Some(&peer) = node.and_then(|node| self.connected.get(&node)) {
            return self.reached(vec![reply], peer, is_leg);
        }
        let mut others = self.reaching.values_mut();
        // Of two that are not known yet, nobody can say whether they are the same.
        let is_same = |other: &&mut Reaching| is_leg && other.is_leg && other.node == node;
        if let Some(same) = others.find(|other| node.is_some() && is_same(other)) {
            return same.replies.push(reply);
        }
        let (next, failure, replies) = (0, None, vec![reply]);
        self.dial(Reaching { node, addresses, is_leg, next, failure, replies });
    }

    pub(super) fn reached(
        &mut self,
        replies: Vec<oneshot::Sender<Result<PeerId, OpenError>>>,
        peer: PeerId,
        is_leg: bool,
    ) {
        #[cfg(feature = "relay")]
        if is_leg {
            self.legs.keep(peer);
        }
        debug_assert!(cfg!(feature = "relay") || !is_leg, "circuits need the feature `relay`");
        replies.into_iter().for_each(|reply| drop(reply.send(Ok(peer))));
    }

    /// Dials the next address, or answers.
    pub(super) fn dial(&mut self, mut reaching: Reaching) {
        if reaching.replies.iter().all(oneshot::Sender::is_closed) {
            return;
        }
        while let Some(address) = reaching.addresses.get(reaching.next).cloned() {
            reaching.next += 1;
            let opts = DialOpts::unknown_peer_id().address(address);
            let opts = if self.reuses_port { opts } else { opts.allocate_new_port() }.build();
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
        for reply in reaching.replies {
            let _nobody_waits = reply.send(Err(failure.clone()));
        }
    }
}
