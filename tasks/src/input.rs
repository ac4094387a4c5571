//! The inputs of one task: values that are there, and ports to objects that come later.
//!
//! Resolving an input as soon as its object is there would clone the object for every task that waits
//! for its turn: a thousand queued tasks on one matrix would be a thousand matrices. So inputs are
//! resolved when the attempt starts, and until then hold only their pin on the object. The pin is kept
//! until the task is over: an object counts as used by every unfinished task that was given it. Only
//! when nobody else needs the object is its pin let go first: then the value itself moves into the body
//! without a copy, and a chain of tasks works on one matrix.

use std::{
    any::{Any, TypeId},
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use mobula_actor_core::{Arg, DependencyFailed, Resolve};
use mobula_store::{ArgPin, Loose, ObjectId};

use crate::wires::{ArgWire, FarArg, Unwritten, poll_now, read_at};

/// A dependency in its room's own type.
pub(crate) type Dependency = Arc<dyn Any + Send + Sync>;

/// The arguments of a task as submitted: a tuple of [`Arg`]s.
pub trait TaskArgs: Send + 'static {
    /// The tuple of values that the function takes.
    type Values: ArgTuple;
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
    type Values: ArgTuple;

    /// Shows every dependency of an input that has not come; `None` for one that can only be polled.
    fn visit(&self, visitor: &mut dyn FnMut(Option<Arc<dyn Any + Send + Sync>>));

    /// Shows what must come here before the arguments can be written down.
    fn visit_unwritable(&self, wires: &Wires<Self>, visitor: &mut dyn FnMut(Dependency));

    /// Writes the arguments down for another node, and keeps them.
    fn write(&mut self, wires: &Wires<Self>) -> Result<Vec<FarArg>, Unwritten>;

    /// Writes down what was taken, from `values`; objects that were let go of by their names, if that will do.
    fn describe(
        &self,
        values: &Self::Values,
        wires: &Wires<Self>,
        by_name: bool,
    ) -> Result<Vec<FarArg>, Unwritten>;

    /// Polls every input that has not come.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), DependencyFailed>>;

    /// The values, if all have come and were not taken before; the pins stay.
    fn take(&mut self) -> Option<Self::Values>;
}

/// The arguments of a function, as a tuple.
pub trait ArgTuple: Sized + Send + 'static {
    /// How they travel, each.
    #[doc(hidden)]
    type Wires: Copy + 'static;
    /// How a pending task holds them.
    #[doc(hidden)]
    type Inputs: Inputs<Values = Self>;

    /// Reads them; those that came as references come later.
    #[doc(hidden)]
    fn read(args: &[FarArg], wires: &Self::Wires) -> Result<Self::Inputs, String>;
}

type Wires<I> = <<I as Inputs>::Values as ArgTuple>::Wires;

/// One input: a value, or a port through which it comes.
#[doc(hidden)]
pub struct Input<T> {
    value: Option<T>,
    port: Option<Box<dyn Resolve<T>>>,
    pin: Option<Dependency>,
    /// What it comes from, also when that is let go of.
    object: Option<(ObjectId, TypeId)>,
}

impl<T> Input<T> {
    fn new(arg: Arg<T>) -> Self {
        match arg {
            Arg::Ready(value) => Self { value: Some(value), port: None, pin: None, object: None },
            Arg::Later(port) => {
                let pin = port.dependency();
                let object = pin.as_ref().and_then(|pin| pin.downcast_ref::<ArgPin>());
                let object = object.map(|pin| (pin.entry().id(), pin.entry().value_type_id()));
                Self { value: None, pin, object, port: Some(port) }
            }
        }
    }

    fn arg_pin(&self) -> Option<&ArgPin> {
        self.pin.as_ref().and_then(|pin| pin.downcast_ref())
    }

    fn visit_unwritable(&self, wire: &ArgWire<T>, visitor: &mut dyn FnMut(Dependency)) {
        if let (Some(pin), Some(_), None) = (self.arg_pin(), &self.port, &self.value)
            && !pin.entry().is_ready()
            && !wire.takes(pin.entry().value_type_id())
            && let Some(pin) = &self.pin
        {
            visitor(Arc::clone(pin));
        }
    }

    fn write(&mut self, wire: &ArgWire<T>) -> Result<FarArg, Unwritten> {
        if self.value.is_none()
            && let Some(loose) = self.arg_pin().and_then(|pin| wire.by_reference(pin))
        {
            return Ok(FarArg::Object(loose));
        }
        if let Poll::Ready(Err(failed)) = poll_now(|cx| self.poll_ready(cx)) {
            return Err(Unwritten::Dependency(failed));
        }
        wire.pack(self.value.as_ref().ok_or(Unwritten::Missing)?)
    }

    fn describe(&self, value: &T, wire: &ArgWire<T>, by_name: bool) -> Result<FarArg, Unwritten> {
        match (self.arg_pin(), self.object) {
            (Some(pin), _) => match wire.by_reference(pin) {
                Some(loose) => Ok(FarArg::Object(loose)),
                None => wire.pack(value),
            },
            (None, Some((object, value_type))) if by_name && wire.takes(value_type) => {
                Ok(FarArg::Object(Loose::named(object)))
            }
            (None, _) => wire.pack(value),
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
        counts.local == 0 && counts.submitted == 1 && counts.elsewhere == 0
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

        impl<$($name: Send + 'static),*> ArgTuple for ($($name,)*) {
            type Wires = ($(ArgWire<$name>,)*);
            type Inputs = ($(Input<$name>,)*);

            fn read(args: &[FarArg], wires: &Self::Wires) -> Result<Self::Inputs, String> {
                Ok(($(Input::new(read_at(args, $at, &wires.$at)?),)*))
            }
        }

        impl<$($name: Send + 'static),*> Inputs for ($(Input<$name>,)*) {
            type Values = ($($name,)*);

            fn visit(&self, visitor: &mut dyn FnMut(Option<Dependency>)) {
                $(self.$at.visit(visitor);)*
            }

            fn visit_unwritable(
                &self,
                wires: &Wires<Self>,
                visitor: &mut dyn FnMut(Dependency),
            ) {
                $(self.$at.visit_unwritable(&wires.$at, visitor);)*
            }

            fn write(&mut self, wires: &Wires<Self>) -> Result<Vec<FarArg>, Unwritten> {
                Ok(vec![$(self.$at.write(&wires.$at)?,)*])
            }

            fn describe(
                &self,
                values: &Self::Values,
                wires: &Wires<Self>,
                by_name: bool,
            ) -> Result<Vec<FarArg>, Unwritten> {
                Ok(vec![$(self.$at.describe(&values.$at, &wires.$at, by_name)?,)*])
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
    use super::{
        Arg, ArgTuple, ArgWire, Context, Dependency, DependencyFailed, FarArg, Input, Inputs, Poll,
        TaskArgs, Unwritten, Wires, read_at,
    };

    impl TaskArgs for () {
        type Values = ();
        type Inputs = ();

        fn into_inputs(self) {}
    }

    impl ArgTuple for () {
        type Wires = ();
        type Inputs = ();

        fn read(_args: &[FarArg], _wires: &()) -> Result<(), String> {
            Ok(())
        }
    }

    impl Inputs for () {
        type Values = ();

        fn visit(&self, _visitor: &mut dyn FnMut(Option<Dependency>)) {}

        fn visit_unwritable(&self, _wires: &(), _visitor: &mut dyn FnMut(Dependency)) {}

        fn write(&mut self, _wires: &()) -> Result<Vec<FarArg>, Unwritten> {
            Ok(Vec::new())
        }

        fn describe(&self, (): &(), (): &(), _by_name: bool) -> Result<Vec<FarArg>, Unwritten> {
            Ok(Vec::new())
        }

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
