//! References whose type nobody here knows: arguments of tasks on their way to the node that runs them.
//!
//! A large argument should go from where it is to where it is needed, and not by way of whoever submitted the task.
//! So the argument travels as a reference. But the code that carries it knows no types, and a reference without its
//! type cannot be entered in a store. A loose reference is the name alone, with what keeps the object: at its sender
//! a hold, at its receiver the sender's own baggage, until code that knows the type [opens](Loose::open) it.
//!
//! Which types can be opened is asked where they are concrete, as for the wire form of messages: [`ObjectProbe`] has
//! an inherent answer where the value can travel, and the traits [`NoOwned`] and [`NoShared`] give `None` elsewhere.

use std::{any::TypeId, fmt, marker::PhantomData, sync::Arc};

use mobula_actor_core::{
    Arg, IntoArg,
    wire::baggage::{self, Ticket},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    address::Address,
    codec::{Portable, ValueType},
    collect,
    error::ReferenceError,
    hold::{ArgPin, FarHold},
    object_id::ObjectId,
    object_ref::ObjectRef,
    store::Store,
};

/// A reference without its type. Serialized and deserialized it stays one.
#[derive(Clone)]
pub struct Loose {
    address: Address,
    hold: Option<FarHold>,
    ticket: Option<Ticket>,
}

impl Loose {
    /// The object that an argument pins.
    #[must_use]
    pub fn of(pin: &ArgPin) -> Self {
        let hold = Some(FarHold::of(pin.entry()));
        Self { address: pin.entry().address(), hold, ticket: None }
    }

    /// An object by name, kept by nobody: what lineage remembers of an argument.
    #[must_use]
    pub fn named(object: ObjectId) -> Self {
        Self { address: Address::new(object, None), hold: None, ticket: None }
    }

    /// The object.
    #[must_use]
    pub const fn object(&self) -> ObjectId {
        self.address.object
    }

    /// The reference, at the store of the current node.
    ///
    /// # Errors
    /// [`ReferenceError`]: the object is unknown here, or of another type.
    pub fn open<T: Portable>(&self) -> Result<ObjectRef<T>, ReferenceError> {
        let object = self.object();
        let store = Store::current().ok_or(ReferenceError::NoNode { object })?;
        let open = || store.open(self.address, ValueType::portable::<T>()).map(ObjectRef::new);
        match &self.ticket {
            Some(ticket) => baggage::unpack(Arc::clone(ticket), open),
            None => open(),
        }
    }
}

impl fmt::Debug for Loose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Loose({})", self.object())
    }
}

impl Serialize for Loose {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some(hold) = &self.hold {
            collect::met(hold.entry());
            let hold = hold.clone();
            baggage::pack(|| Box::new(hold));
        }
        if let Some(ticket) = &self.ticket {
            let ticket = Arc::clone(ticket);
            baggage::pack(|| Box::new(ticket));
        }
        self.address.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let address = Address::deserialize(deserializer)?;
        Ok(Self { address, hold: None, ticket: baggage::ticket() })
    }
}

/// How an argument of type `A` is made from a loose reference, and the type its object must have.
pub struct Opener<A> {
    open: fn(&Loose) -> Result<Arg<A>, ReferenceError>,
    type_id: fn() -> TypeId,
}

impl<A> Opener<A> {
    /// An argument that comes when its object does.
    ///
    /// # Errors
    /// As [`Loose::open`].
    pub fn open(&self, loose: &Loose) -> Result<Arg<A>, ReferenceError> {
        (self.open)(loose)
    }

    /// Whether an object of this type is what is expected.
    #[must_use]
    pub fn takes(&self, value_type: TypeId) -> bool {
        value_type == (self.type_id)()
    }
}

impl<A> Clone for Opener<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Opener<A> {}

impl<A> fmt::Debug for Opener<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opener<{}>", std::any::type_name::<A>())
    }
}

/// Asks whether arguments of a concrete type can be made from references, with [`NoOwned`] and [`NoShared`] in scope.
pub struct ObjectProbe<A>(PhantomData<A>);

impl<A> fmt::Debug for ObjectProbe<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ObjectProbe")
    }
}

impl<T: Portable + Clone> ObjectProbe<T> {
    /// They can, each by a copy of the value.
    pub const OWNED: Option<Opener<T>> = Some(Opener {
        open: |loose| loose.open::<T>().map(IntoArg::<T>::into_arg),
        type_id: TypeId::of::<T>,
    });
}

impl<T: Portable> ObjectProbe<Arc<T>> {
    /// They can, and share the value.
    pub const SHARED: Option<Opener<Arc<T>>> = Some(Opener {
        open: |loose| loose.open::<T>().map(IntoArg::<Arc<T>>::into_arg),
        type_id: TypeId::of::<T>,
    });
}

/// The other answer of [`ObjectProbe`] for values.
pub trait NoOwned<A> {
    /// They cannot.
    const OWNED: Option<Opener<A>> = None;
}

impl<A> NoOwned<A> for ObjectProbe<A> {}

/// The other answer of [`ObjectProbe`] for shared values.
pub trait NoShared<A> {
    /// They cannot.
    const SHARED: Option<Opener<A>> = None;
}

impl<A> NoShared<A> for ObjectProbe<A> {}
