//! Where the rooms meet: translation and forwarding, no decisions.

pub(crate) mod commands;
pub(crate) mod naming;
pub(crate) mod objects;
