//! What an object has to do with other stores.
//!
//! Invariant: an object that never left its store has no ties, and pays one load where an entry would speak of
//! them.

use std::sync::{Arc, atomic::Ordering};

use super::{ASKED, AWAY, Elsewhere, Entry, FOREIGN, GetError, KNOWN, MADE, PLACE_ASKED, Waiter};
use crate::{address::Address, codec::ValueType, discard::AnyValue, table::Slot};

/// What an entry has of a value, for those who ask from elsewhere.
pub(crate) enum Holding {
    Pending,
    Value { value: AnyValue, bytes: u64 },
    Failed(GetError),
    Freed,
}

impl Entry {
    pub(crate) const fn value_type(&self) -> &'static ValueType {
        self.value_type
    }

    /// What is here now.
    pub(crate) fn holding(&self) -> Holding {
        match &self.written.lock().slot {
            Slot::Pending => Holding::Pending,
            Slot::Sealed(held) => {
                Holding::Value { value: Arc::clone(&held.value), bytes: held.bytes }
            }
            Slot::Failed(error) => Holding::Failed(GetError::clone(error)),
            Slot::Freed | Slot::Dropped => Holding::Freed,
        }
    }

    /// Whether there is a value.
    pub(crate) fn has_value(&self) -> bool {
        self.readiness().is_some_and(|readiness| !readiness.failed())
    }

    /// Others know the object from now on.
    pub(crate) fn set_known(&self) {
        self.ties.fetch_or(KNOWN, Ordering::AcqRel);
    }

    /// Its value is lost, and is about to be made again.
    pub(crate) fn set_lost(&self) {
        self.ties.fetch_and(!(AWAY | ASKED), Ordering::AcqRel);
    }

    /// Somebody else keeps the object from now on.
    pub(crate) fn set_foreign(&self) {
        self.ties.fetch_or(FOREIGN | AWAY, Ordering::AcqRel);
    }

    /// Asks for the value if anybody waits for it here, or for the word that it is made, which of a foreign object nobody
    /// here knows.
    pub(crate) fn ask_if_awaited(&self) {
        let is_awaited = self.written.lock().waiters.iter().next().is_some();
        if is_awaited && !self.is_ready() {
            self.ask();
        }
    }

    /// Whether somebody else keeps the object, or did.
    pub(crate) fn is_foreign(&self) -> bool {
        self.ties.load(Ordering::Acquire) & FOREIGN != 0
    }

    /// The value of an own object came to be elsewhere: those who wait for it here want it from there.
    pub(crate) fn set_away(&self) {
        self.ties.fetch_or(AWAY, Ordering::AcqRel);
        let mut written = self.written.lock();
        let content = written.waiters.extract(|waiter| matches!(waiter, Waiter::Made(_)));
        // They stay: should the value be lost before they look, this was not the last word.
        let (mut boards, mut waits) = (Vec::new(), false);
        for waiter in written.waiters.iter() {
            match waiter {
                Waiter::MadeBoard(board) => boards.push(Arc::clone(board)),
                Waiter::Waker(_) | Waiter::Board(_) | Waiter::Callback(_) | Waiter::Made(_) => {
                    waits = true;
                }
            }
        }
        drop(written);
        boards.iter().for_each(|board| board.arrived(false));
        for waiter in content {
            if let Waiter::Made(callback) = waiter {
                callback();
            }
        }
        if waits {
            self.ask();
        }
    }

    /// Whether the value was made, here or on another node; `false` if nobody here knows.
    #[must_use]
    pub fn is_made(&self) -> bool {
        let ties = self.ties.load(Ordering::Acquire);
        self.is_ready()
            || ties & (AWAY | FOREIGN) == AWAY
            || ties & (FOREIGN | MADE) == FOREIGN | MADE
    }

    /// Calls `callback` once the object is made, be its value here or on another node; at once if it is. Of an object
    /// that another node keeps that one is asked, and a small value comes with the answer. The callback cannot be
    /// withdrawn.
    pub fn on_made(&self, callback: Box<dyn FnOnce() + Send>) {
        let mut written = self.written.lock();
        if self.is_made() {
            drop(written);
            return callback();
        }
        let _stays = written.waiters.insert(Waiter::Made(callback));
        drop(written);
        if self.is_foreign() {
            self.ask_place();
        }
    }

    /// The keeper of a foreign object says that it is made, and has told where.
    pub(crate) fn set_made(&self) {
        self.ties.fetch_or(MADE, Ordering::AcqRel);
        // Those who want more have asked for it.
        let content = {
            let mut written = self.written.lock();
            written.waiters.extract(|waiter| matches!(waiter, Waiter::Made(_)))
        };
        for waiter in content {
            if let Waiter::Made(callback) = waiter {
                callback();
            }
        }
    }

    /// Whether a task is to make the object, and has not ended.
    pub(crate) fn has_producer(&self) -> bool {
        let written = self.written.lock();
        let has_canceller = written.canceller.as_ref().is_some_and(|task| task.strong_count() > 0);
        has_canceller && matches!(written.slot, Slot::Pending)
    }

    /// What the value is charged with; `None` unless it is here.
    #[must_use]
    pub fn charge(&self) -> Option<u64> {
        match &self.written.lock().slot {
            Slot::Sealed(held) => Some(held.bytes),
            Slot::Pending | Slot::Failed(_) | Slot::Freed | Slot::Dropped => None,
        }
    }

    /// Asks for the value once, if it may be elsewhere.
    pub(super) fn ask(&self) {
        if self.ties.load(Ordering::Acquire) & (AWAY | ASKED) != AWAY {
            return;
        }
        let before = self.ties.fetch_or(ASKED, Ordering::AcqRel);
        if before & (AWAY | ASKED) == AWAY
            && let Some(elsewhere) = self.elsewhere()
        {
            elsewhere.wanted(self.id);
        }
    }

    /// Asks the keeper of a foreign object once whether it is made, if its value was not asked for.
    fn ask_place(&self) {
        let is_asked = |ties: u8| ties & (ASKED | PLACE_ASKED) != 0;
        if is_asked(self.ties.load(Ordering::Acquire)) {
            return;
        }
        let before = self.ties.fetch_or(PLACE_ASKED, Ordering::AcqRel);
        if !is_asked(before)
            && let Some(elsewhere) = self.elsewhere()
        {
            elsewhere.place_wanted(self.id);
        }
    }

    /// Where a reference to the object leads, for whoever hears of it for the first time.
    pub(crate) fn address(&self) -> Address {
        let keepers = match self.ties.load(Ordering::Acquire) & (FOREIGN | KNOWN) {
            0 => None,
            _ => self.elsewhere().and_then(|elsewhere| elsewhere.keepers(self.id)),
        };
        Address::new(self.id, keepers)
    }

    pub(super) fn tell_end(&self) {
        let ties = self.ties.load(Ordering::Acquire);
        if ties & (FOREIGN | KNOWN) == 0 {
            return;
        }
        if let Some(elsewhere) = self.elsewhere() {
            if ties & FOREIGN != 0 {
                elsewhere.let_go(self.id);
            } else {
                elsewhere.unreferenced(self.id);
            }
        }
    }

    pub(super) fn tell_freed(&self) {
        if self.ties.load(Ordering::Acquire) & (FOREIGN | KNOWN) == KNOWN
            && let Some(elsewhere) = self.elsewhere()
        {
            elsewhere.freed(self.id);
        }
    }

    fn elsewhere(&self) -> Option<&Arc<dyn Elsewhere>> {
        self.home.elsewhere.get()
    }
}
