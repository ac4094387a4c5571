//! Objects that several nodes know: kept, pulled, lost, made again. Nodes of one process over real sockets on loopback.
#![allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::expect_used,
    clippy::missing_const_for_fn,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::needless_pass_by_value,
    clippy::new_without_default,
    clippy::unwrap_used,
    clippy::use_self,
    reason = "a test's actors are public for the macro's sake alone, and a test may fail by a panic"
)]

#[expect(dead_code, reason = "each node of a town lives on a runtime of its own")]
#[path = "fixture/nodes.rs"]
mod fixture;
#[path = "cluster_objects/town.rs"]
mod town;

#[path = "cluster_objects/keeping.rs"]
mod keeping;
#[path = "cluster_objects/lineage.rs"]
mod lineage;
#[path = "cluster_objects/lost_owners.rs"]
mod lost_owners;
#[path = "cluster_objects/outliving.rs"]
mod outliving;
#[path = "cluster_objects/registry.rs"]
mod registry;
#[path = "cluster_objects/transfers.rs"]
mod transfers;
