//! Names, as users ask for them: the current node's, typed.

use mobula_actor_core::{
    Actor, ActorRef, DEFAULT_NAMESPACE, FullName, LookupError, actor_ref, current,
};

/// The living actor of this name in the default namespace.
///
/// On one node this is a look-up; it is `async` because on many it may ask another node.
///
/// # Errors
/// [`LookupError`]: no living actor has the name, it is blank, or the actor has another type.
///
/// # Panics
/// Outside a node.
///
/// # Cancel safety
/// Dropping the future changes nothing.
pub async fn actor<A: Actor>(name: &str) -> Result<ActorRef<A>, LookupError> {
    actor_in(DEFAULT_NAMESPACE, name).await
}

/// The living actor of this name in `namespace`.
///
/// # Errors
/// Like [`actor`].
///
/// # Panics
/// Outside a node.
pub async fn actor_in<A: Actor>(namespace: &str, name: &str) -> Result<ActorRef<A>, LookupError> {
    actor_ref::lookup(&current::expect_system(), &FullName::new(namespace, name))
}

/// The names of living actors in every namespace, sorted.
///
/// # Panics
/// Outside a node.
#[must_use]
pub fn list_named_actors() -> Vec<FullName> {
    current::expect_system().names().list()
}
