//! The constructor: how `Counter::remote(…)` starts an actor.
//!
//! Arguments are handed to a factory. Started once, the arguments are moved into it; restartable, they
//! are cloned for each start, so `max_restarts` changes the type of the options and only then are
//! arguments asked to be `Clone`.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Attribute, Ident, Path, ReturnType, Type, Visibility};

use crate::builders::{self, forwarded};
use crate::lints::lifted;
use crate::names::plain;
use crate::refusals::Refusals;
use crate::signature::{Argument, arguments, check_function, conditions, last_segment, text};
use crate::wire;

use super::marked::Marked;
use super::subject::Subject;

/// The function that makes the actor.
#[derive(Debug)]
pub(crate) struct Constructor {
    ident: Ident,
    visibility: Visibility,
    conditions: Vec<Attribute>,
    arguments: Vec<Argument>,
}

/// Finds the constructor among the functions of the block.
pub(crate) fn find(
    functions: &[Marked],
    self_path: &Path,
    refusals: &mut Refusals,
) -> Option<Constructor> {
    let mut marks = functions.iter().filter(|marked| marked.constructor_mark.is_some());
    let marked = marks.next();
    for second in marks {
        refusals.push(
            &second.constructor_mark,
            "an actor has one constructor; another one is marked already",
        );
    }
    let chosen = match marked {
        Some(marked) => marked,
        None => implied(functions, self_path, refusals)?,
    };
    let signature = &chosen.function.sig;
    if let Some(receiver) = signature.receiver() {
        refusals.push(receiver, "a constructor makes the actor, so it has no `self`");
        return None;
    }
    let refused_count = refusals.count();
    check_function(signature, "a constructor", refusals);
    let constructor = Constructor {
        ident: signature.ident.clone(),
        visibility: chosen.function.vis.clone(),
        conditions: conditions(&chosen.function.attrs),
        arguments: arguments(signature, Some(self_path), refusals),
    };
    (refusals.count() == refused_count).then_some(constructor)
}

/// `new`, or the only visible function that returns the actor.
fn implied<'f>(
    functions: &'f [Marked],
    self_path: &Path,
    refusals: &mut Refusals,
) -> Option<&'f Marked> {
    let makes_actor = |marked: &&Marked| {
        marked.function.sig.receiver().is_none()
            && returns_actor(&marked.function.sig.output, self_path)
    };
    let makers = functions.iter().filter(makes_actor).collect::<Vec<_>>();
    if let Some(new) = makers.iter().find(|marked| plain(&marked.function.sig.ident) == "new") {
        return Some(new);
    }
    let mut visible =
        makers.into_iter().filter(|marked| !matches!(marked.function.vis, Visibility::Inherited));
    let first = visible.next();
    for other in visible {
        refusals.push(
            &other.function.sig.ident,
            "which function makes the actor? Several return it: name one of them `new`, or mark one with `#[constructor]`",
        );
    }
    first
}

fn returns_actor(output: &ReturnType, self_path: &Path) -> bool {
    let ReturnType::Type(_, ty) = output else {
        return false;
    };
    let is_actor = |ty: &Type| match ty {
        Type::Path(path) => path.path.is_ident("Self") || path.path == *self_path,
        _ => false,
    };
    match last_segment(ty) {
        Some((name, types)) if name == "Result" => types.first().is_some_and(|ty| is_actor(ty)),
        _ => is_actor(ty),
    }
}

/// `remote`, `options` and the options type.
pub(crate) fn print(subject: &Subject, constructor: Option<&Constructor>) -> TokenStream {
    let self_path = &subject.self_path;
    let options = subject.item_name("Options");
    let name = subject.name();
    let options_doc = format!("Options to start a [`{name}`] with.");
    let visibility = constructor
        .map_or_else(|| syn::parse_quote!(pub), |constructor| constructor.visibility.clone());
    let starting = constructor.map(|constructor| starting(subject, constructor));
    let on_options = constructor.map(|constructor| on_options(subject, constructor));
    let table_entry = constructor.map(|constructor| table_entry(subject, constructor));
    let builders = forwarded(builders::ACTOR, &quote!(, restarts: self.restarts));
    let shown = options.to_string();
    let lifted = lifted();
    quote! {
        #lifted
        impl #self_path {
            #starting

            #[doc = #options_doc]
            ///
            /// # Panics
            /// Outside of a node.
            #[must_use]
            #[track_caller]
            #visibility fn options() -> #options<::mobula::__macro::Once> {
                #options {
                    options: ::mobula::__macro::ActorOptions::here(),
                    restarts: ::core::marker::PhantomData,
                }
            }
        }

        #[doc = #options_doc]
        #[must_use]
        #lifted
        pub struct #options<R = ::mobula::__macro::Once> {
            options: ::mobula::__macro::ActorOptions<#self_path>,
            restarts: ::core::marker::PhantomData<fn() -> R>,
        }

        #[automatically_derived]
        impl<R> ::core::fmt::Debug for #options<R> {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::fmt::Formatter::write_str(f, #shown)
            }
        }

        #lifted
        impl<R> #options<R> {
            #builders

            /// Restarts the actor up to this often when it ends abnormally; the arguments must be `Clone`.
            #[must_use]
            pub fn max_restarts(self, max_restarts: u32) -> #options<::mobula::__macro::Restartable> {
                #options {
                    options: self.options.max_restarts(max_restarts),
                    restarts: ::core::marker::PhantomData,
                }
            }

            /// Starts the actor from a function that makes it, called once for each start.
            pub fn spawn_with<S, K>(
                self,
                make: impl ::core::ops::FnMut() -> S + ::core::marker::Send + 'static,
            ) -> ::mobula::__macro::ActorRef<#self_path>
            where
                S: ::mobula::__macro::IntoStart<#self_path, K>,
            {
                self.options.spawn_with(make)
            }

            #on_options
        }

        #table_entry
    }
}

fn names_and_types(constructor: &Constructor) -> (Vec<&Ident>, Vec<&Type>) {
    constructor.arguments.iter().map(|argument| (&argument.name, &argument.ty)).unzip()
}

/// The constructor, as a closure over the tuple of its arguments.
fn make(subject: &Subject, constructor: &Constructor) -> TokenStream {
    let (self_path, ident) = (&subject.self_path, &constructor.ident);
    let (_, types) = names_and_types(constructor);
    let places = (0..types.len()).map(|index| syn::Index {
        index: u32::try_from(index).unwrap_or(0),
        span: Span::call_site(),
    });
    let binding = if types.is_empty() { quote!((): ()) } else { quote!(args: (#(#types,)*)) };
    quote!(|#binding| <#self_path>::#ident(#(args.#places),*))
}

/// What the actor is called when another node is asked to start it.
fn kind(subject: &Subject, constructor: &Constructor) -> TokenStream {
    let self_path = &subject.self_path;
    let (_, types) = names_and_types(constructor);
    let signature = text(quote!(#(#types),*));
    quote! {
        ::mobula::__macro::SpawnKind {
            key: ::mobula::__macro::keyed(
                <#self_path as ::mobula::__macro::Actor>::KEY,
                #signature,
            ),
            name: <#self_path as ::mobula::__macro::Actor>::NAME,
        }
    }
}

/// The entry of the constructor in the table of what this program does for other nodes.
fn table_entry(subject: &Subject, constructor: &Constructor) -> TokenStream {
    let self_path = &subject.self_path;
    let conditions = &constructor.conditions;
    let (_, types) = names_and_types(constructor);
    let args_ty = quote!((#(#types,)*));
    let (kind, make) = (kind(subject, constructor), make(subject, constructor));
    let codec = wire::codec(&args_ty, &types);
    let entry = wire::submit(&quote! {
        ::mobula::__macro::SpawnEntry {
            kind: #kind,
            spawn: |system, args, options| {
                ::mobula::__macro::spawn_from::<#self_path, #args_ty, _, _>(
                    system, #codec, args, options, #make,
                )
            },
        }
    });
    quote!(#(#conditions)* #entry)
}

fn starting(subject: &Subject, constructor: &Constructor) -> TokenStream {
    let Constructor { visibility, conditions, .. } = constructor;
    let (names, types) = names_and_types(constructor);
    let doc = format!(
        "Starts a [`{0}`] with `{0}::{1}` and returns a reference to it at once.",
        subject.name(),
        plain(&constructor.ident),
    );
    quote! {
        #(#conditions)*
        #[doc = #doc]
        ///
        /// # Panics
        /// Outside of a node.
        #[track_caller]
        #visibility fn remote(#(#names: #types),*) -> ::mobula::__macro::ActorRef<Self> {
            Self::options().remote(#(#names),*)
        }
    }
}

fn on_options(subject: &Subject, constructor: &Constructor) -> TokenStream {
    let self_path = &subject.self_path;
    let Constructor { ident, conditions, .. } = constructor;
    let (names, types) = names_and_types(constructor);
    let args_ty = quote!((#(#types,)*));
    let make = make(subject, constructor);
    let factory = quote! {
        <R as ::mobula::__macro::ArgsPolicy<#args_ty>>::factory(
            args,
            #make,
        )
    };
    let (kind, codec) = (kind(subject, constructor), wire::codec(&args_ty, &types));
    let doc = format!("Starts the actor with `{}::{}`.", subject.name(), plain(ident));
    quote! {
        #(#conditions)*
        #[doc = #doc]
        pub fn remote(self #(, #names: #types)*) -> ::mobula::__macro::ActorRef<#self_path>
        where
            R: ::mobula::__macro::ArgsPolicy<#args_ty>,
        {
            let args: #args_ty = (#(#names,)*);
            match self.options.spawn_elsewhere(#kind, #codec, &args) {
                ::core::result::Result::Ok(::core::option::Option::Some(actor)) => actor,
                ::core::result::Result::Ok(::core::option::Option::None) => {
                    self.options.spawn_factory(#factory)
                }
                ::core::result::Result::Err(error) => self.options.failed(error),
            }
        }

        #(#conditions)*
        #[doc = #doc]
        ///
        /// # Errors
        /// The actor could not be placed or its name is taken; nothing was started.
        pub fn try_remote(
            self
            #(, #names: #types)*
        ) -> ::core::result::Result<
            ::mobula::__macro::ActorRef<#self_path>,
            ::mobula::__macro::SpawnError,
        >
        where
            R: ::mobula::__macro::ArgsPolicy<#args_ty>,
        {
            let args: #args_ty = (#(#names,)*);
            match self.options.spawn_elsewhere(#kind, #codec, &args)? {
                ::core::option::Option::Some(actor) => ::core::result::Result::Ok(actor),
                ::core::option::Option::None => self.options.try_spawn_factory(#factory),
            }
        }
    }
}
