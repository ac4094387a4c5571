//! The settings of one node's scheduler, checked once.

use std::{collections::BTreeMap, thread, time::Duration};

use crate::{error::ConfigError, ledger::Ledger, resources::Quantity};

/// What a node offers to tasks, and its limits.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SchedulerConfig {
    /// CPUs that running tasks share, in steps of 0.0001. Default: what the machine says it has. Fewer
    /// leave room for actors; 0 runs only tasks that ask for none.
    pub num_cpus: f64,
    /// Named resources and their amounts; `memory` is in bytes. Default: none.
    pub resources: BTreeMap<String, f64>,
    /// Unfinished tasks, waiting ones included, from 1. One more fails at once with
    /// [`TaskError::QueueFull`](mobula_store::TaskError::QueueFull). Default 1 000 000, which is about
    /// 1 GB of small tasks.
    pub queued_max: usize,
    /// Compute threads, blocked ones included, from 1. They come from the blocking threads of the tokio
    /// runtime, of which there must be more than this (tokio's default is 512). It bounds how deep plain
    /// functions can nest that wait for each other. Default 500.
    pub compute_threads_max: usize,
    /// How long a compute thread without work looks for more before it is given back, 0 to some
    /// hundred µs. Waking a thread costs 5 to 50 µs, so that single tasks in a row gain much; but a
    /// core is busy for so long after each. Default 50 µs, 0 on a machine with one core.
    pub spin: Duration,
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            num_cpus: u32::try_from(cores).map_or(1.0, f64::from),
            resources: BTreeMap::new(),
            queued_max: 1_000_000,
            compute_threads_max: 500,
            spin: if cores > 1 { Duration::from_micros(50) } else { Duration::ZERO },
        }
    }
}

impl SchedulerConfig {
    /// The same settings with this many CPUs.
    #[must_use]
    pub const fn num_cpus(mut self, cpus: f64) -> Self {
        self.num_cpus = cpus;
        self
    }

    /// The same settings with this much of a named resource.
    #[must_use]
    pub fn resource(mut self, name: impl Into<String>, amount: f64) -> Self {
        self.resources.insert(name.into(), amount);
        self
    }

    /// The same settings with this limit on unfinished tasks.
    #[must_use]
    pub const fn queued_max(mut self, tasks: usize) -> Self {
        self.queued_max = tasks;
        self
    }

    /// The same settings with this limit on compute threads.
    #[must_use]
    pub const fn compute_threads_max(mut self, threads: usize) -> Self {
        self.compute_threads_max = threads;
        self
    }

    /// The same settings with this time of looking for work.
    #[must_use]
    pub const fn spin(mut self, spin: Duration) -> Self {
        self.spin = spin;
        self
    }

    /// Checks all settings and sets up the books.
    pub(crate) fn ledger(&self) -> Result<Ledger, ConfigError> {
        for (setting, value) in
            [("queued_max", self.queued_max), ("compute_threads_max", self.compute_threads_max)]
        {
            if value == 0 {
                return Err(ConfigError::Zero { setting });
            }
        }
        let read = |resource: &str, amount| {
            Quantity::try_new(amount)
                .map_err(|source| ConfigError::Resource { resource: resource.to_owned(), source })
        };
        let mut ledger = Ledger::new(read("cpu", self.num_cpus)?);
        for (resource, amount) in &self.resources {
            ledger.grow(resource, read(resource, *amount)?);
        }
        Ok(ledger)
    }
}
