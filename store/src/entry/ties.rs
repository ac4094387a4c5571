//! What an object has to do with other stores.
//!
//! Invariant: an object that never left its store has no ties, and pays one load where an entry would speak of
//! them.

use std::sync::{Arc, atomic::Ordering};

use super::{ASKED, AWAY, Elsewhere, Entry, FOREIGN, GetError, KNOWN};
use crate::{codec::ValueType, discard::AnyValue, table::Slot};

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

    /// Somebody else keeps the object from now on.
    pub(crate) fn set_foreign(&self) {
        self.ties.fetch_or(FOREIGN | AWAY, Ordering::AcqRel);
    }

    /// Whether somebody else keeps the object, or did.
    pub(crate) fn is_foreign(&self) -> bool {
        self.ties.load(Ordering::Acquire) & FOREIGN != 0
    }

    /// The value of an own object came to be elsewhere: those who wait for it here want it from there.
    pub(crate) fn set_away(&self) {
        self.ties.fetch_or(AWAY, Ordering::AcqRel);
        let waits = !self.written.lock().waiters.is_empty();
        if waits {
            self.ask();
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
