//! Names that are unique, and actors that come back: the registry.
//!
//! A name that two nodes may both believe to be theirs is no name. Gossip gives two holders for as long as a partition
//! lasts; a lock with a time limit gives two when the first is slow. So three things are put together: a small
//! replicated log says who has which name; a *lease* per node, renewed with a quorum of voters, says how long its
//! holder may go on without hearing from them; and a *fencing token* (the generation) lets receivers turn away what
//! comes from an earlier holder all the same.
//! (Leases: Gray and Cheriton, 1989. Fencing: Kleppmann, "How to do distributed locking", 2016.)
//!
//! Invariants, each with a seeded bug ([`Mutant`]):
//! - of one name at most one grant may run ([`state`]), and at most one instance starts to handle a message at any
//!   time, as long as clocks differ by less than the margin within lease and margin ([`lease`], [`voter`], [`leader`]);
//! - a receiver that has seen a generation takes nothing from an earlier one ([`freshness`]);
//! - from one list of seeds at most one cluster is founded ([`genesis`]).
//!
//! The log itself is a port: these cores see committed entries with their index, and voters also what was appended.
//! Who drives them:
//! - every node: [`observer`] puts entries in order, [`state`] applies them, [`freshness`] checks messages;
//! - a node with a session: [`lease`];
//! - a voter: [`voter`]; the voter that leads: [`leader`];
//! - a seed without a cluster: [`genesis`].
//!
//! [`entry`], [`reply`], [`name`], [`spec`], [`config`], [`id`] and [`settings`] are the words they share.
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
pub mod voter;
pub mod lease;
pub mod leader;
pub mod genesis;
pub mod observer;
pub mod freshness;
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
