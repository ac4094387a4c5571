//! The future: what will happen, in the order in which it will.
//!
//! Events of the same microsecond are common (ten thousand nodes tick on a grid), and a heap alone returns them
//! in an order that depends on its shape, so that an unrelated event would change a run.
//! Each event therefore carries the number under which it was filed, and that number breaks ties.
//! Events differ much in size; only small keys are moved, the events wait in slots.
//! And a heap of all that ten thousand nodes have planned is larger than a core's cache: so the next second lies in
//! buckets of a millisecond, unsorted, only the bucket that is open is a heap, and what is further off is another.
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

/// Ticks in one bucket, as a power of two: about a millisecond.
const BUCKET_BITS: u32 = 10;
/// Buckets ahead; a power of two.
const BUCKETS: u64 = 1_024;

/// Events ordered by time, then by the order in which they were filed.
#[derive(Debug)]
pub struct Queue<E> {
    /// The open bucket, and whatever was filed for before its end since it was opened.
    open: BinaryHeap<Reverse<Key>>,
    /// Number of the open bucket.
    bucket: u64,
    /// The buckets after it, by number modulo their count.
    ahead: Vec<Vec<Key>>,
    ahead_count: usize,
    far: BinaryHeap<Reverse<Key>>,
    slots: Vec<Option<E>>,
    free: Vec<u32>,
    filed: u64,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self {
            open: BinaryHeap::new(),
            bucket: 0,
            ahead: (0..BUCKETS).map(|_| Vec::new()).collect(),
            ahead_count: 0,
            far: BinaryHeap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            filed: 0,
        }
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
        self.place(Key { at, number: self.filed, slot });
    }

    fn place(&mut self, key: Key) {
        let bucket = key.at >> BUCKET_BITS;
        if bucket <= self.bucket {
            self.open.push(Reverse(key));
        } else if bucket < self.bucket + BUCKETS {
            self.ahead[(bucket % BUCKETS) as usize].push(key);
            self.ahead_count += 1;
        } else {
            self.far.push(Reverse(key));
        }
    }

    /// Opens the next bucket in which there is something; false if there is nothing at all.
    fn turn(&mut self) -> bool {
        while self.open.is_empty() {
            self.bucket = match (self.ahead_count, self.far.peek()) {
                (0, None) => return false,
                (0, Some(Reverse(key))) => key.at >> BUCKET_BITS,
                _ => self.bucket + 1,
            };
            while let Some(Reverse(key)) = self.far.peek().copied()
                && key.at >> BUCKET_BITS < self.bucket + BUCKETS
            {
                self.far.pop();
                self.place(key);
            }
            let mut due = std::mem::take(&mut self.ahead[(self.bucket % BUCKETS) as usize]);
            self.ahead_count -= due.len();
            self.open.extend(due.drain(..).map(Reverse));
            self.ahead[(self.bucket % BUCKETS) as usize] = due;
        }
        true
    }

    /// Takes out the next event if it is due no later than `until`.
    pub fn pop_until(&mut self, until: Tick) -> Option<(Tick, E)> {
        if !self.turn() || self.open.peek()?.0.at > until {
            return None;
        }
        let Reverse(key) = self.open.pop()?;
        let event = self.slots[key.slot as usize].take();
        self.free.push(key.slot);
        event.map(|event| (key.at, event))
    }

    /// How many events are waiting.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len() + self.ahead_count + self.far.len()
    }

    /// Whether nothing will happen any more.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

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

    #[test]
    fn near_and_far_events_come_in_one_order() {
        let mut rng = SmallRng::seed_from_u64(5);
        let mut queue = Queue::default();
        let mut model = std::collections::BTreeSet::new();
        let (mut now, mut number) = (0, 0);
        for _ in 0..20_000 {
            for _ in 0..rng.random_range(0..3) {
                let span = [10, 3_000, 900_000, 30_000_000][rng.random_range(0..4)];
                let at = now + rng.random_range(0..span);
                queue.push(at, number);
                model.insert((at, number));
                number += 1;
            }
            let until = now + rng.random_range(0..5_000);
            let expected = model.first().copied().filter(|(at, _)| *at <= until);
            assert_eq!(queue.pop_until(until), expected);
            model.remove(&expected.unwrap_or_default());
            now = expected.map_or(until, |(at, _)| at);
        }
        assert_eq!(queue.len(), model.len());
    }
}
