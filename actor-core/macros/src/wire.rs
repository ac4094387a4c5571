//! What a message needs to cross a border: its key, and its wire form if its types have one.
//!
//! A macro cannot ask whether a type is `Serialize`, but generated code names concrete types, so the
//! type checker can: `WireProbe::<T>::CODEC` is an inherent constant where `T` can travel, and else the one
//! of the trait `NoCodec`. Programs on one node are asked for nothing.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};

/// `KEY` and `WIRE` of the message type `message`, inside an `impl` that has `Value` and `Refusal`.
pub(crate) fn items(message: &TokenStream, key: &TokenStream, span: Span) -> TokenStream {
    let (own, value, refusal) =
        (codec(message), codec(&quote!(Self::Value)), codec(&quote!(Self::Refusal)));
    quote_spanned! {span=>
        const KEY: u64 = #key;
        const WIRE: ::core::option::Option<::mobula::__macro::Wire<#message>> =
            ::mobula::__macro::Wire::of(#own, #value, #refusal);
    }
}

/// The codec of a type, if it has one.
pub(crate) fn codec(ty: &TokenStream) -> TokenStream {
    quote! {{
        use ::mobula::__macro::NoCodec as _;
        ::mobula::__macro::WireProbe::<#ty>::CODEC
    }}
}

/// The key of the text `name` within the module, with a signature.
pub(crate) fn key(name: &str, signature: &str) -> TokenStream {
    quote! {
        ::mobula::__macro::keyed(
            ::mobula::__macro::keyed(::mobula::__macro::key(::core::module_path!()), #name),
            #signature,
        )
    }
}

/// An entry in the table of what this program does for other nodes.
pub(crate) fn submit(entry: &TokenStream) -> TokenStream {
    quote!(::mobula::__macro::inventory::submit! { #entry })
}
