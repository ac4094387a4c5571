//! References to objects: what programs hold, pass on and store.
//!
//! A reference is one pointer. Cloning it counts, dropping it counts down, and the value goes with the last
//! one, wherever that sits: in a variable, in another object, in the arguments of a task. References inside a
//! stored value are alive like any other, which is all it takes for an object to keep the objects it contains.
//!
//! On the wire a reference is its store's name and its number, in a newtype of a known name, by which
//! serializers of ours recognise it. Arriving, it is looked up in the store of the node that decodes it.

use std::{
    any::Any,
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    marker::PhantomData,
};

use mobula_actor_core::wire::baggage;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    address::{Address, Numbers},
    codec::{Object, ValueType},
    collect,
    error::ReferenceError,
    get::Get,
    hold::{FarHold, LocalHold},
    object_id::ObjectId,
    refcount::RefCounts,
    size::REFERENCE_NAME,
    store::Store,
};

/// A reference to an object of type `T`, there or still being made.
///
/// The object lives at least as long as the reference. Comparing and hashing is by object, not by value.
pub struct ObjectRef<T> {
    hold: LocalHold,
    value: PhantomData<fn() -> T>,
}

impl<T> ObjectRef<T> {
    pub(crate) const fn new(hold: LocalHold) -> Self {
        Self { hold, value: PhantomData }
    }

    pub(crate) const fn hold(&self) -> &LocalHold {
        &self.hold
    }

    /// The object's name, as listings show it.
    #[must_use]
    pub fn id(&self) -> ObjectId {
        self.hold.entry().id()
    }

    /// Whether [`get`](Self::get) would answer at once, with the value or with an error.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.hold.entry().is_ready()
    }

    /// Who needs the object, as this node sees it: references that live here, tasks submitted here with it, and other nodes.
    ///
    /// Exact at the moment of asking, on a node of many, too: copying, dropping, submitting and the end of a task show at
    /// once. What other nodes hold themselves is counted there; see [`RefCounts`].
    #[must_use]
    pub fn counts(&self) -> RefCounts {
        self.hold.entry().counts()
    }

    /// Calls `callback` once [`get`](Self::get) would answer at once: now, or on the thread that makes it so, which must
    /// not be held up.
    pub fn on_ready(&self, callback: impl FnOnce() + Send + 'static) {
        // Nobody withdraws it.
        let _key = self.hold.entry().on_sealed(Box::new(callback));
    }

    /// Cancels the task that is to make the object, and the tasks it submitted. True if it had not ended yet;
    /// then [`get`](Self::get) gives [`TaskError::Cancelled`](crate::TaskError::Cancelled) unless the task
    /// finishes first.
    #[expect(clippy::must_use_candidate, reason = "most callers cancel and go on")]
    pub fn cancel(&self) -> bool {
        self.cancel_recursive(true)
    }

    /// Cancels the task that is to make the object; those it submitted only if `recursive`.
    #[expect(clippy::must_use_candidate, reason = "most callers cancel and go on")]
    pub fn cancel_recursive(&self, recursive: bool) -> bool {
        self.hold.entry().cancel(recursive)
    }
}

impl<T: Any + Send + Sync> ObjectRef<T> {
    /// Waits for the value; shared, never copied.
    ///
    /// A reference can be got from as often as one likes, also by `reference.await`.
    ///
    /// # Errors
    /// - [`GetError::Task`](crate::GetError::Task): the task or call failed; it stays failed.
    /// - [`GetError::Timeout`](crate::GetError::Timeout): not ready within `.timeout(..)`; try again later.
    /// - [`GetError::Freed`](crate::GetError::Freed): freed by hand.
    ///
    /// # Cancel safety
    /// Dropping the get changes nothing: the task goes on, and the reference can be got from again.
    pub fn get(&self) -> Get<T> {
        Get::new(self.hold.clone())
    }
}

/// Frees an object by hand, although references to it exist: its bytes go back to the store at once, and later
/// gets and dependents fail with [`GetError::Freed`](crate::GetError::Freed). Values already got stay valid.
pub fn free<T>(object: &ObjectRef<T>) {
    object.hold.entry().free();
}

impl<T> Clone for ObjectRef<T> {
    fn clone(&self) -> Self {
        Self::new(self.hold.clone())
    }
}

impl<T: Any + Send + Sync> IntoFuture for ObjectRef<T> {
    type Output = <Get<T> as Future>::Output;
    type IntoFuture = Get<T>;

    fn into_future(self) -> Get<T> {
        Get::new(self.hold)
    }
}

impl<T: Any + Send + Sync> IntoFuture for &ObjectRef<T> {
    type Output = <Get<T> as Future>::Output;
    type IntoFuture = Get<T>;

    fn into_future(self) -> Get<T> {
        self.get()
    }
}

impl<T> ObjectRef<T> {
    fn key(&self) -> ObjectId {
        self.id()
    }
}

impl<T> PartialEq for ObjectRef<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for ObjectRef<T> {}

impl<T> PartialOrd for ObjectRef<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for ObjectRef<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl<T> Hash for ObjectRef<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl<T> fmt::Debug for ObjectRef<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectRef({})", self.id())
    }
}

impl<T> Serialize for ObjectRef<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        collect::met(self.hold.entry());
        baggage::pack(|| Box::new(FarHold::of(self.hold.entry())));
        serializer.serialize_newtype_struct(REFERENCE_NAME, &self.hold.entry().address())
    }
}

impl<'de, T: Object> Deserialize<'de> for ObjectRef<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(REFERENCE_NAME, Arriving(PhantomData))
    }
}

struct Arriving<T>(PhantomData<fn() -> T>);

impl<T: Object> Arriving<T> {
    fn look_up<E: de::Error>(address: Address) -> Result<ObjectRef<T>, E> {
        let here = || Store::current().map(|store| Store::clone(&store));
        let store = collect::arriving_at().or_else(here);
        let store = store.ok_or(ReferenceError::NoNode { object: address.object });
        let hold = store.and_then(|store| store.open(address, ValueType::of::<T>()));
        hold.map(ObjectRef::new).map_err(E::custom)
    }
}

impl<'de, T: Object> de::Visitor<'de> for Arriving<T> {
    type Value = ObjectRef<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a reference to an object: the name of its store and its number")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Self::Value, D::Error> {
        Self::look_up(Deserialize::deserialize(inner)?)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        Self::look_up(Numbers.visit_seq(seq)?)
    }
}
