//! What generated code names: the items behind `::mobula::__macro`.
//!
//! A macro can refer to a trait's method only if the trait is in scope, and must not assume that the
//! user's module has any of ours. So everything generated goes through full paths into this one
//! module, and the few questions that only the type checker can answer (is this return type a
//! `Result`? is this error an `Error`, or only text?) are asked here.
//!
//! Not for people: names may change in any release, together with the macros.

use std::convert::Infallible;
use std::marker::PhantomData;

pub use crate::exit::chain_text;

/// The two halves of a `Result`, whatever alias the method's author wrote for it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is named `Result` but is not `std::result::Result`",
    note = "mobula reads a return type named `Result` as `Result<T, E>`: give your own type another name"
)]
pub trait ResultParts {
    /// The `T`.
    type Value;
    /// The `E`.
    type Error;

    /// The value itself as the standard type.
    ///
    /// # Errors
    /// The error that was in it.
    fn into_std(self) -> Result<Self::Value, Self::Error>;
}

impl<T, E> ResultParts for Result<T, E> {
    type Value = T;
    type Error = E;

    fn into_std(self) -> Self {
        self
    }
}

/// The type of the argument at `INDEX` of a tuple of arguments; so that a generated function can
/// name it in a scope where the user's own types are not visible.
pub trait ArgAt<const INDEX: usize> {
    /// That type.
    type Arg;
}

macro_rules! arg_at {
    ($($index:literal $arg:ident of ($($all:ident),*);)*) => {
        $(impl<$($all),*> ArgAt<$index> for ($($all,)*) { type Arg = $arg; })*
    };
}

arg_at! {
    0 A of (A);
    0 A of (A, B); 1 B of (A, B);
    0 A of (A, B, C); 1 B of (A, B, C); 2 C of (A, B, C);
    0 A of (A, B, C, D); 1 B of (A, B, C, D); 2 C of (A, B, C, D); 3 D of (A, B, C, D);
    0 A of (A, B, C, D, E); 1 B of (A, B, C, D, E); 2 C of (A, B, C, D, E);
    3 D of (A, B, C, D, E); 4 E of (A, B, C, D, E);
    0 A of (A, B, C, D, E, F); 1 B of (A, B, C, D, E, F); 2 C of (A, B, C, D, E, F);
    3 D of (A, B, C, D, E, F); 4 E of (A, B, C, D, E, F); 5 F of (A, B, C, D, E, F);
    0 A of (A, B, C, D, E, F, G); 1 B of (A, B, C, D, E, F, G); 2 C of (A, B, C, D, E, F, G);
    3 D of (A, B, C, D, E, F, G); 4 E of (A, B, C, D, E, F, G); 5 F of (A, B, C, D, E, F, G);
    6 G of (A, B, C, D, E, F, G);
    0 A of (A, B, C, D, E, F, G, H); 1 B of (A, B, C, D, E, F, G, H);
    2 C of (A, B, C, D, E, F, G, H); 3 D of (A, B, C, D, E, F, G, H);
    4 E of (A, B, C, D, E, F, G, H); 5 F of (A, B, C, D, E, F, G, H);
    6 G of (A, B, C, D, E, F, G, H); 7 H of (A, B, C, D, E, F, G, H);
}

/// The payload that makes a generated enum impossible to build.
pub type Never<A> = (Infallible, PhantomData<fn() -> A>);

/// What can be said of an error type that no bound says anything about.
///
/// Generated code is not generic, so method lookup can choose for it: the traits below have one
/// method name, are implemented for more and more references to `Probe`, and lookup takes the
/// outermost that fits ("autoref specialisation"). Generated code imports this module as a whole:
/// `use ::mobula::__macro::refusal::*; let kind = (&&&&&&Probe::of(error)).refusal_kind();`.
pub mod refusal {
    use std::any::type_name;
    use std::error::Error;
    use std::fmt::{Debug, Display};
    use std::marker::PhantomData;

    use crate::exit::{ErrorText, chain_text};

    /// Asks what `E` can do.
    #[derive(Debug)]
    pub struct Probe<E>(PhantomData<fn(&E)>);

    impl<E> Probe<E> {
        /// Asks on behalf of the error at hand.
        pub const fn of(_error: &E) -> Self {
            Self(PhantomData)
        }
    }

    macro_rules! kinds {
        ($($(#[$doc:meta])* $kind:ident, $by:ident, $method:ident for $probe:ty: ($($limit:tt)*);)*) => {$(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug)]
            pub struct $kind;

            #[doc = concat!("Finds [`", stringify!($kind), "`].")]
            pub trait $by {
                /// What was found.
                fn $method(&self) -> $kind {
                    $kind
                }
            }

            impl<E: $($limit)*> $by for $probe {}
        )*};
    }

    kinds! {
        /// An error with its chain of causes.
        IsError, FindError, refusal_kind for &&&&&Probe<E>: (Error + 'static);
        /// A box around an error, such as `anyhow::Error`.
        HoldsSharedError, FindSharedError, refusal_kind for &&&&Probe<E>: (AsRef<dyn Error + Send + Sync + 'static>);
        /// A box around an error that is not `Send + Sync`.
        HoldsError, FindHeldError, refusal_kind for &&&Probe<E>: (AsRef<dyn Error + 'static>);
        /// Not an error, but readable.
        Readable, FindReadable, refusal_kind for &&Probe<E>: (Display);
        /// Readable for programmers.
        Printable, FindPrintable, refusal_kind for &Probe<E>: (Debug);
        /// Nothing but its type is known.
        Opaque, FindOpaque, refusal_kind for Probe<E>: (Sized);
        /// Can be kept as an error from which the user's own type can be had again.
        Keepable, FindKeepable, keeping_kind for &&&Probe<E>: (Into<Box<dyn Error + Send + Sync>>);
        /// As text, as [`Readable`].
        KeptReadable, FindKeptReadable, keeping_kind for &&Probe<E>: (Display);
        /// As text, as [`Printable`].
        KeptPrintable, FindKeptPrintable, keeping_kind for &Probe<E>: (Debug);
        /// As the name of its type.
        KeptOpaque, FindKeptOpaque, keeping_kind for Probe<E>: (Sized);
    }

    macro_rules! texts {
        ($($kind:ident ($($limit:tt)*) $error:ident => $text:expr, $source:expr;)*) => {$(
            impl $kind {
                /// The error as text, with its causes.
                pub fn text<E: $($limit)*>(self, $error: &E) -> String {
                    $text
                }

                /// The error as an error, where it is one.
                pub fn source<E: $($limit)*>(self, $error: &E) -> Option<&(dyn Error + 'static)> {
                    $source
                }
            }
        )*};
    }

    texts! {
        IsError (Error + 'static) error => chain_text(error), Some(error);
        HoldsSharedError (AsRef<dyn Error + Send + Sync + 'static>) error => chain_text(error.as_ref()), Some(error.as_ref());
        HoldsError (AsRef<dyn Error + 'static>) error => chain_text(error.as_ref()), Some(error.as_ref());
        Readable (Display) error => format!("{error:#}"), { let _ = error; None };
        Printable (Debug) error => format!("{error:?}"), { let _ = error; None };
        Opaque (Sized) error => { let _ = error; type_name::<E>().to_owned() }, { let _ = error; None };
    }

    macro_rules! keepers {
        ($($kind:ident ($($limit:tt)*) $error:ident => $kept:expr;)*) => {$(
            impl $kind {
                /// The error, kept.
                pub fn keep<E: $($limit)*>(self, $error: E) -> ErrorText {
                    $kept
                }
            }
        )*};
    }

    keepers! {
        Keepable (Into<Box<dyn Error + Send + Sync>>) error => ErrorText::new(error);
        KeptReadable (Display) error => ErrorText::from_text(format!("{error:#}"));
        KeptPrintable (Debug) error => ErrorText::from_text(format!("{error:?}"));
        KeptOpaque (Sized) error => { drop(error); ErrorText::from_text(type_name::<E>()) };
    }
}
