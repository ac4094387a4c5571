//! Shows expansions to tests: as formatted text, or as the errors in it.

use proc_macro2::TokenStream;
use syn::visit::Visit;

/// The expansion as `rustfmt` would print it.
pub(crate) fn shown(tokens: TokenStream) -> String {
    let file = syn::parse2::<syn::File>(tokens).expect("an expansion is a list of items");
    prettyplease::unparse(&file)
}

/// Asserts that the expansion has this text, whatever the line breaks.
pub(crate) fn assert_has(expansion: &str, wanted: &str) {
    let squeeze = |text: &str| {
        let text = text.split_whitespace().collect::<String>();
        text.replace(",)", ")").replace(",>", ">")
    };
    assert!(squeeze(expansion).contains(&squeeze(wanted)), "`{wanted}` is not in\n{expansion}");
}

/// The messages of every `compile_error!` in the expansion.
pub(crate) fn errors(tokens: TokenStream) -> Vec<String> {
    let file = syn::parse2::<syn::File>(tokens).expect("a refusal is a list of items");
    let mut found = Errors(Vec::new());
    found.visit_file(&file);
    found.0
}

struct Errors(Vec<String>);

impl<'ast> Visit<'ast> for Errors {
    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        if call.path.segments.last().is_some_and(|last| last.ident == "compile_error") {
            let text = call.parse_body::<syn::LitStr>().expect("compile_error! takes a text");
            self.0.push(text.value());
        }
    }
}
