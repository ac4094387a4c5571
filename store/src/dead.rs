//! Stores that are gone, so that what they said before is not taken for news.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::{BTreeSet, VecDeque};

use crate::object_id::StoreId;

/// So many are remembered, the oldest forgotten first.
const DEAD_MAX: usize = 1 << 14;

/// A bounded memory of the dead. A node that comes back is another store, unless it was only out of reach.
#[derive(Debug, Default)]
pub(crate) struct Dead {
    stores: BTreeSet<StoreId>,
    order: VecDeque<StoreId>,
}

impl Dead {
    pub(crate) fn insert(&mut self, store: StoreId) {
        if self.stores.insert(store) {
            self.order.push_back(store);
            if self.order.len() > DEAD_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.stores.remove(&oldest);
            }
        }
    }

    /// It was out of reach, and is not any more; false if it was not among them.
    pub(crate) fn remove(&mut self, store: StoreId) -> bool {
        let was_there = self.stores.remove(&store);
        if was_there {
            self.order.retain(|known| *known != store);
        }
        was_there
    }

    pub(crate) fn contains(&self, store: StoreId) -> bool {
        self.stores.contains(&store)
    }
}
