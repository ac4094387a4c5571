//! Names, as users ask for them: the current node's, typed.

use mobula_actor_core::{
    Actor, ActorRef, DEFAULT_NAMESPACE, FullName, LookupError, actor_ref, current,
};

/// The living actor of this name in the default namespace, on this node or on any other.
///
/// One on this node is found at once. Else those nodes are asked that are said to have one, which costs a round trip;
/// if none has, all are asked (256 at most, each for two seconds at most). So an actor is found that has its name for as
/// long as the call runs, if its node can be reached; what is found had the name during the call. Names are unique on
/// each node, not yet over all: of several actors of one name, this node's comes first, then any.
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
    let system = current::expect_system();
    let name = FullName::new(namespace, name);
    match actor_ref::lookup(&system, &name) {
        #[cfg(feature = "cluster")]
        Err(LookupError::NoSuchName(text)) => {
            let node = crate::Node::current();
            match node.as_ref().and_then(crate::Node::cluster) {
                Some(cluster) => super::postings::find((&system, cluster), &name).await,
                None => Err(LookupError::NoSuchName(text)),
            }
        }
        found => found,
    }
}

/// The names of living actors in every namespace, sorted: this node's, and those that others are known to have.
///
/// # Panics
/// Outside a node.
#[must_use]
pub fn list_named_actors() -> Vec<FullName> {
    let system = current::expect_system();
    let mut names = system.names().list();
    names.extend(system.names().list_hints());
    names.sort_unstable();
    names.dedup();
    names
}
