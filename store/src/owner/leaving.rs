//! What an owner still has that others need, when it is about to go.
//!
//! Pure: no clock, no I/O, no tasks.

use super::{ObjectId, Owner, StoreId};

impl Owner {
    /// The objects kept here that another store needs, each with the first store that does.
    #[must_use]
    pub fn lent(&self) -> Vec<(ObjectId, StoreId)> {
        let needed = |(object, owned): (&ObjectId, &super::Owned)| {
            let mut held = owned.words.iter().filter(|(_, (_, held))| *held);
            held.next().map(|(store, _)| (*object, *store))
        };
        self.objects.iter().filter_map(needed).collect()
    }
}
