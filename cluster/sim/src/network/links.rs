//! Streams between processes: which link stands at which end, and what is on its way.
//!
//! The two ends of a TCP connection learn of its beginning and its end at different times, and a dead machine's
//! peer may believe in the link for minutes. One record for the pair would make them agree by magic.
//! So each end has an entry of its own, and the connection they speak of lives until neither refers to it.
//! Who refers to a connection that the other side no longer knows is told so by a reset, as TCP does.
//!
//! Invariant: messages of one direction of one connection arrive in the order in which they were sent.

use std::collections::VecDeque;

use crate::protocol::Host;
use crate::queue::Tick;

/// Most messages that wait on one direction of a stalled connection; what comes after is dropped and counted.
pub const HELD_MAX: usize = 4_096;

/// Names one connection; a slot that is used again has another generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionId {
    slot: u32,
    generation: u32,
}

/// What one host knows of its link to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It dials; the number tells this attempt from earlier ones.
    Dialing(u32),
    /// It stands, as far as this end knows.
    Open(ConnectionId),
}

/// One direction of a connection on which nothing gets through.
#[derive(Debug)]
pub struct Stuck<M> {
    /// Since when.
    pub since: Tick,
    /// What waits, in order.
    pub held: VecDeque<M>,
}

/// One connection, while at least one end refers to it.
#[derive(Debug)]
pub struct Connection<M> {
    /// The dialler, then the acceptor.
    pub hosts: [Host; 2],
    /// When the last message of each direction arrives; index is the sender's side.
    pub last_arrival: [Tick; 2],
    /// What waits for the path to come back; index is the sender's side. Seldom there, so it does not lie here.
    pub stuck: [Option<Box<Stuck<M>>>; 2],
    /// From when gossipsub forwards over it.
    pub in_mesh_from: Tick,
    references: u8,
}

impl<M> Connection<M> {
    /// The side (0 or 1) on which `host` is.
    #[must_use]
    pub fn side_of(&self, host: Host) -> usize {
        usize::from(self.hosts[0] != host)
    }
}

#[derive(Debug)]
struct Slot<M> {
    generation: u32,
    connection: Option<Connection<M>>,
}

/// All ends and all connections.
#[derive(Debug)]
pub struct Links<M> {
    ends: Vec<Vec<(Host, End)>>,
    slots: Vec<Slot<M>>,
    free: Vec<u32>,
    attempts: u32,
}

impl<M> Default for Links<M> {
    fn default() -> Self {
        Self { ends: Vec::new(), slots: Vec::new(), free: Vec::new(), attempts: 0 }
    }
}

impl<M> Links<M> {
    /// What `host` knows of its link to `peer`.
    #[must_use]
    pub fn end(&self, host: Host, peer: Host) -> Option<End> {
        let ends = self.ends.get(host.index())?;
        let index = ends.binary_search_by_key(&peer, |(peer, _)| *peer).ok()?;
        Some(ends[index].1)
    }

    /// The connection that `host` believes in.
    #[must_use]
    pub fn open_end(&self, host: Host, peer: Host) -> Option<ConnectionId> {
        match self.end(host, peer)? {
            End::Open(id) => Some(id),
            End::Dialing(_) => None,
        }
    }

    /// All ends of `host`, by peer.
    #[must_use]
    pub fn ends(&self, host: Host) -> &[(Host, End)] {
        self.ends.get(host.index()).map_or(&[], Vec::as_slice)
    }

    /// A number for a new dial.
    pub fn next_attempt(&mut self) -> u32 {
        self.attempts = self.attempts.wrapping_add(1);
        self.attempts
    }

    /// Records what `host` knows of its link to `peer`; returns the connection that this displaces.
    pub fn set_end(&mut self, host: Host, peer: Host, end: End) -> Option<ConnectionId> {
        if self.ends.len() <= host.index() {
            self.ends.resize_with(host.index() + 1, Vec::new);
        }
        let ends = &mut self.ends[host.index()];
        match ends.binary_search_by_key(&peer, |(peer, _)| *peer) {
            Ok(index) => match std::mem::replace(&mut ends[index].1, end) {
                End::Open(old) => {
                    self.release(old);
                    Some(old)
                }
                End::Dialing(_) => None,
            },
            Err(index) => {
                ends.insert(index, (peer, end));
                None
            }
        }
    }

    /// Forgets what `host` knows of its link to `peer`; the connection loses one reference.
    pub fn clear_end(&mut self, host: Host, peer: Host) -> Option<End> {
        let ends = self.ends.get_mut(host.index())?;
        let index = ends.binary_search_by_key(&peer, |(peer, _)| *peer).ok()?;
        let (_, end) = ends.remove(index);
        if let End::Open(id) = end {
            self.release(id);
        }
        Some(end)
    }

    /// Makes a connection that both ends will refer to.
    pub fn connect(&mut self, dialler: Host, acceptor: Host, in_mesh_from: Tick) -> ConnectionId {
        let connection = Connection {
            hosts: [dialler, acceptor],
            last_arrival: [0; 2],
            stuck: [None, None],
            in_mesh_from,
            references: 2,
        };
        if let Some(slot) = self.free.pop() {
            let place = &mut self.slots[slot as usize];
            place.connection = Some(connection);
            ConnectionId { slot, generation: place.generation }
        } else {
            self.slots.push(Slot { generation: 0, connection: Some(connection) });
            ConnectionId {
                slot: u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX),
                generation: 0,
            }
        }
    }

    /// Drops one reference to a connection; without references it is forgotten.
    pub fn release(&mut self, id: ConnectionId) {
        let Some(connection) = self.connection_mut(id) else { return };
        connection.references -= 1;
        if connection.references == 0 {
            let place = &mut self.slots[id.slot as usize];
            place.connection = None;
            place.generation = place.generation.wrapping_add(1);
            self.free.push(id.slot);
        }
    }

    /// The connection, while anybody refers to it.
    #[must_use]
    pub fn connection(&self, id: ConnectionId) -> Option<&Connection<M>> {
        let place = self.slots.get(id.slot as usize)?;
        place.connection.as_ref().filter(|_| place.generation == id.generation)
    }

    /// The connection, to be changed.
    pub fn connection_mut(&mut self, id: ConnectionId) -> Option<&mut Connection<M>> {
        let place = self.slots.get_mut(id.slot as usize)?;
        let fits = place.generation == id.generation;
        place.connection.as_mut().filter(|_| fits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_lives_until_both_ends_forgot_it_and_its_name_is_not_used_again() {
        let mut links = Links::<()>::default();
        let id = links.connect(Host(1), Host(2), 0);
        links.set_end(Host(1), Host(2), End::Open(id));
        links.set_end(Host(2), Host(1), End::Open(id));
        links.clear_end(Host(1), Host(2));
        assert!(links.connection(id).is_some());
        links.clear_end(Host(2), Host(1));
        assert!(links.connection(id).is_none());
        let next = links.connect(Host(1), Host(2), 0);
        assert!(links.connection(id).is_none() && links.connection(next).is_some());
    }
}
