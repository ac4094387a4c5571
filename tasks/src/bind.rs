//! Graph first, run later: a bound call is a task that has not been submitted, and may be an argument of
//! another.
//!
//! Submitting a bound call submits what it depends on first, each once, however many calls share it.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use mobula_actor_core::{Arg, IntoArg};
use mobula_store::{Object, ObjectRef};
use parking_lot::Mutex;

use crate::{function::TaskFunction, input::TaskArgs, options::TaskOptions, submit::submit};

/// A call that is submitted later, by [`submit`](Bound::submit). Clones are the same call.
#[must_use = "a bound call does nothing until it is submitted"]
pub struct Bound<T> {
    call: Arc<Call<T>>,
}

struct Call<T> {
    /// Taken by the one submission.
    submission: Mutex<Option<Submission<T>>>,
    reference: OnceLock<ObjectRef<T>>,
}

type Submission<T> = Box<dyn FnOnce() -> ObjectRef<T> + Send>;

impl<T: Object> Bound<T> {
    /// Submits the call and what it depends on. Submitting it again gives the same reference.
    ///
    /// # Panics
    /// Outside a node; and when an earlier submission of this call panicked.
    #[track_caller]
    #[must_use]
    pub fn submit(&self) -> ObjectRef<T> {
        let reference = self.call.reference.get_or_init(|| {
            let submission = self.call.submission.lock().take();
            match submission {
                Some(submit) => submit(),
                None => panic!("an earlier submission of this bound call panicked"),
            }
        });
        reference.clone()
    }
}

impl<T> Clone for Bound<T> {
    fn clone(&self) -> Self {
        Self { call: Arc::clone(&self.call) }
    }
}

impl<T> fmt::Debug for Bound<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bound")
    }
}

/// What can be given to `bind` for a parameter of type `T`: a value, a reference, or another bound call.
pub trait IntoBound<T> {
    /// Turns `self` into an argument of a call that is submitted later.
    fn into_bound(self) -> BoundArg<T>;
}

/// An argument of a bound call.
pub struct BoundArg<T>(BoundArgKind<T>);

enum BoundArgKind<T> {
    Arg(Arg<T>),
    Call(Box<dyn FnOnce() -> Arg<T> + Send>),
}

impl<T> BoundArg<T> {
    fn into_arg(self) -> Arg<T> {
        match self.0 {
            BoundArgKind::Arg(arg) => arg,
            BoundArgKind::Call(submit) => submit(),
        }
    }
}

impl<T> fmt::Debug for BoundArg<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            BoundArgKind::Arg(_) => "BoundArg::Arg",
            BoundArgKind::Call(_) => "BoundArg::Call",
        })
    }
}

impl<T> IntoBound<T> for T {
    fn into_bound(self) -> BoundArg<T> {
        BoundArg(BoundArgKind::Arg(Arg::Ready(self)))
    }
}

impl<T: Object + Clone> IntoBound<T> for ObjectRef<T> {
    fn into_bound(self) -> BoundArg<T> {
        BoundArg(BoundArgKind::Arg(self.into_arg()))
    }
}

impl<T: Object + Clone> IntoBound<T> for &ObjectRef<T> {
    fn into_bound(self) -> BoundArg<T> {
        BoundArg(BoundArgKind::Arg(self.into_arg()))
    }
}

impl<T: Object + Clone> IntoBound<T> for Bound<T> {
    fn into_bound(self) -> BoundArg<T> {
        BoundArg(BoundArgKind::Call(Box::new(move || self.submit().into_arg())))
    }
}

impl<T: Object + Clone> IntoBound<T> for &Bound<T> {
    fn into_bound(self) -> BoundArg<T> {
        self.clone().into_bound()
    }
}

impl<T: Object> IntoBound<Arc<T>> for Bound<T> {
    fn into_bound(self) -> BoundArg<Arc<T>> {
        BoundArg(BoundArgKind::Call(Box::new(move || self.submit().into_arg())))
    }
}

/// Arguments of a bound call as a tuple of [`BoundArg`]s.
pub trait BoundArgs: Send + 'static {
    /// The same as arguments of a submission.
    type Args: TaskArgs;

    /// Submits what the call depends on.
    fn submit(self) -> Self::Args;
}

/// Binds `F` to arguments, to be submitted later.
pub fn bind<F>(
    options: TaskOptions,
    args: impl BoundArgs<Args: TaskArgs<Values = F::Args>>,
) -> Bound<F::Output>
where
    F: TaskFunction,
    F::Output: Object,
{
    let call = move || submit::<F>(options, args.submit());
    let submission = Mutex::new(Some(Box::new(call) as Submission<F::Output>));
    Bound { call: Arc::new(Call { submission, reference: OnceLock::new() }) }
}

macro_rules! tuples {
    ($(($($name:ident $at:tt),*))*) => {$(
        impl<$($name: Send + 'static),*> BoundArgs for ($(BoundArg<$name>,)*) {
            type Args = ($(Arg<$name>,)*);

            fn submit(self) -> Self::Args {
                ($(self.$at.into_arg(),)*)
            }
        }
    )*};
}

impl BoundArgs for () {
    type Args = ();

    fn submit(self) {}
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
