//! What an owner knows, for its driver and for tests.
//!
//! Pure: no clock, no I/O, no tasks.

use super::{ObjectId, Owner, OwnerLimits, StoreId};

impl Owner {
    /// How many objects other stores know.
    #[must_use]
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether no other store knows an object.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Whether the object is in the table.
    #[must_use]
    pub fn knows(&self, object: ObjectId) -> bool {
        self.objects.contains_key(&object)
    }

    /// Which stores need the object.
    pub fn borrowers(&self, object: ObjectId) -> impl Iterator<Item = StoreId> {
        let words = self.objects.get(&object).map(|owned| &owned.words);
        words.into_iter().flatten().filter(|(_, (_, held))| *held).map(|(store, _)| *store)
    }

    /// Which stores have a sealed copy.
    pub fn locations(&self, object: ObjectId) -> impl Iterator<Item = StoreId> {
        self.objects.get(&object).into_iter().flat_map(|owned| owned.spread.copies())
    }

    /// What it keeps to.
    #[must_use]
    pub const fn limits(&self) -> &OwnerLimits {
        &self.limits
    }

    /// The size of an object of which a copy is known.
    #[must_use]
    pub fn bytes(&self, object: ObjectId) -> Option<u64> {
        self.objects.get(&object)?.spread.bytes()
    }

    /// Whether somebody waits for the object's producer.
    #[must_use]
    pub fn is_awaited(&self, object: ObjectId) -> bool {
        self.objects.get(&object).is_some_and(|owned| !owned.waiting.is_empty() || owned.durable)
    }

    /// Whether the object was offered to `to`, and `to` has not answered.
    #[must_use]
    pub fn is_offered(&self, object: ObjectId, to: StoreId) -> bool {
        self.objects.get(&object).is_some_and(|owned| owned.moving_to == Some(to))
    }

    /// Who would take over.
    #[must_use]
    pub fn backup(&self, object: ObjectId) -> Option<StoreId> {
        self.objects.get(&object)?.backup
    }
}
