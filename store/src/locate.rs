//! Where an object's bytes are, for whoever wants something to run near them.
//!
//! A hint, of what this node knows: its own copy, those it was told of as the keeper or by the keeper, and otherwise the
//! keeper, who has the value unless it moved.

use mobula_actor_core::{Locate, NodeId};

use crate::{object_id::StoreId, object_ref::ObjectRef, remote::Whereabouts, store::Store};

impl<T> Locate for ObjectRef<T> {
    fn bytes_by_node(&self) -> Vec<(NodeId, u64)> {
        let store = Store::of(self.hold().entry().home());
        let Some(Whereabouts { keeper, is_here, bytes, copies, .. }) = store.whereabouts(self.id())
        else {
            return Vec::new();
        };
        let is_told = bytes.is_some() && !copies.is_empty();
        // Of a size that nobody has told us, only that there is something.
        let bytes = bytes.unwrap_or(1);
        let mut stores: Vec<StoreId> = copies;
        if is_here {
            stores.push(store.id());
        }
        if keeper != store.id() && !is_told && !stores.contains(&keeper) {
            stores.push(keeper);
        }
        stores.into_iter().map(|store| (NodeId(store.node.0), bytes)).collect()
    }
}
