//! Tasks: plain functions that run in the background, as a graph, on what the node has.
//!
//! A task is submitted with values and references as arguments and gives a reference to its result at
//! once. It waits for its inputs (`arrival` over `graph`), then for resources (`plan` over `admission`,
//! `queue` and [`resources`]), then runs: a plain function on a compute thread (`blocking`), an `async fn`
//! on the executor (`attempt`). It is a citizen like every actor (`one_shot`): it has an id and a line in
//! the listing, and killing it cancels it.
//!
//! Read the pure cores first, then `one_shot`, `dispatch` and `conclude`. Users take all of this through
//! `#[mobula::task]` and the facade crate `mobula`.

// What users see.
mod options;
mod function;
mod body;
mod submit;
mod bind;
pub mod task;
mod config;
mod error;

// Pure cores.
pub mod resources;
pub mod ledger;
mod queue;
mod admission;
mod graph;
mod retry;
mod cancel;
mod history;

// Drivers.
mod input;
mod wires;
mod output;
mod job;
mod one_shot;
mod plan;
mod dispatch;
mod conclude;
mod arrival;
mod attempt;
mod blocking;
mod scheduler;
mod elsewhere;
mod waiter;
mod claimant;
mod far;
mod nearby;
mod spill;
mod visitor;
mod recipe;
mod rebuild;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod strangers;

pub use bind::{Bound, BoundArg, BoundArgs, IntoBound, bind};
pub use body::Body;
pub use claimant::demand_of;
pub use config::SchedulerConfig;
pub use elsewhere::{Destination, Elsewhere, FarCall, FarError, FarValue, Lease, Waiting, Wanted};
pub use error::{ConfigError, TaskError, UserError};
pub use function::{CloneProbe, FunctionEntry, MaybeClone, TaskFunction, functions};
pub use history::{EndedCounts, EndedTask, Outcome};
pub use input::{ArgTuple, TaskArgs};
pub use ledger::ResourceAmount;
pub use options::TaskOptions;
pub use resources::{Demand, Quantity, QuantityError, Within};
pub use retry::{RETRY_FOREVER, RetryPredicate};
pub use scheduler::Scheduler;
pub use submit::{submit, submit_many};
pub use task::{CancellationToken, CurrentTask};
pub use visitor::{Visit, VisitorEntry, visitors};
pub use wires::{ArgWire, FarArg};
