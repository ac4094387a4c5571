//! Where the result of a task goes: one object, or several that succeed and fail together.

use std::{
    any::Any,
    fmt,
    marker::PhantomData,
    sync::{Arc, Weak},
};

use mobula_store::{
    Canceller, DeliverError, Entry, Object, ObjectId, ObjectRef, Sealer, Store, StoreId,
    message::Message, size_of_value,
};

/// The shape of a task's results.
#[doc(hidden)]
pub trait Outputs: 'static {
    /// What the function returns.
    type Value: Send + 'static;
    /// What the caller gets.
    type Refs;
    /// The pens that write the objects.
    type Sealers: Send + 'static;

    /// Makes the pending objects.
    fn create(store: &Store) -> (Self::Refs, Self::Sealers, Entries);

    /// Says who can cancel the task; `soon` if a thread is looking for work right now.
    fn announce(sealers: &Self::Sealers, canceller: &Weak<dyn Canceller>, soon: bool);

    /// Writes the objects.
    fn seal(sealers: Self::Sealers, value: Self::Value);

    /// Leaves the objects as they are: their values are on another node.
    fn leave(sealers: Self::Sealers);

    /// The objects, in their places; `None` for one that needs no writing.
    fn objects(sealers: &Self::Sealers) -> Vec<Option<ObjectId>>;

    /// About how many bytes they take.
    fn size(value: &Self::Value) -> u64;
}

/// Results that can be made for the store of another node, and made again for one's own.
#[doc(hidden)]
pub trait FarOutputs: Outputs {
    /// Those of `objects` that are `lost`, pending again; the others need no writing. `None` if they are not such objects.
    fn again(store: &Store, objects: &[ObjectId], lost: &[ObjectId]) -> Option<Again<Self>>;

    /// What to tell the keeper of `objects`, so that it has the values, or knows that they are here.
    fn deliver(
        store: &Store,
        keeper: StoreId,
        objects: &[Option<ObjectId>],
        value: Self::Value,
    ) -> Result<Vec<Message>, DeliverError>;
}

/// Results that are made again: what keeps the objects until they are, and what [`Outputs::create`] gives.
#[doc(hidden)]
#[derive(Debug)]
pub struct Again<O: Outputs + ?Sized> {
    pub(crate) holds: Vec<Box<dyn Any + Send>>,
    pub(crate) sealers: O::Sealers,
    pub(crate) entries: Entries,
}

/// The objects that one task makes, without their types.
#[doc(hidden)]
#[derive(Clone)]
pub enum Entries {
    /// The usual case.
    One(Option<Arc<Entry>>),
    /// Several results.
    Many(Box<[Arc<Entry>]>),
}

impl Entries {
    pub(crate) fn as_slice(&self) -> &[Arc<Entry>] {
        match self {
            Self::One(entry) => entry.as_slice(),
            Self::Many(entries) => entries,
        }
    }
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.as_slice().iter().map(|entry| entry.id().to_string())).finish()
    }
}

/// One result.
#[derive(Debug)]
pub(crate) struct One<T>(PhantomData<fn() -> T>);

impl<T: Object> Outputs for One<T> {
    type Value = T;
    type Refs = ObjectRef<T>;
    type Sealers = Sealer<T>;

    fn create(store: &Store) -> (Self::Refs, Self::Sealers, Entries) {
        let (object, sealer) = store.create_pending::<T>();
        let entry = sealer.entry().cloned();
        (object, sealer, Entries::One(entry))
    }

    fn announce(sealer: &Self::Sealers, canceller: &Weak<dyn Canceller>, soon: bool) {
        announce(sealer, canceller, soon);
    }

    fn seal(sealer: Self::Sealers, value: T) {
        sealer.seal(Ok(value));
    }

    fn leave(sealer: Self::Sealers) {
        sealer.leave();
    }

    fn objects(sealer: &Self::Sealers) -> Vec<Option<ObjectId>> {
        vec![sealer.object()]
    }

    fn size(value: &T) -> u64 {
        size_of_value(value)
    }
}

impl<T: Object> FarOutputs for One<T> {
    fn again(store: &Store, objects: &[ObjectId], lost: &[ObjectId]) -> Option<Again<Self>> {
        let mut holds = Vec::new();
        let sealers = again(store, *objects.first()?, lost, &mut holds)?;
        let entries = Entries::One(sealers.entry().cloned());
        Some(Again { holds, sealers, entries })
    }

    fn deliver(
        store: &Store,
        keeper: StoreId,
        objects: &[Option<ObjectId>],
        value: T,
    ) -> Result<Vec<Message>, DeliverError> {
        match objects.first().copied().flatten() {
            Some(object) => Ok(vec![store.deliver(object, keeper, Ok(Arc::new(value)))?]),
            None => Ok(Vec::new()),
        }
    }
}

/// The pen for one object that is lost, or an idle one.
fn again<T: Object>(
    store: &Store,
    object: ObjectId,
    lost: &[ObjectId],
    holds: &mut Vec<Box<dyn Any + Send>>,
) -> Option<Sealer<T>> {
    if !lost.contains(&object) {
        return Some(Sealer::idle());
    }
    let (reference, sealer) = store.create_again::<T>(object)?;
    holds.push(Box::new(reference));
    Some(sealer)
}

fn announce<T>(sealer: &Sealer<T>, canceller: &Weak<dyn Canceller>, soon: bool) {
    sealer.set_canceller(Weak::clone(canceller));
    if soon {
        sealer.mark_running();
    }
}

/// A tuple of results, each an object of its own.
#[doc(hidden)]
#[derive(Debug)]
pub struct Many<T>(PhantomData<fn() -> T>);

macro_rules! tuples {
    ($(($($name:ident $at:tt),*))*) => {$(
        impl<$($name: Object),*> Outputs for Many<($($name,)*)> {
            type Value = ($($name,)*);
            type Refs = ($(ObjectRef<$name>,)*);
            type Sealers = ($(Sealer<$name>,)*);

            fn create(store: &Store) -> (Self::Refs, Self::Sealers, Entries) {
                let pending = ($(store.create_pending::<$name>(),)*);
                let entries = Entries::Many(
                    [$(pending.$at.1.entry().cloned(),)*].into_iter().flatten().collect(),
                );
                let refs = ($(pending.$at.0,)*);
                (refs, ($(pending.$at.1,)*), entries)
            }

            fn announce(sealers: &Self::Sealers, canceller: &Weak<dyn Canceller>, soon: bool) {
                $(announce(&sealers.$at, canceller, soon);)*
            }

            fn seal(sealers: Self::Sealers, value: Self::Value) {
                $(sealers.$at.seal(Ok(value.$at));)*
            }

            fn leave(sealers: Self::Sealers) {
                $(sealers.$at.leave();)*
            }

            fn objects(sealers: &Self::Sealers) -> Vec<Option<ObjectId>> {
                vec![$(sealers.$at.object(),)*]
            }

            fn size(value: &Self::Value) -> u64 {
                [$(size_of_value(&value.$at)),*].iter().sum()
            }
        }

        impl<$($name: Object),*> FarOutputs for Many<($($name,)*)> {
            fn again(
                store: &Store,
                objects: &[ObjectId],
                lost: &[ObjectId],
            ) -> Option<Again<Self>> {
                let mut holds = Vec::new();
                let sealers = ($(again::<$name>(store, *objects.get($at)?, lost, &mut holds)?,)*);
                let entries = Entries::Many(
                    [$(sealers.$at.entry().cloned(),)*].into_iter().flatten().collect(),
                );
                Some(Again { holds, sealers, entries })
            }

            fn deliver(
                store: &Store,
                keeper: StoreId,
                objects: &[Option<ObjectId>],
                value: Self::Value,
            ) -> Result<Vec<Message>, DeliverError> {
                let mut messages = Vec::new();
                $(if let Some(object) = objects.get($at).copied().flatten() {
                    messages.push(store.deliver(object, keeper, Ok(Arc::new(value.$at)))?);
                })*
                Ok(messages)
            }
        }
    )*};
}

tuples! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7)
}
