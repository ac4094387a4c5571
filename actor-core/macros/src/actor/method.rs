//! One callable method of an actor.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::{Attribute, FnArg, ImplItemFn, Path, Receiver, ReturnType, Type, Visibility};

use crate::names::upper_camel_case;
use crate::refusals::Refusals;
use crate::reply::Reply;
use crate::signature::{
    Argument, argument, check_count, check_function, conditions, is_named, reading_matter,
};

use super::arguments::{CallDefaults, Mode};

/// A method that is a call.
#[derive(Debug)]
pub(crate) struct Method {
    pub(crate) ident: Ident,
    pub(crate) visibility: Visibility,
    /// Documentation, deprecation, conditions.
    pub(crate) reading_matter: Vec<Attribute>,
    /// Conditions alone.
    pub(crate) conditions: Vec<Attribute>,
    pub(crate) arguments: Vec<Argument>,
    /// What stands at each place of the parameter list.
    places: Vec<Place>,
    pub(crate) is_async: bool,
    pub(crate) reply: Reply,
    pub(crate) defaults: CallDefaults,
}

/// One parameter of the user's method.
#[derive(Clone, Copy, Debug)]
enum Place {
    Context,
    Argument(usize),
}

impl Method {
    /// Reads a method; `None` if something was refused.
    pub(crate) fn read(
        function: &ImplItemFn,
        defaults: CallDefaults,
        self_path: &Path,
        mode: &Mode,
        refusals: &mut Refusals,
    ) -> Option<Self> {
        let signature = &function.sig;
        check_function(signature, "a method that is a call", refusals);
        check_receiver(signature.receiver()?, mode, refusals);
        let mut arguments = Vec::new();
        let mut places = Vec::new();
        for input in &signature.inputs {
            let FnArg::Typed(parameter) = input else {
                continue;
            };
            if is_context(&parameter.ty) {
                check_context(&parameter.ty, &places, mode, refusals);
                places.push(Place::Context);
            } else {
                places.push(Place::Argument(arguments.len()));
                arguments.push(argument(parameter, Some(self_path), refusals)?);
            }
        }
        check_count(signature, &arguments, refusals);
        let reply = Reply::read(&signature.output, Some(self_path), refusals);
        check_deferred(&reply, &signature.output, mode, refusals);
        Some(Self {
            ident: signature.ident.clone(),
            visibility: function.vis.clone(),
            reading_matter: reading_matter(&function.attrs),
            conditions: conditions(&function.attrs),
            arguments,
            places,
            is_async: signature.asyncness.is_some(),
            reply,
            defaults,
        })
    }

    /// The method's part of generated names: `load_all` gives `LoadAll`.
    pub(crate) fn type_name(&self) -> String {
        upper_camel_case(&self.ident)
    }

    /// Whether the method takes a context.
    pub(crate) fn has_context(&self) -> bool {
        self.places.iter().any(|place| matches!(place, Place::Context))
    }

    /// The user's method, called on `self` with the tuple `args` and, where it wants one, `ctx`.
    pub(crate) fn invocation(&self) -> TokenStream {
        let ident = &self.ident;
        let places = self.places.iter().map(|place| match place {
            Place::Context => quote!(ctx),
            Place::Argument(index) => {
                let index = syn::Index {
                    index: u32::try_from(*index).unwrap_or(0),
                    span: Span::call_site(),
                };
                quote!(args.#index)
            }
        });
        quote!(Self::#ident(self #(, #places)*))
    }
}

/// Whether a parameter is the actor's context, by the name of its type.
pub(crate) fn is_context(ty: &Type) -> bool {
    match ty {
        Type::Reference(reference) => is_named(&reference.elem, "Context"),
        other => is_named(other, "Context"),
    }
}

fn check_context(ty: &Type, places: &[Place], mode: &Mode, refusals: &mut Refusals) {
    if !matches!(ty, Type::Reference(_)) {
        refusals.push(ty, "the context is lent to a handler: take `ctx: &mut Context<Self>`");
    }
    if places.iter().any(|place| matches!(place, Place::Context)) {
        refusals.push(ty, "a method has one context");
    }
    if matches!(mode, Mode::Shared(_)) {
        refusals.push(
            ty,
            "with `max_concurrency` several calls run at a time, and none of them can have the actor's one `&mut Context`; keep what the method needs in the actor itself",
        );
    }
}

fn check_receiver(receiver: &Receiver, mode: &Mode, refusals: &mut Refusals) {
    if receiver.colon_token.is_some() || receiver.reference.is_none() {
        refusals.push(
            receiver,
            "a call cannot take `self` by value: the actor lives on after it; take `&self` or `&mut self`",
        );
    } else if receiver.mutability.is_some() && matches!(mode, Mode::Shared(_)) {
        refusals.push(
            receiver,
            "with `max_concurrency` several calls run at a time, so methods take `&self`; guard what changes with a lock or an atomic",
        );
    }
}

fn check_deferred(reply: &Reply, output: &ReturnType, mode: &Mode, refusals: &mut Refusals) {
    if reply.is_deferred && matches!(mode, Mode::Shared(_)) {
        refusals.push(
            output,
            "`Deferred` needs the context's `defer()`, which actors with `max_concurrency` do not have; make the method async and await the answer",
        );
    }
}
