//! The lifecycle hooks: `started`, `stopping`, `down`.
//!
//! A hook is an ordinary method of a known name. What it takes is recognised by type, in any order,
//! and all of it may be left out; what it returns is `()` or a `Result`.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{FnArg, ImplItemFn, ReturnType, Type};

use crate::names::plain;
use crate::refusals::Refusals;
use crate::signature::{check_function, conditions, is_named};

use super::arguments::Mode;
use super::method::is_context;

/// Which hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HookKind {
    Started,
    Stopping,
    Down,
}

impl HookKind {
    /// The hook of this name.
    pub(crate) fn of(ident: &Ident) -> Option<Self> {
        match plain(ident).as_str() {
            "started" => Some(Self::Started),
            "stopping" => Some(Self::Stopping),
            "down" => Some(Self::Down),
            _ => None,
        }
    }

    const fn signature(self) -> &'static str {
        match self {
            Self::Started => "`started(&mut self, ctx: &mut Context<Self>)`",
            Self::Stopping => "`stopping(&mut self, ctx: &mut Context<Self>, reason: ExitReason)`",
            Self::Down => {
                "`down(&mut self, ctx: &mut Context<Self>, monitor: MonitorRef, reason: ExitReason)`"
            }
        }
    }
}

/// A hook that the user wrote.
#[derive(Debug)]
pub(crate) struct Hook {
    kind: HookKind,
    ident: Ident,
    conditions: Vec<syn::Attribute>,
    places: Vec<Place>,
    is_async: bool,
    is_result: bool,
}

/// One parameter of the user's hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Context,
    Monitor,
    Reason,
    ReasonRef,
}

impl Hook {
    /// Reads a hook; `None` if something was refused.
    pub(crate) fn read(
        kind: HookKind,
        function: &ImplItemFn,
        refusals: &mut Refusals,
    ) -> Option<Self> {
        let signature = &function.sig;
        check_function(signature, "a hook", refusals);
        let receiver = signature.receiver()?;
        if receiver.reference.is_none() || receiver.colon_token.is_some() {
            refusals.push(receiver, "a hook takes `&mut self` or `&self`");
        }
        let mut places = Vec::new();
        for input in &signature.inputs {
            let FnArg::Typed(parameter) = input else {
                continue;
            };
            match place(kind, &parameter.ty) {
                Some(place) if !places.contains(&place) => places.push(place),
                _ => refusals.push(
                    parameter,
                    format!(
                        "a hook gets only what the actor can give it: {}; each may be left out",
                        kind.signature()
                    ),
                ),
            }
        }
        let is_result = match &signature.output {
            ReturnType::Default => false,
            ReturnType::Type(_, ty) if is_named(ty, "Result") => true,
            ReturnType::Type(_, ty) if is_unit(ty) => false,
            ReturnType::Type(_, ty) => {
                refusals.push(
                    ty,
                    "a hook returns nothing or a `Result<(), E>`: nobody waits for its answer",
                );
                false
            }
        };
        Some(Self {
            kind,
            ident: signature.ident.clone(),
            conditions: conditions(&function.attrs),
            places,
            is_async: signature.asyncness.is_some(),
            is_result,
        })
    }

    fn takes(&self, wanted: &[Place]) -> bool {
        self.places.iter().any(|place| wanted.contains(place))
    }
}

fn place(kind: HookKind, ty: &Type) -> Option<Place> {
    if is_context(ty) && matches!(ty, Type::Reference(_)) {
        return Some(Place::Context);
    }
    let (inner, is_reference) = match ty {
        Type::Reference(reference) if reference.mutability.is_none() => (&*reference.elem, true),
        other => (other, false),
    };
    match kind {
        HookKind::Down if is_named(inner, "MonitorRef") && !is_reference => Some(Place::Monitor),
        HookKind::Down | HookKind::Stopping if is_named(inner, "ExitReason") => {
            Some(if is_reference { Place::ReasonRef } else { Place::Reason })
        }
        HookKind::Started | HookKind::Stopping | HookKind::Down => None,
    }
}

fn is_unit(ty: &Type) -> bool {
    matches!(ty, Type::Tuple(tuple) if tuple.elems.is_empty())
}

/// The hooks as items of `impl Actor`.
pub(crate) fn print(hooks: &[Hook], mode: &Mode) -> TokenStream {
    hooks.iter().map(|hook| one(hook, matches!(mode, Mode::Local))).collect()
}

fn one(hook: &Hook, is_local: bool) -> TokenStream {
    let (ident, conditions) = (&hook.ident, &hook.conditions);
    let ctx = name("ctx", hook.takes(&[Place::Context]));
    let reason = name("reason", hook.takes(&[Place::Reason, Place::ReasonRef]));
    let monitor = name("monitor", hook.takes(&[Place::Monitor]));
    let parameters = match hook.kind {
        HookKind::Started => TokenStream::new(),
        HookKind::Stopping => quote!(, #reason: ::mobula::__macro::ExitReason),
        HookKind::Down => quote! {
            , #monitor: ::mobula::__macro::MonitorRef
            , #reason: ::mobula::__macro::ExitReason
        },
    };
    let places = hook.places.iter().map(|place| match place {
        Place::Context => quote!(ctx),
        Place::Monitor => quote!(monitor),
        Place::Reason => quote!(reason),
        Place::ReasonRef => quote!(&reason),
    });
    let call = quote!(Self::#ident(self #(, #places)*));
    let body = body(hook, &call, is_local);
    quote! {
        #(#conditions)*
        fn #ident<'a>(
            &'a mut self,
            #ctx: &'a mut ::mobula::__macro::Context<Self>
            #parameters
        ) -> ::mobula::__macro::Hook<'a, Self> {
            #body
        }
    }
}

fn name(text: &str, is_used: bool) -> TokenStream {
    let ident = if is_used { text.to_owned() } else { format!("_{text}") };
    let ident = Ident::new(&ident, proc_macro2::Span::call_site());
    quote!(#ident)
}

fn body(hook: &Hook, call: &TokenStream, is_local: bool) -> TokenStream {
    match (hook.is_async, hook.is_result) {
        (false, false) => quote! {
            #call;
            ::mobula::__macro::Hook::done()
        },
        (false, true) => {
            let kept = kept(call);
            quote!(::mobula::__macro::Hook::from_result(#kept))
        }
        (true, is_result) => {
            let later = if is_local { quote!(later_local) } else { quote!(later) };
            let run = if is_result {
                kept(&quote!(#call.await))
            } else {
                quote! {
                    #call.await;
                    ::core::result::Result::Ok(())
                }
            };
            quote!(::mobula::__macro::Hook::#later(async move { #run }))
        }
    }
}

/// A `Result<(), E>` with its error kept as text and, where possible, as itself.
fn kept(result: &TokenStream) -> TokenStream {
    quote! {
        match ::mobula::__macro::ResultParts::into_std(#result) {
            ::core::result::Result::Ok(()) => ::core::result::Result::Ok(()),
            ::core::result::Result::Err(error) => {
                use ::mobula::__macro::refusal::*;
                let kind = (&&&&Probe::of(&error)).keeping_kind();
                ::core::result::Result::Err(kind.keep(error))
            }
        }
    }
}
