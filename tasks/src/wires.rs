//! How the arguments of a task travel: each as a value, or as a reference to where its value is.
//!
//! To fetch every argument to where a task was submitted, only to send it on, moves a large one twice and makes the
//! submitter's wire the limit of everybody's. A reference costs a message, and then the value goes once, from a node
//! that has it; tasks of one node share what has come. But a reference to a small value costs more than the value. So
//! what is small and here travels as a value, and everything else that an object stands for as a reference.
//!
//! What can travel is known where types are concrete, in code that `#[mobula::task]` writes: an [`ArgWire`] for each
//! argument, in a tuple like the arguments themselves.

use std::{any::TypeId, fmt, task::Context, task::Poll, task::Waker};

use mobula_actor_core::{
    Arg, DependencyFailed,
    wire::{Codec, packed::Packed},
};
use mobula_store::{ArgPin, Loose, ObjectId, Opener};
use serde::{Deserialize, Serialize};

use crate::error::UserError;

/// Values of objects up to this many bytes are sent instead of their references.
pub(crate) const SMALL_BYTES: u64 = 100 << 10;

/// One argument on its way to another node, or in a recipe.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum FarArg {
    /// The value.
    Value(Packed),
    /// Where the value comes from.
    Object(Loose),
}

impl FarArg {
    /// The same, keeping no object.
    pub(crate) fn unheld(&self) -> Self {
        match self {
            Self::Value(packed) => Self::Value(packed.clone()),
            Self::Object(loose) => Self::Object(Loose::named(loose.object())),
        }
    }
}

/// How one argument travels.
#[doc(hidden)]
pub struct ArgWire<A> {
    value: Codec<A>,
    object: Option<Opener<A>>,
}

impl<A> ArgWire<A> {
    /// An argument that can travel as a value, and by an object if there is a way to open it.
    #[must_use]
    pub const fn new(value: Codec<A>, owned: Option<Opener<A>>, shared: Option<Opener<A>>) -> Self {
        // A parameter `Arc<T>` takes objects of type `T`, and shares them.
        let object = if shared.is_some() { shared } else { owned };
        Self { value, object }
    }

    fn read(&self, arg: &FarArg) -> Result<Arg<A>, String> {
        match (arg, &self.object) {
            (FarArg::Value(packed), _) => {
                packed.unpack(&self.value).map(Arg::Ready).map_err(|error| error.to_string())
            }
            (FarArg::Object(loose), Some(opener)) => {
                opener.open(loose).map_err(|error| error.to_string())
            }
            (FarArg::Object(_), None) => Err("an argument came as a reference".to_owned()),
        }
    }

    pub(crate) fn pack(&self, value: &A) -> Result<FarArg, Unwritten> {
        let packed = Packed::pack(&self.value, value);
        packed.map(FarArg::Value).map_err(|error| Unwritten::User(UserError::from_user(error)))
    }

    /// Whether an object of this type can stand for the argument.
    pub(crate) fn takes(&self, value_type: TypeId) -> bool {
        self.object.is_some_and(|opener| opener.takes(value_type))
    }

    /// The object instead of its value, if that is not small and here.
    pub(crate) fn by_reference(&self, pin: &ArgPin) -> Option<Loose> {
        let entry = pin.entry();
        let is_distant_or_large = match entry.charge() {
            Some(bytes) => bytes > SMALL_BYTES,
            None => !entry.is_ready(),
        };
        (is_distant_or_large && self.takes(entry.value_type_id())).then(|| Loose::of(pin))
    }
}

impl<A> Clone for ArgWire<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for ArgWire<A> {}

impl<A> fmt::Debug for ArgWire<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ArgWire<{}>", std::any::type_name::<A>())
    }
}

/// Why arguments were not written down.
#[doc(hidden)]
#[derive(Debug)]
pub enum Unwritten {
    /// What one of them was to come from has failed.
    Dependency(DependencyFailed),
    /// One of them cannot be encoded.
    User(UserError),
    /// One of them is not there.
    Missing,
}

/// One argument of a call that was written down.
pub(crate) fn read_at<A>(args: &[FarArg], at: usize, wire: &ArgWire<A>) -> Result<Arg<A>, String> {
    let arg = args.get(at).ok_or_else(|| format!("argument {at} is missing"))?;
    wire.read(arg)
}

/// Polls what is expected to be ready.
pub(crate) fn poll_now<R>(poll: impl FnOnce(&mut Context<'_>) -> Poll<R>) -> Poll<R> {
    poll(&mut Context::from_waker(Waker::noop()))
}

/// The objects by name among written arguments.
pub(crate) fn objects(args: &[FarArg]) -> impl Iterator<Item = ObjectId> {
    args.iter().filter_map(|arg| match arg {
        FarArg::Value(_) => None,
        FarArg::Object(loose) => Some(loose.object()),
    })
}
