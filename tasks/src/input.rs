//! The inputs of one task: values that are there, and ports to objects that come later.
//!
//! Resolving an input as soon as its object is there would clone the object for every task that waits
//! for its turn: a thousand queued tasks on one matrix would be a thousand matrices. So inputs are
//! resolved when the attempt starts, and until then hold only their pin on the object. The pin is kept
//! until the task is over: an object counts as used by every unfinished task that was given it. Only
//! when nobody else needs the object is its pin let go first: then the value itself moves into the body
//! without a copy, and a chain of tasks works on one matrix.

use std::{
    any::Any,
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use mobula_actor_core::{Arg, DependencyFailed, Resolve};
use mobula_store::ArgPin;

/// A dependency in its room's own type.
pub(crate) type Dependency = Arc<dyn Any + Send + Sync>;

/// The arguments of a task as submitted: a tuple of [`Arg`]s.
pub trait TaskArgs: Send + 'static {
    /// The tuple of values that the function takes.
    type Values: Send + 'static;
    /// The tuple of inputs that a pending task holds.
    #[doc(hidden)]
    type Inputs: Inputs<Values = Self::Values>;

    #[doc(hidden)]
    fn into_inputs(self) -> Self::Inputs;
}

/// The inputs of one task as a tuple.
#[doc(hidden)]
pub trait Inputs: Send + 'static {
    /// The tuple of values.
    type Values: Send + 'static;

    /// Shows every dependency of an input that has not come; `None` for one that can only be polled.
    fn visit(&self, visitor: &mut dyn FnMut(Option<Arc<dyn Any + Send + Sync>>));

    /// Polls every input that has not come.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), DependencyFailed>>;

    /// The values, if all have come and were not taken before; the pins stay.
    fn take(&mut self) -> Option<Self::Values>;
}

/// One input: a value, or a port through which it comes.
#[doc(hidden)]
pub struct Input<T> {
    value: Option<T>,
    port: Option<Box<dyn Resolve<T>>>,
    pin: Option<Dependency>,
}

impl<T> Input<T> {
    fn new(arg: Arg<T>) -> Self {
        match arg {
            Arg::Ready(value) => Self { value: Some(value), port: None, pin: None },
            Arg::Later(port) => Self { value: None, pin: port.dependency(), port: Some(port) },
        }
    }

    fn visit(&self, visitor: &mut dyn FnMut(Option<Dependency>)) {
        if self.port.is_some() {
            visitor(self.pin.clone());
        }
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), DependencyFailed>> {
        let Some(port) = &mut self.port else { return Poll::Ready(Ok(())) };
        if self.pin.as_ref().is_some_and(is_last) {
            self.pin = None;
        }
        let value = std::task::ready!(port.poll_resolve(cx));
        self.port = None;
        self.value = Some(value?);
        Poll::Ready(Ok(()))
    }
}

/// Whether nothing but this argument needs the object.
fn is_last(pin: &Dependency) -> bool {
    pin.downcast_ref::<ArgPin>().is_some_and(|pin| {
        let counts = pin.entry().counts();
        counts.local == 0 && counts.submitted == 1
    })
}

impl<T> fmt::Debug for Input<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.value.is_some() { "Input::Here" } else { "Input::Later" })
    }
}

macro_rules! tuples {
    ($(($($name:ident $at:tt),*))*) => {$(
        impl<$($name: Send + 'static),*> TaskArgs for ($(Arg<$name>,)*) {
            type Values = ($($name,)*);
            type Inputs = ($(Input<$name>,)*);

            fn into_inputs(self) -> Self::Inputs {
                ($(Input::new(self.$at),)*)
            }
        }

        impl<$($name: Send + 'static),*> Inputs for ($(Input<$name>,)*) {
            type Values = ($($name,)*);

            fn visit(&self, visitor: &mut dyn FnMut(Option<Dependency>)) {
                $(self.$at.visit(visitor);)*
            }

            fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), DependencyFailed>> {
                $(let $name = self.$at.poll_ready(cx)?;)*
                $(if $name.is_pending() { return Poll::Pending; })*
                Poll::Ready(Ok(()))
            }

            fn take(&mut self) -> Option<Self::Values> {
                // All or none: what was taken could not be put back.
                $(self.$at.value.as_ref()?;)*
                Some(($(self.$at.value.take()?,)*))
            }
        }
    )*};
}

#[expect(non_snake_case, reason = "type parameters double as names of locals")]
mod implementations {
    use super::{Arg, Context, Dependency, DependencyFailed, Input, Inputs, Poll, TaskArgs};

    impl TaskArgs for () {
        type Values = ();
        type Inputs = ();

        fn into_inputs(self) {}
    }

    impl Inputs for () {
        type Values = ();

        fn visit(&self, _visitor: &mut dyn FnMut(Option<Dependency>)) {}

        fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), DependencyFailed>> {
            Poll::Ready(Ok(()))
        }

        fn take(&mut self) -> Option<()> {
            Some(())
        }
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
}
