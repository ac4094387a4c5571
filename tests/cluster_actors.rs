//! What holds for actors on one node holds for actors on two and on five: rows of what users rely on, over real sockets.
#![allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::new_without_default,
    clippy::unwrap_used,
    clippy::use_self,
    reason = "a test's actors are public for the macro's sake alone, and a test may fail by a panic"
)]

#[path = "fixture/nodes.rs"]
mod fixture;
#[path = "fixture/until.rs"]
mod until;

#[path = "cluster_actors/cast.rs"]
mod cast;
#[path = "cluster_actors/loss.rs"]
mod loss;
#[path = "cluster_actors/order.rs"]
mod order;
#[path = "cluster_actors/references.rs"]
mod references;
#[path = "cluster_actors/watching.rs"]
mod watching;
