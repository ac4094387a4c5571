//! Floods: a model of gossipsub over the links that stand.
//!
//! A broadcast that reaches everybody after a drawn delay would cross partitions and cost nothing.
//! So each copy is an event of its own: the publisher sends to all its links, who gets a message for the first
//! time forwards it over the links that are in its mesh (gossipsub grafts once a second, a fresh link waits for
//! that), every hop may drop it, and every copy is weighed.
//! The lazy repair of gossipsub (IHAVE, IWANT) is left out: the core under test must not need it.
//!
//! Invariant: a process sees one flood at most once.

use crate::protocol::Host;

/// Most links over which one process forwards a flood; gossipsub's upper mesh bound.
pub const MESH_MAX: usize = 12;

/// Names one flood while copies of it are on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FloodId(u32);

#[derive(Debug)]
struct Flood<M> {
    message: M,
    size_bytes: u32,
    seen: Vec<u64>,
    in_flight: u32,
}

/// All floods with copies on their way.
#[derive(Debug)]
pub struct Floods<M> {
    slots: Vec<Option<Flood<M>>>,
    free: Vec<u32>,
}

impl<M> Default for Floods<M> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }
}

impl<M: Clone> Floods<M> {
    /// Takes up a flood that `publisher` has seen; it must be followed by [`Floods::settle`].
    pub fn publish(&mut self, publisher: Host, message: M, size_bytes: u32) -> FloodId {
        let mut flood = Flood { message, size_bytes, seen: Vec::new(), in_flight: 0 };
        flood.see(publisher);
        if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = Some(flood);
            FloodId(slot)
        } else {
            self.slots.push(Some(flood));
            FloodId(u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX))
        }
    }

    fn flood(&mut self, id: FloodId) -> Option<&mut Flood<M>> {
        self.slots.get_mut(id.0 as usize)?.as_mut()
    }

    /// Encoded size of the message, without envelope.
    pub fn size_bytes(&mut self, id: FloodId) -> u32 {
        self.flood(id).map_or(0, |flood| flood.size_bytes)
    }

    /// One more copy is on its way.
    pub fn launch(&mut self, id: FloodId) {
        if let Some(flood) = self.flood(id) {
            flood.in_flight += 1;
        }
    }

    /// One copy has arrived at `host`, or was lost there if `None`; the message if it is the first.
    pub fn land(&mut self, id: FloodId, host: Option<Host>) -> Option<M> {
        let flood = self.flood(id)?;
        flood.in_flight -= 1;
        (flood.see(host?)).then(|| flood.message.clone())
    }

    /// Forgets the flood if nothing of it is on its way.
    pub fn settle(&mut self, id: FloodId) {
        if self.flood(id).is_some_and(|flood| flood.in_flight == 0) {
            self.slots[id.0 as usize] = None;
            self.free.push(id.0);
        }
    }
}

impl<M> Flood<M> {
    /// Marks it seen by `host`; true the first time.
    fn see(&mut self, host: Host) -> bool {
        let (word, bit) = (host.index() / 64, 1_u64 << (host.index() % 64));
        if self.seen.len() <= word {
            self.seen.resize(word + 1, 0);
        }
        let fresh = self.seen[word] & bit == 0;
        self.seen[word] |= bit;
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_sees_a_flood_once_and_a_finished_flood_is_forgotten() {
        let mut floods = Floods::default();
        let id = floods.publish(Host(0), "x", 1);
        floods.launch(id);
        floods.launch(id);
        assert_eq!(floods.land(id, Some(Host(7))), Some("x"));
        assert_eq!(floods.land(id, Some(Host(7))), None);
        floods.settle(id);
        assert_eq!(floods.publish(Host(1), "y", 1), id);
    }
}
