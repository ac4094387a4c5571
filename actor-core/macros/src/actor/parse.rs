//! Reads the `impl` block of an actor into a model.
//!
//! Everything that is refused is refused here, so that the printers below deal with well-formed
//! actors only.

use syn::{ImplItem, ItemImpl, Path, Type, Visibility};

use crate::refusals::Refusals;
use crate::signature::check_generics;

use super::arguments::{ActorArguments, Mode};
use super::constructor::{self, Constructor};
use super::hooks::{Hook, HookKind};
use super::marked::Marked;
use super::method::Method;
use super::reserved;
use super::subject::Subject;

/// An actor, as the printers need it.
#[derive(Debug)]
pub(crate) struct ActorImpl {
    pub(crate) subject: Subject,
    /// `Actor::NAME`.
    pub(crate) shown_name: String,
    /// What stands for the module in the keys of the actor and its messages.
    pub(crate) key: Option<String>,
    pub(crate) mode: Mode,
    pub(crate) methods: Vec<Method>,
    pub(crate) hooks: Vec<Hook>,
    pub(crate) constructor: Option<Constructor>,
}

impl ActorImpl {
    /// Reads `block`, and takes our attributes out of it. What was refused is left out of the model, so
    /// that one mistake is not followed by complaints that everything else is missing.
    pub(crate) fn read(
        arguments: ActorArguments,
        block: &mut ItemImpl,
    ) -> syn::Result<(Self, Option<syn::Error>)> {
        let mut refusals = Refusals::default();
        let self_path = self_path(block)?;
        let mut functions = Vec::new();
        for item in &mut block.items {
            if let ImplItem::Fn(function) = item {
                functions.push(Marked::take(function, &mut refusals));
            }
        }
        let subject = Subject::new(self_path);
        let shown_name = arguments.name.map_or_else(|| subject.name(), |literal| literal.value());
        let mut model = Self {
            subject,
            shown_name,
            key: arguments.key.map(|literal| literal.value()),
            mode: arguments.mode,
            methods: Vec::new(),
            hooks: Vec::new(),
            constructor: None,
        };
        for marked in &functions {
            model.read_function(marked, arguments.max_task_retries.as_ref(), &mut refusals);
        }
        model.constructor = constructor::find(&functions, &model.subject.self_path, &mut refusals);
        Ok((model, refusals.into_error()))
    }

    fn read_function(
        &mut self,
        marked: &Marked,
        max_retries: Option<&syn::Expr>,
        refusals: &mut Refusals,
    ) {
        let function = &marked.function;
        let ident = &function.sig.ident;
        reserved::check_function(ident, refusals);
        let has_self = function.sig.receiver().is_some();
        let refused_count = refusals.count();
        if let (Some(kind), true) = (HookKind::of(ident), has_self) {
            let hook = Hook::read(kind, function, refusals);
            self.hooks.extend(hook.filter(|_| refusals.count() == refused_count));
        } else if has_self && !matches!(function.vis, Visibility::Inherited) {
            reserved::check_call(ident, refusals);
            let mut defaults = marked.defaults.clone().unwrap_or_default();
            if defaults.max_retries.is_none() {
                defaults.max_retries = max_retries.cloned();
            }
            let method =
                Method::read(function, defaults, &self.subject.self_path, &self.mode, refusals);
            self.methods.extend(method.filter(|_| refusals.count() == refused_count));
        } else if let Some(attribute) = &marked.method_attribute {
            refusals.push(
                attribute,
                "`#[method]` goes on a `pub` method with `self`: only those are calls",
            );
        }
    }
}

fn self_path(block: &ItemImpl) -> syn::Result<Path> {
    if let Some((_, path, _)) = &block.trait_ {
        return Err(syn::Error::new_spanned(
            path,
            "`#[actor]` goes on an inherent `impl` block, not on the `impl` of a trait: its methods become the actor's calls",
        ));
    }
    let mut refusals = Refusals::default();
    check_generics(&block.generics, "an actor", &mut refusals);
    refusals.finish(())?;
    match &*block.self_ty {
        Type::Path(path) if path.qself.is_none() && !path.path.segments.is_empty() => {
            Ok(path.path.clone())
        }
        other => Err(syn::Error::new_spanned(other, "an actor is a named type of this crate")),
    }
}
