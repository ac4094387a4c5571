//! `#[actor]`: from an `impl` block to an actor.
//!
//! The block is read once into an [`ActorImpl`](parse::ActorImpl); each part of the expansion is
//! printed from that model by its own file. The user's block itself is returned unchanged but for the
//! attributes that are ours. What is refused is left out, and the errors stand at the end.

mod arguments;
mod parse;
mod marked;
mod subject;
mod method;
mod reserved;
mod calls;
mod messages;
mod hooks;
mod constructor;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Attribute, Item, ItemImpl, parse_quote};

use crate::refusals::beside;
use crate::wire;

use self::arguments::{ActorArguments, Mode};
use self::parse::ActorImpl;

/// The expansion of `#[actor(arguments)] item`.
pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut block = match impl_block(item.clone()) {
        Ok(block) => block,
        Err(error) => return beside(item, &error),
    };
    let model = syn::parse2::<ActorArguments>(arguments)
        .and_then(|arguments| ActorImpl::read(arguments, &mut block));
    match model {
        Ok((model, error)) => {
            block.attrs.push(marks_calls());
            let mut tokens = block.into_token_stream();
            tokens.extend(actor_impl(&model));
            tokens.extend(calls::print(&model));
            tokens.extend(messages::print(&model));
            tokens.extend(constructor::print(&model.subject, model.constructor.as_ref()));
            tokens.extend(error.map(|error| error.to_compile_error()));
            tokens
        }
        Err(error) => {
            marked::strip_attributes(&mut block);
            beside(block, &error)
        }
    }
}

/// Methods are `pub` for the macro's sake, also where the actor itself is not.
fn marks_calls() -> Attribute {
    parse_quote!(#[allow(unreachable_pub, reason = "`pub` makes a method a call")])
}

fn impl_block(item: TokenStream) -> syn::Result<ItemImpl> {
    match syn::parse2::<Item>(item)? {
        Item::Impl(block) => Ok(block),
        Item::Struct(item) => Err(syn::Error::new_spanned(
            item.ident,
            "`#[actor]` goes on the `impl` block with the methods, not on the struct",
        )),
        other => Err(syn::Error::new_spanned(
            other,
            "`#[actor]` goes on an inherent `impl` block: `#[mobula::actor] impl Counter { … }`",
        )),
    }
}

fn actor_impl(model: &ActorImpl) -> TokenStream {
    let (self_path, name) = (&model.subject.self_path, &model.shown_name);
    let calls = model.subject.item_name("Calls");
    let key = wire::key(model.key.as_deref(), &model.subject.name(), "");
    let (mode, concurrency) = match &model.mode {
        Mode::Exclusive => (quote!(Exclusive), None),
        Mode::Local => (quote!(Local), None),
        Mode::Shared(count) => {
            (quote!(Shared), Some(quote!(const MAX_CONCURRENCY: usize = #count;)))
        }
    };
    let hooks = hooks::print(&model.hooks, &model.mode);
    quote! {
        #[automatically_derived]
        impl ::mobula::__macro::Actor for #self_path {
            type Mode = ::mobula::__macro::#mode;
            type Calls = #calls;
            const NAME: &'static str = #name;
            const KEY: u64 = #key;
            #concurrency
            #hooks
        }
    }
}

#[cfg(test)]
mod tests;
