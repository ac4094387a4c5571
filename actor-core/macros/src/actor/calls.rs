//! The struct of calls: what `ActorRef<Counter>` derefs to.

use proc_macro2::TokenStream;
use quote::quote;

use crate::lints::lifted;
use crate::names::plain;
use crate::signature::is_documented;

use super::method::Method;
use super::parse::ActorImpl;

/// `CounterCalls` with one function for each callable method.
pub(crate) fn print(model: &ActorImpl) -> TokenStream {
    let self_path = &model.subject.self_path;
    let calls = model.subject.item_name("Calls");
    let name = model.subject.name();
    let shown = calls.to_string();
    let doc = format!("The calls of [`{name}`], reached through an `ActorRef<{name}>`.");
    let functions = model.methods.iter().map(|method| function(model, method));
    let lifted = lifted();
    quote! {
        #[doc = #doc]
        #lifted
        pub struct #calls {
            address: ::mobula::__macro::Address<#self_path>,
        }

        #[automatically_derived]
        impl ::mobula::__macro::Calls<#self_path> for #calls {
            fn new(address: ::mobula::__macro::Address<#self_path>) -> Self {
                Self { address }
            }
            fn address(&self) -> &::mobula::__macro::Address<#self_path> {
                &self.address
            }
        }

        #[automatically_derived]
        impl ::core::fmt::Debug for #calls {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::fmt::Formatter::write_str(f, #shown)
            }
        }

        #lifted
        impl #calls {
            #(#functions)*
        }
    }
}

fn function(model: &ActorImpl, method: &Method) -> TokenStream {
    let self_path = &model.subject.self_path;
    let Method { ident, visibility, reading_matter, .. } = method;
    let message = model.subject.item_name(&method.type_name());
    let fallback = (!is_documented(reading_matter)).then(|| {
        let doc = format!("Calls `{}::{}`.", model.subject.name(), plain(ident));
        quote!(#[doc = #doc])
    });
    let names = method.arguments.iter().map(|argument| &argument.name).collect::<Vec<_>>();
    let types = method.arguments.iter().map(|argument| &argument.ty).collect::<Vec<_>>();
    let max_retries =
        method.defaults.max_retries.as_ref().map(|count| quote!(.max_retries(#count)));
    let retry_errors = method.defaults.retry_errors.then(|| quote!(.retry_errors()));
    quote! {
        #(#reading_matter)*
        #fallback
        #visibility fn #ident(
            &self
            #(, #names: impl ::mobula::__macro::IntoArg<#types>)*
        ) -> ::mobula::__macro::Call<'_, #self_path, #message> {
            ::mobula::__macro::Call::method(
                &self.address,
                (#(::mobula::__macro::IntoArg::<#types>::into_arg(#names),)*),
            )
            #max_retries
            #retry_errors
        }
    }
}
