//! The child spec: how to make a child, and how to treat it.
//!
//! A child is restarted from its spec, never from the damaged value; so the constructor is kept and
//! called again, as often as there are generations, and even when its supervisor is itself made
//! anew. A spec is therefore a value that can be shared: it holds its constructor behind an `Arc`
//! and no actor. The type of the actor is known while a spec is written and forgotten when it joins
//! its siblings in a supervisor.

use std::{any::Any, fmt, sync::Arc};

use futures_util::future::BoxFuture;
use mobula_actor_core::{
    Actor, ActorHandle, ActorOptions, ActorRef, AsHandle, ExitReason, Factory, IntoStart, System,
};

use crate::{child_rules::ChildRules, restart::Restart, shutdown::Shutdown};

/// How to make one child, and how to treat it.
///
/// Permanent, with five seconds to stop, unless said otherwise; a supervisor as a child may take
/// as long as its own children.
pub struct ChildSpec<A: Actor> {
    rules: ChildRules,
    make: Arc<Make<A>>,
    options: Option<Arc<Adjust<A>>>,
    is_up: IsUp<A>,
}

/// Makes a factory for a child whose supervisors are these, the outermost first.
type Make<A> = dyn Fn(&Path) -> Factory<A> + Send + Sync;
type Adjust<A> = dyn Fn(ActorOptions<A>) -> ActorOptions<A> + Send + Sync;
/// Resolves when a started child is up, or cannot be.
type IsUp<A> = fn(ActorRef<A>) -> BoxFuture<'static, Result<(), ExitReason>>;

/// The names of a child's supervisors, the outermost first.
pub(crate) type Path = Arc<[Arc<str>]>;

impl<A: Actor> ChildSpec<A> {
    /// A child that `make` makes: a value, a `Result`, or a future of either. `make` is called once
    /// for each start.
    pub fn new<S, How>(
        name: impl Into<Arc<str>>,
        make: impl Fn() -> S + Send + Sync + 'static,
    ) -> Self
    where
        S: IntoStart<A, How>,
    {
        let make = Arc::new(make);
        let factory = move |_: &Path| {
            let make = Arc::clone(&make);
            Factory::many(move || make())
        };
        Self::from_parts(ChildRules::worker(name), Arc::new(factory), |child| {
            Box::pin(async move { child.ready().await })
        })
    }

    pub(crate) fn from_parts(rules: ChildRules, make: Arc<Make<A>>, is_up: IsUp<A>) -> Self {
        Self { rules, make, options: None, is_up }
    }

    /// Always restarted (the default).
    #[must_use]
    pub fn permanent(self) -> Self {
        self.restart(Restart::Permanent)
    }

    /// Restarted only after an abnormal end.
    #[must_use]
    pub fn transient(self) -> Self {
        self.restart(Restart::Transient)
    }

    /// Never restarted; forgotten when it ends.
    #[must_use]
    pub fn temporary(self) -> Self {
        self.restart(Restart::Temporary)
    }

    /// Whether it comes back after it ended.
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.rules.restart = restart;
        self
    }

    /// How it is stopped: a `Duration` is a deadline after which it is killed.
    #[must_use]
    pub fn shutdown(mut self, shutdown: impl Into<Shutdown>) -> Self {
        self.rules.shutdown = shutdown.into();
        self
    }

    /// Its end may end the supervisor; see [`AutoShutdown`](crate::auto_shutdown::AutoShutdown).
    #[must_use]
    pub fn significant(mut self) -> Self {
        self.rules.significant = true;
        self
    }

    /// At most so many restarts in its whole life; then it stays down and is forgotten.
    #[must_use]
    pub fn max_restarts(mut self, restarts: u32) -> Self {
        self.rules.budget = Some(restarts);
        self
    }

    /// The options it is made with: name, mailbox, pinning, flight recorder.
    #[must_use]
    pub fn options(
        mut self,
        options: impl Fn(ActorOptions<A>) -> ActorOptions<A> + Send + Sync + 'static,
    ) -> Self {
        self.options = Some(Arc::new(options));
        self
    }

    /// The child of a dynamic supervisor: nothing remains of it when it is down.
    pub(crate) fn forgotten_when_down(mut self) -> Self {
        self.rules.forget_when_down = true;
        self
    }

    pub(crate) fn rules(&self) -> &ChildRules {
        &self.rules
    }
}

impl<A: Actor> Clone for ChildSpec<A> {
    fn clone(&self) -> Self {
        Self {
            rules: self.rules.clone(),
            make: Arc::clone(&self.make),
            options: self.options.clone(),
            is_up: self.is_up,
        }
    }
}

impl<A: Actor> fmt::Debug for ChildSpec<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildSpec")
            .field("actor", &A::NAME)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

/// Where a child is started.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    pub(crate) system: System,
    pub(crate) supervisor: ActorHandle,
    pub(crate) path: Path,
}

/// A started child.
pub(crate) struct Started {
    pub(crate) handle: ActorHandle,
    /// The `ActorRef`, which keeps the child alive while nobody else refers to it.
    pub(crate) reference: Box<dyn Any + Send + Sync>,
}

/// A child spec without its actor's type.
pub(crate) trait Blueprint: Send + Sync {
    fn rules(&self) -> &ChildRules;
    fn type_name(&self) -> &'static str;
    /// Starts the child in a cell of its own.
    fn start(&self, home: &Home) -> Started;
    /// Resolves when the child that was started, or started again, is up.
    fn is_up(&self, started: &Started) -> BoxFuture<'static, Result<(), ExitReason>>;
}

impl<A: Actor> Blueprint for ChildSpec<A> {
    fn rules(&self) -> &ChildRules {
        &self.rules
    }

    fn type_name(&self) -> &'static str {
        A::NAME
    }

    fn start(&self, home: &Home) -> Started {
        let mut options =
            ActorOptions::new(home.system.clone()).supervised_by(home.supervisor.clone());
        if let Some(adjust) = &self.options {
            options = adjust(options);
        }
        let reference = options.spawn_factory((self.make)(&home.path));
        Started { handle: reference.as_handle(), reference: Box::new(reference) }
    }

    fn is_up(&self, started: &Started) -> BoxFuture<'static, Result<(), ExitReason>> {
        match started.reference.downcast_ref::<ActorRef<A>>() {
            Some(reference) => (self.is_up)(reference.clone()),
            None => Box::pin(async { Err(ExitReason::NoActor) }),
        }
    }
}
