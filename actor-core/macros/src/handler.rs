//! `#[handler]`: an `impl Handler<M> for A` that other nodes can reach.
//!
//! A node that is asked from afar looks its handlers up by key, in a table that the linker fills. Methods of
//! `#[actor]` enter themselves; a handler written by hand says so with this attribute.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{GenericArgument, ItemImpl, PathArguments, Type};

use crate::refusals::beside;
use crate::wire::submit;

/// The expansion of `#[handler] impl Handler<M> for A { … }`.
pub(crate) fn expand(arguments: &TokenStream, item: TokenStream) -> TokenStream {
    match table_entry(arguments, item.clone()) {
        Ok(entry) => {
            let entry = submit(&entry);
            quote!(#item #entry)
        }
        Err(error) => beside(item, &error),
    }
}

fn table_entry(arguments: &TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    if !arguments.is_empty() {
        return Err(syn::Error::new_spanned(arguments, "`#[handler]` has no options"));
    }
    let block = syn::parse2::<ItemImpl>(item)?;
    if !block.generics.params.is_empty() {
        return Err(syn::Error::new_spanned(
            &block.generics,
            "a handler that other nodes reach is for one actor and one message: leave the generics out",
        ));
    }
    let message = message_of(&block).ok_or_else(|| {
        syn::Error::new_spanned(
            &block.self_ty,
            "`#[handler]` goes on `impl Handler<Message> for Actor`",
        )
    })?;
    let actor = &block.self_ty;
    Ok(quote!(::mobula::__macro::HandlerEntry::of::<#actor, #message>()))
}

/// The `M` of `Handler<M>`.
fn message_of(block: &ItemImpl) -> Option<TokenStream> {
    let (_, path, _) = block.trait_.as_ref()?;
    let segment = path.segments.last()?;
    if !segment.ident.to_string().ends_with("Handler") {
        return None;
    }
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else {
        return None;
    };
    match arguments.args.first()? {
        GenericArgument::Type(Type::Reference(_)) => None,
        GenericArgument::Type(message) => Some(message.to_token_stream()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expansion::{assert_has, errors, shown};

    #[test]
    fn the_block_stays_and_is_entered() {
        let item = quote!(
            impl Handler<Add> for Counter {
                async fn handle(&mut self, add: Add, _: &mut Context<Self>) {}
            }
        );
        let text = shown(expand(&quote!(), item));
        assert!(text.starts_with("impl Handler<Add> for Counter {"), "{text}");
        assert_has(&text, "HandlerEntry::of::<Counter, Add>()");
    }

    #[test]
    fn anything_else_is_refused() {
        let refused = |item| errors(expand(&quote!(), item)).join("\n");
        assert!(refused(quote!(impl Counter {})).contains("impl Handler<Message> for Actor"));
        assert!(
            refused(quote!(
                impl<T> Handler<Put<T>> for Counter {}
            ))
            .contains("leave the generics out")
        );
        assert!(refused(quote!(impl Display for Counter {})).contains("goes on"));
    }
}
