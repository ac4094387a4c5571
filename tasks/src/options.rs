//! How one task is to run: what it demands, how it is retried, how long it may take.
//!
//! Most tasks say nothing of all this and there may be a million of them, so what is seldom set lives
//! behind one pointer, and an unset option costs nothing.
//!
//! Builders do not fail: a number that makes no sense is kept as an error, and the task's reference
//! fails with it. So a bad option is reported where the result is, like every other failure.

use std::{fmt, ops::Range, sync::Arc, time::Duration};

use mobula_actor_core::{Grouped, Placement};
use mobula_store::TaskError;

use crate::{
    resources::{Demand, MEMORY, Quantity, Within},
    retry::{RetryOn, RetryRule},
};

/// How one task is to run. The default: one CPU, no retries, no time limit.
#[derive(Clone, Default)]
pub struct TaskOptions {
    pub(crate) demand: Demand,
    pub(crate) extras: Option<Box<Extras>>,
}

/// What few tasks set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extras {
    pub(crate) name: Option<String>,
    pub(crate) retry: RetryRule,
    pub(crate) timeout: Option<Duration>,
    pub(crate) placement: Option<Placement>,
    /// The bundle that was asked for, which may be said before the group.
    pub(crate) bundle: Option<u32>,
    /// It came from another node, and goes to no further one.
    /// Its results are to outlive this node.
    pub(crate) is_durable: bool,
    /// It runs again for lost results.
    pub(crate) is_rebuild: bool,
    pub(crate) visit: Option<Visiting>,
    pub(crate) invalid: Option<Arc<str>>,
    /// Its placement group was removed before it was submitted.
    pub(crate) group_gone: Option<Arc<str>>,
}

/// How an attempt comes from another node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visiting {
    /// How deep it is nested there.
    pub(crate) depth: u32,
    /// Room is held for it here.
    pub(crate) is_expected: bool,
    /// It must run here or nowhere.
    pub(crate) is_bound: bool,
}

impl TaskOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many CPUs the task holds while it runs, in steps of 0.0001. Default 1.
    ///
    /// They are given back while the task waits for an object (`get`, `wait`), and not while an `async fn`
    /// awaits anything else: 0 is right for a task that mostly sleeps or talks to others.
    #[must_use]
    pub fn num_cpus(mut self, cpus: f64) -> Self {
        match Quantity::try_new(cpus) {
            Ok(cpus) => self.demand = self.demand.with_cpus(cpus),
            Err(error) => self.extras().invalid = Some(error.to_string().into()),
        }
        self
    }

    /// How much of a named resource the task holds from its start to its end, also while it is blocked.
    /// In steps of 0.0001; more than one `gpu` must be whole.
    #[must_use]
    pub fn resource(mut self, name: impl AsRef<str>, amount: f64) -> Self {
        let demand = Quantity::try_new(amount)
            .and_then(|amount| self.demand.clone().with(name.as_ref(), amount));
        match demand {
            Ok(demand) => self.demand = demand,
            Err(error) => self.extras().invalid = Some(error.to_string().into()),
        }
        self
    }

    /// How many bytes of memory the task reserves; a promise among tasks, not a limit that is enforced.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        match self.demand.clone().with(MEMORY, Quantity::whole(bytes)) {
            Ok(demand) => self.demand = demand,
            Err(error) => self.extras().invalid = Some(error.to_string().into()),
        }
        self
    }

    /// How often a failed attempt is repeated; [`RETRY_FOREVER`](crate::RETRY_FOREVER) has no end.
    /// Default 0.
    ///
    /// Without further options a *panic* is retried, an error that the function returned is not. The
    /// arguments must be `Clone` for this: each attempt gets its own copy.
    #[must_use]
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.extras().retry.retries_max = retries;
        self
    }

    /// Retries the function's own errors too.
    #[must_use]
    pub fn retry_errors(mut self) -> Self {
        self.extras().retry.on = RetryOn::Errors;
        self
    }

    /// Retries those panics and own errors for which `predicate` holds. A predicate that panics says no. It is kept for as
    /// long as a result may have to be made again.
    #[must_use]
    pub fn retry_if(
        mut self,
        predicate: impl Fn(&TaskError) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.extras().retry.on = RetryOn::If(Arc::new(predicate));
        self
    }

    /// The delay before the first repetition, and the one it grows to, doubling each time; each delay is
    /// drawn from the upper half of its range. Default 10 ms to 10 s.
    #[must_use]
    pub fn backoff(mut self, range: Range<Duration>) -> Self {
        self.extras().retry.backoff = range;
        self
    }

    /// Where the task should run; where there is room otherwise, here first. On one node there is one answer.
    #[must_use]
    pub fn on(mut self, placement: Placement) -> Self {
        self.extras().placement = Some(placement);
        self
    }

    /// The results outlive this node once they are made: another node keeps a copy of each, and takes over. See
    /// [`Put::durable`](mobula_store::Put::durable). A task that has not ended goes with its node.
    #[must_use]
    pub fn durable(mut self) -> Self {
        self.extras().is_durable = true;
        self
    }

    /// A name for listings and errors; need not be unique.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.extras().name = Some(name.into());
        self
    }

    /// How long the task may take from its submission to its result, waiting and retries included.
    /// Then its reference fails, and it is cancelled with its children. Default: no limit.
    #[must_use]
    pub fn timeout(mut self, after: Duration) -> Self {
        self.extras().timeout = Some(after);
        self
    }

    /// Runs the task in the room of a placement group, once that is formed: in the bundle chosen by
    /// [`bundle`](Self::bundle), otherwise in any. It takes nothing of its node's other resources.
    #[must_use]
    pub fn in_group(mut self, group: &impl Grouped) -> Self {
        let bundle = self.extras.as_ref().and_then(|extras| extras.bundle);
        self.demand = self.demand.within(Some(Within { group: group.group_id(), bundle }));
        if group.is_removed() {
            let text = format!("placement group {} was removed", group.group_id());
            self.extras().group_gone = Some(text.into());
        }
        self
    }

    /// Which bundle of its group the task runs in, counted from 0; without a group it says nothing.
    #[must_use]
    pub fn bundle(mut self, index: u32) -> Self {
        self.extras().bundle = Some(index);
        let within = self.demand.place().map(|within| Within { bundle: Some(index), ..within });
        self.demand = self.demand.within(within);
        self
    }

    pub(crate) fn within(mut self, within: Option<Within>) -> Self {
        self.demand = self.demand.within(within);
        self
    }

    pub(crate) fn visiting(mut self, visit: Visiting) -> Self {
        self.extras().visit = Some(visit);
        self
    }

    pub(crate) fn rebuilding(mut self) -> Self {
        self.extras().is_rebuild = true;
        self
    }

    fn extras(&mut self) -> &mut Extras {
        self.extras.get_or_insert_default()
    }
}

impl fmt::Debug for TaskOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskOptions")
            .field("demand", &self.demand)
            .field("extras", &self.extras)
            .finish()
    }
}
