//! `#[task]`: from a function to a task.
//!
//! Two things are written beside the function. The module of the same name holds what users call;
//! the `impl TaskFunction` stands in the function's own scope, because only there do the names in the
//! signature mean what their author meant (`use super::*` in the module would miss types declared
//! inside a function body, and clash with the module's own names). So the module names argument types
//! by position: `ArgAt<0>`.

mod arguments;
mod function;
mod module;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Item, ItemFn};

use crate::refusals::{Refusals, beside};

use self::arguments::TaskArguments;
use self::function::TaskFn;

/// The expansion of `#[task(arguments)] item`.
pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let function = match free_function(item.clone()) {
        Ok(function) => function,
        Err(error) => return beside(item, &error),
    };
    let mut refusals = Refusals::default();
    let arguments = refusals.keep(syn::parse2::<TaskArguments>(arguments));
    let model = refusals.keep(TaskFn::read(&function, arguments.unwrap_or_default()));
    match refusals.finish(model) {
        Ok(Some(model)) => {
            let mut tokens = function.into_token_stream();
            tokens.extend(function::print(&model));
            tokens.extend(module::print(&model));
            tokens
        }
        Ok(None) => quote!(#function),
        Err(error) => beside(function, &error),
    }
}

fn free_function(item: TokenStream) -> syn::Result<ItemFn> {
    match syn::parse2::<Item>(item)? {
        Item::Fn(function) => Ok(function),
        Item::Impl(block) => Err(syn::Error::new_spanned(
            block.impl_token,
            "`#[task]` goes on a function; for an `impl` block there is `#[mobula::actor]`",
        )),
        other => Err(syn::Error::new_spanned(other, "`#[task]` goes on a function")),
    }
}

#[cfg(test)]
mod tests;
