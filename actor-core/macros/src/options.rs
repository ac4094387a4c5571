//! Reading the options in an attribute's parentheses.

use syn::parse::{Parse, ParseStream};
use syn::{Expr, ExprLit, Lit, Token};

/// What stands after `key =`.
pub(crate) fn value<T: Parse>(input: ParseStream<'_>) -> syn::Result<T> {
    input.parse::<Token![=]>()?;
    input.parse()
}

/// The comma between two options.
pub(crate) fn comma(input: ParseStream<'_>) -> syn::Result<()> {
    if !input.is_empty() {
        input.parse::<Token![,]>()?;
    }
    Ok(())
}

/// The number, if an expression is a literal without a sign.
pub(crate) fn literal(expression: &Expr) -> Option<u64> {
    match expression {
        Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => number.base10_parse().ok(),
        _ => None,
    }
}
