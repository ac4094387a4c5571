//! Why an actor was not spawned.
//!
//! Spawning itself never fails in the caller's face: the error becomes the end of the actor, and each call says it. So a
//! variant must tell alone what was asked for and what to do.

use crate::id::ActorId;

/// An actor could not be spawned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// A living actor has this name. Nothing was started. Choose another name, or `get_if_exists`.
    #[error("name `{name}` is already taken by {holder}; choose another or use get_if_exists()")]
    NameTaken {
        /// The name.
        name: String,
        /// Who has it.
        holder: ActorId,
    },
    /// A living actor of another type has this name. Nothing was started.
    #[error("name `{name}` belongs to a `{found}`, not a `{expected}`")]
    WrongType {
        /// The name.
        name: String,
        /// The type of the actor that has it.
        found: String,
        /// The type asked for.
        expected: &'static str,
    },
    /// The name is empty or blank, or missing where one is needed. Nothing was started.
    #[error("an actor's name must not be blank; give `.name(\"…\")`")]
    BlankName,
    /// `detached` or `max_restarts` needs a root supervisor, which this system lacks. Start a `Node`.
    #[error("no root supervisor: detached and restartable actors need a running node")]
    NoSupervisor,
    /// No node fits the placement.
    #[error("`{actor}` cannot be placed: {why}")]
    NoPlace {
        /// The actor's type.
        actor: &'static str,
        /// What was asked for and what was seen.
        why: String,
    },
    /// Its placement group, or the bundle of it, is not there: removed, or lost with a node, or the node that asked for
    /// the group cannot be reached. Nothing was started. Ask for another group.
    #[error("`{actor}` has no placement group: {why}")]
    GroupGone {
        /// The actor's type.
        actor: &'static str,
        /// Which of these.
        why: String,
    },
    /// No node that the placement leaves to choose from runs a program with this constructor. Start one that does, or
    /// give all nodes the same build.
    #[error("no node provides `{actor}`: {seen}; start a node whose program contains it")]
    NoProvider {
        /// The actor's type.
        actor: &'static str,
        /// The nodes that were looked at, and what they have instead.
        seen: String,
    },
    /// What the actor is to hold makes no sense: a negative amount, say. Nothing was started. Correct the options.
    #[error("`{actor}` cannot hold that: {why}")]
    InvalidDemand {
        /// The actor's type.
        actor: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The node is shutting down.
    #[error("the node is shutting down")]
    ShuttingDown,
}
