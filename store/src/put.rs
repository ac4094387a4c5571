//! Making an object from a value at hand, when the store has room for it.
//!
//! A producer that outruns its consumers must be slowed down somewhere before memory ends; here it waits in
//! line for room. Whoever would rather do something else takes [`Put::try_now`].
//!
//! Invariant: a put that is dropped leaves the queue, and gives back bytes that were admitted meanwhile.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use crate::{
    budget::Ticket,
    codec::{Object, ValueType},
    discard::AnyValue,
    entry::Entry,
    error::StoreError,
    hold::LocalHold,
    object_ref::ObjectRef,
    size::{Estimate, estimate},
    store::Store,
    table::Held,
    waiting::{Waitable, Waiting},
};

/// Puts `value` into the store of the running code's node.
///
/// The value is kept as it is, without encoding, and shared by everybody who gets it.
///
/// # Errors
/// - [`StoreError::NoNode`]: the code does not run inside a node.
/// - [`StoreError::StoreFull`]: the value is larger than the whole store, or there was no room in time.
/// - [`StoreError::IsReference`]: the value is a reference already.
///
/// # Cancel safety
/// Dropping the put before it is done stores nothing.
pub fn put<T: Object>(value: T) -> Put<T> {
    Put::new(Store::current().as_deref().cloned(), Arc::new(value))
}

impl Store {
    /// Puts `value` into this store; see [`put`].
    pub fn put<T: Object>(&self, value: T) -> Put<T> {
        self.put_shared(Arc::new(value))
    }

    /// Puts a value that is shared already.
    pub fn put_shared<T: Object>(&self, value: Arc<T>) -> Put<T> {
        Put::new(Some(self.clone()), value)
    }
}

/// A put under way; see [`put`].
#[must_use = "a put does nothing until it is awaited, or called with `.try_now()` or `.blocking()`"]
pub struct Put<T: Object> {
    waiting: Waiting<Room<T>>,
}

impl<T: Object> Put<T> {
    fn new(store: Option<Store>, value: Arc<T>) -> Self {
        let room = Room { store, value: Some(value), estimate: None, ticket: None };
        Self { waiting: Waiting::new(room) }
    }

    /// Waits for room no longer than `timeout`, counted from the first poll.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { waiting: self.waiting.limit(timeout) }
    }

    /// Puts the value if there is room now and nobody waits for it already.
    ///
    /// # Errors
    /// As when awaited; [`StoreError::StoreFull`] instead of waiting.
    pub fn try_now(mut self) -> Result<ObjectRef<T>, StoreError> {
        self.waiting.waitable_mut().try_now()
    }

    /// Waits for room on this thread, under the wall clock; for compute threads.
    ///
    /// # Errors
    /// As when awaited.
    pub fn blocking(self) -> Result<ObjectRef<T>, StoreError> {
        self.waiting.block()
    }
}

impl<T: Object> Future for Put<T> {
    type Output = Result<ObjectRef<T>, StoreError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().waiting.poll(cx)
    }
}

impl<T: Object> fmt::Debug for Put<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Put")
    }
}

/// A value that wants room.
struct Room<T> {
    store: Option<Store>,
    /// `None` once it was put or refused.
    value: Option<Arc<T>>,
    estimate: Option<Estimate>,
    ticket: Option<Ticket>,
}

impl<T: Object> Room<T> {
    /// The store and the size of the value, or why it will never be put.
    fn measured(&mut self) -> Result<(Store, u64), StoreError> {
        let (Some(store), Some(value)) = (&self.store, &self.value) else {
            return Err(StoreError::NoNode);
        };
        let estimate = self.estimate.get_or_insert_with(|| estimate(&**value));
        match estimate.is_reference {
            Some(object) => Err(StoreError::IsReference { object }),
            None => Ok((store.clone(), estimate.bytes)),
        }
    }

    fn try_now(&mut self) -> Result<ObjectRef<T>, StoreError> {
        let (store, bytes) = self.measured()?;
        if store.home().ledger.try_admit(bytes) {
            self.admitted(&store)
        } else {
            Err(full(&store, bytes))
        }
    }

    /// The value's bytes are charged: makes the object.
    fn admitted(&mut self, store: &Store) -> Result<ObjectRef<T>, StoreError> {
        let (Some(value), Some(estimate)) = (self.value.take(), self.estimate.take()) else {
            return Err(StoreError::NoNode);
        };
        let entry = Entry::pending(store.home(), ValueType::of::<T>());
        let value: AnyValue = value;
        entry.seal(Held { value, bytes: estimate.bytes, contained: estimate.contained.into() });
        Ok(ObjectRef::new(LocalHold::newborn(entry)))
    }
}

fn full(store: &Store, bytes: u64) -> StoreError {
    let usage = store.home().ledger.usage();
    StoreError::StoreFull {
        bytes,
        used_bytes: usage.used_bytes,
        capacity_bytes: usage.capacity_bytes,
    }
}

impl<T: Object> Waitable for Room<T> {
    type Output = Result<ObjectRef<T>, StoreError>;

    fn look(&mut self) -> Option<Self::Output> {
        let (store, bytes) = match self.measured() {
            Ok(measured) => measured,
            Err(error) => return Some(Err(error)),
        };
        let ledger = &store.home().ledger;
        let admitted = match self.ticket {
            Some(ticket) => ledger.claim(ticket),
            None if ledger.is_too_large(bytes) => return Some(Err(full(&store, bytes))),
            None => ledger.try_admit(bytes),
        };
        admitted.then(|| {
            self.ticket = None;
            self.admitted(&store)
        })
    }

    fn register(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (Some(store), Some(estimate)) = (&self.store, &self.estimate) else {
            return Poll::Ready(());
        };
        let ledger = &store.home().ledger;
        let ticket = *self.ticket.get_or_insert_with(|| ledger.queue(estimate.bytes));
        ledger.poll_admitted(ticket, cx.waker())
    }

    fn expired(&mut self, _: Duration) -> Self::Output {
        // Admitted at the last moment counts; the queue is left in drop.
        self.look().unwrap_or_else(|| {
            let (store, bytes) = self.measured()?;
            Err(full(&store, bytes))
        })
    }
}

impl<T> Drop for Room<T> {
    fn drop(&mut self) {
        if let (Some(ticket), Some(store)) = (self.ticket.take(), &self.store) {
            store.home().ledger.withdraw(ticket);
        }
    }
}
