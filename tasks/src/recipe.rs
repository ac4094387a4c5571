//! How a task is repeated after it has ended: what it takes is left with the store, for as long as its results, or what was
//! made of them, may be lost with another node.
//!
//! The store knows nothing of tasks; a recipe is bytes to it, and the names of the objects that are used and made. To
//! write one costs as much as to send the arguments, so it is written only where it can matter: for results that
//! stayed on another node, and for large ones of tasks that may be repeated, which something on another node may have
//! been made of.
//!
//! A predicate of [`TaskOptions::retry_if`] has no wire form and lies beside the recipe, which never leaves its process. A
//! placement near to something is remembered as where that was: to keep the object itself would keep its bytes as well.

use std::{any::Any, ops::Range, sync::Arc, time::Duration};

use mobula_actor_core::{Locate, NodeId, Placement, wire::Codec};
use mobula_store::{
    ObjectId,
    lineage::{Beside, Recipe},
};
use serde::{Deserialize, Serialize};

use crate::{
    dispatch::Shared,
    one_shot::OneShot,
    options::TaskOptions,
    retry::{RETRY_FOREVER, RetryOn, RetryPredicate},
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
    backoff: Range<Duration>,
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
    Near(WasThere),
}

/// Where something was when the recipe was written.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct WasThere(Vec<(NodeId, u64)>);

impl Locate for WasThere {
    fn bytes_by_node(&self) -> Vec<(NodeId, u64)> {
        self.0.clone()
    }
}

/// What of a task lies beside its recipe.
struct Predicate(RetryPredicate);

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
            backoff: extras.map(|extras| extras.retry.clone()).unwrap_or_default().backoff,
            timeout: extras.and_then(|extras| extras.timeout),
            place: extras.and_then(|extras| Place::of(extras.placement.as_ref()?)),
        }
    }

    /// One with nothing, one with everything, and one near to something.
    #[cfg(fuzzing)]
    pub(crate) fn samples() -> [Self; 3] {
        let nothing = || Self {
            function: 7,
            name: None,
            args: Vec::new(),
            cpus: 1.0,
            resources: Vec::new(),
            retries_errors: false,
            backoff: Duration::ZERO..Duration::ZERO,
            timeout: None,
            place: None,
        };
        let packed = mobula_actor_core::wire::packed::Packed::pack(&Codec::serde(), &5_u64);
        let everything = Self {
            name: Some("again".to_owned()),
            args: packed.into_iter().map(FarArg::Value).collect(),
            resources: vec![("gpu".to_owned(), 0.5)],
            retries_errors: true,
            backoff: Duration::from_millis(10)..Duration::from_secs(1),
            timeout: Some(Duration::from_secs(1)),
            place: Some(Place::OnNode { node: NodeId(2), or_elsewhere: true }),
            ..nothing()
        };
        let near = Self { place: Some(Place::Near(WasThere(vec![(NodeId(3), 7)]))), ..nothing() };
        [nothing(), everything, near]
    }

    /// The options of the task that runs again, with so many attempts after the first.
    pub(crate) fn options(&self, attempts_left: u32, beside: &Beside) -> TaskOptions {
        let mut options = TaskOptions::new()
            .num_cpus(self.cpus)
            .max_retries(attempts_left)
            .backoff(self.backoff.clone())
            .rebuilding();
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
        if let Some(Predicate(predicate)) = beside.0.as_ref().and_then(|one| one.downcast_ref()) {
            let predicate = Arc::clone(predicate);
            options = options.retry_if(move |error| predicate(error));
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
            Placement::Near(object) => Some(Self::Near(WasThere(object.bytes_by_node()))),
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
            Self::Near(place) => Placement::Near(Arc::new(place.clone())),
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
        let beside: Option<Arc<dyn Any + Send + Sync>> = match &extras.retry.on {
            RetryOn::If(predicate) => Some(Arc::new(Predicate(Arc::clone(predicate)))),
            RetryOn::Crashes | RetryOn::Errors => None,
        };
        self.store.remember(Recipe {
            call,
            beside: Beside(beside),
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
        beside: Beside::default(),
        inputs: Vec::new(),
        outputs: outputs.into_iter().flatten().collect(),
        attempts_left: 0,
        attempts: 0,
        refusal: Some(format!("its task `{name}` must not run twice; give it max_retries")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placement_near_to_something_is_remembered_as_where_that_was() {
        let bytes = vec![(NodeId(3), 7), (NodeId(4), 9)];
        let near = Placement::Near(Arc::new(WasThere(bytes.clone())));
        let place = Place::of(&near).expect("it can be written down");
        let mut written = Vec::new();
        Codec::<Place>::serde().encode(&place, &mut written).expect("of our own types");
        let read = Codec::<Place>::serde().decode(&written).expect("as it was written");
        let Placement::Near(object) = read.placement() else { panic!("{read:?}") };
        assert_eq!(object.bytes_by_node(), bytes);
    }
}
