//! Serving as a relay: the library's behaviour under our limits.
//!
//! It is reached over admitted connections alone, so that a stranger cannot even ask.
//! The library counts a renewal as one more reservation, so that a relay with all its places taken would turn away those
//! who have one; and it counts addresses, of which several of our nodes may share one. So the count is our own, given to
//! the library as a limit of rate.
//!
//! Invariant: nobody is served beyond [`RelayLimits`]; whoever has a reservation keeps it while its connection lasts.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use libp2p::relay::{Config, RateLimiter};
use libp2p::{Multiaddr, PeerId};

use super::legs::Holders;
use crate::transport::libp2p::limits::RelayLimits;

/// After so long a reservation that was not renewed is gone; nodes renew after three quarters.
const RESERVATION: Duration = Duration::from_secs(3600);
/// Reservations that one node may ask for at once, and how soon for one more after that.
const ASKED_AT_ONCE: NonZeroU32 = NonZeroU32::new(16).unwrap();
const ASKED_AGAIN: Duration = Duration::from_secs(1);
/// Of circuits a node may ask for as many at once as it may have, and for one more so soon after that.
const OPENED_AGAIN: Duration = Duration::from_millis(100);

/// The library's notation of our limits.
pub(crate) fn config(limits: &RelayLimits, holders: &Holders) -> Config {
    let many = u32::try_from(limits.circuits_per_node).unwrap_or(u32::MAX);
    let at_once = NonZeroU32::new(many).unwrap_or(NonZeroU32::MIN);
    let mut config = Config {
        // Counted by `places`.
        max_reservations: usize::MAX,
        // A node that has lost its connection may be back before we know.
        max_reservations_per_peer: 1,
        reservation_duration: RESERVATION,
        reservation_rate_limiters: Vec::new(),
        max_circuits: limits.circuits,
        // The library compares before it counts the new one.
        max_circuits_per_peer: limits.circuits_per_node - 1,
        max_circuit_duration: limits.circuit_duration,
        max_circuit_bytes: limits.circuit_bytes,
        circuit_src_rate_limiters: Vec::new(),
    }
    .reservation_rate_per_peer(ASKED_AT_ONCE, ASKED_AGAIN)
    .circuit_src_per_peer(at_once, OPENED_AGAIN);
    config.reservation_rate_limiters.push(places(limits.reservations, Arc::clone(holders)));
    config
}

/// Grants a place to whoever has one already, and to others while there are any.
fn places(count: usize, holders: Holders) -> Box<dyn RateLimiter> {
    Box::new(move |peer: PeerId, _: &Multiaddr, _: Instant| {
        let mut holders = holders.lock();
        holders.contains(&peer) || (holders.len() < count && holders.insert(peer))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_by_node_and_renewals_are_no_new_ones() {
        let holders = Holders::default();
        let mut places = places(2, Arc::clone(&holders));
        let (nowhere, now) = (Multiaddr::empty(), Instant::now());
        let mut asks = |peer| places.try_next(peer, &nowhere, now);
        let [one, two, three] = [(); 3].map(|()| PeerId::random());
        assert!(asks(one) && asks(two) && !asks(three));
        assert!(asks(one), "a renewal");
        holders.lock().remove(&one);
        assert!(asks(three) && !asks(one));
    }

    #[test]
    fn the_library_is_told_our_limits_and_no_others() {
        let limits = RelayLimits { circuits: 7, circuits_per_node: 3, ..RelayLimits::default() };
        let config = config(&limits, &Holders::default());
        assert_eq!((config.max_circuits, config.max_circuits_per_peer), (7, 2));
        assert_eq!(config.max_circuit_bytes, 1 << 40);
        assert_eq!(config.max_circuit_duration, Duration::from_secs(24 * 3600));
        let limiters =
            (config.reservation_rate_limiters.len(), config.circuit_src_rate_limiters.len());
        assert_eq!(limiters, (2, 1));
    }
}
