//! One future that waits for several objects at once.
//!
//! A future per object would be woken once per object and would look at all of them each time: quadratic.
//! A board is shared by the waiting future and every object it waits for; objects count themselves off on it,
//! and only the one that completes the count wakes the future.
//!
//! The loop of waits that take a few objects and go on with the rest would be quadratic in another way, if each
//! wait entered a thousand objects and left them again. So nobody leaves: a board that is not needed any more
//! stays behind, idle, and the next wait on the same objects finds it there and counts on. An idle board in the
//! way of another one is retired and replaced.
//!
//! Laws:
//! 1. Only whoever brought a board from idle to busy arms it. A board leaves an object only when retired, and a
//!    busy one is never retired.
//! 2. The future leaves its waker, then sets the target, then looks at the count; an object raises the count,
//!    then looks at the target, then takes the waker. So one of the two sees the other.
//! 3. The count may include objects that the future does not wait for any more: complete means "look again".

use std::{
    sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    task::{Poll, Waker},
};

use parking_lot::Mutex;

const IDLE: u8 = 0;
const BUSY: u8 = 1;
const RETIRED: u8 = 2;

/// How many objects became ready, how many it takes, and whom to wake then.
#[derive(Debug)]
pub(crate) struct Board {
    state: AtomicU8,
    arrived: AtomicU64,
    target: AtomicU64,
    /// Complete at the first object without a value.
    failure_ends: AtomicBool,
    failed: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Board {
    /// A busy board, complete until it is armed.
    pub(crate) const fn new() -> Self {
        Self {
            state: AtomicU8::new(BUSY),
            arrived: AtomicU64::new(0),
            target: AtomicU64::new(0),
            failure_ends: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            waker: Mutex::new(None),
        }
    }

    // Whose it is.

    /// Takes an idle board into use; it is complete until it is armed.
    pub(crate) fn try_acquire(&self) -> bool {
        let acquired = self.change(IDLE, BUSY);
        if acquired {
            self.target.store(0, Ordering::SeqCst);
        }
        acquired
    }

    /// Leaves the board where it is, for the next one.
    pub(crate) fn release(&self) {
        self.target.store(u64::MAX, Ordering::SeqCst);
        let waker = self.waker.lock().take();
        self.state.store(IDLE, Ordering::Release);
        drop(waker);
    }

    /// Whether the board can be taken off an object: nobody uses it, and from now on nobody will.
    pub(crate) fn try_retire(&self) -> bool {
        self.change(IDLE, RETIRED) || self.state.load(Ordering::Acquire) == RETIRED
    }

    fn change(&self, from: u8, to: u8) -> bool {
        self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    // What it counts.

    /// One object became ready.
    pub(crate) fn arrived(&self, failed: bool) {
        let arrived = self.arrived.fetch_add(1, Ordering::SeqCst) + 1;
        let ends = failed && self.failure_ends.load(Ordering::SeqCst);
        if ends {
            self.failed.store(true, Ordering::SeqCst);
        }
        if ends || arrived >= self.target.load(Ordering::SeqCst) {
            let waker = self.waker.lock().take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Says what completes the board: `missing` more arrivals after those that `arrivals` gave.
    pub(crate) fn arm(&self, arrivals: u64, missing: u64) {
        self.target.store(arrivals.saturating_add(missing), Ordering::SeqCst);
    }

    /// The count to arm with, to be read before looking at the objects. Failures from now on are noticed, and
    /// until it is armed the board is complete: what the look finds must not be overlooked.
    pub(crate) fn arrivals(&self, failure_ends: bool) -> u64 {
        self.target.store(0, Ordering::SeqCst);
        self.failure_ends.store(failure_ends, Ordering::SeqCst);
        self.failed.store(false, Ordering::SeqCst);
        self.arrived.load(Ordering::SeqCst)
    }

    pub(crate) fn poll_complete(&self, waker: &Waker) -> Poll<()> {
        if !self.is_complete() {
            *self.waker.lock() = Some(waker.clone());
        }
        if self.is_complete() { Poll::Ready(()) } else { Poll::Pending }
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.arrived.load(Ordering::SeqCst) >= self.target.load(Ordering::SeqCst)
            || self.failed.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_board_completes_at_its_target_or_at_a_failure_that_ends_it() {
        let board = Board::new();
        board.arm(board.arrivals(false), 2);
        board.arrived(true);
        assert!(!board.is_complete());
        board.arrived(false);
        assert!(board.is_complete());

        board.arm(board.arrivals(true), 2);
        assert!(!board.is_complete(), "counts on from where it was");
        board.arrived(true);
        assert!(board.is_complete());

        let arrivals = board.arrivals(true);
        assert!(board.is_complete(), "until it is armed again");
        board.arm(arrivals, 1);
        assert!(!board.is_complete(), "the failure of before is not one of now");
    }

    #[test]
    fn a_board_in_use_is_neither_taken_nor_retired() {
        let board = Board::new();
        assert!(!board.try_acquire() && !board.try_retire());
        board.release();
        assert!(!board.is_complete(), "nobody to wake");
        assert!(board.try_acquire() && !board.try_acquire());
        assert!(board.is_complete(), "until it is armed");
        board.release();
        assert!(board.try_retire() && board.try_retire());
        assert!(!board.try_acquire(), "for good");
    }
}
