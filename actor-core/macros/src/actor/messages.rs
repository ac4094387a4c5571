//! The message of each method, and the handler that runs it.
//!
//! The tag is generic over the actor only so that a private argument type may stand in the `impl` of
//! a public actor's private method: what an `impl` may name depends on the most private type in its
//! header (E0446).
//!
//! `receive` is what runs: a synchronous method is called in place and no future is made. `handle`
//! is the same thing spelled for whoever calls the trait by hand.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};

use crate::lints::lifted;
use crate::names::{macro_span, plain};
use crate::signature::text;
use crate::wire;

use super::arguments::Mode;
use super::method::Method;
use super::parse::ActorImpl;

/// Tag, message and handler for every method.
pub(crate) fn print(model: &ActorImpl) -> TokenStream {
    model.methods.iter().map(|method| one(model, method)).collect()
}

fn one(model: &ActorImpl, method: &Method) -> TokenStream {
    let self_path = &model.subject.self_path;
    let Method { visibility, conditions, .. } = method;
    let message = model.subject.item_name(&method.type_name());
    let tag = model.subject.item_name(&format!("{}Tag", method.type_name()));
    let name = format!("{}::{}", model.shown_name, plain(&method.ident));
    let shown_method = format!("{}::{}", model.subject.name(), plain(&method.ident));
    let tag_doc = format!("Stands for `{shown_method}`; never built.");
    let doc = format!("The message of `{shown_method}`.");
    let types = method.arguments.iter().map(|argument| &argument.ty).collect::<Vec<_>>();
    let reply_ty = &method.reply.ty;
    let span = macro_span(method.ident.span());
    let args = quote_spanned!(span=> type Args = (#(#types,)*););
    let reply = method.reply.items(span);
    let lifted = lifted();
    let signature = text(quote!((#(#types),*) -> #reply_ty));
    let key = wire::key(model.key.as_deref(), &shown_method, &signature);
    let wire_items =
        wire::items(&quote!(::mobula::__macro::Method<Self>), &types, &method.reply, &key, span);
    let entry =
        wire::submit(&quote!(::mobula::__macro::HandlerEntry::of::<#self_path, #message>()));
    let handler = handler(model, method, &message);
    quote! {
        #(#conditions)*
        #[doc(hidden)]
        #[doc = #tag_doc]
        #[derive(Debug)]
        #lifted
        #visibility enum #tag<A> {
            /// Never built.
            Never(::mobula::__macro::Never<A>),
        }

        #(#conditions)*
        #[automatically_derived]
        #lifted
        impl ::mobula::__macro::MethodTag for #tag<#self_path> {
            #args
            const NAME: &'static str = #name;
            #reply
            #wire_items
        }

        #(#conditions)*
        #[doc = #doc]
        #lifted
        #visibility type #message = ::mobula::__macro::Method<#tag<#self_path>>;

        #(#conditions)*
        #[automatically_derived]
        #lifted
        #handler

        #(#conditions)*
        #entry
    }
}

fn handler(model: &ActorImpl, method: &Method, message: &Ident) -> TokenStream {
    match &model.mode {
        Mode::Exclusive => exclusive(model, method, message, &quote!(Handler), &quote!(later)),
        Mode::Local => {
            exclusive(model, method, message, &quote!(LocalHandler), &quote!(later_local))
        }
        Mode::Shared(_) => shared(model, method, message),
    }
}

fn exclusive(
    model: &ActorImpl,
    method: &Method,
    message: &Ident,
    handler: &TokenStream,
    later: &TokenStream,
) -> TokenStream {
    let self_path = &model.subject.self_path;
    let ctx_of_handle =
        if method.has_context() && !method.reply.is_deferred { quote!(ctx) } else { quote!(_ctx) };
    let ctx =
        if method.has_context() || method.reply.is_deferred { quote!(ctx) } else { quote!(_ctx) };
    let reply_ty = &method.reply.ty;
    let handle = handle_body(method);
    let receive = receive_body(method, later);
    let span = macro_span(method.ident.span());
    // A synchronous method is called in place: the run loop need not be ready for a future.
    let (receive, now) = if method.is_async {
        (receive, None)
    } else {
        let now = quote_spanned! {span=>
            const PROMPT: bool = true;

            fn receive_now(
                &mut self,
                message: #message,
                #ctx: &mut ::mobula::__macro::Context<Self>,
                reply: ::mobula::__macro::ReplySlot<#message>,
            ) {
                #receive
            }
        };
        let receive = quote! {
            Self::receive_now(self, message, ctx, reply);
            ::mobula::__macro::Step::done()
        };
        (receive, Some(now))
    };
    let ctx = if method.is_async { ctx } else { quote!(ctx) };
    quote_spanned! {span=>
        impl ::mobula::__macro::#handler<#message> for #self_path {
            async fn handle(
                &mut self,
                message: #message,
                #ctx_of_handle: &mut ::mobula::__macro::Context<Self>,
            ) -> #reply_ty {
                #handle
            }

            fn receive<'a>(
                &'a mut self,
                message: #message,
                #ctx: &'a mut ::mobula::__macro::Context<Self>,
                reply: ::mobula::__macro::ReplySlot<#message>,
            ) -> ::mobula::__macro::Step<'a, Self> {
                #receive
            }

            #now
        }
    }
}

/// `let args = …;`, or dropping a message that carries nothing.
fn unpack(method: &Method) -> TokenStream {
    if method.arguments.is_empty() {
        quote!(let () = ::mobula::__macro::Method::into_args(message);)
    } else {
        quote!(let args = ::mobula::__macro::Method::into_args(message);)
    }
}

fn handle_body(method: &Method) -> TokenStream {
    if method.reply.is_deferred {
        // Only `receive` can defer: it is the one that has the reply slot.
        return quote! {
            ::core::mem::drop(message);
            ::core::future::pending().await
        };
    }
    let (unpack, invocation) = (unpack(method), method.invocation());
    let wait = method.is_async.then(|| quote!(.await));
    quote! {
        #unpack
        #invocation #wait
    }
}

fn receive_body(method: &Method, later: &TokenStream) -> TokenStream {
    let (unpack, invocation) = (unpack(method), method.invocation());
    let wait = method.is_async.then(|| quote!(.await));
    let run = if method.reply.is_deferred {
        let reply_ty = &method.reply.ty;
        quote! {
            ctx.hold_reply(reply);
            let deferred: ::mobula::__macro::Deferred<#reply_ty> = #invocation #wait;
            ::core::mem::drop(deferred);
            ctx.release_held_reply();
        }
    } else {
        quote!(reply.send(#invocation #wait);)
    };
    if method.is_async {
        let span = macro_span(method.ident.span());
        quote_spanned! {span=>
            #unpack
            ::mobula::__macro::Step::#later(async move { #run })
        }
    } else {
        quote! {
            #unpack
            #run
        }
    }
}

fn shared(model: &ActorImpl, method: &Method, message: &Ident) -> TokenStream {
    let self_path = &model.subject.self_path;
    let reply_ty = &method.reply.ty;
    let (unpack, invocation) = (unpack(method), method.invocation());
    let wait = method.is_async.then(|| quote!(.await));
    let blocking = (!method.is_async).then(|| {
        quote! {
            const BLOCKING: bool = true;
            fn handle_blocking(
                &self,
                message: #message,
            ) -> ::core::option::Option<#reply_ty> {
                #unpack
                ::core::option::Option::Some(#invocation)
            }
        }
    });
    let span = macro_span(method.ident.span());
    quote_spanned! {span=>
        impl ::mobula::__macro::SharedHandler<#message> for #self_path {
            async fn handle(&self, message: #message) -> #reply_ty {
                #unpack
                #invocation #wait
            }
            #blocking
        }
    }
}
