//! Names of generated items, made from the user's names.
//!
//! `Counter` and `load_all` give `CounterLoadAll`. Generated names point at the user's token (so that
//! an editor jumps there) but count as written by a macro (so that lints on names leave them alone).

use proc_macro2::{Ident, Span};
use syn::ext::IdentExt;

/// The name without a raw prefix: `r#type` is `type`.
pub(crate) fn plain(ident: &Ident) -> String {
    ident.unraw().to_string()
}

/// `load_all` as `LoadAll`.
pub(crate) fn upper_camel_case(ident: &Ident) -> String {
    let mut name = String::new();
    for word in plain(ident).split('_') {
        let mut letters = word.chars();
        if let Some(first) = letters.next() {
            name.extend(first.to_uppercase());
            name.push_str(letters.as_str());
        }
    }
    name
}

/// An item named `text`, standing for the user's `source`.
pub(crate) fn generated(text: &str, source: &Ident) -> Ident {
    Ident::new(text, macro_span(source.span()))
}

/// The place of `span`, as code that a macro wrote.
pub(crate) fn macro_span(span: Span) -> Span {
    span.resolved_at(Span::call_site())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camel(text: &str) -> String {
        upper_camel_case(&syn::parse_str::<Ident>(text).unwrap())
    }

    #[test]
    fn methods_become_types() {
        assert_eq!(camel("next"), "Next");
        assert_eq!(camel("load_all"), "LoadAll");
        assert_eq!(camel("_peek"), "Peek");
        assert_eq!(camel("r#type"), "Type");
        assert_eq!(camel("top_10"), "Top10");
    }
}
