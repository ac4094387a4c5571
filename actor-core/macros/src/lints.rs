//! Lints that generated code lifts, in one place.
//!
//! Generated items are `pub` although the actor may be private, because a macro cannot see how
//! visible a type is; and not every program uses all that is generated. What these lints would say
//! is about our choice, not about the user's code. Nothing else is lifted: generated items have
//! documentation and `Debug`, and lints on unused results, unsafe code and the like apply.

use proc_macro2::TokenStream;
use quote::quote;

/// The attribute for every generated item.
pub(crate) fn lifted() -> TokenStream {
    quote! {
        #[allow(
            dead_code,
            deprecated,
            private_bounds,
            private_interfaces,
            unreachable_pub,
            clippy::all,
            clippy::pedantic,
            clippy::nursery,
            clippy::restriction,
            reason = "written by a macro of mobula"
        )]
    }
}
