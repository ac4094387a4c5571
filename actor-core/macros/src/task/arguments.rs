//! The options of `#[task(…)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Expr, ExprLit, Ident, Lit, LitStr, Token, parenthesized};

use crate::options::{comma, literal, value};

/// What stands in `#[task(…)]`.
#[derive(Debug, Default)]
pub(crate) struct TaskArguments {
    pub(crate) name: Option<LitStr>,
    pub(crate) version: Option<Expr>,
    pub(crate) num_returns: Option<(Expr, usize)>,
    num_cpus: Option<Expr>,
    memory: Option<Expr>,
    resources: Vec<(LitStr, Expr)>,
    max_retries: Option<Expr>,
    retry_errors: bool,
}

impl Parse for TaskArguments {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut arguments = Self::default();
        while !input.is_empty() {
            let key = input.call(Ident::parse_any)?;
            match key.to_string().as_str() {
                "name" => arguments.name = Some(value(input)?),
                "version" => arguments.version = Some(value(input)?),
                "num_returns" => arguments.num_returns = Some(num_returns(value(input)?)?),
                "num_cpus" => arguments.num_cpus = Some(value(input)?),
                "memory" => arguments.memory = Some(value(input)?),
                "resource" => arguments.resources.push(resource(input)?),
                "max_retries" => arguments.max_retries = Some(value(input)?),
                "retry_errors" => arguments.retry_errors = true,
                other => {
                    return Err(syn::Error::new_spanned(
                        &key,
                        format!(
                            "`#[task]` has no option `{other}`; it has `num_cpus = 1.0`, `memory = bytes`, `resource(\"gpu\", 1.0)`, `max_retries = n`, `retry_errors`, `name = \"…\"`, `version = n` and `num_returns = n`"
                        ),
                    ));
                }
            }
            comma(input)?;
        }
        Ok(arguments)
    }
}

impl TaskArguments {
    /// The builder calls that make the task's default options.
    pub(crate) fn builders(&self) -> TokenStream {
        let num_cpus = self.num_cpus.as_ref().map(|amount| {
            let amount = float(amount);
            quote!(.num_cpus(#amount))
        });
        let memory = self.memory.as_ref().map(|size_bytes| quote!(.memory(#size_bytes)));
        let resources = self.resources.iter().map(|(name, amount)| {
            let amount = float(amount);
            quote!(.resource(#name, #amount))
        });
        let max_retries = self.max_retries.as_ref().map(|count| quote!(.max_retries(#count)));
        let retry_errors = self.retry_errors.then(|| quote!(.retry_errors()));
        quote!(#num_cpus #memory #(#resources)* #max_retries #retry_errors)
    }
}

fn resource(input: ParseStream<'_>) -> syn::Result<(LitStr, Expr)> {
    let content;
    parenthesized!(content in input);
    let name = content.parse()?;
    content.parse::<Token![,]>()?;
    let amount = content.parse()?;
    Ok((name, amount))
}

fn num_returns(count: Expr) -> syn::Result<(Expr, usize)> {
    match literal(&count).and_then(|number| usize::try_from(number).ok()) {
        Some(number @ 1..=8) => Ok((count, number)),
        _ => Err(syn::Error::new_spanned(count, "`num_returns` is a number from 1 to 8")),
    }
}

/// `2` as `2.0`: amounts are fractions, and people write whole ones without a point.
fn float(amount: &Expr) -> TokenStream {
    match amount {
        Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) if number.suffix().is_empty() => {
            let float = syn::LitFloat::new(&format!("{}.0", number.base10_digits()), number.span());
            quote!(#float)
        }
        other => quote!(#other),
    }
}
