//! The simulator of the cluster: the protocol cores of `mobula-proto`, run by the thousand under one seed.
//!
//! A distributed protocol that is only tested on real machines is tested on good days.
//! Here the same cores run on a network that loses, delays and cuts, on clocks that run wrong, on machines that
//! die, and every run can be had again from its seed.
//!
//! - [`queue`], [`clock`], [`protocol`]: time, and what a core must offer.
//! - [`network`], [`world`]: what carries messages, and what lets time pass.
//! - [`rings`]: the membership core, and a model of its driver.
//! - [`faults`], [`shrink`]: what goes wrong, and which part of it mattered.
//! - [`invariants`], [`trial`]: what must hold, and a run that checks it.
//! - [`baseline`]: foca beside it.
//! - [`report`]: the goals as a table.
//! - [`lanes`], [`borrowing`]: the association core, and the borrow core above it, on the same network.

pub mod queue;
pub mod clock;
pub mod protocol;
pub mod network;
pub mod world;
pub mod rings;
pub mod faults;
pub mod shrink;
pub mod invariants;
pub mod trial;
pub mod baseline;
pub mod report;
pub mod lanes;
pub mod borrowing;
