//! What a supervisor must know of a child in order to decide about it.
//!
//! A child spec is two things: how to make the actor, which is code, and how to treat it, which is
//! a value. Keeping them in one type would drag actors and executors into every decision. So the
//! value stands here alone, and the driver keeps the code beside it under the same key.
//! Invariant: rules that contradict each other never reach the table of children.
//!
//! Pure: no clock, no I/O, no tasks.

use std::sync::Arc;

use crate::{auto_shutdown::AutoShutdown, error::SpecError, restart::Restart, shutdown::Shutdown};

/// The part of a child spec that decisions need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildRules {
    /// Names the child among its siblings.
    pub name: Arc<str>,
    /// Whether it comes back after it ended.
    pub restart: Restart,
    /// How it is stopped.
    pub shutdown: Shutdown,
    /// Whether its end may end the supervisor; see [`AutoShutdown`].
    pub significant: bool,
    /// Worker or supervisor.
    pub kind: ChildKind,
    /// How often it may be restarted in its whole life; when that is used up it stays down and is
    /// forgotten, and nobody else suffers. `None`: the supervisor's intensity alone decides.
    pub budget: Option<u32>,
    /// Forget the spec as soon as the child is down for good, as `simple_one_for_one` does.
    pub forget_when_down: bool,
}

/// Worker or supervisor; shown by `which_children`, and the source of the default shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum ChildKind {
    /// An actor that works.
    #[default]
    Worker,
    /// A supervisor: the root of a subtree.
    Supervisor,
}

impl ChildRules {
    /// A permanent worker with five seconds to stop.
    #[must_use]
    pub fn worker(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            restart: Restart::Permanent,
            shutdown: Shutdown::WORKER,
            significant: false,
            kind: ChildKind::Worker,
            budget: None,
            forget_when_down: false,
        }
    }

    /// A permanent supervisor, which may take as long as its children to stop.
    #[must_use]
    pub fn supervisor(name: impl Into<Arc<str>>) -> Self {
        Self { shutdown: Shutdown::Infinity, kind: ChildKind::Supervisor, ..Self::worker(name) }
    }

    /// Whether nothing remains of the child once it is down for good.
    #[must_use]
    pub fn is_forgotten_when_down(&self) -> bool {
        self.forget_when_down || self.restart == Restart::Temporary
    }

    /// Checks the rules against each other and against the supervisor's.
    ///
    /// # Errors
    /// [`SpecError`] names the child and the contradiction. Nothing has changed; correct the spec.
    pub fn validate(&self, auto_shutdown: AutoShutdown) -> Result<(), SpecError> {
        if self.name.is_empty() {
            return Err(SpecError::EmptyName);
        }
        if self.significant && self.restart == Restart::Permanent {
            return Err(SpecError::SignificantPermanent { child: self.name.to_string() });
        }
        if self.significant && auto_shutdown == AutoShutdown::Never {
            return Err(SpecError::SignificantWithoutAutoShutdown { child: self.name.to_string() });
        }
        Ok(())
    }
}
