//! Floods and datagrams at work: nothing here is reliable, and nothing is in order.
//!
//! Invariant: a copy that is lost leaves no trace but its weight.

use super::{Event, World};
use crate::network::flood::{FloodId, MESH_MAX};
use crate::network::links::End;
use crate::protocol::{Host, Input, Protocol};
use crate::queue::{MILLISECOND, Tick};
use rand::Rng;

/// Most that a reordered copy is held back.
const HOLD_BACK_MAX: Tick = 50 * MILLISECOND;

impl<P: Protocol> World<P> {
    fn held_back(&mut self) -> Tick {
        let share = self.network.conditions.reordered;
        if share > 0.0 && self.rng.random_bool(share) {
            self.rng.random_range(0..HOLD_BACK_MAX)
        } else {
            0
        }
    }

    pub(super) fn send_datagram(&mut self, from: Host, to: Host, message: P::Message) {
        self.network.traffic.datagram(from, P::size_bytes(&message));
        let doubled = self.network.conditions.duplicates;
        let copies = 1 + usize::from(doubled > 0.0 && self.rng.random_bool(doubled));
        for _ in 0..copies {
            if !self.machines[to.index()].powered || self.network.is_lost(from, to, &mut self.rng) {
                continue;
            }
            let at = self.now + self.network.latency(&mut self.rng) + self.held_back();
            self.queue.push(at, Event::Datagram { to, from, message: message.clone() });
        }
    }

    pub(super) fn publish(&mut self, from: Host, message: P::Message) {
        let size_bytes = P::size_bytes(&message);
        let id = self.floods.publish(from, message, size_bytes);
        let mut peers = std::mem::take(&mut self.flood_peers);
        peers.extend(self.links.ends(from).iter().filter_map(|(peer, end)| match end {
            End::Open(_) => Some(*peer),
            End::Dialing(_) => None,
        }));
        for peer in peers.drain(..) {
            self.launch(id, from, peer);
        }
        self.flood_peers = peers;
        self.floods.settle(id);
    }

    pub(super) fn flood_arrives(&mut self, id: FloodId, to: Host, from: Host) {
        let runs = self.machines[to.index()].process.is_some();
        if let Some(message) = self.floods.land(id, runs.then_some(to)) {
            self.forward(id, to, from);
            self.feed(to, Input::Flooded(from, message));
        }
        self.floods.settle(id);
    }

    fn forward(&mut self, id: FloodId, host: Host, source: Host) {
        let mut peers = std::mem::take(&mut self.flood_peers);
        for (peer, end) in self.links.ends(host) {
            let End::Open(connection) = end else { continue };
            let grafted = self
                .links
                .connection(*connection)
                .is_some_and(|connection| connection.in_mesh_from <= self.now);
            if *peer != source && grafted {
                peers.push(*peer);
            }
        }
        if peers.len() > MESH_MAX {
            let first = self.rng.random_range(0..peers.len());
            peers.rotate_left(first);
            peers.truncate(MESH_MAX);
        }
        for peer in peers.drain(..) {
            self.launch(id, host, peer);
        }
        self.flood_peers = peers;
    }

    fn launch(&mut self, id: FloodId, from: Host, to: Host) {
        let size_bytes = self.floods.size_bytes(id);
        self.network.traffic.flood(from, to, size_bytes);
        let dropped = self.network.conditions.flood_loss;
        if !self.machines[to.index()].powered
            || !self.network.carries_streams(from, to)
            || (dropped > 0.0 && self.rng.random_bool(dropped))
        {
            return;
        }
        // What one hop costs in gossipsub besides the wire: measured 0.3 to 1.5 ms, with a tail to 10 ms.
        let work = if self.rng.random_bool(0.02) {
            self.rng.random_range(1_500..10 * MILLISECOND)
        } else {
            self.rng.random_range(300..1_500)
        };
        let at = self.departure(from, size_bytes)
            + self.network.latency(&mut self.rng)
            + work
            + self.held_back();
        self.floods.launch(id);
        self.queue.push(at, Event::Flood { id, to, from });
    }
}
