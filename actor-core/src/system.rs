//! One node's floor: what all its actors share.
//!
//! A `System` is made once and passed down; there is no global one, so two nodes live in one process.
//! The rooms above hang their own parts (object store, scheduler) into it as typed extensions.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use arc_swap::ArcSwap;
use tokio::runtime::Handle;

use crate::arbiters::{ArbiterChoice, Arbiters};
use crate::dead_letters::DeadLetters;
use crate::directory::Directory;
use crate::groups::Groups;
use crate::handle::{ActorHandle, AnyCell};
use crate::id::ActorId;
use crate::names::Names;
use crate::remote::Remote;
use crate::resources::ResourceBook;

type Extensions = HashMap<TypeId, Arc<dyn Any + Send + Sync>>;

/// The floor of one node; cheap to clone.
#[derive(Clone)]
pub struct System(Arc<Inner>);

struct Inner {
    next_id: AtomicU64,
    runtime: Handle,
    directory: Directory,
    names: Names,
    groups: Groups,
    dead_letters: DeadLetters,
    extensions: ArcSwap<Extensions>,
    /// Weak: the root's cell holds this system.
    root: OnceLock<Weak<dyn AnyCell>>,
    arbiters: Arbiters,
    closing: AtomicBool,
}

impl System {
    /// Starts to describe a system.
    #[must_use]
    pub fn builder() -> SystemBuilder {
        SystemBuilder { arbiters: ArbiterChoice::Threads(1) }
    }

    /// A fresh id.
    #[must_use]
    pub fn next_id(&self) -> ActorId {
        let number = self.0.next_id.fetch_add(1, Ordering::Relaxed);
        // The counter starts at 1; 2^64 ids do not run out in a node's life.
        ActorId::from_u64(number).unwrap_or_else(|| self.next_id())
    }

    /// The executor that unpinned actors run on.
    #[must_use]
    pub fn runtime(&self) -> &Handle {
        &self.0.runtime
    }

    /// Every citizen of the node.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.0.directory
    }

    /// The names of the node's actors.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.0.names
    }

    /// The groups that this node knows of.
    #[must_use]
    pub fn groups(&self) -> &Groups {
        &self.0.groups
    }

    /// What was sent and will not be handled.
    #[must_use]
    pub fn dead_letters(&self) -> &DeadLetters {
        &self.0.dead_letters
    }

    pub(crate) fn arbiters(&self) -> &Arbiters {
        &self.0.arbiters
    }

    /// The part of the room above that has this type, if one was hung in.
    #[must_use]
    pub fn extension<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        let part = self.0.extensions.load().get(&TypeId::of::<T>()).cloned();
        part.and_then(|part| part.downcast().ok())
    }

    /// Hangs a part in, replacing one of the same type. For the composition root.
    pub fn set_extension<T: Any + Send + Sync>(&self, part: Arc<T>) {
        self.0.extensions.rcu(|extensions| {
            let mut extensions = Extensions::clone(extensions);
            extensions
                .insert(TypeId::of::<T>(), Arc::<T>::clone(&part) as Arc<dyn Any + Send + Sync>);
            extensions
        });
    }

    /// Makes `root` the supervisor of detached actors and of those with `max_restarts`. Only the first
    /// call counts; returns whether this was it. For the composition root.
    #[expect(clippy::must_use_candidate, reason = "who builds the node knows that it is the first")]
    pub fn set_root(&self, root: ActorHandle) -> bool {
        self.0.root.set(Arc::downgrade(&root.0)).is_ok()
    }

    /// The node's root supervisor, if there is one.
    #[must_use]
    pub fn root(&self) -> Option<ActorHandle> {
        self.0.root.get().and_then(Weak::upgrade).map(ActorHandle)
    }

    /// Lets no new actor start. For the composition root, when the node shuts down.
    pub fn close(&self) {
        self.0.closing.store(true, Ordering::Release);
    }

    /// Whether the node shuts down.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.0.closing.load(Ordering::Acquire)
    }

    /// Takes the extensions out, so that what they hold of the system does not keep it alive for ever.
    pub fn clear_extensions(&self) {
        self.0.extensions.store(Arc::default());
    }
}

/// The books of what the node has, as an extension.
struct BookPort(Arc<dyn ResourceBook>);

impl System {
    /// Lets actors hold resources. For the composition root; cleared with the other extensions.
    pub fn set_resource_book(&self, book: Arc<dyn ResourceBook>) {
        self.set_extension(Arc::new(BookPort(book)));
    }

    /// Who keeps the books of what the node has, if somebody does.
    #[must_use]
    pub fn resource_book(&self) -> Option<Arc<dyn ResourceBook>> {
        self.extension::<BookPort>().map(|port| Arc::clone(&port.0))
    }
}

/// The way to other nodes, as an extension.
struct RemotePort(Arc<dyn Remote>);

impl System {
    /// Joins this node to others: from now on references can leave it. Cleared with the other extensions.
    pub fn set_remote(&self, remote: Arc<dyn Remote>) {
        self.set_extension(Arc::new(RemotePort(remote)));
    }

    /// The way to other nodes, if this node has one.
    #[must_use]
    pub fn remote(&self) -> Option<Arc<dyn Remote>> {
        self.extension::<RemotePort>().map(|port| Arc::clone(&port.0))
    }
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("System").field("citizens", &self.directory().len()).finish_non_exhaustive()
    }
}

/// Describes a [`System`].
#[derive(Debug)]
pub struct SystemBuilder {
    arbiters: ArbiterChoice,
}

impl SystemBuilder {
    /// How many single-threaded arbiters pinned actors are spread over; at least 1. They start when the
    /// first pinned actor does.
    #[must_use]
    pub const fn arbiters(mut self, count: usize) -> Self {
        self.arbiters = ArbiterChoice::Threads(count);
        self
    }

    /// Pinned actors run on the actix arbiter of the thread that builds the system, under its clock.
    /// For tests under virtual time: build inside `actix_rt::System::block_on`.
    #[must_use]
    pub const fn arbiter_here(mut self) -> Self {
        self.arbiters = ArbiterChoice::Here;
        self
    }

    /// Builds the system on the runtime that this is called in.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn build(self) -> System {
        crate::panic_capture::install();
        System(Arc::new(Inner {
            next_id: AtomicU64::new(1),
            runtime: Handle::current(),
            directory: Directory::new(),
            names: Names::default(),
            groups: Groups::default(),
            dead_letters: DeadLetters::default(),
            extensions: ArcSwap::default(),
            root: OnceLock::new(),
            arbiters: Arbiters::new(self.arbiters),
            closing: AtomicBool::new(false),
        }))
    }
}
