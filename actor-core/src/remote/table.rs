//! What this program can do for others: its handlers and constructors, known at link time.
//!
//! A node is asked by a key, a number made of names and signatures; code never travels. The linker collects one
//! entry for each handler and constructor whose types have a wire form. A key that is not in the table comes from
//! another build, and is answered so, never guessed at.

use std::collections::HashMap;
use std::fmt;

use crate::actor::{Actor, Receive};
use crate::exit::{ErrorText, ExitReason};
use crate::factory::{Factory, IntoStart};
use crate::handle::{ActorHandle, AsHandle};
use crate::message::Message;
use crate::remote::inbound::{Deliver, deliver_to};
use crate::remote::{SpawnKind, SpawnOptions};
use crate::spawn::ActorOptions;
use crate::system::System;
use crate::wire::baggage::Hold;
use crate::wire::{Codec, paired};

/// A handler that can be called from afar. Written by the macros.
pub struct HandlerEntry {
    pub(crate) key: u64,
    pub(crate) actor: &'static str,
    pub(crate) message: &'static str,
    pub(crate) is_portable: bool,
    pub(crate) deliver: Deliver,
    /// Reads bytes as all that is said to and by the handler.
    #[cfg(fuzzing)]
    pub(crate) read: fn(&[u8]) -> usize,
}

impl HandlerEntry {
    /// The entry of actor `A` for message `M`.
    #[must_use]
    pub const fn of<A: Receive<M>, M: Message>() -> Self {
        Self {
            key: paired(A::KEY, M::KEY),
            actor: A::NAME,
            message: M::NAME,
            is_portable: M::WIRE.is_some(),
            deliver: deliver_to::<A, M>,
            #[cfg(fuzzing)]
            read: super::strangers::read_as::<M>,
        }
    }
}

impl fmt::Debug for HandlerEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {:016x}", self.actor, self.message, self.key)
    }
}

inventory::collect!(HandlerEntry);

/// Starts an actor from the wire form of its constructor's arguments; the hold keeps it until it is referred to.
pub type SpawnFn = fn(&System, Vec<u8>, SpawnOptions) -> Result<(ActorHandle, Hold), ExitReason>;

/// A constructor that can be called from afar. Written by the macros.
pub struct SpawnEntry {
    /// What it makes.
    pub kind: SpawnKind,
    /// Starts an actor from the wire form of the arguments.
    pub spawn: SpawnFn,
}

impl fmt::Debug for SpawnEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:016x}", self.kind.name, self.kind.key)
    }
}

inventory::collect!(SpawnEntry);

/// Starts an actor from the wire form of its arguments, which are read anew for each generation.
///
/// # Errors
/// Why it was not started.
#[doc(hidden)]
pub fn spawn_from<A: Actor, Args: Send + 'static, S: IntoStart<A, How> + 'static, How: 'static>(
    system: &System,
    codec: Option<Codec<Args>>,
    bytes: Vec<u8>,
    options: SpawnOptions,
    make: fn(Args) -> S,
) -> Result<(ActorHandle, Hold), ExitReason> {
    let failed = |error: &dyn fmt::Display| {
        ExitReason::StartFailed(ErrorText::from_text(format!("{}: {error}", A::NAME)))
    };
    let codec = codec.ok_or_else(|| failed(&"its constructor's arguments cannot travel"))?;
    // Read once before anything starts, so that a bad argument is the spawner's to hear of.
    let first = codec.decode(&bytes).map_err(|error| failed(&error))?;
    let mut first = Some(first);
    let factory = Factory::try_many(move || {
        let args = match first.take() {
            Some(args) => args,
            None => codec.decode(&bytes).map_err(ErrorText::new)?,
        };
        Ok(make(args).into_start())
    });
    let options = ActorOptions::<A>::chosen(system.clone(), options);
    let actor = options.try_spawn_factory(factory).map_err(|error| failed(&error))?;
    let handle = actor.as_handle();
    let hold = handle.hold();
    Ok((handle, hold))
}

/// A handler or a constructor that this program offers to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Provided {
    /// By which it is asked for.
    pub key: u64,
    /// The actor's name.
    pub actor: &'static str,
    /// The message's name; `None` for a constructor.
    pub message: Option<&'static str>,
}

/// The handlers and constructors linked into this program, by key. Each node keeps one.
pub struct Table {
    /// Looked up for each call that arrives.
    handlers: HashMap<u64, &'static HandlerEntry, foldhash::fast::RandomState>,
    spawners: HashMap<u64, &'static SpawnEntry>,
}

impl Table {
    /// Everything that is linked.
    #[must_use]
    pub fn linked() -> Self {
        let mut table = Self { handlers: HashMap::default(), spawners: HashMap::new() };
        for entry in inventory::iter::<HandlerEntry> {
            if entry.is_portable
                && let Some(other) = table.handlers.insert(entry.key, entry)
            {
                tracing::error!(?entry, ?other, "two handlers have one key; rename one of them");
            }
        }
        for entry in inventory::iter::<SpawnEntry> {
            if let Some(other) = table.spawners.insert(entry.kind.key, entry) {
                tracing::error!(?entry, ?other, "two constructors have one key; rename one actor");
            }
        }
        table
    }

    /// The handler of this key.
    pub(crate) fn handler(&self, key: u64) -> Option<&'static HandlerEntry> {
        self.handlers.get(&key).copied()
    }

    /// All handlers.
    #[cfg(fuzzing)]
    pub(crate) fn entries(&self) -> impl Iterator<Item = &'static HandlerEntry> {
        self.handlers.values().copied()
    }

    /// Everything that this program does for others, by key: what nodes tell each other when they meet.
    #[must_use]
    pub fn provided(&self) -> Vec<Provided> {
        let handlers = self.handlers.values().map(|entry| Provided {
            key: entry.key,
            actor: entry.actor,
            message: Some(entry.message),
        });
        let spawners = self.spawners.values().map(|entry| Provided {
            key: entry.kind.key,
            actor: entry.kind.name,
            message: None,
        });
        let mut provided: Vec<Provided> = handlers.chain(spawners).collect();
        provided.sort_unstable_by_key(|entry| entry.key);
        provided
    }

    /// Starts an actor that another node asked for; the hold keeps it alive until that node has its own.
    ///
    /// # Errors
    /// Why it was not started: unknown to this program, bad arguments, a name that is taken.
    pub fn spawn(
        &self,
        system: &System,
        key: u64,
        args: Vec<u8>,
        options: SpawnOptions,
    ) -> Result<(ActorHandle, Hold), ExitReason> {
        match self.spawners.get(&key) {
            Some(entry) => (entry.spawn)(system, args, options),
            None => Err(ExitReason::StartFailed(ErrorText::from_text(format!(
                "that node's program has no constructor {key:016x}: it is another build, or the crate is not linked"
            )))),
        }
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("handlers", &self.handlers.len())
            .field("constructors", &self.spawners.len())
            .finish()
    }
}
