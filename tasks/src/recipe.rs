//! How a task is repeated after it has ended: what it takes is left with the store, for as long as its results, or what was
//! made of them, may be lost with another node.
//!
//! The store knows nothing of tasks; a recipe is bytes to it, and the names of the objects that are used and made. To
//! write one costs as much as to send the arguments, so it is written only where it can matter: for results that
//! stayed on another node, and for large ones of tasks that may be repeated, which something on another node may have
//! been made of.
//!
//! What is no wire form is left out: a predicate of [`TaskOptions::retry_if`], and a placement near to something.

use std::time::Duration;

use mobula_actor_core::{NodeId, Placement, wire::Codec};
use mobula_store::{ObjectId, lineage::Recipe};
use serde::{Deserialize, Serialize};

use crate::{
    dispatch::Shared,
    one_shot::OneShot,
    options::TaskOptions,
    retry::{RETRY_FOREVER, RetryOn},
    wires::{FarArg, objects},
};

/// A task as it is written down.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Call {
    pub(crate) function: u64,
    name: Option<String>,
    pub(crate) args: Vec<FarArg>,
    cpus: f64,
    resources: Vec<(String, f64)>,
    retries_errors: bool,
    timeout: Option<Duration>,
    place: Option<Place>,
}

/// A placement that can be written down.
#[derive(Debug, Serialize, Deserialize)]
enum Place {
    LeastLoaded,
    Spread,
    Pack,
    OnNode { node: NodeId, or_elsewhere: bool },
    Labelled { name: String, value: String, or_elsewhere: bool },
}

impl Call {
    fn of(task: &OneShot, args: Vec<FarArg>) -> Self {
        let extras = task.extras.as_deref();
        let retries_errors =
            extras.is_some_and(|extras| matches!(extras.retry.on, RetryOn::Errors));
        let parts = task.demand.parts();
        Self {
            function: task.function_hash,
            name: extras.and_then(|extras| extras.name.clone()),
            args,
            cpus: task.demand.cpu_count().as_f64(),
            resources: parts.map(|(name, amount)| (name.to_string(), amount.as_f64())).collect(),
            retries_errors,
            timeout: extras.and_then(|extras| extras.timeout),
            place: extras.and_then(|extras| Place::of(extras.placement.as_ref()?)),
        }
    }

    /// One with everything, and one with nothing.
    #[cfg(fuzzing)]
    pub(crate) fn samples() -> [Self; 2] {
        let nothing = || Self {
            function: 7,
            name: None,
            args: Vec::new(),
            cpus: 1.0,
            resources: Vec::new(),
            retries_errors: false,
            timeout: None,
            place: None,
        };
        let packed = mobula_actor_core::wire::packed::Packed::pack(&Codec::serde(), &5_u64);
        let everything = Self {
            name: Some("again".to_owned()),
            args: packed.into_iter().map(FarArg::Value).collect(),
            resources: vec![("gpu".to_owned(), 0.5)],
            retries_errors: true,
            timeout: Some(Duration::from_secs(1)),
            place: Some(Place::OnNode { node: NodeId(2), or_elsewhere: true }),
            ..nothing()
        };
        [nothing(), everything]
    }

    /// The options of the task that runs again, with so many attempts after the first.
    pub(crate) fn options(&self, attempts_left: u32) -> TaskOptions {
        let mut options =
            TaskOptions::new().num_cpus(self.cpus).max_retries(attempts_left).rebuilding();
        for (resource, amount) in &self.resources {
            options = options.resource(resource, *amount);
        }
        if let Some(name) = &self.name {
            options = options.name(name.clone());
        }
        if let Some(after) = self.timeout {
            options = options.timeout(after);
        }
        if let Some(place) = &self.place {
            options = options.on(place.placement());
        }
        if self.retries_errors { options.retry_errors() } else { options }
    }
}

impl Place {
    fn of(placement: &Placement) -> Option<Self> {
        match placement {
            Placement::LeastLoaded => Some(Self::LeastLoaded),
            Placement::Spread => Some(Self::Spread),
            Placement::Pack => Some(Self::Pack),
            Placement::OnNode { node, or_elsewhere } => {
                Some(Self::OnNode { node: *node, or_elsewhere: *or_elsewhere })
            }
            Placement::Labelled { name, value, or_elsewhere } => Some(Self::Labelled {
                name: name.clone(),
                value: value.clone(),
                or_elsewhere: *or_elsewhere,
            }),
            _ => None,
        }
    }

    fn placement(&self) -> Placement {
        match self {
            Self::LeastLoaded => Placement::LeastLoaded,
            Self::Spread => Placement::Spread,
            Self::Pack => Placement::Pack,
            Self::OnNode { node, or_elsewhere } => {
                Placement::OnNode { node: *node, or_elsewhere: *or_elsewhere }
            }
            Self::Labelled { name, value, or_elsewhere } => Placement::Labelled {
                name: name.clone(),
                value: value.clone(),
                or_elsewhere: *or_elsewhere,
            },
        }
    }
}

impl Shared {
    /// Leaves with the store how a task's results were made.
    pub(crate) fn remember(&self, task: &OneShot, outputs: Vec<Option<ObjectId>>, args: &Written) {
        let Some(extras) = task.extras.as_deref() else {
            return self.store.remember(refused(task, outputs));
        };
        if extras.visit.is_some() || extras.is_rebuild {
            // Its keeper remembers it, or it is remembered.
            return;
        }
        let retries = extras.retry.retries_max;
        if retries == 0 {
            return self.store.remember(refused(task, outputs));
        }
        let used = task.attempt().saturating_sub(1);
        let attempts_left =
            if retries == RETRY_FOREVER { retries } else { retries.saturating_sub(used) };
        let call = Call::of(task, args.args.clone());
        let mut written = Vec::new();
        let (call, refusal) = match Codec::<Call>::serde().encode(&call, &mut written) {
            Ok(()) => (written, None),
            Err(error) => (Vec::new(), Some(format!("its task cannot be written down: {error}"))),
        };
        let inputs = objects(&args.args).chain(args.nested.iter().copied()).collect();
        let outputs = outputs.into_iter().flatten().collect();
        self.store.remember(Recipe {
            call,
            inputs,
            outputs,
            attempts_left,
            attempts: used,
            refusal,
        });
    }
}

/// Arguments as they were written down, and what the references inside them lead to.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) args: Vec<FarArg>,
    pub(crate) nested: Vec<ObjectId>,
}

/// Results that cannot be made again, so that whoever loses them is told why.
fn refused(task: &OneShot, outputs: Vec<Option<ObjectId>>) -> Recipe {
    let name = task.display_name();
    Recipe {
        call: Vec::new(),
        inputs: Vec::new(),
        outputs: outputs.into_iter().flatten().collect(),
        attempts_left: 0,
        attempts: 0,
        refusal: Some(format!("its task `{name}` must not run twice; give it max_retries")),
    }
}
