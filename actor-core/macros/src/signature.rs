//! What actors and tasks demand of a function's signature.
//!
//! An argument leaves the caller's stack: it waits in a mailbox, crosses to another thread, perhaps to
//! another machine. So it must own what it carries, have a type that can be named, and a name that
//! the generated function can repeat. Anything else is refused here, at the token, with the way out.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::visit::Visit;
use syn::visit_mut::VisitMut;
use syn::{
    Attribute, FnArg, GenericArgument, Generics, Lifetime, Pat, PatType, Path, PathArguments,
    Signature, Type, TypeBareFn, TypeImplTrait, TypeReference,
};

use crate::refusals::Refusals;

/// The longest list of arguments; `Args` in actor-core is implemented for tuples up to this.
pub(crate) const ARGUMENTS_MAX: usize = 8;

/// One argument of a call.
#[derive(Clone, Debug)]
pub(crate) struct Argument {
    /// The parameter's name.
    pub(crate) name: Ident,
    /// Its type, without `Self`.
    pub(crate) ty: Type,
}

/// Refuses what no function behind a message can have: generics, `unsafe`, `extern`, `const`-less ABI.
pub(crate) fn check_function(signature: &Signature, what: &str, refusals: &mut Refusals) {
    check_generics(&signature.generics, what, refusals);
    if let Some(unsafety) = &signature.unsafety {
        refusals.push(unsafety, format!("{what} cannot be `unsafe`: nobody at the other end of a message could keep the promise"));
    }
    if let Some(abi) = &signature.abi {
        refusals.push(abi, format!("{what} cannot be `extern`"));
    }
    if let Some(variadic) = &signature.variadic {
        refusals.push(variadic, format!("{what} cannot be variadic"));
    }
}

/// Refuses generics: a message has one type, known where it is decoded.
pub(crate) fn check_generics(generics: &Generics, what: &str, refusals: &mut Refusals) {
    if !generics.params.is_empty() {
        refusals.push(
            &generics.params,
            format!("{what} cannot be generic: what is sent must have one concrete type, known where it arrives; name the types you need, or box a trait object"),
        );
    }
    if let Some(clause) = &generics.where_clause {
        refusals.push(clause, format!("{what} cannot have a `where` clause: it cannot be generic"));
    }
}

/// Reads one parameter as an argument.
pub(crate) fn argument(
    parameter: &PatType,
    self_path: Option<&Path>,
    refusals: &mut Refusals,
) -> Option<Argument> {
    let Pat::Ident(pattern) = &*parameter.pat else {
        refusals.push(
            &parameter.pat,
            "a parameter needs a plain name here, because the generated call repeats it; take the value and destructure it inside",
        );
        return None;
    };
    if pattern.by_ref.is_some() || pattern.subpat.is_some() {
        refusals.push(pattern, "a parameter needs a plain name here, without `ref` or `@`");
        return None;
    }
    check_owned(&parameter.ty, "an argument", refusals);
    Some(Argument { name: pattern.ident.clone(), ty: without_self(&parameter.ty, self_path) })
}

/// Reads all parameters of a function without `self`.
pub(crate) fn arguments(
    signature: &Signature,
    self_path: Option<&Path>,
    refusals: &mut Refusals,
) -> Vec<Argument> {
    let mut arguments = Vec::new();
    for input in &signature.inputs {
        match input {
            FnArg::Typed(parameter) => arguments.extend(argument(parameter, self_path, refusals)),
            FnArg::Receiver(receiver) => refusals.push(receiver, "`self` has no meaning here"),
        }
    }
    check_count(signature, &arguments, refusals);
    arguments
}

/// Refuses more arguments than a message can have.
pub(crate) fn check_count(signature: &Signature, arguments: &[Argument], refusals: &mut Refusals) {
    if arguments.len() > ARGUMENTS_MAX {
        refusals.push(
            &signature.inputs,
            format!("at most {ARGUMENTS_MAX} arguments; put some of them into a struct"),
        );
    }
}

/// Refuses borrowed and unnameable types in what crosses to another task.
pub(crate) fn check_owned(ty: &Type, what: &'static str, refusals: &mut Refusals) {
    BorrowFinder { what, refusals }.visit_type(ty);
}

struct BorrowFinder<'r> {
    what: &'static str,
    refusals: &'r mut Refusals,
}

impl<'ast> Visit<'ast> for BorrowFinder<'_> {
    fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
        let is_static = reference.lifetime.as_ref().is_some_and(|name| name.ident == "static");
        if is_static && reference.mutability.is_none() {
            self.visit_type(&reference.elem);
        } else {
            self.refusals.push(
                reference,
                format!("{} cannot be a reference: messages own what they carry; take it by value (`String` for `&str`, `Vec<T>` for `&[T]`) or share it in an `Arc`", self.what),
            );
        }
    }

    fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
        if lifetime.ident != "static" {
            self.refusals.push(
                lifetime,
                format!(
                    "{} cannot borrow: messages own what they carry; only `'static` can stand here",
                    self.what
                ),
            );
        }
    }

    fn visit_type_impl_trait(&mut self, ty: &'ast TypeImplTrait) {
        self.refusals.push(
            ty,
            format!("{} cannot be `impl Trait`: what is sent must have one concrete type; name it, or use `Box<dyn Trait + Send>`", self.what),
        );
    }

    // `fn(&str)` and `Fn(&str)` borrow when they are called, not when they are carried.
    fn visit_type_bare_fn(&mut self, _: &'ast TypeBareFn) {}
    fn visit_parenthesized_generic_arguments(
        &mut self,
        _: &'ast syn::ParenthesizedGenericArguments,
    ) {
    }
}

/// The type with `Self` written out, for use outside of the `impl` block.
pub(crate) fn without_self(ty: &Type, self_path: Option<&Path>) -> Type {
    let mut ty = ty.clone();
    if let Some(self_path) = self_path {
        SelfWriter { self_path }.visit_type_mut(&mut ty);
    }
    ty
}

struct SelfWriter<'p> {
    self_path: &'p Path,
}

impl VisitMut for SelfWriter<'_> {
    fn visit_path_mut(&mut self, path: &mut Path) {
        if path.leading_colon.is_none()
            && path.segments.first().is_some_and(|first| first.ident == "Self")
        {
            let rest = path.segments.iter().skip(1).cloned().collect::<Vec<_>>();
            let mut written = self.self_path.clone();
            written.segments.extend(rest);
            *path = written;
        }
        syn::visit_mut::visit_path_mut(self, path);
    }
}

/// The last segment of a path type, with its type arguments: `io::Result<T>` gives `Result`, `[T]`.
pub(crate) fn last_segment(ty: &Type) -> Option<(&Ident, Vec<&Type>)> {
    let ty = match ty {
        Type::Group(group) => &*group.elem,
        Type::Paren(paren) => &*paren.elem,
        other => other,
    };
    let Type::Path(path) = ty else { return None };
    let segment = path.path.segments.last()?;
    let mut types = Vec::new();
    if let PathArguments::AngleBracketed(arguments) = &segment.arguments {
        for argument in &arguments.args {
            if let GenericArgument::Type(ty) = argument {
                types.push(ty);
            }
        }
    }
    Some((&segment.ident, types))
}

/// Whether the type's last segment is `name`.
pub(crate) fn is_named(ty: &Type, name: &str) -> bool {
    last_segment(ty).is_some_and(|(ident, _)| ident == name)
}

/// The attributes that must stand on everything generated for an item: conditions.
pub(crate) fn conditions(attributes: &[Attribute]) -> Vec<Attribute> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).cloned().collect()
}

/// The attributes that a reader of the generated item should see, too.
pub(crate) fn reading_matter(attributes: &[Attribute]) -> Vec<Attribute> {
    let wanted = ["doc", "deprecated", "cfg"];
    attributes
        .iter()
        .filter(|attribute| wanted.iter().any(|name| attribute.path().is_ident(name)))
        .cloned()
        .collect()
}

/// Whether there is documentation among the attributes.
pub(crate) fn is_documented(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| attribute.path().is_ident("doc"))
}

/// Types as text, spaced as a person would: the same from every compiler.
pub(crate) fn text(tokens: impl ToTokens) -> String {
    let mut out = String::new();
    write_tokens(tokens.into_token_stream(), &mut out);
    out.trim_end().to_owned()
}

fn write_tokens(tokens: TokenStream, out: &mut String) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    proc_macro2::Delimiter::Parenthesis => ("(", ")"),
                    proc_macro2::Delimiter::Bracket => ("[", "]"),
                    proc_macro2::Delimiter::Brace => ("{", "}"),
                    proc_macro2::Delimiter::None => ("", ""),
                };
                out.push_str(open);
                write_tokens(group.stream(), out);
                out.truncate(out.trim_end().len());
                out.push_str(close);
            }
            TokenTree::Punct(punct) => match punct.as_char() {
                symbol @ (',' | ';') => {
                    out.push(symbol);
                    out.push(' ');
                }
                '-' => out.push_str(" -"),
                '>' if out.ends_with(" -") => out.push_str("> "),
                symbol @ ('+' | '=') => {
                    out.push(' ');
                    out.push(symbol);
                    out.push(' ');
                }
                symbol => out.push(symbol),
            },
            word @ (TokenTree::Ident(_) | TokenTree::Literal(_)) => {
                if out.ends_with(|last: char| last.is_alphanumeric() || last == '_') {
                    out.push(' ');
                }
                out.push_str(&word.to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests;
