//! Guards that count: as long as one lives, the object it points at is needed.
//!
//! References, running gets, arguments of tasks and what travels to other nodes all keep an object; each would have to
//! remember to count down on every path. The three guards here do it in their drop, and nothing else touches the counts.

use std::{fmt, sync::Arc};

use crate::{entry::Entry, ledger::Ledger, object_id::ObjectId, refcount::Need};

/// A local need of an object.
pub(crate) struct LocalHold(Arc<Entry>);

impl LocalHold {
    /// Takes over the local reference that a new entry is born with.
    pub(crate) const fn newborn(entry: Arc<Entry>) -> Self {
        Self(entry)
    }

    /// A further need of an object found by name; `None` if its last reference is gone.
    pub(crate) fn revive(entry: Arc<Entry>) -> Option<Self> {
        entry.try_retain(Need::Local).then_some(Self(entry))
    }

    /// A further need of a living entry, or the first need of a new one; true if it is new.
    pub(crate) fn find_or_make(
        ledger: &Ledger<Entry>,
        object: ObjectId,
        make: impl FnOnce() -> Arc<Entry>,
    ) -> (Self, bool) {
        let revive = |entry: &Arc<Entry>| entry.try_retain(Need::Local);
        let (entry, is_new) = ledger.find_or_enter(object, revive, make);
        (Self(entry), is_new)
    }

    pub(crate) const fn entry(&self) -> &Arc<Entry> {
        &self.0
    }
}

impl Clone for LocalHold {
    fn clone(&self) -> Self {
        self.0.retain(Need::Local);
        Self(Arc::clone(&self.0))
    }
}

impl Drop for LocalHold {
    fn drop(&mut self) {
        self.0.release(Need::Local);
    }
}

/// A need of another node, or of what is on its way to one: counted as *elsewhere* until dropped.
pub(crate) struct FarHold(Arc<Entry>);

impl FarHold {
    /// A further need of an object that the caller keeps.
    pub(crate) fn of(entry: &Arc<Entry>) -> Self {
        entry.retain(Need::Elsewhere);
        Self(Arc::clone(entry))
    }

    /// A further need of an object found by name; `None` if its last reference is gone.
    pub(crate) fn revive(entry: Arc<Entry>) -> Option<Self> {
        entry.try_retain(Need::Elsewhere).then_some(Self(entry))
    }

    pub(crate) const fn entry(&self) -> &Arc<Entry> {
        &self.0
    }
}

impl Clone for FarHold {
    fn clone(&self) -> Self {
        Self::of(&self.0)
    }
}

impl Drop for FarHold {
    fn drop(&mut self) {
        self.0.release(Need::Elsewhere);
    }
}

/// The need of a submitted task for one of its arguments: counted as *submitted* until dropped.
///
/// [`Resolve::dependency`](mobula_actor_core::Resolve::dependency) of an object reference hands it out, so that
/// a scheduler can register with the object and keep it for retries until the task has ended.
pub struct ArgPin(Arc<Entry>);

impl ArgPin {
    pub(crate) fn new(entry: &Arc<Entry>) -> Self {
        entry.retain(Need::Submitted);
        Self(Arc::clone(entry))
    }

    /// The object.
    #[must_use]
    pub const fn entry(&self) -> &Arc<Entry> {
        &self.0
    }
}

impl Drop for ArgPin {
    fn drop(&mut self) {
        self.0.release(Need::Submitted);
    }
}

impl fmt::Debug for ArgPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ArgPin({})", self.0.id())
    }
}
