//! The producer's end of an object: made together with the first reference, used up by writing the result.
//!
//! The sealer is not a reference: it does not keep the object. When every reference is gone before the result
//! comes, the result is dropped as it arrives, without being measured or charged.
//!
//! Invariant: a sealer that is dropped without a result fails the object, so that nobody waits for ever.

use std::{
    fmt,
    marker::PhantomData,
    mem,
    sync::{Arc, Weak},
};

use crate::{
    codec::{Object, ValueType},
    discard::{AnyValue, discard},
    entry::{Canceller, Entry},
    error::{TaskError, TaskLabel},
    hold::LocalHold,
    object_id::ObjectId,
    object_ref::ObjectRef,
    size::{Estimate, estimate},
    store::Store,
    table::Held,
};

/// The right to write one object, once.
#[must_use = "an object whose sealer is dropped fails"]
pub struct Sealer<T> {
    entry: Option<Arc<Entry>>,
    value: PhantomData<fn(T)>,
}

impl Store {
    /// A new object without a value yet, and the right to write it.
    pub fn create_pending<T: Object>(&self) -> (ObjectRef<T>, Sealer<T>) {
        let entry = Entry::pending(self.home(), ValueType::of::<T>());
        let reference = ObjectRef::new(LocalHold::newborn(Arc::clone(&entry)));
        (reference, Sealer { entry: Some(entry), value: PhantomData })
    }
}

impl Store {
    /// A reference to an object of this store whose value is lost, and the right to write it once more. The object may
    /// be one that nobody needs any more, if what is made of it is needed.
    ///
    /// `None` if the object is of another store or type.
    #[must_use = "an object whose sealer is dropped fails"]
    pub fn create_again<T: Object>(&self, object: ObjectId) -> Option<(ObjectRef<T>, Sealer<T>)> {
        if object.owner() != self.id() {
            return None;
        }
        let make = || Entry::again(self.home(), object, ValueType::of::<T>());
        let (hold, _is_new) = LocalHold::find_or_make(&self.home().ledger, object, make);
        let entry = Arc::clone(hold.entry());
        if (ValueType::of::<T>().id)() != entry.value_type_id() {
            return None;
        }
        entry.set_known();
        entry.set_lost();
        Some((ObjectRef::new(hold), Sealer { entry: Some(entry), value: PhantomData }))
    }
}

impl<T: Object> Sealer<T> {
    /// Writes the result and wakes everybody who waits for it.
    ///
    /// A value is charged to the store's budget without waiting; one larger than the whole store fails the
    /// object with [`TaskError::StoreFull`].
    pub fn seal(self, result: Result<T, TaskError>) {
        match result {
            Ok(value) => self.seal_shared(Arc::new(value)),
            Err(error) => self.fail(error),
        }
    }

    /// Writes a value that is shared already.
    pub fn seal_shared(mut self, value: Arc<T>) {
        let Some(entry) = self.entry.take() else {
            return;
        };
        if !entry.is_wanted() {
            // Cheaper than measuring it; what comes too late for this look is dropped by the entry.
            entry.fail(unwanted(entry.id()));
            discard(value);
            return;
        }
        let Estimate { bytes, contained, is_reference: _ } = estimate(&*value);
        let ledger = &entry.home().ledger;
        if ledger.charge(bytes) {
            let value: AnyValue = value;
            entry.seal(Held { value, bytes, contained: contained.into() });
        } else {
            let capacity_bytes = ledger.usage().capacity_bytes;
            let task = TaskLabel::from(entry.id().to_string());
            entry.fail(TaskError::StoreFull { task, bytes, capacity_bytes });
            discard(value);
        }
    }
}

impl<T> Sealer<T> {
    /// The object.
    #[must_use]
    pub fn object(&self) -> Option<ObjectId> {
        self.entry.as_ref().map(|entry| entry.id())
    }

    /// The object without its type, for those who wait for it or cancel it; not a reference to it.
    #[must_use]
    pub const fn entry(&self) -> Option<&Arc<Entry>> {
        self.entry.as_ref()
    }

    /// The pen for an object that needs no writing: what is written with it goes nowhere.
    pub const fn idle() -> Self {
        Self { entry: None, value: PhantomData }
    }

    /// Leaves the object as it is: its value is on another node, or came from there already.
    pub fn leave(mut self) {
        drop(self.entry.take());
    }

    /// Writes a failure.
    pub fn fail(mut self, error: TaskError) {
        if let Some(entry) = self.entry.take() {
            entry.fail(error);
        }
    }

    /// Says that the producer is at work now, so that a get may spin for a moment.
    pub fn mark_running(&self) {
        if let Some(entry) = &self.entry {
            entry.mark_running();
        }
    }

    /// Whether somebody still references the object.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.entry.as_ref().is_some_and(|entry| entry.is_wanted())
    }

    /// Whoever answers [`ObjectRef::cancel`] until the object is ready. Held weakly.
    pub fn set_canceller(&self, canceller: Weak<dyn Canceller>) {
        if let Some(entry) = &self.entry {
            entry.set_canceller(canceller);
        }
    }
}

fn unwanted(object: ObjectId) -> TaskError {
    TaskError::Lost {
        task: TaskLabel::from(object.to_string()),
        node: None,
        attempt: 1,
        text: "its producer was dropped without a result".into(),
    }
}

impl<T> Drop for Sealer<T> {
    fn drop(&mut self) {
        if let Some(entry) = mem::take(&mut self.entry) {
            entry.fail(unwanted(entry.id()));
        }
    }
}

impl<T> fmt::Debug for Sealer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sealer").field(&self.object()).finish()
    }
}
