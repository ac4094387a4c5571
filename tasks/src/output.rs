//! Where the result of a task goes: one object, or several that succeed and fail together.

use std::{
    fmt,
    marker::PhantomData,
    sync::{Arc, Weak},
};

use mobula_store::{Canceller, Entry, Object, ObjectRef, Sealer, Store};

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
