//! Names that are unique, and actors that come back: the registry.
//!
//! A name that two nodes may both believe to be theirs is no name. So who has which name stands in a small replicated
//! log, and what follows from its entries is decided by a state that is the same on all nodes: [`state`].
//!
//! Pure: no clock, no I/O, no tasks.

pub mod id;
pub mod name;
pub mod spec;
pub mod config;
pub mod settings;
pub mod entry;
pub mod reply;
pub mod state;
mod mutant;

pub use self::config::Config;
pub use self::entry::{Assign, Claim, Entry, Mode};
pub use self::id::{
    ActorId, ClusterId, ConfigId, Generation, Host, Index, LogTime, RequestId, SessionId, VoterId,
};
#[doc(hidden)]
pub use self::mutant::Mutant;
pub use self::name::Name;
pub use self::reply::{Applied, Change, Grant, Phase, Reply};
pub use self::settings::Settings;
pub use self::spec::{Policy, Restart, Spec};
pub use self::state::{Limits, State};
