//! Who waits for resources: tasks, and actors that are to hold some.

use std::sync::{Arc, Weak};

use tokio::sync::oneshot;

use crate::{
    admission::ShapeId,
    one_shot::{Host, OneShot, Phase},
};

/// Who waits for resources.
pub(crate) enum Waiter {
    Task(Arc<OneShot>),
    Actor(Claimant),
}

impl Waiter {
    pub(crate) const fn task(&self) -> Option<&Arc<OneShot>> {
        match self {
            Self::Task(task) => Some(task),
            Self::Actor(_) => None,
        }
    }

    /// Whether it was cancelled, or has ended, where it lies.
    pub(crate) fn is_gone(&self) -> bool {
        match self {
            Self::Task(task) => task.phase() != Phase::Queued,
            Self::Actor(claimant) => claimant.is_gone(),
        }
    }

    pub(crate) fn into_task(self) -> Option<Arc<OneShot>> {
        match self {
            Self::Task(task) => Some(task),
            Self::Actor(_) => None,
        }
    }
}

/// An actor that waits for what it is to hold.
pub(crate) struct Claimant {
    pub(crate) shape: UsedShape,
    /// How deep in tasks it was spawned.
    pub(crate) depth: u32,
    pub(crate) granted: oneshot::Sender<Grant>,
}

impl Claimant {
    /// Whether nobody waits any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.granted.is_closed()
    }

    /// What it waited for is taken, and its own from here on. Not under the lock: it may have gone meanwhile.
    pub(crate) fn grant(self) {
        let Self { shape, granted, .. } = self;
        // Handed back, it is dropped, which gives back what was taken.
        let _ = granted.send(Grant { shape });
    }

    pub(crate) const fn place(&self) -> (ShapeId, u32) {
        (self.shape.shape, self.depth)
    }
}

/// What an actor holds.
pub(crate) struct Grant {
    shape: UsedShape,
}

impl Drop for Grant {
    fn drop(&mut self) {
        if let Some(host) = self.shape.host.upgrade() {
            host.free_shape(self.shape.shape);
        }
    }
}

/// Keeps a shape for as long as somebody waits or holds by it.
pub(crate) struct UsedShape {
    /// Weak: who waits is held by the scheduler itself.
    pub(crate) host: Weak<dyn Host>,
    pub(crate) shape: ShapeId,
}

impl Drop for UsedShape {
    fn drop(&mut self) {
        if let Some(host) = self.host.upgrade() {
            host.forget_shape(self.shape);
        }
    }
}
