//! Every state that the registry's cores can reach, in worlds small enough to walk through.
//!
//! A random history finds what happens often; a lease breaks where a message sleeps just long enough. So here the
//! cores that run in a node are put into a model checker, with messages that are late, lost and out of order, clocks
//! that run apart, voters that crash and voters that change, and all states are visited.
//! Each seeded bug must be found in the world that is about it; each margin that is too small, too.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it has seen"
)]

#[path = "registry_model/genesis.rs"]
mod genesis;
#[path = "registry_model/lease.rs"]
mod lease;
#[path = "registry_model/receiver.rs"]
mod receiver;

use std::fmt::Debug;
use std::hash::Hash;

use stateright::{Checker, Model};

/// Walks through all states; how many there are, and whether the model's first property is broken anywhere. The others
/// are what must happen somewhere, or there was nothing to see.
fn walk<M>(what: &str, model: M) -> bool
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync,
    M::Action: Clone + Debug + PartialEq + Send + Sync,
{
    let properties = model.properties();
    let checker = model.checker().threads(2).spawn_bfs().join();
    let count = checker.unique_state_count();
    if let Some(trace) = checker.discovery(properties[0].name) {
        println!("{what}: {count} states, broken by {:?}", trace.into_actions());
        return false;
    }
    for property in &properties[1..] {
        assert!(checker.discovery(property.name).is_some(), "{what}: never {}", property.name);
    }
    println!("{what}: {count} states, safe");
    true
}
