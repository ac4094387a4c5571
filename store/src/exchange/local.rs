//! What this store has of the objects it keeps, and when that changes.

use std::{collections::BTreeMap, sync::Weak};

use super::{Copy, Exchange, GetError, Holding, Local, LossReason, ObjectId, State, failure};

impl Exchange {
    /// Answers those who wait for an own object once its producer is done.
    pub(super) fn listen(&self, object: ObjectId) {
        let Some(entry) = self.find(object) else { return };
        let this = Weak::clone(&self.this);
        // Content with a value elsewhere: those who wait are sent there, and nothing is fetched on their behalf.
        entry.on_made(Box::new(move || {
            if let Some(exchange) = this.upgrade() {
                exchange.ready(object);
            }
        }));
    }

    fn ready(&self, object: ObjectId) {
        self.decide(|desk| {
            let local = self.local(&desk.state.copies, object);
            let State { core, rng, awaited, .. } = &mut *desk.state;
            awaited.remove(&object);
            if let Local::Here { bytes } = local {
                core.owner.located(self.me, object, bytes, rng, &mut desk.effects);
            }
            core.owner.ready(object, &local, desk.now, rng, &mut desk.effects);
        });
    }

    /// What this store has of an object it keeps.
    pub(super) fn local(&self, copies: &BTreeMap<ObjectId, Copy>, object: ObjectId) -> Local {
        let here = copies.get(&object).map(|copy| Local::Here { bytes: copy.bytes });
        let Some(entry) = self.find(object) else { return here.unwrap_or(Local::Pending) };
        match entry.holding() {
            Holding::Value { bytes, .. } => Local::Here { bytes },
            Holding::Pending => here.unwrap_or(Local::Pending),
            Holding::Freed => Local::Lost(LossReason::Freed),
            Holding::Failed(GetError::Task(error)) => Local::Failed(failure(&error)),
            Holding::Failed(GetError::Lost { reason, .. }) => Local::Lost(reason),
            Holding::Failed(other) => {
                Local::Lost(LossReason::NotRebuildable { text: other.to_string() })
            }
        }
    }
}
