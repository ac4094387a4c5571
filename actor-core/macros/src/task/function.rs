//! The function as a task: its model, its `impl TaskFunction` and its entry in the function table.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Attribute, Expr, ItemFn, Type, Visibility, parse_quote};

use crate::lints::lifted;
use crate::names::{macro_span, plain};
use crate::refusals::Refusals;
use crate::reply::Reply;
use crate::signature::{Argument, arguments, check_function, conditions, last_segment, text};

use super::arguments::TaskArguments;

/// A task, as the printers need it.
#[derive(Debug)]
pub(crate) struct TaskFn {
    pub(crate) ident: Ident,
    pub(crate) visibility: Visibility,
    pub(crate) conditions: Vec<Attribute>,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) reply: Reply,
    /// How many references a call returns.
    pub(crate) returns_count: usize,
    /// The signature as its author would write it.
    pub(crate) signature: String,
    is_async: bool,
    options: TaskArguments,
}

impl TaskFn {
    /// Reads the function.
    pub(crate) fn read(function: &ItemFn, options: TaskArguments) -> syn::Result<Self> {
        let mut refusals = Refusals::default();
        let signature = &function.sig;
        check_function(signature, "a task", &mut refusals);
        let arguments = arguments(signature, None, &mut refusals);
        let reply = Reply::read(&signature.output, None, &mut refusals);
        if reply.is_deferred {
            refusals.push(
                &signature.output,
                "a task's result is its return value; only an actor's method can answer later",
            );
        }
        if let Some((count, number)) = &options.num_returns {
            check_tuple(&reply, count, *number, &mut refusals);
        }
        let types = arguments.iter().map(|argument| text(&argument.ty)).collect::<Vec<_>>();
        let model = Self {
            ident: signature.ident.clone(),
            visibility: function.vis.clone(),
            conditions: conditions(&function.attrs),
            returns_count: options.num_returns.as_ref().map_or(1, |(_, number)| *number),
            signature: format!("fn({}) -> {}", types.join(", "), text(&reply.ty)),
            is_async: signature.asyncness.is_some(),
            arguments,
            reply,
            options,
        };
        refusals.finish(model)
    }
}

fn check_tuple(reply: &Reply, count: &Expr, number: usize, refusals: &mut Refusals) {
    let value = match last_segment(&reply.ty) {
        Some((_, types)) if reply.is_result => types.first().copied(),
        _ => Some(&reply.ty),
    };
    let found = match value {
        Some(Type::Tuple(tuple)) => tuple.elems.len(),
        Some(_) | None => 1,
    };
    if found != number {
        refusals.push(
            count,
            format!("`num_returns = {number}` needs a function that returns a tuple of {number} values, or a `Result` of one; this one returns `{}`", text(&reply.ty)),
        );
    }
}

/// `impl TaskFunction` and the entry.
pub(crate) fn print(model: &TaskFn) -> TokenStream {
    let TaskFn { ident, conditions, signature, .. } = model;
    let types = model.arguments.iter().map(|argument| &argument.ty);
    let output = model.reply.value();
    let name = match &model.options.name {
        Some(name) => quote!(#name),
        None => {
            let tail = format!("::{}", plain(ident));
            quote!(::core::concat!(::core::module_path!(), #tail))
        }
    };
    let version = model.options.version.clone().unwrap_or_else(|| parse_quote!(1));
    let builders = model.options.builders();
    let blocking = !model.is_async;
    let body = body(model);
    let parts: Vec<_> = model.arguments.iter().map(|argument| &argument.ty).collect();
    let args_wires = crate::wire::arguments(&parts);
    let output_parts = match last_segment(&model.reply.ty) {
        Some((_, halves)) if model.reply.is_result => halves.first().copied(),
        _ => Some(&model.reply.ty),
    };
    let output_codec = crate::wire::codec(&quote!(Self::Output), output_parts.as_slice());
    let lifted = lifted();
    let entry = if model.returns_count == 1 {
        quote!(of::<#ident::Function>())
    } else {
        quote!(of_many::<
            #ident::Function,
            <#ident::Function as ::mobula::__macro::TaskFunction>::Output,
        >())
    };
    let associated = quote_spanned! {macro_span(ident.span())=>
        type Args = (#(#types,)*);
        type Output = #output;
    };
    quote! {
        #(#conditions)*
        #[automatically_derived]
        #lifted
        impl ::mobula::__macro::TaskFunction for #ident::Function {
            #associated
            const NAME: &'static str = #name;
            const VERSION: u32 = #version;
            const SIGNATURE: &'static str = #signature;
            const BLOCKING: bool = #blocking;
            const ARGS: ::core::option::Option<
                <Self::Args as ::mobula::__macro::ArgTuple>::Wires,
            > = #args_wires;
            const OUTPUT: ::core::option::Option<::mobula::__macro::Codec<Self::Output>> = #output_codec;
            fn defaults() -> ::mobula::__macro::TaskOptions {
                ::mobula::__macro::TaskOptions::new() #builders
            }
            fn run(args: Self::Args) -> ::mobula::__macro::Body<Self::Output> {
                #body
            }
            fn duplicate(args: &Self::Args) -> ::core::option::Option<Self::Args> {
                use ::mobula::__macro::duplicate::*;
                CloneProbe(args).duplicate()
            }
        }

        #(#conditions)*
        ::mobula::__macro::inventory::submit! {
            ::mobula::__macro::FunctionEntry::of::<#ident::Function>()
        }

        #(#conditions)*
        ::mobula::__macro::inventory::submit! {
            ::mobula::__macro::VisitorEntry::#entry
        }
    }
}

fn body(model: &TaskFn) -> TokenStream {
    let ident = &model.ident;
    let places = (0..model.arguments.len()).map(|index| syn::Index {
        index: u32::try_from(index).unwrap_or(0),
        span: Span::call_site(),
    });
    let wait = model.is_async.then(|| quote!(.await));
    let call = quote!(#ident(#(args.#places),*) #wait);
    let run = if model.reply.is_result {
        quote! {
            ::core::result::Result::map_err(
                ::mobula::__macro::ResultParts::into_std(#call),
                ::mobula::__macro::UserError::from_user,
            )
        }
    } else {
        quote!(::core::result::Result::Ok(#call))
    };
    let unpack = model.arguments.is_empty().then(|| quote!(let () = args;));
    if model.is_async {
        quote!(#unpack ::mobula::__macro::Body::future(async move { #run }))
    } else {
        quote!(#unpack ::mobula::__macro::Body::sync(move || #run))
    }
}
