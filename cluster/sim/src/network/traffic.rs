//! What messages weigh on the wire.
//!
//! A protocol that is judged by the bytes of its payload looks three times as light as it is.
//! The framing counted here is what our control link adds: 4 bytes of frame length, 12 of the multiplexer, 18 of
//! Noise (length and tag), 32 of TCP with timestamps and 20 of IP, each message in a packet of its own or in as
//! many as it needs. Pure acknowledgements (52 bytes a packet, in the other direction) are counted apart.
//! A flooded message also bears gossipsub's envelope: topic, sequence number, source and signature.
//!
//! Invariant: every copy that leaves a host is counted there once, whether or not it arrives.

use crate::protocol::Host;

/// Frame, multiplexer, Noise, TCP and IP around one message on a link.
pub const STREAM_FRAMING_BYTES: u64 = 4 + 12 + 18 + 32 + 20;
/// What gossipsub adds to a message: topic (~10), sequence number (8), source (38), signature (64), protobuf tags.
pub const FLOOD_ENVELOPE_BYTES: u64 = 130;
/// UDP and IP.
pub const DATAGRAM_FRAMING_BYTES: u64 = 28;
/// A bare acknowledgement: TCP with timestamps, and IP.
pub const ACKNOWLEDGEMENT_BYTES: u64 = 52;
/// Payload of one full packet.
const SEGMENT_BYTES: u64 = 1_448;

/// Bytes that one host sent, by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    /// Messages over links.
    pub stream_messages: u64,
    /// Their bytes, framing included.
    pub stream_bytes: u64,
    /// Copies of floods.
    pub flood_copies: u64,
    /// Their bytes, envelope and framing included.
    pub flood_bytes: u64,
    /// Datagrams.
    pub datagrams: u64,
    /// Their bytes.
    pub datagram_bytes: u64,
    /// Bytes of set-up: dials, handshakes, resets.
    pub dial_bytes: u64,
    /// Bare acknowledgements for what this host received on streams.
    pub acknowledgement_bytes: u64,
}

impl Sent {
    /// All bytes but bare acknowledgements.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.stream_bytes + self.flood_bytes + self.datagram_bytes + self.dial_bytes
    }

    fn add(&mut self, other: &Self) {
        self.stream_messages += other.stream_messages;
        self.stream_bytes += other.stream_bytes;
        self.flood_copies += other.flood_copies;
        self.flood_bytes += other.flood_bytes;
        self.datagrams += other.datagrams;
        self.datagram_bytes += other.datagram_bytes;
        self.dial_bytes += other.dial_bytes;
        self.acknowledgement_bytes += other.acknowledgement_bytes;
    }
}

/// What each host sent since the last reset.
#[derive(Debug, Default)]
pub struct Traffic {
    hosts: Vec<Sent>,
}

fn framed(size_bytes: u64, framing: u64) -> u64 {
    size_bytes + framing + size_bytes / SEGMENT_BYTES * 52
}

impl Traffic {
    fn host(&mut self, host: Host) -> &mut Sent {
        if self.hosts.len() <= host.index() {
            self.hosts.resize(host.index() + 1, Sent::default());
        }
        &mut self.hosts[host.index()]
    }

    pub(crate) fn stream(&mut self, from: Host, to: Host, size_bytes: u32) {
        let sent = self.host(from);
        sent.stream_messages += 1;
        sent.stream_bytes += framed(u64::from(size_bytes), STREAM_FRAMING_BYTES);
        self.host(to).acknowledgement_bytes += ACKNOWLEDGEMENT_BYTES;
    }

    pub(crate) fn flood(&mut self, from: Host, to: Host, size_bytes: u32) {
        let sent = self.host(from);
        sent.flood_copies += 1;
        sent.flood_bytes +=
            framed(u64::from(size_bytes) + FLOOD_ENVELOPE_BYTES, STREAM_FRAMING_BYTES);
        self.host(to).acknowledgement_bytes += ACKNOWLEDGEMENT_BYTES;
    }

    pub(crate) fn datagram(&mut self, from: Host, size_bytes: u32) {
        let sent = self.host(from);
        sent.datagrams += 1;
        sent.datagram_bytes += framed(u64::from(size_bytes), DATAGRAM_FRAMING_BYTES);
    }

    pub(crate) fn dial(&mut self, from: Host, size_bytes: u64) {
        self.host(from).dial_bytes += size_bytes;
    }

    /// Starts counting anew.
    pub fn reset(&mut self) {
        self.hosts.clear();
    }

    /// What one host sent.
    #[must_use]
    pub fn of(&self, host: Host) -> Sent {
        self.hosts.get(host.index()).copied().unwrap_or_default()
    }

    /// What all hosts sent together.
    #[must_use]
    pub fn total(&self) -> Sent {
        let mut sum = Sent::default();
        for sent in &self.hosts {
            sum.add(sent);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_heartbeat_weighs_its_framing_too() {
        let mut traffic = Traffic::default();
        traffic.stream(Host(0), Host(1), 24);
        assert_eq!(traffic.of(Host(0)).bytes(), 110);
        assert_eq!(traffic.of(Host(1)).bytes(), 0);
        assert_eq!(traffic.of(Host(1)).acknowledgement_bytes, 52);
    }
}
