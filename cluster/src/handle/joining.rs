//! How a node finds the others.

use std::time::Duration;

use tokio::time::Instant;

use super::Cluster;
use crate::error::JoinError;

impl Cluster {
    /// Joins the cluster of whoever answers first at `addresses`; they are tried in turn, with back-off, until `limit`.
    ///
    /// # Errors
    /// - [`JoinError::NotAdmitted`]: every address that answered refuses us; waiting does not help.
    /// - [`JoinError::NobodyThere`]: no member answered within the limit. Retry.
    /// - [`JoinError::Closed`]: the node was shut down.
    ///
    /// The node stays up and alone in each case.
    ///
    /// # Cancel safety
    /// Dropping the future stops dialing; a join that was already asked for may still complete.
    pub async fn join(&self, addresses: &[String], limit: Duration) -> Result<(), JoinError> {
        crate::join::join(self, addresses, limit).await
    }

    /// From now on dials those of `seeds` that are no members, one every few seconds: so that clusters which formed
    /// apart from one list of seeds become one.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn keep_dialing(&self, seeds: Vec<String>) {
        let cluster = self.downgrade();
        tokio::spawn(crate::join::keep_dialing(cluster, seeds));
    }

    /// From now on joins whoever announces itself on the local network and is no member yet, as long as the node runs.
    /// Instead of [`join_discovered`](Self::join_discovered), which finds nobody any more.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn meet_discovered(&self) {
        // Whoever waits for others holds it; they will be met.
        let taken = self.shared.discovered.try_lock().ok().and_then(|mut place| place.take());
        if let Some(discovered) = taken {
            let cluster = self.downgrade();
            tokio::spawn(crate::join::meet(cluster, discovered));
        }
    }

    /// Joins whoever announces itself on the local network within `limit`; needs the feature `mdns` and its setting.
    ///
    /// # Errors
    /// As [`Cluster::join`]; [`JoinError::Closed`] also after [`meet_discovered`](Self::meet_discovered).
    ///
    /// # Cancel safety
    /// As [`Cluster::join`].
    pub async fn join_discovered(&self, limit: Duration) -> Result<(), JoinError> {
        let deadline = Instant::now() + limit;
        let mut discovered = self.shared.discovered.lock().await;
        let discovered = discovered.as_mut().ok_or(JoinError::Closed)?;
        let mut known = Vec::new();
        loop {
            let next = tokio::time::timeout_at(deadline, discovered.recv()).await;
            match next {
                Ok(Some(address)) => known.push(address),
                Ok(None) => return Err(JoinError::Closed),
                Err(_elapsed) => return Err(JoinError::NobodyThere { limit, tried: Vec::new() }),
            }
            if self.join(&known, Duration::from_secs(2)).await.is_ok() {
                return Ok(());
            }
        }
    }
}
