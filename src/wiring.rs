//! Where the rooms meet: translation and forwarding, no decisions.

pub mod commands;
pub mod naming;
pub mod objects;
