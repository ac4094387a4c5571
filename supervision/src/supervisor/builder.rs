//! Describing a supervisor: strategy, limits, children.
//!
//! A supervisor may itself be a child and be restarted, so its description must outlive it and be
//! usable again: a builder is a value that can be cloned, and holds specs, no actors. What is wrong
//! with it (two children of one name, say) is told where all failed starts are told: the supervisor
//! fails to start with the sentence as its reason.

use std::{fmt, sync::Arc, time::Duration};

use mobula_actor_core::{
    Actor, ActorOptions, ActorRef, ExitReason, Factory, System, current_system,
};

use super::Supervisor;
use crate::{
    auto_shutdown::AutoShutdown,
    backoff::Backoff,
    child_rules::ChildRules,
    child_spec::{Blueprint, ChildSpec, Path},
    intensity::Intensity,
    settings::Settings,
    shutdown::StopOrder,
    strategy::Strategy,
};

/// Describes a [`Supervisor`] and its first children.
#[derive(Clone)]
pub struct SupervisorBuilder {
    pub(super) label: Arc<str>,
    pub(super) settings: Settings,
    pub(super) children: Vec<Arc<dyn Blueprint>>,
    pub(super) seed: Option<u64>,
    name: Option<String>,
    detached: bool,
}

impl SupervisorBuilder {
    pub(crate) fn new(strategy: Strategy, stop_order: StopOrder) -> Self {
        Self {
            label: "supervisor".into(),
            settings: Settings { strategy, stop_order, ..Settings::default() },
            children: Vec::new(),
            seed: None,
            name: None,
            detached: false,
        }
    }

    /// More than `restarts` restarts within any `period`: give up and hand the fault to the parent.
    /// Without this line it is OTP's default, 1 in 5 s.
    #[must_use]
    pub fn intensity(mut self, restarts: u32, period: Duration) -> Self {
        self.settings.intensity = Intensity::new(restarts, period);
        self
    }

    /// Waits before each restart: exponentially longer, with full jitter, `ms(100)..secs(30)`.
    /// Without this line children are restarted at once, as in OTP.
    #[must_use]
    pub fn backoff(mut self, backoff: impl Into<Backoff>) -> Self {
        self.settings.backoff = backoff.into();
        self
    }

    /// Whether the end of significant children ends the supervisor.
    #[must_use]
    pub fn auto_shutdown(mut self, auto_shutdown: AutoShutdown) -> Self {
        self.settings.auto_shutdown = auto_shutdown;
        self
    }

    /// At most so many children; one more is refused as [`Full`](crate::error::Refusal::Full).
    #[must_use]
    pub fn max_children(mut self, count: usize) -> Self {
        self.settings.children_max = Some(count);
        self
    }

    /// Adds a child. Children start in this order and stop in the reverse one.
    #[must_use]
    pub fn child<A: Actor>(mut self, spec: ChildSpec<A>) -> Self {
        self.children.push(Arc::new(spec));
        self
    }

    /// Registers the supervisor under this name, which is also its name in crash reports.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        self.label = name.as_str().into();
        self.name = Some(name);
        self
    }

    /// Lives without references, until it is stopped or gives up.
    #[must_use]
    pub fn detached(mut self) -> Self {
        self.detached = true;
        self
    }

    /// Fixes the jitter of the back-off, so that a test can be repeated.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Starts the supervisor, which then starts its children; see `ActorRef::ready`
    /// and [`up`](super::calls::SupervisorCalls::up).
    ///
    /// # Panics
    /// Outside a node; see [`spawn_on`](Self::spawn_on).
    #[must_use = "the last reference to a supervisor ends it and its children"]
    pub fn spawn(self) -> ActorRef<Supervisor> {
        match current_system() {
            Some(system) => self.spawn_on(&system),
            None => {
                panic!("a supervisor is spawned outside any node; use `node.enter` or `spawn_on`")
            }
        }
    }

    /// Starts the supervisor on this node.
    #[must_use = "the last reference to a supervisor ends it and its children"]
    pub fn spawn_on(self, system: &System) -> ActorRef<Supervisor> {
        let mut options = ActorOptions::new(system.clone());
        if let Some(name) = &self.name {
            options = options.name(name.clone());
        }
        if self.detached {
            options = options.detached();
        }
        options.spawn_factory(self.factory(Vec::new()))
    }

    fn factory(self, mut path: Vec<Arc<str>>) -> Factory<Supervisor> {
        path.push(Arc::clone(&self.label));
        let path: Path = path.into();
        Factory::many(move || Supervisor::new(&self, Arc::clone(&path)))
    }
}

impl ChildSpec<Supervisor> {
    /// A supervisor as a child: a subtree.
    pub fn supervisor(name: impl Into<Arc<str>>, builder: SupervisorBuilder) -> Self {
        let rules = ChildRules::supervisor(name);
        let label = Arc::clone(&rules.name);
        let make = move |path: &Path| {
            let builder = SupervisorBuilder { label: Arc::clone(&label), ..builder.clone() };
            builder.factory(path.to_vec())
        };
        // It is up when its children are, so that what is started after it finds them.
        Self::from_parts(rules, Arc::new(make), |child| {
            Box::pin(async move {
                let up = child.up().await;
                up.map_err(|error| error.exit_reason().cloned().unwrap_or(ExitReason::NoActor))
            })
        })
    }
}

impl fmt::Debug for SupervisorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let children = self.children.iter().map(|child| &child.rules().name);
        f.debug_struct("SupervisorBuilder")
            .field("label", &self.label)
            .field("settings", &self.settings)
            .field("children", &children.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
