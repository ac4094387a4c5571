//! What the swarm's task knows of relays: which connections carry circuits, which reservations there are, and by which
//! way each peer is connected.
//!
//! The membership lets go of a connection when its two nodes need not watch each other any more. One that carries
//! circuits, a *leg*, has other users, whom the membership does not see; so legs are kept until their peer goes.
//! And a peer that is connected through a relay and directly has no use for the relay: the library would go on to choose
//! between the two by chance.
//!
//! Invariants: a relay has at most one reservation of ours; a connection through a relay is given up only for a direct
//! one over which the other end has spoken.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;
use std::sync::Arc;

use libp2p::PeerId;
use libp2p::core::transport::ListenerId;
use libp2p::swarm::ConnectionId;
use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Who may be reached through us now.
pub(crate) type Holders = Arc<Mutex<HashSet<PeerId>>>;

/// See the module.
#[derive(Default)]
pub(crate) struct Legs {
    kept: HashSet<PeerId>,
    reservations: HashMap<ListenerId, Reservation>,
    paths: HashMap<PeerId, Paths>,
}

/// A reservation at a relay, asked for or granted.
struct Reservation {
    relay: PeerId,
    granted: Option<oneshot::Sender<()>>,
    ended: oneshot::Sender<io::Error>,
}

/// The connections to one peer.
#[derive(Debug, Default)]
struct Paths {
    relayed: BTreeSet<ConnectionId>,
    direct: BTreeMap<ConnectionId, Direct>,
}

/// A direct connection to a peer.
#[derive(Debug)]
struct Direct {
    /// It was made while there was one through a relay.
    is_upgrade: bool,
    /// The other end has spoken over it.
    is_proved: bool,
}

impl Legs {
    /// From now on `peer`'s connection carries circuits.
    pub(crate) fn keep(&mut self, peer: PeerId) {
        self.kept.insert(peer);
    }

    pub(crate) fn is_kept(&self, peer: &PeerId) -> bool {
        self.kept.contains(peer)
    }

    pub(crate) fn is_reserved(&self, relay: &PeerId) -> bool {
        self.reservations.values().any(|reservation| reservation.relay == *relay)
    }

    /// A reservation was asked for.
    pub(crate) fn reserve(
        &mut self,
        listener: ListenerId,
        relay: PeerId,
        granted: oneshot::Sender<()>,
        ended: oneshot::Sender<io::Error>,
    ) {
        self.keep(relay);
        self.reservations.insert(listener, Reservation { relay, granted: Some(granted), ended });
    }

    /// A listener has an address: if it is at a relay, the reservation was granted, or renewed.
    pub(crate) fn granted(&mut self, listener: ListenerId) {
        if let Some(reservation) = self.reservations.get_mut(&listener) {
            self.kept.insert(reservation.relay);
            if let Some(granted) = reservation.granted.take() {
                let _nobody_waits = granted.send(());
            }
        }
    }

    /// A listener closed; if it was at a relay, the reservation was refused or is lost.
    pub(crate) fn ended(&mut self, listener: ListenerId, why: io::Error) {
        if let Some(reservation) = self.reservations.remove(&listener) {
            let _nobody_waits = reservation.ended.send(why);
        }
    }

    pub(crate) fn opened(&mut self, peer: PeerId, connection: ConnectionId, is_relayed: bool) {
        let paths = self.paths.entry(peer).or_default();
        if is_relayed {
            paths.relayed.insert(connection);
        } else {
            let is_upgrade = !paths.relayed.is_empty();
            paths.direct.insert(connection, Direct { is_upgrade, is_proved: false });
        }
    }

    /// The other end has spoken; `true` for the first time over a direct connection that replaces one through a relay.
    pub(crate) fn heard(&mut self, peer: &PeerId, connection: ConnectionId) -> bool {
        let paths = self.paths.get_mut(peer);
        let Some(direct) = paths.and_then(|paths| paths.direct.get_mut(&connection)) else {
            return false;
        };
        !std::mem::replace(&mut direct.is_proved, true) && direct.is_upgrade
    }

    pub(crate) fn closed(&mut self, peer: &PeerId, connection: ConnectionId) {
        if let Some(paths) = self.paths.get_mut(peer) {
            paths.relayed.remove(&connection);
            paths.direct.remove(&connection);
            if paths.relayed.is_empty() && paths.direct.is_empty() {
                self.paths.remove(peer);
                self.kept.remove(peer);
            }
        }
    }

    /// Whether there are connections through a relay to a peer that is reached directly, too: nobody needs them.
    pub(crate) fn is_superseded(&self, peer: &PeerId) -> bool {
        let is_relayed = self.paths.get(peer).is_some_and(|paths| !paths.relayed.is_empty());
        is_relayed && self.is_direct(peer)
    }

    /// Whether `peer` is connected without a relay between us.
    pub(crate) fn is_direct(&self, peer: &PeerId) -> bool {
        self.paths
            .get(peer)
            .is_some_and(|paths| paths.direct.values().any(|direct| direct.is_proved))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> ConnectionId {
        ConnectionId::new_unchecked(number)
    }

    #[test]
    fn a_direct_connection_takes_over_when_the_other_end_has_spoken() {
        let (mut legs, peer) = (Legs::default(), PeerId::random());
        legs.opened(peer, id(1), true);
        assert!(!legs.heard(&peer, id(1)), "through the relay, that is");
        legs.opened(peer, id(2), false);
        assert!(!legs.is_direct(&peer) && !legs.is_superseded(&peer));
        assert!(legs.heard(&peer, id(2)));
        assert!(!legs.heard(&peer, id(2)), "no news any more");
        assert!(legs.is_direct(&peer) && legs.is_superseded(&peer));
        legs.closed(&peer, id(1));
        assert!(legs.is_direct(&peer) && !legs.is_superseded(&peer));
        legs.closed(&peer, id(2));
        assert!(!legs.is_direct(&peer));
    }

    #[test]
    fn a_connection_that_was_direct_from_the_first_is_no_upgrade() {
        let (mut legs, peer) = (Legs::default(), PeerId::random());
        legs.opened(peer, id(1), false);
        assert!(!legs.heard(&peer, id(1)));
        // One through a relay comes too late to be of use.
        legs.opened(peer, id(2), true);
        assert!(legs.is_superseded(&peer));
    }

    #[test]
    fn a_leg_is_kept_until_its_peer_goes() {
        let (mut legs, peer) = (Legs::default(), PeerId::random());
        legs.opened(peer, id(1), false);
        legs.opened(peer, id(2), false);
        legs.keep(peer);
        legs.closed(&peer, id(1));
        assert!(legs.is_kept(&peer));
        legs.closed(&peer, id(2));
        assert!(!legs.is_kept(&peer));
    }

    #[test]
    fn a_reservation_is_granted_once_and_ends_once() {
        let (mut legs, relay) = (Legs::default(), PeerId::random());
        let (listener, other) = (ListenerId::next(), ListenerId::next());
        let (granted_in, mut granted) = oneshot::channel();
        let (ended_in, mut ended) = oneshot::channel();
        legs.reserve(listener, relay, granted_in, ended_in);
        assert!(legs.is_reserved(&relay) && legs.is_kept(&relay));
        legs.granted(other);
        assert!(granted.try_recv().is_err());
        legs.granted(listener);
        legs.granted(listener);
        granted.try_recv().unwrap();
        legs.ended(other, io::ErrorKind::Other.into());
        assert!(ended.try_recv().is_err());
        legs.ended(listener, io::ErrorKind::NotConnected.into());
        assert_eq!(ended.try_recv().unwrap().kind(), io::ErrorKind::NotConnected);
        assert!(!legs.is_reserved(&relay));
    }
}
