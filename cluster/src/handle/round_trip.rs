//! Probing a neighbour, as a method of the handle.

use std::time::Duration;

use mobula_proto::id::NodeId;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::Cluster;
use crate::driver::Happening;
use crate::error::ProbeError;
use crate::probe::ECHO_LIMIT;

impl Cluster {
    /// How long a word to `node` and back takes on the control connection, through the drivers of both.
    ///
    /// # Errors
    /// - [`ProbeError::NoNeighbour`]: there is no control connection to that node, which in a large cluster is usual.
    /// - [`ProbeError::NoEcho`]: none came within [`ECHO_LIMIT`].
    /// - [`ProbeError::TooMany`]: try later.
    /// - [`ProbeError::Closed`]: this node has ended.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn round_trip(&self, node: NodeId) -> Result<Duration, ProbeError> {
        let (probe, echo) = oneshot::channel();
        if !self.happens(Happening::Probe { node, probe }).await {
            return Err(ProbeError::Closed);
        }
        match timeout(ECHO_LIMIT, echo).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_ended)) => Err(ProbeError::Closed),
            Err(_elapsed) => Err(ProbeError::NoEcho { node, limit: ECHO_LIMIT }),
        }
    }
}
