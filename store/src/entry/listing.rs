//! What a listing shows of an object.

use serde::Serialize;

use super::Entry;
use crate::{object_id::ObjectId, refcount::RefCounts, table::Slot};

/// One row of a listing of objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ObjectListing {
    /// The object.
    pub id: ObjectId,
    /// The type of its value.
    pub type_name: &'static str,
    /// `pending`, `sealed`, `failed` or `freed`.
    pub state: &'static str,
    /// Its size as charged to the store; 0 unless sealed.
    pub bytes: u64,
    /// Who needs it.
    pub counts: RefCounts,
    /// The objects that its value refers to.
    pub contained: Vec<ObjectId>,
}

impl Entry {
    /// One row for a listing.
    #[must_use]
    pub fn listing(&self) -> ObjectListing {
        let written = self.written.lock();
        let (bytes, contained) = match &written.slot {
            Slot::Sealed(held) => (held.bytes, held.contained.to_vec()),
            Slot::Pending | Slot::Failed(_) | Slot::Freed | Slot::Dropped => (0, Vec::new()),
        };
        ObjectListing {
            id: self.id,
            type_name: self.type_name(),
            state: written.slot.word(),
            bytes,
            counts: self.counts(),
            contained,
        }
    }
}
