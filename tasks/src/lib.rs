//! Tasks.
pub mod resources;
mod queue;
mod admission;
mod graph;
mod cancel;
