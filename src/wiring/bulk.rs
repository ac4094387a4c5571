//! Object bytes for other nodes.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use mobula_cluster::bulk::{Content, Source};
use mobula_cluster::lanes::Origin;
use std::sync::Arc;

/// A node that has no bytes to serve.
pub(crate) struct NoBytes;

impl Source for NoBytes {
    fn open(&self, _by: Origin, _key: Bytes) -> BoxFuture<'_, Option<Arc<dyn Content>>> {
        Box::pin(std::future::ready(None))
    }
}
