//! The supervisor with real actors, under virtual time.

#![expect(clippy::unwrap_used, reason = "a broken test may end as it likes")]

extern crate mobula_actor_core as mobula;

#[path = "driver/worker.rs"]
mod worker;

#[path = "driver/life.rs"]
mod life;

#[path = "driver/tree.rs"]
mod tree;

#[path = "driver/requests.rs"]
mod requests;

#[path = "driver/dynamic.rs"]
mod dynamic;

#[path = "driver/root.rs"]
mod root;

#[path = "driver/chaos.rs"]
mod chaos;
