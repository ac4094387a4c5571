//! What a message needs to cross a border: its key, and its wire form if its types have one.
//!
//! A macro cannot ask whether a type is `Serialize`, but generated code names concrete types, so the
//! type checker can: `WireProbe::<T>::CODEC` is an inherent constant where `T` can travel, and else the one
//! of the trait `NoCodec`. Programs on one node are asked for nothing.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::Type;

use crate::reply::Reply;
use crate::signature::last_segment;

/// `KEY` and `WIRE` of the message type `message`, inside an `impl` that has `Value` and `Refusal`. `parts` are the types
/// that the message is made of.
pub(crate) fn items(
    message: &TokenStream,
    parts: &[&Type],
    reply: &Reply,
    key: &TokenStream,
    span: Span,
) -> TokenStream {
    let (value_part, refusal_part) = match last_segment(&reply.ty) {
        Some((_, halves)) if reply.is_result => (halves.first().copied(), halves.get(1).copied()),
        _ => (Some(&reply.ty), None),
    };
    let own = codec(message, parts);
    let value = codec(&quote!(Self::Value), value_part.as_slice());
    let refusal = codec(&quote!(Self::Refusal), refusal_part.as_slice());
    quote_spanned! {span=>
        const KEY: u64 = #key;
        const WIRE: ::core::option::Option<::mobula::__macro::Wire<#message>> =
            ::mobula::__macro::Wire::of(#own, #value, #refusal);
    }
}

/// The codec of a type, if it has one. What borrows, for ever even, cannot be read on another node; and the type
/// checker, which chooses without regard to lifetimes, must not be asked about it.
pub(crate) fn codec(ty: &TokenStream, parts: &[&Type]) -> TokenStream {
    if parts.iter().any(|part| borrows(part.to_token_stream())) {
        return quote!(::core::option::Option::None);
    }
    quote! {{
        use ::mobula::__macro::NoCodec as _;
        ::mobula::__macro::WireProbe::<#ty>::CODEC
    }}
}

/// How the arguments of a task travel, each: as a value, or as a reference to an object. `None` where one cannot.
pub(crate) fn arguments(types: &[&Type]) -> TokenStream {
    if types.iter().any(|ty| borrows(ty.to_token_stream())) {
        return quote!(::core::option::Option::None);
    }
    if types.is_empty() {
        return quote!(::core::option::Option::Some(()));
    }
    let names: Vec<_> = (0..types.len()).map(|index| format_ident!("wire_{index}")).collect();
    quote! {{
        use ::mobula::__macro::{NoCodec as _, NoOwned as _, NoShared as _};
        match (#(::mobula::__macro::WireProbe::<#types>::CODEC,)*) {
            (#(::core::option::Option::Some(#names),)*) => ::core::option::Option::Some((#(
                ::mobula::__macro::ArgWire::new(
                    #names,
                    ::mobula::__macro::ObjectProbe::<#types>::OWNED,
                    ::mobula::__macro::ObjectProbe::<#types>::SHARED,
                ),
            )*)),
            _ => ::core::option::Option::None,
        }
    }}
}

/// Whether a lifetime or a reference is written anywhere in a type.
fn borrows(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Group(group) => borrows(group.stream()),
        TokenTree::Punct(mark) => matches!(mark.as_char(), '&' | '\''),
        TokenTree::Ident(_) | TokenTree::Literal(_) => false,
    })
}

/// The key of the text `name` within the module, or within `place` where that was given instead, with a signature.
pub(crate) fn key(place: Option<&str>, name: &str, signature: &str) -> TokenStream {
    let place = place.map_or_else(|| quote!(::core::module_path!()), ToTokens::into_token_stream);
    quote! {
        ::mobula::__macro::keyed(
            ::mobula::__macro::keyed(::mobula::__macro::key(#place), #name),
            #signature,
        )
    }
}

/// An entry in the table of what this program does for other nodes.
pub(crate) fn submit(entry: &TokenStream) -> TokenStream {
    quote!(::mobula::__macro::inventory::submit! { #entry })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_borrows_is_not_asked_about() {
        let asks = |text: &str| {
            let ty: Type = syn::parse_str(text).unwrap();
            codec(&ty.to_token_stream(), &[&ty]).to_string().contains("WireProbe")
        };
        assert!(asks("(u64, Vec<String>)"));
        for borrowing in ["&'static str", "Vec<&'static str>", "(u8, Cow<'static, str>)"] {
            assert!(!asks(borrowing), "{borrowing}");
        }
    }
}
