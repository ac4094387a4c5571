//! A node's certificate, and taking back what the authority signed.

use mobula_cluster::admission::certificate::Signed;
use mobula_cluster::admission::rules::Refusal;

use crate::node::Node;

/// A revocation was not taken up. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RevokeError {
    /// The text is no revocation. Give the line that `mobula ca revoke` wrote.
    #[error("this is no revocation; give the line that `mobula ca revoke` wrote")]
    Unreadable,
    /// The node is alone.
    #[error("the node is in no cluster")]
    Alone,
    /// The cluster's rules refuse it: another authority signed it, it is about another cluster, or there is no authority.
    #[error("the revocation was refused")]
    Refused(#[from] Refusal),
}

impl Node {
    /// Takes up a revocation that the authority signed: closes what it concerns, and passes it on to all members, who do the
    /// same.
    ///
    /// # Errors
    /// [`RevokeError`]: nothing changed.
    ///
    /// # Cancel safety
    /// Once polled, it is taken up even if the future is dropped.
    pub async fn revoke(&self, revocation: &str) -> Result<(), RevokeError> {
        let cluster = self.cluster().ok_or(RevokeError::Alone)?;
        let entry = Signed::from_text(revocation).ok_or(RevokeError::Unreadable)?;
        Ok(cluster.revoke(entry).await?)
    }

    /// This node's certificate as a line of text, also one that it was given for a join token: kept together with the
    /// node's key, it opens the cluster again after a restart. `None` where there is no authority.
    #[must_use]
    pub fn certificate(&self) -> Option<String> {
        self.cluster()?.admission().certificate().map(|certificate| certificate.to_text())
    }
}
