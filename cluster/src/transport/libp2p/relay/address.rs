//! How the address of a node behind a relay is written: where the relay is, who it is, and whom to ask it for.
//!
//! All our addresses are `host:port`, so this one is the relay's, with the tail of a multiaddr behind it:
//! `host:port/p2p/<relay>/p2p-circuit/p2p/<node>`. The host stays a name if it is one: each dialer resolves it by itself.

use std::fmt;
use std::net::SocketAddr;

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};

use crate::transport::libp2p::notation::multiaddr;

/// A way to a node through a relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CircuitAddress {
    /// Where the relay is: `host:port`.
    pub(crate) at: String,
    /// Who the relay is.
    pub(crate) relay: PeerId,
    /// Who is reached.
    pub(crate) node: PeerId,
}

impl CircuitAddress {
    /// Reads one; `None` if it is something else, such as a plain address.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (at, tail) = text.split_once("/p2p/")?;
        let (relay, node) = tail.split_once("/p2p-circuit/p2p/")?;
        let (relay, node) = (relay.parse().ok()?, node.parse().ok()?);
        (!at.is_empty()).then(|| Self { at: at.to_owned(), relay, node })
    }

    /// What the library dials, when the relay's host is the number `at`.
    pub(crate) fn multiaddr(&self, at: SocketAddr) -> Multiaddr {
        listener(self.relay, at).with(Protocol::P2p(self.node))
    }
}

impl fmt::Display for CircuitAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, relay, node } = self;
        write!(f, "{at}/p2p/{relay}/p2p-circuit/p2p/{node}")
    }
}

/// What the library listens on to be reached by `relay`.
pub(crate) fn listener(relay: PeerId, at: SocketAddr) -> Multiaddr {
    multiaddr(at).with(Protocol::P2p(relay)).with(Protocol::P2pCircuit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        for at in ["10.0.0.1:7000", "[::1]:7000", "relay.example.org:7000"] {
            let address = CircuitAddress {
                at: at.to_owned(),
                relay: PeerId::random(),
                node: PeerId::random(),
            };
            let text = address.to_string();
            assert_eq!(CircuitAddress::parse(&text).as_ref(), Some(&address));
            assert!(CircuitAddress::parse(&text[..text.len() - 1]).is_none());
            assert!(CircuitAddress::parse(&text.replace("-circuit", "")).is_none());
            assert!(CircuitAddress::parse(&text[at.len()..]).is_none());
            assert!(CircuitAddress::parse(at).is_none());
        }
    }

    #[test]
    fn the_library_reads_what_it_is_given() {
        let (relay, node) = (PeerId::random(), PeerId::random());
        let address = CircuitAddress { at: "relay:1".to_owned(), relay, node };
        let dialed = address.multiaddr("10.0.0.1:7000".parse().unwrap()).to_string();
        assert_eq!(dialed, format!("/ip4/10.0.0.1/tcp/7000/p2p/{relay}/p2p-circuit/p2p/{node}"));
    }
}
