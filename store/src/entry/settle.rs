//! How an object ends: sealed, failed, freed, or without anybody who needs it.
//!
//! Each of these changes the slot under the entry's lock and does the rest after it: waking, giving bytes back,
//! dropping. A value's drop may run any code of the user's, and a callback may come back to this very entry.
//!
//! Invariant: whatever a transition displaces leaves the lock before it is dropped or told.

use std::sync::{Weak, atomic::Ordering};

use super::{Canceller, Entry, Waiter, Written};
use crate::{
    discard::{AnyValue, discard},
    error::{GetError, TaskError},
    refcount::{Need, Release},
    table::{Held, Settled, Slot},
    waiters::Waiters,
};

impl Entry {
    // Producing.

    pub(crate) fn mark_running(&self) {
        self.running.store(true, Ordering::Relaxed);
    }

    pub(crate) fn set_canceller(&self, canceller: Weak<dyn Canceller>) {
        self.written.lock().canceller = Some(canceller);
    }

    /// The producer's value. Its bytes are charged already and are given back if the slot refuses it.
    pub(crate) fn seal(&self, held: Held<AnyValue>) {
        let mut written = self.written.lock();
        match written.slot.seal(held) {
            Settled::Now => {
                let told = self.settled(&mut written, false);
                drop(written);
                told.tell(false);
            }
            Settled::Refused(held) => {
                drop(written);
                self.discard(Slot::Sealed(held));
                return;
            }
        }
        if !self.is_wanted() {
            self.unreferenced();
        }
    }

    /// There will be no value, because of `error`. Whatever the object is already, it stays.
    pub fn fail(&self, error: TaskError) {
        self.fail_with(error.into());
    }

    /// There is no value any more, because of `error`; a value that is here goes.
    pub(crate) fn lose(&self, error: GetError) {
        let mut written = self.written.lock();
        let displaced = written.slot.lose(Box::new(error));
        let told = if matches!(displaced, Some(Slot::Pending)) {
            self.settled(&mut written, true)
        } else {
            if displaced.is_some() {
                self.ready.fetch_or(1, Ordering::AcqRel);
            }
            Told(Waiters::new())
        };
        drop(written);
        told.tell(true);
        if let Some(displaced) = displaced {
            self.discard(displaced);
        }
    }

    fn fail_with(&self, error: GetError) {
        let mut written = self.written.lock();
        match written.slot.fail(Box::new(error)) {
            Settled::Now => {
                let told = self.settled(&mut written, true);
                drop(written);
                told.tell(true);
            }
            Settled::Refused(error) => {
                drop(written);
                drop(error);
                return;
            }
        }
        if !self.is_wanted() {
            self.unreferenced();
        }
    }

    /// Somebody frees the object by hand.
    pub(crate) fn free(&self) {
        let mut written = self.written.lock();
        let Some(displaced) = written.slot.free() else {
            return;
        };
        let told = if matches!(displaced, Slot::Pending) {
            self.settled(&mut written, true)
        } else {
            self.ready.fetch_or(1, Ordering::AcqRel);
            Told(Waiters::new())
        };
        drop(written);
        told.tell(true);
        self.discard(displaced);
        self.tell_freed();
    }

    /// Under the lock, right after the slot was settled.
    fn settled(&self, written: &mut Written, failed: bool) -> Told {
        let word = self.home.ledger.next_sequence() << 1 | u64::from(failed);
        self.ready.store(word, Ordering::Release);
        written.canceller = None;
        Told(written.waiters.take())
    }

    // Counting.

    pub(crate) fn retain(&self, need: Need) {
        self.counts.retain(need);
    }

    pub(crate) fn try_retain(&self, need: Need) -> bool {
        self.counts.try_retain(need)
    }

    pub(crate) fn release(&self, need: Need) {
        if self.counts.release(need) == Release::Last {
            self.unreferenced();
        }
    }

    fn unreferenced(&self) {
        self.home.ledger.leave(self.id, self);
        let displaced = self.written.lock().slot.unreferenced();
        if let Some(displaced) = displaced {
            self.discard(displaced);
        }
        self.tell_end();
    }

    fn discard(&self, displaced: Slot<AnyValue, Box<GetError>>) {
        match displaced {
            Slot::Sealed(held) => {
                self.home.ledger.release(held.bytes);
                discard(held.value);
            }
            Slot::Failed(error) => drop(error),
            Slot::Pending | Slot::Freed | Slot::Dropped => {}
        }
    }
}

/// Waiters taken out of an entry, to be told without its lock.
#[must_use = "they wait"]
struct Told(Waiters<Waiter>);

impl Told {
    fn tell(self, failed: bool) {
        for waiter in self.0 {
            match waiter {
                Waiter::Waker(waker) => waker.wake(),
                Waiter::Board(board) | Waiter::MadeBoard(board) => board.arrived(failed),
                Waiter::Callback(callback) | Waiter::Made(callback) => callback(),
            }
        }
    }
}
