//! How addresses are written: ours are `host:port`, the library's are multiaddrs.

use std::net::SocketAddr;

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

/// The library's notation of a TCP address.
pub(super) fn multiaddr(address: SocketAddr) -> Multiaddr {
    Multiaddr::from(address.ip()).with(Protocol::Tcp(address.port()))
}

/// The address of a socket; `None` also for one behind a relay, whose beginning is the relay's own.
pub(super) fn socket_address(address: &Multiaddr) -> Option<SocketAddr> {
    if address.iter().any(|part| part == Protocol::P2pCircuit) {
        return None;
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_behind_a_relay_is_not_the_relay_s_own() {
        let relay: SocketAddr = "127.0.0.1:7000".parse().unwrap();
        assert_eq!(socket_address(&multiaddr(relay)), Some(relay));
        assert_eq!(socket_address(&multiaddr(relay).with(Protocol::P2pCircuit)), None);
    }
}
