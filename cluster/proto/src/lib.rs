//! The protocol cores of the cluster: who is a member, and what members say to each other.
//!
//! A protocol that owns sockets and clocks can only be tested by waiting; so nothing in this crate does.
//! Every core takes the time, an input and a source of randomness, and returns outputs as values:
//! the same code runs under the simulator, under model checkers and under the driver.
//!
//! Invariant: the outputs are a function of the inputs, in their order, and of the random numbers drawn.
//!
//! - [`id`], [`time`]: the words all cores share.
//! - [`member`]: what is known of one node, and how two pieces of knowledge merge.
//! - [`membership`]: which nodes there are, who watches whom, who is down.
//! - [`wire`]: frames, and values in frames.
//! - [`association`]: order between two nodes that outlives connections.
//! - [`borrow`]: which nodes hold references to a thing.
//! - [`monitors`]: exactly one notice when an actor of another node ends.
//! - [`postings`]: what each node says of its own actors to all: names, memberships of groups.
//! - [`load`], [`placement`]: how busy nodes are, and where things go.
//! - [`reservation`], [`placement_group`]: room that is kept, and tasks that are bound to it late.
//! - [`registry`]: names that are unique, and actors that come back.
//! - [`error`]: what can go wrong, one enum per family of operations.

pub mod id;
pub mod time;
pub mod member;
pub mod config;
pub mod membership;
pub mod error;
pub mod wire;
pub mod association;
pub mod borrow;
pub mod monitors;
pub mod postings;
pub mod load;
pub mod placement;
pub mod reservation;
pub mod placement_group;
pub mod registry;
