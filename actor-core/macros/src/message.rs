//! `#[derive(Message)]`: a struct or enum that an actor can be sent.

use proc_macro2::TokenStream;
use quote::quote;
use syn::meta::ParseNestedMeta;
use syn::{Data, DeriveInput, LitStr, Type, parse_quote};

use crate::lints::lifted;
use crate::names::{macro_span, plain};
use crate::refusals::Refusals;
use crate::reply::Reply;
use crate::signature::{check_owned, text};
use crate::wire;

/// The expansion of the derive.
pub(crate) fn expand(item: TokenStream) -> TokenStream {
    syn::parse2::<DeriveInput>(item)
        .and_then(|input| message(&input))
        .unwrap_or_else(|error| error.to_compile_error())
}

#[derive(Default)]
struct Options {
    reply: Option<Type>,
    name: Option<LitStr>,
}

impl Options {
    fn read(input: &DeriveInput) -> syn::Result<Self> {
        let mut options = Self::default();
        for attribute in &input.attrs {
            if attribute.path().is_ident("message") {
                attribute.parse_nested_meta(|meta| options.set(&meta))?;
            }
        }
        Ok(options)
    }

    fn set(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        if meta.path.is_ident("reply") {
            self.reply = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("name") {
            self.name = Some(meta.value()?.parse()?);
        } else {
            return Err(
                meta.error("`#[message]` has the options `reply = Type` and `name = \"…\"`")
            );
        }
        Ok(())
    }
}

/// The types that a message is made of.
fn field_types(data: &Data) -> Vec<&Type> {
    match data {
        Data::Struct(item) => item.fields.iter().map(|field| &field.ty).collect(),
        Data::Enum(item) => {
            let fields = item.variants.iter().flat_map(|variant| &variant.fields);
            fields.map(|field| &field.ty).collect()
        }
        Data::Union(_) => Vec::new(),
    }
}

fn message(input: &DeriveInput) -> syn::Result<TokenStream> {
    let mut refusals = Refusals::default();
    if let Data::Union(item) = &input.data {
        refusals.push(item.union_token, "a message is a struct or an enum");
    }
    for lifetime in input.generics.lifetimes() {
        refusals.push(lifetime, "a message cannot borrow: messages own what they carry");
    }
    let options = refusals.keep(Options::read(input)).unwrap_or_default();
    if let Some(reply) = &options.reply {
        check_owned(reply, "a reply", &mut refusals);
    }
    let reply = Reply::of(options.reply.unwrap_or_else(|| parse_quote!(())));
    let name = options.name.map_or_else(|| plain(&input.ident), |literal| literal.value());
    let ident = &input.ident;
    let mut generics = input.generics.clone();
    if !generics.params.is_empty() {
        generics
            .make_where_clause()
            .predicates
            .push(parse_quote!(Self: ::core::marker::Send + 'static));
    }
    let (parameters, arguments, clause) = generics.split_for_impl();
    let key = wire::key(None, &name, &text(&reply.ty));
    let wire_items = wire::items(
        &quote!(Self),
        &field_types(&input.data),
        &reply,
        &key,
        macro_span(input.ident.span()),
    );
    let items = reply.items(macro_span(input.ident.span()));
    let lifted = lifted();
    refusals.finish(quote! {
        #[automatically_derived]
        #lifted
        impl #parameters ::mobula::__macro::Message for #ident #arguments #clause {
            const NAME: &'static str = #name;
            #items
            #wire_items
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expansion::{errors, shown};

    #[test]
    fn reply_is_unit_unless_given() {
        let text = shown(expand(quote!(
            struct Ping;
        )));
        assert!(text.contains("type Reply = ();"), "{text}");
        assert!(text.contains("const NAME: &'static str = \"Ping\";"), "{text}");
        let text = shown(expand(quote!(
            #[message(reply = u64, name = "add")]
            struct Add(u64);
        )));
        assert!(text.contains("type Reply = u64;"), "{text}");
        assert!(text.contains("const NAME: &'static str = \"add\";"), "{text}");
    }

    #[test]
    fn generic_messages_ask_to_be_sendable() {
        let text = shown(expand(quote!(
            struct Put<T>(T);
        )));
        assert!(text.contains("impl<T> ::mobula::__macro::Message for Put<T>"), "{text}");
        assert!(text.contains("Self: ::core::marker::Send + 'static"), "{text}");
    }

    #[test]
    fn borrowing_and_unknown_options_are_refused() {
        assert!(
            errors(expand(quote!(
                struct Put<'a>(&'a str);
            )))[0]
                .contains("cannot borrow")
        );
        assert!(
            errors(expand(quote!(
                #[message(answer = u8)]
                struct Put;
            )))[0]
                .contains("reply = Type")
        );
    }
}
