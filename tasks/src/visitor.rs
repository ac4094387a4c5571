//! Attempts that come from other nodes: run as tasks of this one, on its resources, and their results written down.

use std::collections::HashMap;
use std::fmt;
use std::sync::Weak;
use std::task::{Context, Poll};

use mobula_actor_core::DependencyFailed;
use mobula_actor_core::wire::packed::Packed;
use mobula_store::{Canceller, ObjectRef, Sealer, Store, TaskError};

use crate::{
    elsewhere::FarCall,
    function::TaskFunction,
    input::{Dependency, Inputs, TaskArgs},
    options::TaskOptions,
    output::{Entries, Outputs},
    submit::{launch_on, scheduler_here},
};

/// A function that can run for other nodes. Written by `#[mobula::task]`.
pub struct VisitorEntry {
    hash: u64,
    is_portable: bool,
    visit: Visit,
}

/// Runs a call from another node; the reference is to its written result.
pub type Visit = fn(&FarCall) -> Result<ObjectRef<Packed>, TaskError>;

impl VisitorEntry {
    /// The entry of a function.
    #[must_use]
    pub const fn of<F: TaskFunction>() -> Self {
        let is_portable = F::ARGS.is_some() && F::OUTPUT.is_some();
        Self { hash: F::HASH, is_portable, visit: visit::<F> }
    }
}

impl fmt::Debug for VisitorEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VisitorEntry({:016x})", self.hash)
    }
}

inventory::collect!(VisitorEntry);

/// All functions linked into this program that can run for other nodes, by hash.
#[must_use]
pub fn visitors() -> HashMap<u64, Visit> {
    let entries = inventory::iter::<VisitorEntry>.into_iter().filter(|entry| entry.is_portable);
    entries.map(|entry| (entry.hash, entry.visit)).collect()
}

fn visit<F: TaskFunction>(call: &FarCall) -> Result<ObjectRef<Packed>, TaskError> {
    let invalid =
        |text: String| TaskError::Invalid { task: call.name.clone().into(), text: text.into() };
    let codec = F::ARGS.ok_or_else(|| invalid("its arguments cannot travel".to_owned()))?;
    let args = call.args.unpack(&codec).map_err(|error| invalid(error.to_string()))?;
    let mut options = TaskOptions::new().num_cpus(call.cpus).name(call.name.clone());
    for (resource, amount) in &call.resources {
        options = options.resource(resource, *amount);
    }
    let shared = scheduler_here();
    Ok(launch_on::<F, Written<F>, _>(&shared, None, options.visiting(), Values(Some(args))))
}

/// Arguments that are all there.
struct Values<T>(Option<T>);

impl<T: Send + 'static> TaskArgs for Values<T> {
    type Values = T;
    type Inputs = Self;

    fn into_inputs(self) -> Self {
        self
    }
}

impl<T: Send + 'static> Inputs for Values<T> {
    type Values = T;

    fn visit(&self, _visitor: &mut dyn FnMut(Option<Dependency>)) {}

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), DependencyFailed>> {
        Poll::Ready(Ok(()))
    }

    fn take(&mut self) -> Option<T> {
        self.0.take()
    }
}

/// The result of a visitor: written down where it is made.
struct Written<F>(std::marker::PhantomData<fn() -> F>);

impl<F: TaskFunction> Outputs for Written<F> {
    type Value = F::Output;
    type Refs = ObjectRef<Packed>;
    type Sealers = Sealer<Packed>;

    fn create(store: &Store) -> (Self::Refs, Self::Sealers, Entries) {
        let (object, sealer) = store.create_pending::<Packed>();
        let entry = sealer.entry().cloned();
        (object, sealer, Entries::One(entry))
    }

    fn announce(sealer: &Self::Sealers, canceller: &Weak<dyn Canceller>, soon: bool) {
        sealer.set_canceller(Weak::clone(canceller));
        if soon {
            sealer.mark_running();
        }
    }

    fn seal(sealer: Self::Sealers, value: F::Output) {
        let written = F::OUTPUT.map(|codec| Packed::pack(&codec, &value));
        sealer.seal(match written {
            Some(Ok(packed)) => Ok(packed),
            Some(Err(error)) => Err(TaskError::user_error(F::NAME, error)),
            None => Err(TaskError::Invalid {
                task: F::NAME.into(),
                text: "its result cannot travel".into(),
            }),
        });
    }
}
