//! Supervision: actors that see to it that other actors are there.
//!
//! The simple answer to a fault, handling it where it happens, needs code for states nobody thought
//! of. OTP's answer is to let the damaged actor go and start it again from its spec, by somebody
//! whose only job that is. This crate is that somebody, with OTP's semantics: what a supervisor
//! *decides* is pure and stands in [`decide`] and the modules before it; what it *does* stands in
//! the driver.
//!
//! Reading order: [`restart`], [`strategy`], [`intensity`], [`backoff`], [`shutdown`],
//! [`auto_shutdown`] (the words), [`child_rules`], [`children`] (the table), [`decide`] (the heart).

pub mod restart;
pub mod strategy;
pub mod intensity;
pub mod backoff;
pub mod shutdown;
pub mod auto_shutdown;
pub mod child_rules;
pub mod children;
pub mod settings;
pub mod decide;
pub mod error;
pub mod child_spec;
pub mod report;
pub mod supervisor;
pub mod dynamic;
pub mod detached;

pub use auto_shutdown::AutoShutdown;
pub use child_spec::ChildSpec;
pub use detached::RootSupervisor;
pub use dynamic::{Dynamic, DynamicSpec};
pub use report::{CrashReport, CrashReports};
pub use restart::Restart;
pub use shutdown::Shutdown;
pub use supervisor::{Supervisor, builder::SupervisorBuilder};
