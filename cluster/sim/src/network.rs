//! The network between machines: how long a message takes, whether it arrives, who can reach whom.
//!
//! One loss rate for everything flatters a protocol: real failures are one-sided, partial and different for
//! streams and datagrams.
//! So conditions are layers over pairs of zones. A partition (clean, bridge, ring, one-way) and a lossy rack
//! are the same thing: a matrix that says how much of what zone a sends to zone b is lost, 1.0 being all.
//! Layers stack, each under its own number, and lifting one leaves the others.
//!
//! - [`links`]: streams, that is TCP: ordered, reliable, with set-up cost, resets and retransmission.
//! - [`flood`]: a model of gossipsub over the standing links.
//! - [`traffic`]: what all of it weighs.
//!
//! Invariant: whether and when a copy arrives depends on the seed and the conditions alone.

pub mod links;
pub mod flood;
pub mod traffic;

use std::collections::BTreeMap;

use rand::Rng;
use rand::rngs::SmallRng;

use crate::protocol::Host;
use crate::queue::{MILLISECOND, SECOND, Tick};

/// What holds for the whole network, in ticks (µs) and shares (0.0 to 1.0).
#[derive(Debug, Clone)]
pub struct Conditions {
    /// Least one-way latency.
    pub latency_min: Tick,
    /// Most one-way latency, but for the tail.
    pub latency_max: Tick,
    /// Share of copies that take up to ten times `latency_max`.
    pub tail_share: f64,
    /// Share of packets lost, everywhere.
    pub loss: f64,
    /// Share of datagrams that arrive twice.
    pub duplicates: f64,
    /// Share of datagrams and flood copies that are held back for up to 50 ms.
    pub reordered: f64,
    /// Share of flood copies dropped on each hop for reasons of gossipsub's own: full send queues, mesh changes.
    pub flood_loss: f64,
    /// First retransmission time-out of a stream; doubles. Linux: 200 ms.
    pub retransmit: Tick,
    /// A stream that delivered nothing for this long while there was something to deliver is given up.
    pub give_up: Tick,
    /// A dial without answer ends after this long.
    pub dial_limit: Tick,
    /// Round trips of a dial until the link stands: TCP, negotiation, Noise, multiplexer.
    pub dial_round_trips: u32,
    /// Bytes that a machine can send per microsecond; 125 is 1 Gbit/s.
    pub bytes_per_tick: u64,
    /// Most a timer fires late on a healthy machine.
    pub timer_slack: Tick,
    /// Most that a node's clock rate is off, in ppm; drawn evenly from ±this.
    pub clock_skew_ppm: i32,
}

impl Default for Conditions {
    /// A LAN: 0.2 to 1 ms, one copy in a hundred slower, no loss, clocks within ±100 ppm.
    fn default() -> Self {
        Self {
            latency_min: 200,
            latency_max: MILLISECOND,
            tail_share: 0.01,
            loss: 0.0,
            duplicates: 0.0,
            reordered: 0.0,
            flood_loss: 0.01,
            retransmit: 200 * MILLISECOND,
            give_up: 20 * SECOND,
            dial_limit: 3 * SECOND,
            dial_round_trips: 4,
            bytes_per_tick: 125,
            timer_slack: MILLISECOND,
            clock_skew_ppm: 100,
        }
    }
}

impl Conditions {
    /// A LAN that loses this share of packets, doubles and reorders a fifth as many, with clocks ±10 %.
    #[must_use]
    pub fn lossy(loss: f64) -> Self {
        Self {
            loss,
            duplicates: loss / 5.0,
            reordered: loss / 5.0,
            flood_loss: 0.01 + loss,
            clock_skew_ppm: 100_000,
            ..Self::default()
        }
    }
}

/// One layer of conditions: a zone for each host and the loss from zone to zone.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// The zone of each host; hosts beyond the end are in zone 0.
    pub zone_of: Vec<u16>,
    /// How many zones there are.
    pub zones: u16,
    /// Loss from zone a to zone b at `a * zones + b`; 1.0 is a cut.
    pub loss: Vec<f64>,
}

impl Layer {
    fn zone(&self, host: Host) -> usize {
        usize::from(self.zone_of.get(host.index()).copied().unwrap_or(0))
    }

    fn loss(&self, from: Host, to: Host) -> f64 {
        let (a, b) = (self.zone(from), self.zone(to));
        self.loss.get(a * usize::from(self.zones) + b).copied().unwrap_or(0.0)
    }
}

/// The conditions that hold now.
#[derive(Debug)]
pub struct Network {
    /// What holds everywhere.
    pub conditions: Conditions,
    layers: BTreeMap<u32, Layer>,
    /// What was sent, by whom.
    pub traffic: traffic::Traffic,
}

impl Network {
    /// A network without partitions.
    #[must_use]
    pub fn new(conditions: Conditions) -> Self {
        Self { conditions, layers: BTreeMap::new(), traffic: traffic::Traffic::default() }
    }

    /// Puts a layer in force under a number; replaces what had that number.
    pub fn raise(&mut self, number: u32, layer: Layer) {
        self.layers.insert(number, layer);
    }

    /// Lifts a layer.
    pub fn lift(&mut self, number: u32) {
        self.layers.remove(&number);
    }

    /// Lifts all layers.
    pub fn lift_all(&mut self) {
        self.layers.clear();
    }

    /// Whether any layer is in force.
    #[must_use]
    pub fn is_disturbed(&self) -> bool {
        !self.layers.is_empty()
    }

    /// The share of packets lost from one host to another; 1.0 if cut.
    #[must_use]
    pub fn loss(&self, from: Host, to: Host) -> f64 {
        let mut kept = 1.0 - self.conditions.loss;
        for layer in self.layers.values() {
            kept *= 1.0 - layer.loss(from, to);
        }
        1.0 - kept
    }

    /// Whether nothing gets from one host to the other.
    #[must_use]
    pub fn is_cut(&self, from: Host, to: Host) -> bool {
        self.layers.values().any(|layer| layer.loss(from, to) >= 1.0)
    }

    /// Whether a stream between the two can make progress: acknowledgements need the way back.
    #[must_use]
    pub fn carries_streams(&self, a: Host, b: Host) -> bool {
        self.layers.is_empty() || !(self.is_cut(a, b) || self.is_cut(b, a))
    }

    /// Draws a one-way latency.
    pub fn latency(&self, rng: &mut SmallRng) -> Tick {
        let Conditions { latency_min, latency_max, tail_share, .. } = self.conditions;
        if tail_share > 0.0 && rng.random_bool(tail_share) {
            return rng.random_range(latency_max..=latency_max.saturating_mul(10).max(1));
        }
        rng.random_range(latency_min..=latency_max)
    }

    /// Draws whether a packet is lost.
    pub fn is_lost(&self, from: Host, to: Host, rng: &mut SmallRng) -> bool {
        let loss = self.loss(from, to);
        loss >= 1.0 || (loss > 0.0 && rng.random_bool(loss))
    }

    /// Draws what retransmissions cost one message on a stream: the time-out, doubled for each loss in a row.
    ///
    /// No draw without loss, so that a run without loss does not depend on this model.
    pub fn retransmissions(&self, from: Host, to: Host, rng: &mut SmallRng) -> Tick {
        let loss = self.loss(from, to).min(0.95);
        let (mut delay, mut timeout) = (0, self.conditions.retransmit);
        while loss > 0.0 && rng.random_bool(loss) && delay < self.conditions.give_up {
            delay += timeout;
            timeout *= 2;
        }
        delay
    }
}
