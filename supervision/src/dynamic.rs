//! Dynamic supervision: many children of one kind, started as they are needed.
//!
//! OTP's `simple_one_for_one` threads a special case through the whole supervisor: other tables,
//! other answers, children without names. Here a dynamic supervisor is an ordinary one that begins
//! empty, stops its children together, and whose children are forgotten when they are down; what
//! makes it dynamic is this thin face, which turns arguments into a child spec. Invariant: children
//! are named `spec-1`, `spec-2`, ... and no name is given twice by clones of one face.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use mobula_actor_core::{Actor, ActorRef, Call, IntoStart, System, current_system};

use crate::{
    backoff::Backoff,
    child_spec::ChildSpec,
    shutdown::StopOrder,
    strategy::Strategy,
    supervisor::{Supervisor, builder::SupervisorBuilder, calls::StartChild},
};

/// How to make children of one kind from arguments, and how to treat them.
pub struct DynamicSpec<Args, A: Actor> {
    name: Arc<str>,
    make: Arc<Make<Args, A>>,
}

/// Makes the spec of the child of this name.
type Make<Args, A> = dyn Fn(&str, Args) -> ChildSpec<A> + Send + Sync;

impl<Args: Clone + Send + Sync + 'static, A: Actor> DynamicSpec<Args, A> {
    /// Children that `make` makes. The arguments are cloned for each restart.
    pub fn new<S, How>(
        name: impl Into<Arc<str>>,
        make: impl Fn(Args) -> S + Send + Sync + 'static,
    ) -> Self
    where
        S: IntoStart<A, How>,
    {
        let make = Arc::new(make);
        Self {
            name: name.into(),
            make: Arc::new(move |name, args: Args| {
                let make = Arc::clone(&make);
                ChildSpec::new(name, move || make(args.clone()))
            }),
        }
    }

    /// How each child is treated: `|child| child.transient().shutdown(secs(1))`.
    #[must_use]
    pub fn each(
        self,
        treat: impl Fn(ChildSpec<A>) -> ChildSpec<A> + Send + Sync + 'static,
    ) -> Self {
        let make = self.make;
        Self { name: self.name, make: Arc::new(move |name, args| treat(make(name, args))) }
    }
}

impl<Args, A: Actor> Clone for DynamicSpec<Args, A> {
    fn clone(&self) -> Self {
        Self { name: Arc::clone(&self.name), make: Arc::clone(&self.make) }
    }
}

impl<Args, A: Actor> fmt::Debug for DynamicSpec<Args, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DynamicSpec<{}>({})", A::NAME, self.name)
    }
}

impl Supervisor {
    /// Many children of one kind, started by [`Dynamic::start_child`].
    #[must_use]
    pub fn dynamic<Args, A: Actor>(spec: DynamicSpec<Args, A>) -> DynamicBuilder<Args, A> {
        let builder = SupervisorBuilder::new(Strategy::OneForOne, StopOrder::Together);
        DynamicBuilder { builder, spec }
    }
}

/// Describes a dynamic supervisor.
#[derive(Debug)]
pub struct DynamicBuilder<Args, A: Actor> {
    builder: SupervisorBuilder,
    spec: DynamicSpec<Args, A>,
}

impl<Args, A: Actor> DynamicBuilder<Args, A> {
    /// See [`SupervisorBuilder::intensity`].
    #[must_use]
    pub fn intensity(mut self, restarts: u32, period: Duration) -> Self {
        self.builder = self.builder.intensity(restarts, period);
        self
    }

    /// See [`SupervisorBuilder::backoff`].
    #[must_use]
    pub fn backoff(mut self, backoff: impl Into<Backoff>) -> Self {
        self.builder = self.builder.backoff(backoff);
        self
    }

    /// See [`SupervisorBuilder::max_children`].
    #[must_use]
    pub fn max_children(mut self, count: usize) -> Self {
        self.builder = self.builder.max_children(count);
        self
    }

    /// See [`SupervisorBuilder::name`].
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.builder = self.builder.name(name);
        self
    }

    /// See [`SupervisorBuilder::detached`].
    #[must_use]
    pub fn detached(mut self) -> Self {
        self.builder = self.builder.detached();
        self
    }

    /// The plain supervisor, to be a child in a tree; see [`Dynamic::over`] for its face.
    #[must_use]
    pub fn into_supervisor(self) -> SupervisorBuilder {
        self.builder
    }

    /// Starts the supervisor.
    ///
    /// # Panics
    /// Outside a node; see [`spawn_on`](Self::spawn_on).
    #[must_use = "the last reference to a supervisor ends it and its children"]
    pub fn spawn(self) -> Dynamic<Args, A> {
        match current_system() {
            Some(system) => self.spawn_on(&system),
            None => panic!("a supervisor is spawned outside any node; use `spawn_on`"),
        }
    }

    /// Starts the supervisor on this node.
    #[must_use = "the last reference to a supervisor ends it and its children"]
    pub fn spawn_on(self, system: &System) -> Dynamic<Args, A> {
        Dynamic::over(self.builder.spawn_on(system), self.spec)
    }
}

/// A dynamic supervisor: its reference, and how its children are made.
pub struct Dynamic<Args, A: Actor> {
    supervisor: ActorRef<Supervisor>,
    spec: DynamicSpec<Args, A>,
    started: Arc<AtomicU64>,
}

impl<Args, A: Actor> Dynamic<Args, A> {
    /// The face of a supervisor that has no other and whose children are to be of this kind.
    #[must_use]
    pub fn over(supervisor: ActorRef<Supervisor>, spec: DynamicSpec<Args, A>) -> Self {
        Self { supervisor, spec, started: Arc::default() }
    }

    /// Starts one more child; answers with its reference when it is up. It is forgotten when it is
    /// down for good.
    pub fn start_child(&self, args: Args) -> Call<'_, Supervisor, StartChild<A>> {
        let number = self.started.fetch_add(1, Ordering::Relaxed) + 1;
        let name = format!("{}-{number}", self.spec.name);
        self.supervisor.start_child((self.spec.make)(&name, args).forgotten_when_down())
    }

    /// The supervisor, for everything that all supervisors can be asked.
    #[must_use]
    pub fn supervisor(&self) -> &ActorRef<Supervisor> {
        &self.supervisor
    }
}

impl<Args, A: Actor> Clone for Dynamic<Args, A> {
    fn clone(&self) -> Self {
        Self {
            supervisor: self.supervisor.clone(),
            spec: self.spec.clone(),
            started: Arc::clone(&self.started),
        }
    }
}

impl<Args, A: Actor> fmt::Debug for Dynamic<Args, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dynamic")
            .field("supervisor", &self.supervisor)
            .field("spec", &self.spec)
            .finish()
    }
}
