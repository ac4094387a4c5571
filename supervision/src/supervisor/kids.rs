//! The actors behind the table of children: cells, references, and what they ended of.
//!
//! The core names children by key and generation; the floor names them by actor id and the cell's
//! own generation. Here the two meet. Invariant: an actor id leads to a child only while that child
//! lives in that cell, so a late signal of an old cell leads nowhere.

use std::{any::Any, collections::BTreeMap, sync::Arc, time::Duration};

use mobula_actor_core::{ActorHandle, ActorId, ChildExited, ExitReason, FlightRecord};
use tokio::time::Instant;

use crate::{
    child_spec::{Blueprint, Home, Started},
    children::ChildKey,
};

/// One child's spec and actor.
pub(super) struct Kid {
    pub(super) blueprint: Arc<dyn Blueprint>,
    pub(super) cell: Option<Started>,
    /// The cell's generation that the core's present generation lives in.
    cell_generation: u64,
    /// The core's number of the present or last life.
    pub(super) generation: u64,
    /// Why and how the last life ended.
    pub(super) last: Option<(ExitReason, Vec<FlightRecord>)>,
    /// The actor of the last life, for reports.
    pub(super) actor: Option<ActorId>,
    /// When a stop that was ordered with a deadline is overdue.
    pub(super) stop_by: Option<Instant>,
}

#[derive(Default)]
pub(super) struct Kids {
    by_key: BTreeMap<ChildKey, Kid>,
    by_actor: BTreeMap<ActorId, ChildKey>,
}

impl Kids {
    pub(super) fn insert(&mut self, key: ChildKey, blueprint: Arc<dyn Blueprint>) {
        let kid = Kid {
            blueprint,
            cell: None,
            cell_generation: 0,
            generation: 0,
            last: None,
            actor: None,
            stop_by: None,
        };
        self.by_key.insert(key, kid);
    }

    pub(super) fn get(&self, key: ChildKey) -> Option<&Kid> {
        self.by_key.get(&key)
    }

    pub(super) fn handle(&self, key: ChildKey) -> Option<&ActorHandle> {
        self.get(key)?.cell.as_ref().map(|cell| &cell.handle)
    }

    /// The child's reference, if it is a `T`.
    pub(super) fn reference<T: Any + Clone>(&self, key: ChildKey) -> Option<T> {
        self.get(key)?.cell.as_ref()?.reference.downcast_ref().cloned()
    }

    /// Starts the child's next life: in its suspended cell, so that references stay good, or in a
    /// new one.
    pub(super) fn start(&mut self, key: ChildKey, generation: u64, home: &Home) -> Option<&Kid> {
        let kid = self.by_key.get_mut(&key)?;
        kid.generation = generation;
        let restarted = kid.cell.as_ref().is_some_and(|cell| cell.handle.restart());
        if !restarted {
            if let Some(old) = kid.cell.take() {
                self.by_actor.remove(&old.handle.id());
                // It should be gone; two lives of one child must never be.
                old.handle.kill();
            }
            kid.cell = Some(kid.blueprint.start(home));
        }
        if let Some(cell) = &kid.cell {
            kid.cell_generation = cell.handle.generation();
            kid.actor = Some(cell.handle.id());
            self.by_actor.insert(cell.handle.id(), key);
        }
        Some(kid)
    }

    /// Notes the end of a life. Gives the child, if it was its present life that ended.
    pub(super) fn ended(&mut self, exited: ChildExited) -> Option<ChildKey> {
        let id = exited.child.id();
        let key = self.by_actor.get(&id).copied();
        let Some((key, kid)) = key.and_then(|key| Some((key, self.by_key.get_mut(&key)?))) else {
            // Nobody's child any more: there is nothing to wait for.
            exited.child.terminate(exited.reason);
            return None;
        };
        let is_present = kid.cell_generation == exited.generation;
        if exited.ended_for_good {
            self.by_actor.remove(&id);
            kid.cell = None;
        }
        if is_present {
            kid.last = Some((exited.reason, exited.flight));
        }
        is_present.then_some(key)
    }

    /// A stop of the child was ordered.
    pub(super) fn stopping(&mut self, key: ChildKey, deadline: Option<Duration>) {
        if let Some(kid) = self.by_key.get_mut(&key) {
            kid.stop_by = deadline.and_then(|after| Instant::now().checked_add(after));
        }
    }

    /// The child's final end was seen by another way than the signal.
    pub(super) fn closed(&mut self, key: ChildKey, reason: ExitReason) {
        if let Some(kid) = self.by_key.get_mut(&key) {
            kid.last = Some((reason, Vec::new()));
        }
    }

    /// Nobody is about to start it: closes the cell.
    pub(super) fn release(&mut self, key: ChildKey) {
        let Some(kid) = self.by_key.get_mut(&key) else {
            return;
        };
        if let Some(cell) = kid.cell.take() {
            self.by_actor.remove(&cell.handle.id());
            let reason =
                kid.last.as_ref().map_or(ExitReason::Shutdown, |(reason, _)| reason.clone());
            cell.handle.terminate(reason);
        }
    }

    pub(super) fn forget(&mut self, key: ChildKey) {
        self.release(key);
        self.by_key.remove(&key);
    }

    /// Kills whoever is left, the youngest first.
    pub(super) fn kill_all(&mut self) {
        for kid in self.by_key.values_mut().rev() {
            if let Some(cell) = kid.cell.take() {
                cell.handle.kill();
            }
        }
        self.by_actor.clear();
    }
}
