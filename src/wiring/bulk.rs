//! The bytes of objects between nodes: over connections of their own, never through the mailboxes.
//!
//! Five megabytes in front of a heartbeat or a call delay it by milliseconds. So a part of an object is only announced
//! by a message; its bytes wait here until the other node has fetched them over a bulk connection.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use mobula_cluster::Cluster;
use mobula_cluster::bulk::{Content, Source};
use mobula_cluster::lanes::Origin;
use mobula_store::message::{Message, Parcel, Pieces};
use mobula_store::{ObjectId, Store, StoreId};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

/// Parts smaller than this travel in the message: to announce them would cost more.
pub(crate) const SMALL_BYTES: usize = 64 * 1024;

/// Parts that may wait to be fetched. The stores ask again for what found no room.
const PARTS_MAX: usize = 256;

/// How long a part waits: its receiver asks anew long before.
const PART_LIMIT: Duration = Duration::from_secs(30);

/// Parts of objects that other nodes are about to fetch.
pub(crate) struct Parts {
    /// Parts are announced from any thread.
    runtime: Handle,
    count: AtomicU64,
    waiting: Mutex<HashMap<u64, (StoreId, Bytes)>>,
}

/// What a node is told of a part that waits for it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Announced {
    part: u64,
    object: ObjectId,
    offset: u64,
    total: u64,
    length: u64,
    parcel: Option<Parcel>,
}

impl Parts {
    pub(crate) fn new(runtime: Handle) -> Arc<Self> {
        Arc::new(Self { runtime, count: AtomicU64::new(1), waiting: Mutex::default() })
    }

    /// Keeps a part for `to`; the message back if it is small, none, or there is no room.
    pub(crate) fn announce(
        self: &Arc<Self>,
        to: StoreId,
        message: Message,
    ) -> Result<Announced, Message> {
        let Message::Chunk { object, offset, total, bytes, parcel } = message else {
            return Err(message);
        };
        let mut waiting = self.waiting.lock();
        if bytes.len() < SMALL_BYTES || waiting.len() >= PARTS_MAX {
            return Err(Message::Chunk { object, offset, total, bytes, parcel });
        }
        let part = self.count.fetch_add(1, Ordering::Relaxed);
        let length = bytes.len() as u64;
        waiting.insert(part, (to, bytes.into_bytes()));
        drop(waiting);
        let parts = Arc::downgrade(self);
        self.runtime.spawn(async move {
            tokio::time::sleep(PART_LIMIT).await;
            if let Some(parts) = parts.upgrade() {
                parts.waiting.lock().remove(&part);
            }
        });
        Ok(Announced { part, object, offset, total, length, parcel })
    }
}

impl Source for Parts {
    fn open(&self, by: Origin, key: Bytes) -> BoxFuture<'_, Option<Arc<dyn Content>>> {
        let part = <[u8; 8]>::try_from(&*key).ok().map(u64::from_le_bytes);
        let mut waiting = self.waiting.lock();
        let taken =
            part.filter(|part| waiting.get(part).is_some_and(|(to, _)| to.node.0 == by.node.0));
        let content = taken
            .and_then(|part| waiting.remove(&part))
            .map(|(_, bytes)| Arc::new(bytes) as Arc<dyn Content>);
        drop(waiting);
        Box::pin(std::future::ready(content))
    }
}

/// Fetches an announced part and hands it to the store. One that does not come is asked for again, by the store.
pub(crate) async fn fetch(cluster: Cluster, store: Store, from: StoreId, announced: Announced) {
    let Announced { part, object, offset, total, length, parcel } = announced;
    let node = mobula_cluster::NodeId(from.node.0);
    let key = Bytes::copy_from_slice(&part.to_le_bytes());
    let mut transfer = match cluster.bulk().fetch(node, key, None).await {
        Ok(transfer) => transfer,
        Err(error) => {
            tracing::debug!(%object, %error, "a part did not come");
            return;
        }
    };
    if transfer.size_bytes() != length {
        return;
    }
    let mut bytes = Pieces::default();
    while let Some(chunk) = transfer.next().await {
        match chunk {
            Ok(chunk) => bytes.push(chunk),
            Err(error) => {
                tracing::debug!(%object, %error, "a part broke off");
                return;
            }
        }
    }
    store.receive(from, Message::Chunk { object, offset, total, bytes, parcel });
}
