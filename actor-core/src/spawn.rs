//! Spawning: what can be chosen for an actor, and the start of its first generation.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use crate::actor::{Actor, Mode};
use crate::actor_ref::{ActorRef, Address};
use crate::arbiters::Pin;
use crate::cell::{Cell, Far, Settings};
use crate::current;
use crate::error::SpawnError;
use crate::exit::{ErrorText, ExitReason};
use crate::factory::{Factory, IntoStart};
use crate::handle::ActorHandle;
use crate::mailbox::Mailbox;
use crate::names::{DEFAULT_NAMESPACE, FullName};
use crate::placement::{Grouped, Placement};
use crate::resources::{ActorDemand, CPU, Holding};
use crate::system::System;

mod elsewhere;
mod relocation;

pub(crate) use relocation::{PAUSE_MIN, Relocation, next_pause};

/// What can be chosen for an actor of type `A` before it is spawned.
///
/// # Examples
/// ```
/// # extern crate mobula_actor_core as mobula;
/// # use mobula_actor_core::{ActorOptions, Current, Mailbox, SpawnError, System, scope};
/// pub struct Desk;
/// #[mobula::actor]
/// impl Desk {
///     pub fn touch(&mut self) {}
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() { scope(Current::root(System::builder().build()), async {
/// let options = || ActorOptions::<Desk>::here().name("front").mailbox(Mailbox::bounded(64));
/// let desk = options().spawn_with(|| Desk);
/// assert_eq!(options().get_if_exists().spawn_with(|| Desk), desk);
/// let second = options().try_spawn_factory(mobula::Factory::once(|| Desk));
/// assert!(matches!(second, Err(SpawnError::NameTaken { .. })));
/// # }).await }
/// ```
#[must_use = "options spawn nothing until `remote`, `spawn_with` or `spawn_factory`"]
pub struct ActorOptions<A: Actor> {
    system: System,
    namespace: Option<String>,
    name: Option<String>,
    get_if_exists: bool,
    placement: Option<Placement>,
    demand: ActorDemand,
    /// How it is started elsewhere, if it waits here for what nobody has.
    relocation: OnceLock<Relocation>,
    settings: Settings,
    actor: PhantomData<fn() -> A>,
}

impl<A: Actor> ActorOptions<A> {
    /// Options for an actor on `system`.
    pub fn new(system: System) -> Self {
        Self {
            system,
            namespace: None,
            name: None,
            get_if_exists: false,
            placement: None,
            demand: ActorDemand::default(),
            relocation: OnceLock::new(),
            settings: Settings::default(),
            actor: PhantomData,
        }
    }

    /// Options for an actor on the current node.
    ///
    /// # Panics
    /// Outside a node.
    #[track_caller]
    pub fn here() -> Self {
        Self::new(current::expect_system())
    }

    /// Registers the actor under this name: at most one living actor has it.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The namespace of the name; [`DEFAULT_NAMESPACE`] otherwise.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// If an actor of this name and type lives, returns a reference to it instead of an error. Needs a name.
    pub const fn get_if_exists(mut self) -> Self {
        self.get_if_exists = true;
        self
    }

    /// The actor lives until it is stopped or killed, or fails beyond its restarts, whoever drops references to it
    /// and whatever becomes of its creator. Owned by the node's root supervisor.
    pub const fn detached(mut self) -> Self {
        self.settings.detached = true;
        self
    }

    /// Restarts the actor from its constructor after an abnormal end, up to `count` times in its life. Needs
    /// a factory that can be called again.
    pub const fn max_restarts(mut self, count: u32) -> Self {
        self.settings.max_restarts = Some(count);
        self
    }

    /// How many messages may wait, and what happens to one too many.
    pub const fn mailbox(mut self, mailbox: Mailbox) -> Self {
        self.settings.mailbox = mailbox;
        self
    }

    /// Runs the actor on a single-threaded arbiter: the spawner's, if that is on one.
    pub fn pinned(mut self) -> Self {
        self.settings.pin = Some(Pin::Near);
        self
    }

    /// Runs the actor on the arbiter of this affinity group: actors that talk much belong into one group.
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.settings.pin = Some(Pin::Group(group.into()));
        self
    }

    /// Keeps the metadata of the last `count` handled messages for the crash report; 0 is off, the default. At most 65 536
    /// are kept, of 32 bytes or so each, whatever is asked for.
    pub const fn flight_recorder(mut self, count: usize) -> Self {
        self.settings.flight_records = count;
        self
    }

    /// How many CPUs the actor holds while it lives, in steps of 0.0001. None by default: an actor runs when it has
    /// something to do, beside the tasks. Set it for one that computes much.
    ///
    /// The actor's constructor runs when the node has as much free; messages wait meanwhile. What no node can ever give
    /// is waited for, and the log says so: until this node has it, or another, where the actor is started then if its
    /// arguments can travel and no supervisor of the program's own has it as its child. References go on working, for
    /// messages that can travel.
    pub fn num_cpus(mut self, cpus: f64) -> Self {
        self.demand.set(CPU, cpus);
        self
    }

    /// How much of a named resource the actor holds while it lives, over restarts; see [`num_cpus`](Self::num_cpus). More
    /// than one `gpu` must be whole.
    pub fn resource(mut self, name: impl AsRef<str>, amount: f64) -> Self {
        self.demand.set(name.as_ref(), amount);
        self
    }

    /// Where it should run; on this node otherwise, unless it is to hold what this node does not have. Another node needs
    /// constructor arguments that can travel.
    pub fn on(mut self, placement: Placement) -> Self {
        self.placement = Some(placement);
        self
    }

    /// Runs the actor on the node of a bundle of this placement group, and ends it for good when the group is removed.
    /// The group must be formed: wait until it is ready first.
    pub fn in_group(mut self, group: &impl Grouped) -> Self {
        let bundle = match self.placement {
            Some(Placement::InGroup { bundle, .. }) => bundle,
            _ => None,
        };
        let group = group.group_id();
        self.placement = Some(Placement::InGroup { group, bundle });
        self.settings.member_of = Some(group);
        self
    }

    /// Which bundle of its placement group, chosen before, the actor runs in, counted from 0.
    pub fn bundle(mut self, index: u32) -> Self {
        if let Some(Placement::InGroup { bundle, .. }) = &mut self.placement {
            *bundle = Some(index);
        }
        self
    }

    /// Makes `supervisor` decide about restarts: it is told of each end and must answer. The actor lives
    /// without references. For supervisors.
    pub fn supervised_by(mut self, supervisor: ActorHandle) -> Self {
        self.settings.parent = Some(supervisor);
        self.settings.detached = true;
        self
    }

    /// Spawns an actor that `make` makes: an `A`, a `Result`, or a future of either. `make` is called again for
    /// each restart.
    pub fn spawn_with<S: IntoStart<A, How>, How>(
        self,
        make: impl FnMut() -> S + Send + 'static,
    ) -> ActorRef<A> {
        self.spawn_factory(Factory::many(make))
    }

    /// Spawns; never fails: if the actor cannot be spawned, the reference is to one that has ended, and each call says
    /// why. See [`try_spawn_factory`](Self::try_spawn_factory).
    pub fn spawn_factory(self, factory: Factory<A>) -> ActorRef<A> {
        let system = self.system.clone();
        self.try_spawn_factory(factory).unwrap_or_else(|error| Self::new(system).failed(error))
    }

    /// Spawns; the constructor runs in the background.
    ///
    /// # Errors
    /// [`SpawnError`]: the name is taken, blank or missing, or there is no supervisor for a detached actor. Nothing
    /// was started.
    pub fn try_spawn_factory(mut self, factory: Factory<A>) -> Result<ActorRef<A>, SpawnError> {
        let name = self.full_name()?;
        if self.settings.parent.is_none()
            && (self.settings.detached || self.settings.max_restarts.is_some_and(|count| count > 0))
        {
            self.settings.parent = Some(self.system.root().ok_or(SpawnError::NoSupervisor)?);
        }
        if self.system.is_closing() {
            return Err(SpawnError::ShuttingDown);
        }
        if !self.demand.is_empty() {
            self.settings.holding = Some(Holding::of(self.checked_demand()?));
            self.settings.far = self.relocation.take().map(Far::or_here);
        }
        self.check_group()?;
        let Some(name) = name else {
            return Ok(start(Address::new(Cell::new(self.system, self.settings)), factory));
        };
        self.settings.name = Some(Arc::clone(&name));
        let system = self.system.clone();
        loop {
            let cell = Cell::new(system.clone(), self.settings.clone());
            // Counted before the name can be found: a reference that comes and goes must not end it.
            let address = Address::new(Arc::clone(&cell));
            if let Err(holder) = system.names().claim(&system, Arc::clone(&name), cell.handle().0) {
                // Nobody has seen this cell, and no supervisor need hear of it.
                if !self.get_if_exists {
                    return Err(SpawnError::NameTaken {
                        name: name.to_string(),
                        holder: holder.id(),
                    });
                }
                match ActorRef::<A>::from_handle(&holder) {
                    // It may have ended since: then the name is free, and claimed anew.
                    Some(actor) if actor.is_alive() => return Ok(actor),
                    Some(_) => continue,
                    None => {
                        return Err(SpawnError::WrongType {
                            name: name.to_string(),
                            found: holder.type_name(),
                            expected: A::NAME,
                        });
                    }
                }
            }
            return Ok(start(address, factory));
        }
    }

    /// What it is to hold, if that can be counted.
    fn checked_demand(&self) -> Result<ActorDemand, SpawnError> {
        let refused = |why: String| SpawnError::InvalidDemand { actor: A::NAME, why };
        let Some(book) = self.system.resource_book() else {
            return Err(refused("nobody counts resources here; start a `Node`".to_owned()));
        };
        let demand = self.demand();
        book.check(&demand).map_err(refused)?;
        Ok(demand)
    }

    /// Whether its placement group has room for it on this node.
    fn check_group(&self) -> Result<(), SpawnError> {
        let (Some(group), Some(book)) = (self.settings.member_of, self.system.resource_book())
        else {
            return Ok(());
        };
        if book.can_ever(&self.demand()) {
            return Ok(());
        }
        let why = format!(
            "placement group {group} has no such room on this node: it is not formed yet, or it \
             was removed or lost"
        );
        Err(SpawnError::GroupGone { actor: A::NAME, why })
    }

    /// What it is to hold, of the room that it is to run in.
    fn demand(&self) -> ActorDemand {
        let mut demand = self.demand.clone();
        if let Some(Placement::InGroup { group, bundle }) = self.placement {
            demand.set_within(Some((group, bundle)));
        }
        demand
    }

    /// A reference to an actor that has ended because of `error`, so that each call says why.
    #[doc(hidden)]
    pub fn failed(&self, error: SpawnError) -> ActorRef<A> {
        tracing::warn!(actor = A::NAME, %error, "actor not spawned");
        let cell = Cell::new(self.system.clone(), Settings::default());
        let address = Address::new(Arc::clone(&cell));
        cell.never_started(match error {
            SpawnError::NameTaken { name, .. } => ExitReason::NameTaken(name),
            other => ExitReason::StartFailed(ErrorText::new(other)),
        });
        ActorRef::from_address(address)
    }

    fn full_name(&self) -> Result<Option<Arc<FullName>>, SpawnError> {
        let Some(name) = &self.name else {
            return if self.get_if_exists { Err(SpawnError::BlankName) } else { Ok(None) };
        };
        let namespace = self.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
        let name = FullName::new(namespace, name.clone());
        if name.is_blank() { Err(SpawnError::BlankName) } else { Ok(Some(Arc::new(name))) }
    }
}

/// Starts the first generation.
fn start<A: Actor>(address: Address<A>, factory: Factory<A>) -> ActorRef<A> {
    let cell = address.cell();
    let citizen = Arc::clone(cell) as Arc<dyn crate::directory::Citizen>;
    cell.system().directory().insert(citizen);
    if let Some(holding) = cell.settings().and_then(|settings| settings.holding.as_ref()) {
        holding.stand(A::NAME, cell.system().resource_book());
    }
    A::Mode::launch(Arc::clone(cell), factory);
    // Closed since it was looked for, the group's room may not have found this actor to end it.
    if let Some(group) = cell.settings().and_then(|settings| settings.member_of)
        && let Some(book) = cell.system().resource_book()
        && !book.can_ever(&ActorDemand::nothing_within(group))
    {
        cell.handle().kill();
    }
    ActorRef::from_address(address)
}

impl<A: Actor> fmt::Debug for ActorOptions<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActorOptions")
            .field("actor", &A::NAME)
            .field("name", &self.name)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Spawns an actor on the current node with default options.
///
/// # Panics
/// Outside a node.
#[track_caller]
pub fn spawn<A: Actor, S: IntoStart<A, How>, How>(
    make: impl FnOnce() -> S + Send + 'static,
) -> ActorRef<A> {
    ActorOptions::here().spawn_factory(Factory::once(make))
}
