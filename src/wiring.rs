//! Where the rooms meet: translation and forwarding, no decisions.

#[cfg(feature = "cluster")]
pub(crate) mod builds;
#[cfg(feature = "cluster")]
pub(crate) mod bulk;
#[cfg(feature = "cluster")]
pub(crate) mod bundles;
#[cfg(feature = "cluster")]
pub(crate) mod cluster;
pub(crate) mod commands;
pub(crate) mod groups;
pub(crate) mod naming;
pub(crate) mod objects;
#[cfg(feature = "cluster")]
pub(crate) mod placement;
#[cfg(feature = "cluster")]
pub(crate) mod postings;
#[cfg(feature = "cluster")]
pub(crate) mod profile;
#[cfg(feature = "cluster")]
pub(crate) mod rooms;
#[cfg(feature = "cluster")]
pub(crate) mod stores;
#[cfg(feature = "cluster")]
pub(crate) mod tasks;
