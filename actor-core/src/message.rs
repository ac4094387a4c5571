//! Messages: what an actor can be sent, and what comes back.
//!
//! One trait serves both faces of the API. A user's struct derives [`Message`]; a typed call
//! (`counter.add(2)`) is a [`Method`] that the macro names. Either way the actor has one mailbox and a
//! message one meaning.
//!
//! A handler that returns `Result<T, E>` *refuses* with its `E`: the asker gets `T`, or
//! `AskError::Refused(E)`. The split is part of the message's type, so that nobody unwraps twice.

use std::error::Error;
use std::fmt;
use std::marker::PhantomData;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::wire::Wire;

/// Something an actor can be sent.
///
/// Derive it: `#[derive(Message)] #[message(reply = u64)]`.
pub trait Message: Sized + Send + 'static {
    /// What the handler returns.
    type Reply: Send + 'static;
    /// What the asker gets: the reply, or the `T` of a `Result<T, E>`.
    type Value: Send + 'static;
    /// The `E` of a `Result<T, E>`, else [`Infallible`](std::convert::Infallible).
    type Refusal: Send + 'static;
    /// The message's name in errors, traces and listings.
    const NAME: &'static str;
    /// The number that means this message on every node. From the name; the macros add path and signature.
    const KEY: u64 = crate::wire::key(Self::NAME);
    /// How it travels between nodes; `None` where its types cannot.
    const WIRE: Option<Wire<Self>> = None;

    /// Splits a reply into what the asker gets and what the handler refused with.
    ///
    /// # Errors
    /// The handler's own error.
    fn into_result(reply: Self::Reply) -> Result<Self::Value, Self::Refusal>;

    /// The refusal as text, with its causes.
    fn refusal_text(refusal: &Self::Refusal) -> String;

    /// The refusal as an error, where it is one, so that the chain of causes stays whole.
    fn refusal_source(_refusal: &Self::Refusal) -> Option<&(dyn Error + 'static)> {
        None
    }
}

/// What the `#[actor]` macro knows of one method; the type behind a [`Method`] message.
pub trait MethodTag: Sized + Send + Sync + 'static {
    /// The arguments, as a tuple.
    type Args: Send + 'static;
    /// See [`Message::Reply`].
    type Reply: Send + 'static;
    /// See [`Message::Value`].
    type Value: Send + 'static;
    /// See [`Message::Refusal`].
    type Refusal: Send + 'static;
    /// `Actor::method`.
    const NAME: &'static str;
    /// See [`Message::KEY`].
    const KEY: u64 = crate::wire::key(Self::NAME);
    /// See [`Message::WIRE`].
    const WIRE: Option<Wire<Method<Self>>> = None;

    /// See [`Message::into_result`].
    ///
    /// # Errors
    /// The method's own error.
    fn into_result(reply: Self::Reply) -> Result<Self::Value, Self::Refusal>;

    /// See [`Message::refusal_text`].
    fn refusal_text(refusal: &Self::Refusal) -> String;

    /// See [`Message::refusal_source`].
    fn refusal_source(_refusal: &Self::Refusal) -> Option<&(dyn Error + 'static)> {
        None
    }
}

/// The message of a typed call: the arguments of one method, on their way.
///
/// It can be cloned, serialised and compared exactly when its arguments can.
pub struct Method<T: MethodTag> {
    args: T::Args,
    tag: PhantomData<fn() -> T>,
}

impl<T: MethodTag> Method<T> {
    /// Packs the arguments.
    pub const fn new(args: T::Args) -> Self {
        Self { args, tag: PhantomData }
    }

    /// The arguments, in order.
    pub fn into_args(self) -> T::Args {
        self.args
    }
}

impl<T: MethodTag> Message for Method<T> {
    type Reply = T::Reply;
    type Value = T::Value;
    type Refusal = T::Refusal;
    const NAME: &'static str = T::NAME;
    const KEY: u64 = T::KEY;
    const WIRE: Option<Wire<Self>> = T::WIRE;

    fn into_result(reply: Self::Reply) -> Result<Self::Value, Self::Refusal> {
        T::into_result(reply)
    }

    fn refusal_text(refusal: &Self::Refusal) -> String {
        T::refusal_text(refusal)
    }

    fn refusal_source(refusal: &Self::Refusal) -> Option<&(dyn Error + 'static)> {
        T::refusal_source(refusal)
    }
}

impl<T: MethodTag> Clone for Method<T>
where
    T::Args: Clone,
{
    fn clone(&self) -> Self {
        Self::new(self.args.clone())
    }
}

impl<T: MethodTag> fmt::Debug for Method<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(..)", T::NAME)
    }
}

impl<T: MethodTag> Serialize for Method<T>
where
    T::Args: Serialize,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.args.serialize(serializer)
    }
}

impl<'de, T: MethodTag> Deserialize<'de> for Method<T>
where
    T::Args: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::Args::deserialize(deserializer).map(Self::new)
    }
}
