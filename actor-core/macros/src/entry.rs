//! `#[main]` and `#[test]`: an async function that runs on a node.
//!
//! The user's function stays whole, as an inner function of the same name: its `?`, its parameter
//! and its attributes mean what they mean everywhere else.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Expr, FnArg, Ident, ItemFn, Visibility};

use crate::options::{comma, literal, value};
use crate::refusals::{Refusals, beside};
use crate::signature::check_function;

/// The options of `#[main(…)]`.
#[derive(Default)]
struct MainArguments {
    workers: Option<Expr>,
    arbiters: Option<Expr>,
}

impl Parse for MainArguments {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut arguments = Self::default();
        while !input.is_empty() {
            let key = input.call(Ident::parse_any)?;
            let count = value::<Expr>(input)?;
            if literal(&count) == Some(0) {
                return Err(syn::Error::new_spanned(count, "at least one thread is needed"));
            }
            match key.to_string().as_str() {
                "workers" => arguments.workers = Some(count),
                "arbiters" => arguments.arbiters = Some(count),
                other => {
                    return Err(syn::Error::new_spanned(
                        &key,
                        format!(
                            "`#[main]` has no option `{other}`; it has `workers = n` and `arbiters = n`"
                        ),
                    ));
                }
            }
            comma(input)?;
        }
        Ok(arguments)
    }
}

/// The expansion of `#[main(arguments)] item`.
pub(crate) fn expand_main(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let written = syn::parse2::<MainArguments>(arguments).and_then(|arguments| {
        let function = driver(item.clone(), "#[mobula::main]")?;
        let workers = arguments.workers.map(|count| quote!(.workers(#count)));
        let arbiters = arguments.arbiters.map(|count| quote!(.arbiters(#count)));
        let options = quote!(::mobula::__macro::MainOptions::new() #workers #arbiters);
        Ok(wrap(function, None, &quote!(run_main), Some(&options)))
    });
    written.unwrap_or_else(|error| plain_item(&item, &error))
}

/// The expansion of `#[test] item`.
pub(crate) fn expand_test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    if !arguments.is_empty() {
        let error = syn::Error::new_spanned(arguments, "`#[mobula::test]` has no options");
        return plain_item(&item, &error);
    }
    match driver(item.clone(), "#[mobula::test]") {
        Ok(function) => {
            let test = quote!(#[::core::prelude::v1::test]);
            wrap(function, Some(&test), &quote!(run_test), None)
        }
        Err(error) => plain_item(&item, &error),
    }
}

/// A refused function as one without parameters and `async`, so that `main` at least exists.
fn plain_item(item: &TokenStream, error: &syn::Error) -> TokenStream {
    match syn::parse2::<ItemFn>(item.clone()) {
        Ok(function) => {
            let ident = &function.sig.ident;
            beside(quote!(fn #ident() {}), error)
        }
        Err(_) => beside(item, error),
    }
}

fn driver(item: TokenStream, attribute: &str) -> syn::Result<ItemFn> {
    let Ok(function) = syn::parse2::<ItemFn>(item.clone()) else {
        return Err(syn::Error::new_spanned(
            item,
            format!("`{attribute}` goes on an async function"),
        ));
    };
    let mut refusals = Refusals::default();
    let signature = &function.sig;
    check_function(signature, "the driver of a node", &mut refusals);
    if signature.asyncness.is_none() {
        refusals.push(signature.fn_token, format!("`{attribute}` goes on an `async fn`"));
    }
    if let Some(second) = signature.inputs.iter().nth(1) {
        refusals.push(second, "the driver of a node has one parameter, `node: Node`, or none");
    }
    if let Some(FnArg::Receiver(receiver)) = signature.inputs.first() {
        refusals.push(receiver, "the driver of a node is a free function");
    }
    refusals.finish(function)
}

fn wrap(
    function: ItemFn,
    test: Option<&TokenStream>,
    run: &TokenStream,
    options: Option<&TokenStream>,
) -> TokenStream {
    let ItemFn { attrs, vis, sig, block } = function;
    let (ident, output) = (&sig.ident, &sig.output);
    let driver = if sig.inputs.is_empty() { quote!(|_node| #ident()) } else { quote!(#ident) };
    let options = options.map(|options| quote!(#options,));
    let vis = if test.is_some() { Visibility::Inherited } else { vis };
    quote! {
        #test
        #(#attrs)*
        #vis fn #ident() #output {
            #sig #block
            ::mobula::__macro::#run(#options #driver)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expansion::{errors, shown};

    #[test]
    fn main_keeps_the_function_inside() {
        let text = shown(expand_main(
            quote!(workers = 2),
            quote!(
                async fn main(node: Node) -> anyhow::Result<()> {
                    Ok(())
                }
            ),
        ));
        assert!(text.starts_with("fn main() -> anyhow::Result<()> {"), "{text}");
        assert!(text.contains("async fn main(node: Node) -> anyhow::Result<()>"), "{text}");
        assert!(
            text.contains("run_main(::mobula::__macro::MainOptions::new().workers(2), main)"),
            "{text}"
        );
    }

    #[test]
    fn the_parameter_may_be_left_out() {
        let text = shown(expand_test(
            quote!(),
            quote!(
                #[ignore]
                async fn counts() {}
            ),
        ));
        assert!(text.contains("run_test(|_node| counts())"), "{text}");
        assert!(text.contains("#[ignore]"), "{text}");
    }

    #[test]
    fn wrong_shapes_are_refused() {
        let refused = |item| errors(expand_main(quote!(), item)).join("\n");
        assert!(
            refused(quote!(
                fn main() {}
            ))
            .contains("`async fn`")
        );
        assert!(
            refused(quote!(
                async fn main(a: Node, b: Node) {}
            ))
            .contains("one parameter")
        );
        assert!(
            refused(quote!(
                struct Main;
            ))
            .contains("async function")
        );
        let zero = errors(expand_main(
            quote!(workers = 0),
            quote!(
                async fn main() {}
            ),
        ));
        assert!(zero[0].contains("at least one thread"));
    }
}
