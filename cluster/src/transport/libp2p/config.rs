//! How an endpoint starts, and what of it is checked before anything is bound.

use std::net::SocketAddr;

use super::limits::RelayLimits;
use crate::admission::Admission;
use crate::error::ConfigError;

/// Most relays that a node may want to be reached by.
pub const RELAYS_MAX: usize = 4;
/// Longest `host:port` of a relay in bytes: the node's address there is longer, and has its limit, too.
const RELAY_BYTES_MAX: usize = 100;

/// How an endpoint starts.
#[derive(Clone, Debug, Default)]
pub struct EndpointConfig {
    /// Where to listen; port 0 takes any free one. Empty: only dial.
    pub listen: Vec<SocketAddr>,
    /// What others should dial instead of the addresses listened on (behind a router, say): `host:port`.
    pub advertise: Vec<String>,
    /// Announces the node on the local network and finds others; needs the feature `mdns`.
    pub mdns: bool,
    /// Messages and bulk go by QUIC, on the UDP ports of the same numbers, where the other end has it, too; a link that
    /// cannot be made so within three seconds goes by TCP. Needs the feature `quic`.
    pub quic: bool,
    /// Relays for members that cannot be dialed, up to these limits. Needs the feature `relay`.
    pub relay_server: Option<RelayLimits>,
    /// Members to be reached by, `host:port` as all members can dial it, at most [`RELAYS_MAX`]; all are kept. Others learn
    /// the circuits and `advertise`, not the addresses listened on, which serve to punch a hole through a router.
    /// Needs the feature `relay`, as does whoever dials such a node.
    pub relays: Vec<String>,
}

impl EndpointConfig {
    /// Whether the addresses listened on are what others should dial.
    pub(super) fn announces(&self) -> bool {
        self.advertise.is_empty() && self.relays.is_empty()
    }

    pub(super) fn validate(&self, admission: &Admission) -> Result<(), ConfigError> {
        let size = self.relays.len();
        if size > RELAYS_MAX {
            return Err(ConfigError::TooLarge { what: "relays", size, max: RELAYS_MAX });
        }
        let longest = self.relays.iter().map(String::len).max().unwrap_or_default();
        if longest > RELAY_BYTES_MAX {
            let max = RELAY_BYTES_MAX;
            return Err(ConfigError::TooLarge { what: "a relay's address", size: longest, max });
        }
        if let Some(limits) = &self.relay_server {
            limits.validate()?;
        }
        match self.outside() {
            Some(address) if admission.is_open() => {
                Err(ConfigError::OpenBeyondLoopback { address })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The first address by which somebody on another machine might reach us.
    fn outside(&self) -> Option<String> {
        let listened = self.listen.iter().find(|address| !address.ip().is_loopback());
        // A name may lead anywhere.
        let is_here = |relay: &&String| {
            relay.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_loopback())
        };
        let relayed = || self.relays.iter().find(|relay| !is_here(relay)).cloned();
        listened.map(ToString::to_string).or_else(relayed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_elsewhere_reaches_beyond_loopback() {
        let outside = |listen: &str, relays: &[&str]| {
            let listen = vec![listen.parse().unwrap()];
            let relays = relays.iter().map(|&relay| relay.to_owned()).collect();
            EndpointConfig { listen, relays, ..EndpointConfig::default() }.outside()
        };
        assert_eq!(outside("127.0.0.1:0", &["127.0.0.1:7000", "[::1]:7000"]), None);
        assert_eq!(outside("0.0.0.0:0", &[]).as_deref(), Some("0.0.0.0:0"));
        assert_eq!(outside("127.0.0.1:0", &["10.0.0.1:7"]).as_deref(), Some("10.0.0.1:7"));
        assert_eq!(outside("127.0.0.1:0", &["localhost:7"]).as_deref(), Some("localhost:7"));
    }
}
