//! How a return type is read.
//!
//! A macro sees names, not types. A return type whose last segment is `Result` is a refusal in the
//! making, whatever alias it is (`io::Result<T>`, `anyhow::Result<T>`): the type checker is asked for
//! its two halves through `ResultParts`. `Deferred<R>` answers later. Everything else is the value.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Path, ReturnType, Type, parse_quote};

use crate::refusals::Refusals;
use crate::signature::{check_owned, last_segment, without_self};

/// A method's, message's or task's return type.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    /// What the handler returns; for a deferred reply, what it sends in the end.
    pub(crate) ty: Type,
    /// Whether `ty` is a `Result`.
    pub(crate) is_result: bool,
    /// Whether the method returns `Deferred<ty>`.
    pub(crate) is_deferred: bool,
}

impl Reply {
    /// Reads what stands after the arrow.
    pub(crate) fn read(
        output: &ReturnType,
        self_path: Option<&Path>,
        refusals: &mut Refusals,
    ) -> Self {
        match output {
            ReturnType::Default => Self::of(parse_quote!(())),
            ReturnType::Type(_, ty) => {
                check_owned(ty, "a reply", refusals);
                let ty = without_self(ty, self_path);
                let deferred = match last_segment(&ty) {
                    Some((name, types)) if name == "Deferred" => types.first().copied().cloned(),
                    _ => None,
                };
                match deferred {
                    Some(inner) => Self { is_deferred: true, ..Self::of(inner) },
                    None => Self::of(ty),
                }
            }
        }
    }

    /// A reply of this type.
    pub(crate) fn of(ty: Type) -> Self {
        let is_result = last_segment(&ty).is_some_and(|(name, _)| name == "Result");
        Self { ty, is_result, is_deferred: false }
    }

    /// The type of what the asker gets.
    pub(crate) fn value(&self) -> TokenStream {
        let ty = &self.ty;
        if self.is_result {
            quote!(<#ty as ::mobula::__macro::ResultParts>::Value)
        } else {
            quote!(#ty)
        }
    }

    /// The items that `Message` and `MethodTag` have in common. What is wrong with the types (too
    /// private, not `Send`) is reported at `span`.
    pub(crate) fn items(&self, span: Span) -> TokenStream {
        let ty = &self.ty;
        let value = self.value();
        let result = quote!(::core::result::Result<Self::Value, Self::Refusal>);
        if !self.is_result {
            return quote_spanned! {span=>
                type Reply = #ty;
                type Value = #ty;
                type Refusal = ::core::convert::Infallible;
                fn into_result(reply: Self::Reply) -> #result {
                    ::core::result::Result::Ok(reply)
                }
                fn refusal_text(refusal: &Self::Refusal) -> ::std::string::String {
                    match *refusal {}
                }
            };
        }
        quote_spanned! {span=>
            type Reply = #ty;
            type Value = #value;
            type Refusal = <#ty as ::mobula::__macro::ResultParts>::Error;
            fn into_result(reply: Self::Reply) -> #result {
                ::mobula::__macro::ResultParts::into_std(reply)
            }
            fn refusal_text(refusal: &Self::Refusal) -> ::std::string::String {
                use ::mobula::__macro::refusal::*;
                (&&&&&&Probe::of(refusal)).refusal_kind().text(refusal)
            }
            fn refusal_source(
                refusal: &Self::Refusal,
            ) -> ::core::option::Option<&(dyn ::core::error::Error + 'static)> {
                use ::mobula::__macro::refusal::*;
                (&&&&&&Probe::of(refusal)).refusal_kind().source(refusal)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Reply {
        let output: ReturnType = syn::parse_str(text).unwrap();
        Reply::read(&output, None, &mut Refusals::default())
    }

    #[test]
    fn a_result_is_known_by_its_last_segment() {
        assert!(read("-> Result<u64, E>").is_result);
        assert!(read("-> std::io::Result<u64>").is_result);
        assert!(!read("-> Results<u64>").is_result);
        assert!(!read("").is_result);
    }

    #[test]
    fn a_deferred_reply_is_its_content() {
        let reply = read("-> mobula::Deferred<Result<u64, E>>");
        assert!(reply.is_deferred && reply.is_result);
    }
}
