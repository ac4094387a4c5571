//! Factories: how an actor is made, once or for each generation.
//!
//! A restart begins from the factory, never from the damaged state (OTP's child specification). An actor
//! that is never restarted needs its constructor's arguments once; one that is needs them again, so they
//! must be `Clone`. Which of the two is wanted is part of the type of the options.

use std::error::Error;
use std::fmt;
use std::future::Future;

use crate::actor::{Actor, BoxFuture, Exclusive, Local, LocalBoxFuture, Mode, Shared};
use crate::exit::ErrorText;

/// What a constructor gave: an actor, an error, or a future of either.
pub struct Starting<A: Actor>(pub(crate) StartStep<A>);

pub(crate) enum StartStep<A: Actor> {
    Done(Result<A, ErrorText>),
    Later(<A::Mode as Mode<A>>::Starting),
}

impl<A: Actor> fmt::Debug for Starting<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Starting")
    }
}

/// Whatever a constructor may return: `A`, `Result<A, E>`, or a future of either.
pub trait IntoStart<A: Actor, How> {
    #[doc(hidden)]
    fn into_start(self) -> Starting<A>;
}

#[doc(hidden)]
#[derive(Debug)]
pub enum ByValue {}
#[doc(hidden)]
#[derive(Debug)]
pub enum ByResult {}
#[doc(hidden)]
#[derive(Debug)]
pub enum ByFuture {}
#[doc(hidden)]
#[derive(Debug)]
pub enum ByFutureResult {}

impl<A: Actor> IntoStart<A, ByValue> for A {
    fn into_start(self) -> Starting<A> {
        Starting(StartStep::Done(Ok(self)))
    }
}

impl<A: Actor, E: Into<Box<dyn Error + Send + Sync>>> IntoStart<A, ByResult> for Result<A, E> {
    fn into_start(self) -> Starting<A> {
        Starting(StartStep::Done(self.map_err(ErrorText::new)))
    }
}

impl<A: Actor, F> IntoStart<A, ByFuture> for F
where
    F: Future<Output = A>,
    A::Mode: BoxStart<A, F, A>,
{
    fn into_start(self) -> Starting<A> {
        Starting(StartStep::Later(<A::Mode as BoxStart<A, F, A>>::boxed(self, Ok)))
    }
}

impl<A: Actor, E, F> IntoStart<A, (ByFutureResult, E)> for F
where
    E: Into<Box<dyn Error + Send + Sync>>,
    F: Future<Output = Result<A, E>>,
    A::Mode: BoxStart<A, F, Result<A, E>>,
{
    fn into_start(self) -> Starting<A> {
        let keep = |result: Result<A, E>| result.map_err(ErrorText::new);
        Starting(StartStep::Later(<A::Mode as BoxStart<A, F, Result<A, E>>>::boxed(self, keep)))
    }
}

/// Boxes a constructor's future the way the mode needs: `Send`, or not.
#[doc(hidden)]
pub trait BoxStart<A: Actor, F, T>: Mode<A> {
    fn boxed(future: F, then: fn(T) -> Result<A, ErrorText>) -> Self::Starting;
}

impl<A: Actor<Mode = Self> + Send, F: Future<Output = T> + Send + 'static, T: 'static>
    BoxStart<A, F, T> for Exclusive
{
    fn boxed(
        future: F,
        then: fn(T) -> Result<A, ErrorText>,
    ) -> BoxFuture<'static, Result<A, ErrorText>> {
        Box::pin(async move { then(future.await) })
    }
}

impl<A: Actor<Mode = Self> + Send + Sync, F: Future<Output = T> + Send + 'static, T: 'static>
    BoxStart<A, F, T> for Shared
{
    fn boxed(
        future: F,
        then: fn(T) -> Result<A, ErrorText>,
    ) -> BoxFuture<'static, Result<A, ErrorText>> {
        Box::pin(async move { then(future.await) })
    }
}

impl<A: Actor<Mode = Self>, F: Future<Output = T> + 'static, T: 'static> BoxStart<A, F, T>
    for Local
{
    fn boxed(
        future: F,
        then: fn(T) -> Result<A, ErrorText>,
    ) -> LocalBoxFuture<'static, Result<A, ErrorText>> {
        Box::pin(async move { then(future.await) })
    }
}

/// How an actor is made.
pub struct Factory<A: Actor>(Box<dyn Recipe<A>>);

trait Recipe<A: Actor>: Send {
    fn make(&mut self) -> Starting<A>;
    fn is_restartable(&self) -> bool;
}

struct OnceOnly<F>(Option<F>);

impl<A: Actor, F: FnOnce() -> Starting<A> + Send> Recipe<A> for OnceOnly<F> {
    fn make(&mut self) -> Starting<A> {
        match self.0.take() {
            Some(make) => make(),
            None => Starting(StartStep::Done(Err(ErrorText::from_text(
                "this actor can be started only once; give `max_restarts` or a factory",
            )))),
        }
    }

    fn is_restartable(&self) -> bool {
        false
    }
}

struct Again<F>(F);

impl<A: Actor, F: FnMut() -> Starting<A> + Send> Recipe<A> for Again<F> {
    fn make(&mut self) -> Starting<A> {
        (self.0)()
    }

    fn is_restartable(&self) -> bool {
        true
    }
}

impl<A: Actor> Factory<A> {
    /// Makes the actor once; it cannot be restarted.
    pub fn once<S: IntoStart<A, How>, How>(make: impl FnOnce() -> S + Send + 'static) -> Self {
        Self(Box::new(OnceOnly(Some(move || make().into_start()))))
    }

    /// Makes the actor anew for each generation.
    pub fn many<S: IntoStart<A, How>, How>(mut make: impl FnMut() -> S + Send + 'static) -> Self {
        Self(Box::new(Again(move || make().into_start())))
    }

    /// Makes the actor anew for each generation, where the making itself may fail early.
    pub(crate) fn try_many(
        mut make: impl FnMut() -> Result<Starting<A>, ErrorText> + Send + 'static,
    ) -> Self {
        Self(Box::new(Again(move || {
            make().unwrap_or_else(|error| Starting(StartStep::Done(Err(error))))
        })))
    }

    pub(crate) fn is_restartable(&self) -> bool {
        self.0.is_restartable()
    }

    pub(crate) fn make(&mut self) -> Starting<A> {
        self.0.make()
    }
}

impl<A: Actor> fmt::Debug for Factory<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_restartable() { "Factory::many" } else { "Factory::once" })
    }
}

/// The constructor's arguments are used once.
#[derive(Clone, Copy, Debug)]
pub struct Once;

/// The constructor's arguments are cloned for each generation.
#[derive(Clone, Copy, Debug)]
pub struct Restartable;

/// Makes a factory from a constructor and its arguments, as [`Once`] or [`Restartable`] ask.
#[diagnostic::on_unimplemented(
    message = "an actor with `max_restarts` needs constructor arguments that are `Clone`; `{Args}` are not",
    note = "each restart calls the constructor again with the same arguments"
)]
pub trait ArgsPolicy<Args> {
    #[doc(hidden)]
    fn factory<A: Actor, S: IntoStart<A, How>, How>(
        args: Args,
        make: impl Fn(Args) -> S + Send + 'static,
    ) -> Factory<A>;
}

impl<Args: Send + 'static> ArgsPolicy<Args> for Once {
    fn factory<A: Actor, S: IntoStart<A, How>, How>(
        args: Args,
        make: impl Fn(Args) -> S + Send + 'static,
    ) -> Factory<A> {
        Factory::once(move || make(args))
    }
}

impl<Args: Clone + Send + 'static> ArgsPolicy<Args> for Restartable {
    fn factory<A: Actor, S: IntoStart<A, How>, How>(
        args: Args,
        make: impl Fn(Args) -> S + Send + 'static,
    ) -> Factory<A> {
        Factory::many(move || make(args.clone()))
    }
}
