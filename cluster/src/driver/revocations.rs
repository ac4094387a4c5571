//! Who is not welcome any more: revocations as they come, and the links of those whose certificate is void.
//!
//! A certificate is checked when a link is let in, and links live long. So what was let in is looked at again when a
//! revocation comes, and now and then for what has expired.

use std::sync::Arc;

use bytes::Bytes;
use mobula_proto::membership::{Evidence, Input};
use mobula_proto::wire::codec;

use super::{Driver, REVOCATIONS_TOPIC};
use crate::admission::Admitted;
use crate::admission::certificate::{Revocation, Signed};
use crate::admission::rules::Refusal;
use crate::neighbours::REVOCATIONS;

impl Driver {
    pub(super) fn on_revocations(&mut self, bytes: &Bytes) {
        match codec::decode::<Vec<Signed<Revocation>>>(bytes) {
            Ok(entries) => entries.iter().for_each(|entry| drop(self.revoke(entry, false))),
            Err(error) => tracing::debug!(%error, "unreadable revocations"),
        }
    }

    pub(super) fn revoke(
        &mut self,
        entry: &Signed<Revocation>,
        is_ours: bool,
    ) -> Result<(), Refusal> {
        let news = self.transport.admission().revoke(entry);
        if let Some(revocation) =
            news.inspect_err(|error| tracing::warn!(%error, "revocation refused"))?
        {
            tracing::info!(node = %revocation.node.node(), "revoked");
            if is_ours && let Ok(body) = codec::encode(&[entry]) {
                // Gossip may lose it, or have no mesh yet; who is connected hears it for certain.
                for (node, _) in self.neighbours.connected() {
                    self.neighbours.send(node, REVOCATIONS, &body);
                }
                let _lost = self.transport.publish(REVOCATIONS_TOPIC, body.into());
            }
            self.sweep();
        }
        Ok(())
    }

    /// Closes what expired or was revoked.
    pub(super) fn sweep(&mut self) {
        let admission = Arc::clone(self.transport.admission());
        let is_unwelcome =
            |admitted: &Admitted| admission.takes_back(&admitted.key, &admitted.standing);
        // Whoever has a stream to us or from us was met.
        let met = self.directory.met.lock().clone();
        for (node, _) in met.iter().filter(|(_, admitted)| is_unwelcome(admitted)) {
            self.neighbours.let_go(*node);
            self.directory.met.lock().remove(node);
            self.transport.disconnect(*node);
            self.bulk.close(*node);
            self.tell(Input::Disconnected { node: *node, evidence: Evidence::Closed });
        }
        for node in self.lanes.sweep(is_unwelcome) {
            self.bulk.close(node);
        }
    }
}
