//! Collects what is wrong with an item.
//!
//! Returning the first error makes users compile once per mistake. Parsers push here and go on;
//! [`Refusals::finish`] gives all of them at once, each at the token it speaks of.

use proc_macro2::TokenStream;
use quote::ToTokens;

/// The errors found so far.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    error: Option<syn::Error>,
    count: usize,
}

impl Refusals {
    /// Notes one error at `tokens`.
    pub(crate) fn push(&mut self, tokens: impl ToTokens, message: impl std::fmt::Display) {
        self.add(syn::Error::new_spanned(tokens, message));
    }

    /// Notes an error that knows its place.
    pub(crate) fn add(&mut self, error: syn::Error) {
        self.count += 1;
        match &mut self.error {
            None => self.error = Some(error),
            Some(errors) => errors.combine(error),
        }
    }

    /// The value of a result, or `None` and the error noted.
    pub(crate) fn keep<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.add(error)).ok()
    }

    /// How many were noted.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// All of them, as one error.
    pub(crate) fn into_error(self) -> Option<syn::Error> {
        self.error
    }

    /// `value` if nothing was noted.
    pub(crate) fn finish<T>(self, value: T) -> syn::Result<T> {
        match self.error {
            None => Ok(value),
            Some(error) => Err(error),
        }
    }
}

/// The user's item followed by the errors, so that what refers to the item does not fail as well.
pub(crate) fn beside(item: impl ToTokens, error: &syn::Error) -> TokenStream {
    let mut tokens = item.into_token_stream();
    tokens.extend(error.to_compile_error());
    tokens
}
