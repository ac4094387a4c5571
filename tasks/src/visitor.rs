//! Functions by their hash: attempts that come from other nodes, and tasks that run again for lost results.
//!
//! Either is a task of this node, on its resources. An attempt's result is written down if it is small; a large one stays
//! here, and its keeper is told. A task that runs again writes objects that there are already.

use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Weak};

use mobula_actor_core::wire::packed::Packed;
use mobula_store::{
    Canceller, Object, ObjectId, ObjectRef, Rebuild, Sealer, Store, StoreId, TaskError,
};

use crate::{
    dispatch::Shared,
    elsewhere::{FarCall, FarValue},
    function::TaskFunction,
    input::ArgTuple,
    options::{TaskOptions, Visiting},
    output::{Again, Entries, FarOutputs, Many, One, Outputs},
    recipe::Call,
    submit::{launch_on, scheduler_here},
    wires::SMALL_BYTES,
};

/// A function that can run for other nodes. Written by `#[mobula::task]`.
pub struct VisitorEntry {
    hash: u64,
    is_portable: bool,
    visit: Visit,
    again: RunAgain,
}

/// Runs a call from another node; the reference is to its written result.
pub type Visit = fn(&FarCall) -> Result<ObjectRef<FarValue>, TaskError>;

/// Runs a task of this node again; keeps the objects that it makes until they are.
pub(crate) type RunAgain =
    fn(&Arc<Shared>, &Call, &Rebuild) -> Result<Vec<Box<dyn std::any::Any + Send>>, String>;

impl VisitorEntry {
    /// The entry of a function with one result.
    #[must_use]
    pub const fn of<F: TaskFunction<Output: Object>>() -> Self {
        Self::with::<F, One<F::Output>>()
    }

    /// The entry of a function with several results.
    #[must_use]
    pub const fn of_many<F, R>() -> Self
    where
        F: TaskFunction<Output = R>,
        R: 'static,
        Many<R>: FarOutputs<Value = R>,
    {
        Self::with::<F, Many<R>>()
    }

    const fn with<F: TaskFunction, O: FarOutputs<Value = F::Output>>() -> Self {
        let is_portable = F::ARGS.is_some() && F::OUTPUT.is_some();
        Self { hash: F::HASH, is_portable, visit: visit::<F, O>, again: again::<F, O> }
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
    portable().map(|entry| (entry.hash, entry.visit)).collect()
}

/// How a function's tasks run again. Losses are rare: the table is not kept.
pub(crate) fn run_again(function: u64) -> Option<RunAgain> {
    portable().find(|entry| entry.hash == function).map(|entry| entry.again)
}

fn portable() -> impl Iterator<Item = &'static VisitorEntry> {
    inventory::iter::<VisitorEntry>.into_iter().filter(|entry| entry.is_portable)
}

fn visit<F: TaskFunction, O: FarOutputs<Value = F::Output>>(
    call: &FarCall,
) -> Result<ObjectRef<FarValue>, TaskError> {
    let invalid =
        |text: String| TaskError::Invalid { task: call.name.clone().into(), text: text.into() };
    let wires = F::ARGS.ok_or_else(|| invalid("its arguments cannot travel".to_owned()))?;
    let inputs = F::Args::read(&call.args, &wires).map_err(invalid)?;
    let mut options = TaskOptions::new().num_cpus(call.cpus).name(call.name.clone());
    for (resource, amount) in &call.resources {
        options = options.resource(resource, *amount);
    }
    let visit =
        Visiting { depth: call.depth, is_expected: call.is_expected, is_bound: call.is_bound };
    let options = options.within(call.within).visiting(visit);
    let shared = scheduler_here();
    let (object, sealer) = shared.store.create_pending::<FarValue>();
    let entries = Entries::One(sealer.entry().cloned());
    let (store, keeper) = (Store::clone(&shared.store), call.keeper);
    let pen = Pen { sealer, store, keeper, objects: call.outputs.clone() };
    launch_on::<F, Written<F, O>, _>(&shared, None, options, inputs, (pen, entries));
    Ok(object)
}

fn again<F: TaskFunction, O: FarOutputs<Value = F::Output>>(
    shared: &Arc<Shared>,
    call: &Call,
    rebuild: &Rebuild,
) -> Result<Vec<Box<dyn std::any::Any + Send>>, String> {
    let wires = F::ARGS.ok_or("its arguments cannot travel")?;
    let inputs = F::Args::read(&call.args, &wires)?;
    let again = O::again(&shared.store, &rebuild.outputs, &rebuild.lost);
    let Again { holds, sealers, entries } = again.ok_or("its results are of other types now")?;
    let options = call.options(rebuild.attempts_left, &rebuild.beside);
    launch_on::<F, O, _>(shared, None, options, inputs, (sealers, entries));
    Ok(holds)
}

/// The result of a visitor: written down where it is made.
struct Written<F, O>(PhantomData<fn() -> (F, O)>);

/// Writes the answer, and knows whom the result is for.
struct Pen {
    sealer: Sealer<FarValue>,
    store: Store,
    keeper: StoreId,
    objects: Vec<Option<ObjectId>>,
}

impl<F: TaskFunction, O: FarOutputs<Value = F::Output>> Outputs for Written<F, O> {
    type Value = F::Output;
    type Refs = ObjectRef<FarValue>;
    type Sealers = Pen;

    fn create(store: &Store) -> (Self::Refs, Self::Sealers, Entries) {
        // For nobody in particular.
        let (object, sealer) = store.create_pending::<FarValue>();
        let entry = sealer.entry().cloned();
        let (store, keeper) = (store.clone(), store.id());
        (object, Pen { sealer, store, keeper, objects: Vec::new() }, Entries::One(entry))
    }

    fn announce(pen: &Pen, canceller: &Weak<dyn Canceller>, soon: bool) {
        pen.sealer.set_canceller(Weak::clone(canceller));
        if soon {
            pen.sealer.mark_running();
        }
    }

    fn seal(pen: Pen, value: F::Output) {
        let Pen { sealer, store, keeper, objects } = pen;
        if !sealer.is_wanted() {
            // A large result would stay here for nobody.
            return sealer.fail(TaskError::Cancelled { task: F::NAME.into() });
        }
        if O::size(&value) <= SMALL_BYTES {
            let written = F::OUTPUT.map(|codec| Packed::pack(&codec, &value));
            return sealer.seal(match written {
                Some(Ok(packed)) => Ok(FarValue::Here(packed)),
                Some(Err(error)) => Err(TaskError::user_error(F::NAME, error)),
                None => Err(TaskError::Invalid {
                    task: F::NAME.into(),
                    text: "its result cannot travel".into(),
                }),
            });
        }
        sealer.seal(match O::deliver(&store, keeper, &objects, value) {
            Ok(messages) => Ok(FarValue::There { store: store.id(), messages }),
            Err(error) => Err(TaskError::Lost {
                task: F::NAME.into(),
                node: None,
                attempt: 1,
                text: error.to_string().into(),
            }),
        });
    }

    fn leave(pen: Pen) {
        pen.sealer.leave();
    }

    fn objects(_pen: &Pen) -> Vec<Option<ObjectId>> {
        Vec::new()
    }

    fn size(value: &F::Output) -> u64 {
        O::size(value)
    }
}
