//! Links at work: dials, handshakes, messages in order, resets.
//!
//! Invariant: a message on a link arrives once and in order, or the link ends.

use std::collections::VecDeque;

use super::{Event, World};
use crate::network::links::{ConnectionId, End, HELD_MAX, Stuck};
use crate::protocol::{Ending, Host, Input, Protocol};
use crate::queue::{MILLISECOND, SECOND, Tick};
use rand::Rng;

/// Bytes of TCP's and Noise's handshakes and of the negotiation between, from each side.
const HANDSHAKE_BYTES: u64 = 1_100;
/// First wait before a dial is tried again by the kernel; doubles.
const SYN_RETRY: Tick = SECOND;
/// Longest wait between two retransmissions.
const RETRANSMIT_MAX: Tick = 30 * SECOND;

impl<P: Protocol> World<P> {
    fn is_reachable(&self, from: Host, to: Host) -> bool {
        self.machines[to.index()].powered && self.network.carries_streams(from, to)
    }

    pub(super) fn dial(&mut self, dialler: Host, to: Host) {
        if dialler == to || self.links.end(dialler, to).is_some() {
            return;
        }
        let attempt = self.links.next_attempt();
        self.links.set_end(dialler, to, End::Dialing(attempt));
        let limit = self.now + self.network.conditions.dial_limit;
        self.queue.push(limit, Event::DialLimit { dialler, peer: to, attempt });
        self.send_syn(dialler, to, attempt, 0);
    }

    pub(super) fn send_syn(&mut self, dialler: Host, to: Host, attempt: u32, tries: u32) {
        if self.links.end(dialler, to) != Some(End::Dialing(attempt)) {
            return;
        }
        self.network.traffic.dial(dialler, 60);
        if !self.is_reachable(dialler, to) || self.network.is_lost(dialler, to, &mut self.rng) {
            let at = self.now + (SYN_RETRY << tries.min(6));
            self.queue.push(at, Event::Redial { dialler, to, attempt, tries: tries + 1 });
            return;
        }
        let at = self.now + self.network.latency(&mut self.rng);
        self.queue.push(at, Event::Syn { dialler, to, attempt });
    }

    pub(super) fn syn_arrives(&mut self, dialler: Host, to: Host, attempt: u32) {
        if !self.machines[to.index()].powered {
            return;
        }
        if self.machines[to.index()].process.is_none() {
            let at = self.now + self.network.latency(&mut self.rng);
            if self.network.carries_streams(to, dialler) {
                self.queue.push(at, Event::Refused { dialler, peer: to, attempt });
            }
            return;
        }
        if matches!(self.links.end(to, dialler), Some(End::Dialing(_))) && dialler > to {
            // Both dial: the link of the lower host is the one that comes about.
            return;
        }
        let mut round_trips = MILLISECOND;
        for _ in 0..self.network.conditions.dial_round_trips {
            round_trips += 2 * self.network.latency(&mut self.rng)
                + self.network.retransmissions(dialler, to, &mut self.rng);
        }
        self.network.traffic.dial(dialler, HANDSHAKE_BYTES);
        self.network.traffic.dial(to, HANDSHAKE_BYTES);
        let dialler_at = self.now + round_trips;
        let acceptor_at = dialler_at + self.network.latency(&mut self.rng);
        let in_mesh_from = acceptor_at + self.rng.random_range(0..SECOND);
        let id = self.links.connect(dialler, to, in_mesh_from);
        if let Some(connection) = self.links.connection_mut(id) {
            connection.last_arrival = [acceptor_at, dialler_at];
        }
        let attempt = Some(attempt);
        self.queue.push(dialler_at, Event::Established { id, host: dialler, peer: to, attempt });
        self.queue
            .push(acceptor_at, Event::Established { id, host: to, peer: dialler, attempt: None });
    }

    pub(super) fn established(
        &mut self,
        id: ConnectionId,
        host: Host,
        peer: Host,
        attempt: Option<u32>,
    ) {
        let known = self.links.end(host, peer);
        let wanted = attempt.is_none_or(|attempt| known == Some(End::Dialing(attempt)));
        let whole = self.links.connection(id).is_some() && self.network.carries_streams(host, peer);
        // Two that dial each other get two connections; the first to stand at both ends is the one they use.
        let has_one =
            matches!(known, Some(End::Open(one)) if self.links.open_end(peer, host) == Some(one));
        if self.machines[host.index()].process.is_none() || !wanted || !whole || has_one {
            self.refuse_link(id, host, peer);
            return;
        }
        if self.links.set_end(host, peer, End::Open(id)).is_some() {
            self.feed(host, Input::Ended(peer, Ending::Reset));
        }
        if self.links.open_end(host, peer) == Some(id) {
            self.feed(host, Input::Connected(peer));
        }
    }

    /// This end will not take the link that was being made; the other end learns it.
    pub(super) fn refuse_link(&mut self, id: ConnectionId, host: Host, peer: Host) {
        if self.machines[host.index()].powered {
            self.tell_ending(id, host, peer, Ending::Reset);
        }
        self.links.release(id);
    }

    pub(super) fn dial_ends(
        &mut self,
        dialler: Host,
        peer: Host,
        attempt: u32,
        input: Input<P::Message, P::Command>,
    ) {
        if self.links.end(dialler, peer) == Some(End::Dialing(attempt)) {
            self.links.clear_end(dialler, peer);
            self.feed(dialler, input);
        }
    }

    /// Sends the end of a connection to the other side; lost if there is no way, and then found out later.
    pub(super) fn tell_ending(&mut self, id: ConnectionId, from: Host, to: Host, ending: Ending) {
        self.network.traffic.dial(from, 60);
        if !self.is_reachable(from, to) {
            return;
        }
        let mut at = self.now + self.network.latency(&mut self.rng);
        if let Some(connection) = self.links.connection(id) {
            at = at.max(connection.last_arrival[connection.side_of(from)] + 1);
        }
        self.queue.push(at, Event::Broken { id, host: to, peer: from, ending });
    }

    pub(super) fn broken(&mut self, id: ConnectionId, host: Host, peer: Host, ending: Ending) {
        if self.links.open_end(host, peer) == Some(id) {
            self.links.clear_end(host, peer);
            self.feed(host, Input::Ended(peer, ending));
        }
    }

    pub(super) fn hang_up(&mut self, host: Host, peer: Host) {
        if let Some(id) = self.links.open_end(host, peer) {
            self.tell_ending(id, host, peer, Ending::Closed);
        }
        self.links.clear_end(host, peer);
    }

    pub(super) fn send(&mut self, from: Host, to: Host, message: P::Message) {
        let Some(id) = self.links.open_end(from, to) else {
            self.undeliverable += 1;
            return;
        };
        self.network.traffic.stream(from, to, P::size_bytes(&message));
        let free = self.is_reachable(from, to);
        let now = self.now;
        let Some(connection) = self.links.connection_mut(id) else { return };
        let side = connection.side_of(from);
        if let Some(stuck) = &mut connection.stuck[side] {
            if stuck.held.len() >= HELD_MAX {
                self.undeliverable += 1;
            } else {
                stuck.held.push_back(message);
            }
            return;
        }
        if !free {
            let stuck = Stuck { since: now, held: VecDeque::from([message]) };
            connection.stuck[side] = Some(Box::new(stuck));
            let wait = self.network.conditions.retransmit;
            self.queue.push(now + wait, Event::Retransmit { id, from, to, wait });
            return;
        }
        self.transmit(id, from, to, message);
    }

    fn transmit(&mut self, id: ConnectionId, from: Host, to: Host, message: P::Message) {
        let mut at = self.departure(from, P::size_bytes(&message));
        at += self.network.latency(&mut self.rng);
        at += self.network.retransmissions(from, to, &mut self.rng);
        let Some(connection) = self.links.connection_mut(id) else { return };
        let side = connection.side_of(from);
        at = at.max(connection.last_arrival[side] + 1);
        connection.last_arrival[side] = at;
        self.queue.push(at, Event::Stream { id, to, from, message });
    }

    pub(super) fn retransmit(&mut self, id: ConnectionId, from: Host, to: Host, wait: Tick) {
        if self.links.open_end(from, to) != Some(id) {
            return;
        }
        let free = self.is_reachable(from, to);
        let now = self.now;
        let give_up = self.network.conditions.give_up;
        let Some(connection) = self.links.connection_mut(id) else { return };
        let side = connection.side_of(from);
        let since = connection.stuck[side].as_ref().map_or(now, |stuck| stuck.since);
        if free {
            let stuck = connection.stuck[side].take();
            for message in stuck.into_iter().flat_map(|stuck| stuck.held) {
                self.transmit(id, from, to, message);
            }
        } else if now - since >= give_up {
            if self.machines[from.index()].stalled {
                let event = Event::Broken { id, host: from, peer: to, ending: Ending::TimedOut };
                self.machines[from.index()].backlog.push_back(event);
            } else {
                self.broken(id, from, to, Ending::TimedOut);
            }
        } else {
            let wait = (wait * 2).min(RETRANSMIT_MAX);
            self.queue.push(now + wait, Event::Retransmit { id, from, to, wait });
        }
    }

    pub(super) fn stream_arrives(
        &mut self,
        id: ConnectionId,
        to: Host,
        from: Host,
        message: P::Message,
    ) {
        if self.links.open_end(to, from) == Some(id) {
            self.feed(to, Input::Received(from, message));
        } else if self.machines[to.index()].powered {
            self.tell_ending(id, to, from, Ending::Reset);
        }
    }
}
