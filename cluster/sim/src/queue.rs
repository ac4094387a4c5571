//! The future: what will happen, in the order in which it will.
//!
//! Events of the same microsecond are common (ten thousand nodes tick on a grid), and a heap alone returns them
//! in an order that depends on its shape, so that an unrelated event would change a run.
//! Each event therefore carries the number under which it was filed, and that number breaks ties.
//! Events differ much in size; the heap moves only small keys, the events wait in slots.
//!
//! Invariant: two runs that file the same events in the same order take them out in the same order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// True time of a simulation, in microseconds since its start; no node can read it.
pub type Tick = u64;

/// One second in ticks.
pub const SECOND: Tick = 1_000_000;
/// One millisecond in ticks.
pub const MILLISECOND: Tick = 1_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    at: Tick,
    number: u64,
    slot: u32,
}

/// Events ordered by time, then by the order in which they were filed.
#[derive(Debug)]
pub struct Queue<E> {
    keys: BinaryHeap<Reverse<Key>>,
    slots: Vec<Option<E>>,
    free: Vec<u32>,
    filed: u64,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self { keys: BinaryHeap::new(), slots: Vec::new(), free: Vec::new(), filed: 0 }
    }
}

impl<E> Queue<E> {
    /// Files `event` for the tick `at`.
    pub fn push(&mut self, at: Tick, event: E) {
        let slot = if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = Some(event);
            slot
        } else {
            self.slots.push(Some(event));
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        };
        self.filed += 1;
        self.keys.push(Reverse(Key { at, number: self.filed, slot }));
    }

    /// Takes out the next event if it is due no later than `until`.
    pub fn pop_until(&mut self, until: Tick) -> Option<(Tick, E)> {
        if self.keys.peek()?.0.at > until {
            return None;
        }
        let Reverse(key) = self.keys.pop()?;
        let event = self.slots[key.slot as usize].take();
        self.free.push(key.slot);
        event.map(|event| (key.at, event))
    }

    /// How many events are waiting.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether nothing will happen any more.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_in_filing_order() {
        let mut queue = Queue::default();
        for (at, name) in [(5, "c"), (1, "a"), (5, "d"), (1, "b"), (9, "e")] {
            queue.push(at, name);
        }
        let mut seen = Vec::new();
        while let Some((_, name)) = queue.pop_until(5) {
            seen.push(name);
        }
        assert_eq!(seen, ["a", "b", "c", "d"]);
        assert_eq!(queue.len(), 1);
    }
}
