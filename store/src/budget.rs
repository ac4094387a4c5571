//! How many bytes the store may hold, and who waits for room.
//!
//! Without a limit a fast producer ends the process; with a bare "full" error every caller writes its own
//! retry loop, and the largest value starves behind small ones that always just fit.
//! So those who wait stand in one queue and are admitted in order of arrival; a later small value does not
//! overtake an earlier large one.
//!
//! Results of tasks do not wait: the task holds its arguments while it would wait for room, and those
//! arguments may be the very bytes in the way. They are charged at once, beyond the capacity if need be
//! (overdraft), and everybody in the queue waits until usage is below it again.
//!
//! Invariants:
//! 1. `used` is the sum of what was admitted or charged and not released.
//! 2. A ticket is admitted only while what it asks for fits, and never before an earlier ticket.
//! 3. A value larger than the capacity is never admitted and never queued.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::{BTreeSet, VecDeque};

/// The place of one waiting put.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket(u64);

/// Bytes in use, and the queue for more.
#[derive(Debug)]
pub(crate) struct Budget {
    capacity: u64,
    used: u64,
    next_ticket: u64,
    queue: VecDeque<(Ticket, u64)>,
    /// Admitted from the queue, not yet claimed by their owners, with their bytes.
    admitted: BTreeSet<(Ticket, u64)>,
}

impl Budget {
    pub(crate) const fn new(capacity: u64) -> Self {
        Self {
            capacity,
            used: 0,
            next_ticket: 0,
            queue: VecDeque::new(),
            admitted: BTreeSet::new(),
        }
    }

    pub(crate) const fn capacity(&self) -> u64 {
        self.capacity
    }

    pub(crate) const fn used(&self) -> u64 {
        self.used
    }

    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }

    fn fits(&self, bytes: u64) -> bool {
        self.used.checked_add(bytes).is_some_and(|used| used <= self.capacity)
    }

    /// Takes room if there is some and nobody waits for it already.
    #[must_use]
    pub(crate) fn try_admit(&mut self, bytes: u64) -> bool {
        let admitted = self.queue.is_empty() && self.fits(bytes);
        if admitted {
            self.used += bytes;
        }
        admitted
    }

    /// Whether there will never be room for so much.
    pub(crate) const fn is_too_large(&self, bytes: u64) -> bool {
        bytes > self.capacity
    }

    /// Takes the last place in the queue, or room at once if there is some: then the ticket can be claimed.
    ///
    /// What is [too large](Self::is_too_large) would block the queue for ever; ask first.
    pub(crate) fn queue(&mut self, bytes: u64) -> Ticket {
        debug_assert!(!self.is_too_large(bytes), "queued what can never be admitted");
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.queue.push_back((ticket, bytes));
        let _only_this_one_can_be_new = self.advance();
        ticket
    }

    /// Takes room for a result, whether there is some or not; false if it is larger than the whole store.
    #[must_use]
    pub(crate) fn charge(&mut self, bytes: u64) -> bool {
        let admitted = !self.is_too_large(bytes);
        if admitted {
            self.used = self.used.saturating_add(bytes);
        }
        admitted
    }

    /// Gives room back; returns those who may go on now, in order.
    #[must_use = "whoever was admitted must be woken"]
    pub(crate) fn release(&mut self, bytes: u64) -> Vec<Ticket> {
        debug_assert!(bytes <= self.used, "released more than was charged");
        self.used = self.used.saturating_sub(bytes);
        self.advance()
    }

    /// Whether the bytes of `ticket` are charged and wait for its owner.
    #[must_use]
    pub(crate) fn is_admitted(&self, ticket: Ticket) -> bool {
        self.admitted_key(ticket).is_some()
    }

    /// The owner of `ticket` comes to see; true if its bytes are charged and now its own.
    #[must_use]
    pub(crate) fn claim(&mut self, ticket: Ticket) -> bool {
        let key = self.admitted_key(ticket);
        key.is_some_and(|key| self.admitted.remove(&key))
    }

    /// The owner of `ticket` gives up; returns those who may go on now, in order.
    #[must_use = "whoever was admitted must be woken"]
    pub(crate) fn withdraw(&mut self, ticket: Ticket) -> Vec<Ticket> {
        if let Some(key) = self.admitted_key(ticket) {
            self.admitted.remove(&key);
            return self.release(key.1);
        }
        self.queue.retain(|(waiting, _)| *waiting != ticket);
        self.advance()
    }

    fn admitted_key(&self, ticket: Ticket) -> Option<(Ticket, u64)> {
        let found = self.admitted.range((ticket, 0)..=(ticket, u64::MAX)).next();
        found.copied()
    }

    fn advance(&mut self) -> Vec<Ticket> {
        let mut going = Vec::new();
        while let Some(&(ticket, bytes)) = self.queue.front() {
            if !self.fits(bytes) {
                break;
            }
            self.queue.pop_front();
            self.used += bytes;
            self.admitted.insert((ticket, bytes));
            going.push(ticket);
        }
        going
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_small_value_does_not_overtake_a_large_one() {
        let mut budget = Budget::new(10);
        assert!(budget.try_admit(8));
        let large = budget.queue(9);
        let small = budget.queue(1);
        assert!(!budget.try_admit(1), "the queue has priority");
        assert_eq!(budget.release(8), [large, small]);
        assert!(budget.claim(large) && budget.claim(small));
        assert!(!budget.claim(large), "only once");
        assert_eq!(budget.used(), 10);
    }

    #[test]
    fn what_never_fits_is_refused_at_once() {
        let mut budget = Budget::new(10);
        assert!(!budget.try_admit(11) && budget.is_too_large(11));
        assert!(!budget.charge(11));
        assert_eq!((budget.used(), budget.waiting()), (0, 0));
    }

    #[test]
    fn giving_up_lets_the_next_one_in_and_returns_unclaimed_bytes() {
        let mut budget = Budget::new(10);
        assert!(budget.try_admit(5));
        let large = budget.queue(10);
        let small = budget.queue(5);
        assert_eq!(budget.withdraw(large), [small]);
        assert_eq!(budget.used(), 10);
        assert_eq!(budget.withdraw(small), []);
        assert_eq!(budget.used(), 5);
    }

    #[test]
    fn results_overdraw_and_the_queue_waits_it_out() {
        let mut budget = Budget::new(10);
        assert!(budget.try_admit(10));
        assert!(budget.charge(7));
        let put = budget.queue(1);
        assert_eq!(budget.release(7), [], "usage is at the capacity again, not below");
        assert_eq!(budget.release(1), [put]);
    }

    proptest! {
        #[test]
        fn usage_is_the_sum_of_what_is_held_and_order_is_kept(
            history in prop::collection::vec((0u8..4, 0u64..12, any::<prop::sample::Index>()), 1..200)
        ) {
            let mut budget = Budget::new(10);
            let mut held: Vec<u64> = Vec::new();
            let mut queue: Vec<(Ticket, u64)> = Vec::new();
            for (action, bytes, index) in history {
                let going = match action {
                    0 if budget.is_too_large(bytes) => {
                        prop_assert!(!budget.try_admit(bytes));
                        Vec::new()
                    }
                    0 if budget.try_admit(bytes) => {
                        held.push(bytes);
                        Vec::new()
                    }
                    0 => {
                        queue.push((budget.queue(bytes), bytes));
                        Vec::new()
                    }
                    1 => {
                        if budget.charge(bytes) { held.push(bytes) }
                        Vec::new()
                    }
                    2 if !held.is_empty() => budget.release(held.swap_remove(index.index(held.len()))),
                    3 if !queue.is_empty() => budget.withdraw(queue.remove(index.index(queue.len())).0),
                    _ => Vec::new(),
                };
                for ticket in going {
                    let (first, bytes) = queue.remove(0);
                    prop_assert_eq!(first, ticket, "in order of arrival");
                    prop_assert!(budget.claim(ticket));
                    held.push(bytes);
                }
                prop_assert_eq!(budget.used(), held.iter().sum::<u64>());
                prop_assert_eq!(budget.waiting(), queue.len());
                if let Some((_, bytes)) = queue.first() {
                    prop_assert!(budget.used() + bytes > 10, "the head waits although it fits");
                }
            }
        }
    }
}
