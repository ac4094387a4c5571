//! The end of a placement group, from any node.
//!
//! The node that asked for the group ends it, because it alone knows where all of it is; others ask that node's warden, for
//! to end what runs in a group is to kill.

use std::time::Duration;

use mobula_actor_core::{AskError, GroupId, Undelivered};
use mobula_cluster::NodeId as Name;

use super::{Phase, PlacementGroups};

/// How long the node that asked for a group may take to remove it.
const REMOVED_WITHIN: Duration = Duration::from_secs(10);

/// A placement group was not removed by this node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RemoveGroupError {
    /// The node that asked for it takes part and did not answer. The group may stand, or be removed later. Again does no
    /// harm.
    #[error("node {} did not remove placement group {group}: {text}", group.node)]
    Unanswered {
        /// Which.
        group: GroupId,
        /// What happened to the question.
        text: String,
    },
    /// That node does not let this one end things there. The group stands. Ask for a certificate with the right to kill, or
    /// let that node remove it.
    #[error("node {} does not let this one remove placement group {group}: {text}", group.node)]
    Denied {
        /// Which.
        group: GroupId,
        /// Who refused, and which capability is missing.
        text: String,
    },
}

impl PlacementGroups {
    /// Ends a group, wherever it was asked for. Twice does no harm.
    pub(crate) async fn remove(&self, group: GroupId) -> Result<(), RemoveGroupError> {
        if self.owns(group) {
            self.remove_own(group).await;
            return Ok(());
        }
        self.have_removed(group).await
    }

    /// Ends a group of this node: what runs in it ends, and its room is its nodes' again.
    pub(crate) async fn remove_own(&self, group: GroupId) {
        let Some(state) = self.known.lock().remove(&group) else { return };
        let phase = std::mem::replace(&mut *state.phase.lock(), Phase::Removed);
        state.removed.notify_one();
        self.news.notify_waiters();
        if let Some(scheduler) = self.scheduler.upgrade() {
            scheduler.cancel_group(group);
        }
        if let Phase::Formed { mut core, .. } = phase {
            let mut out = Vec::new();
            core.release(&mut out);
            self.give_back(out).await;
        }
    }

    async fn have_removed(&self, group: GroupId) -> Result<(), RemoveGroupError> {
        if self.hints.lock().is_removed(&group) {
            return Ok(());
        }
        let unanswered = |text: String| RemoveGroupError::Unanswered { group, text };
        let port = self.port().ok_or_else(|| unanswered("this node is alone".to_owned()))?;
        if !port.is_there(group.node, group.incarnation) {
            // Gone with its node.
            return Ok(());
        }
        let warden = port.warden(group.node, group.incarnation);
        let warden = warden.ok_or_else(|| unanswered("it has no warden".to_owned()))?;
        match warden.remove_group(group).timeout(REMOVED_WITHIN).await {
            Ok(()) => {}
            Err(AskError::NotDelivered { reason: Undelivered::Denied(why), .. }) => {
                return Err(RemoveGroupError::Denied { group, text: why.to_string() });
            }
            Err(error) => return Err(unanswered(error.to_string())),
        }
        self.hints.lock().removed(group, Name(group.node.0));
        if let Some(scheduler) = self.scheduler.upgrade() {
            scheduler.cancel_group(group);
        }
        self.settled(group);
        Ok(())
    }
}
