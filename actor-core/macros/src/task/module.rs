//! The module beside the function: `remote`, `options`, `bind`.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote;
use syn::{Visibility, parse_quote};

use crate::builders::{self, forwarded};
use crate::lints::lifted;
use crate::names::plain;

use super::function::TaskFn;

/// The module.
pub(crate) fn print(model: &TaskFn) -> TokenStream {
    let TaskFn { ident, visibility, conditions, signature, .. } = model;
    let lifted = lifted();
    let name = plain(ident);
    let doc = format!("The function `{name}` as a task: `{signature}`.");
    let free = entrances(model, &Receiver::Free);
    let on_options = entrances(model, &Receiver::Options);
    let inside = one_deeper(visibility);
    let builders = forwarded(builders::TASK, &TokenStream::new());
    quote! {
        #(#conditions)*
        #[doc = #doc]
        #lifted
        #visibility mod #ident {
            /// Stands for the function in the function table; never built.
            #[derive(Debug)]
            #inside enum Function {}

            type Args = <Function as ::mobula::__macro::TaskFunction>::Args;
            type Output = <Function as ::mobula::__macro::TaskFunction>::Output;

            /// Options for one submission, starting from those of the attribute.
            #[must_use]
            pub fn options() -> Options {
                Options { options: <Function as ::mobula::__macro::TaskFunction>::defaults() }
            }

            #free

            /// Options for one submission of the task.
            #[must_use]
            pub struct Options {
                options: ::mobula::__macro::TaskOptions,
            }

            impl ::core::fmt::Debug for Options {
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    ::core::fmt::Formatter::write_str(f, "Options")
                }
            }

            impl Options {
                #builders
                #on_options
            }
        }
    }
}

/// The function's visibility, as it is written one module further in.
///
/// `Function` must be exactly as visible as the function: less, and a call from another module would
/// name a private type; more, and private types could not be its arguments (E0446).
fn one_deeper(visibility: &Visibility) -> Visibility {
    let path = match visibility {
        Visibility::Public(_) => return visibility.clone(),
        Visibility::Inherited => return parse_quote!(pub(super)),
        Visibility::Restricted(restricted) => &restricted.path,
    };
    if path.is_ident("self") {
        parse_quote!(pub(super))
    } else if path.segments.first().is_some_and(|first| first.ident == "super") {
        parse_quote!(pub(in super::#path))
    } else {
        visibility.clone()
    }
}

/// Where `remote` and `bind` stand, and so where they take the options from.
enum Receiver {
    Free,
    Options,
}

fn entrances(model: &TaskFn, receiver: &Receiver) -> TokenStream {
    let names = model.arguments.iter().map(|argument| &argument.name).collect::<Vec<_>>();
    let types = (0..names.len()).map(|index| {
        let index = Literal::usize_unsuffixed(index);
        quote!(<Args as ::mobula::__macro::ArgAt<#index>>::Arg)
    });
    let types = types.collect::<Vec<_>>();
    let (this, options) = match receiver {
        Receiver::Free => (None, quote!(<Function as ::mobula::__macro::TaskFunction>::defaults())),
        Receiver::Options => (Some(quote!(self,)), quote!(self.options)),
    };
    let (returned, submit) = submission(model);
    let remote_doc = format!("Submits the task `{}` and returns at once.", model.signature);
    let bind_doc = format!("A node of a task graph: `{}`, not submitted yet.", model.signature);
    let bind = bind(&this, &names, &types, &options);
    quote! {
        #[doc = #remote_doc]
        ///
        /// # Panics
        /// Outside of a node.
        #[track_caller]
        pub fn remote(
            #this #(#names: impl ::mobula::__macro::IntoArg<#types>),*
        ) -> #returned {
            #submit(
                #options,
                (#(::mobula::__macro::IntoArg::<#types>::into_arg(#names),)*),
            )
        }

        #[doc = #bind_doc]
        #bind
    }
}

fn bind(
    this: &Option<TokenStream>,
    names: &[&Ident],
    types: &[TokenStream],
    options: &TokenStream,
) -> TokenStream {
    quote! {
        pub fn bind(
            #this #(#names: impl ::mobula::__macro::IntoBound<#types>),*
        ) -> ::mobula::__macro::Bound<Output> {
            ::mobula::__macro::bind::<Function>(
                #options,
                (#(::mobula::__macro::IntoBound::<#types>::into_bound(#names),)*),
            )
        }
    }
}

/// What `remote` returns, and the function that makes it.
fn submission(model: &TaskFn) -> (TokenStream, TokenStream) {
    if model.returns_count == 1 {
        return (
            quote!(::mobula::__macro::ObjectRef<Output>),
            quote!(::mobula::__macro::submit::<Function>),
        );
    }
    let parts = (0..model.returns_count).map(Literal::usize_unsuffixed);
    (
        quote!((#(::mobula::__macro::ObjectRef<<Output as ::mobula::__macro::ArgAt<#parts>>::Arg>),*)),
        quote!(::mobula::__macro::submit_many::<Function, Output>),
    )
}
