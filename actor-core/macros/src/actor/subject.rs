//! The type that becomes an actor, and the names made from its name.

use proc_macro2::{Ident, Span};
use syn::Path;

use crate::names::{generated, plain};

/// The actor's type.
#[derive(Debug)]
pub(crate) struct Subject {
    /// The type after `impl`.
    pub(crate) self_path: Path,
    /// Its last segment.
    name: Ident,
}

impl Subject {
    /// The type of this path.
    pub(crate) fn new(self_path: Path) -> Self {
        let name = match self_path.segments.last() {
            Some(segment) => segment.ident.clone(),
            None => Ident::new("Actor", Span::call_site()),
        };
        Self { self_path, name }
    }

    /// The type's own name.
    pub(crate) fn name(&self) -> String {
        plain(&self.name)
    }

    /// The generated item `{Actor}{suffix}`.
    pub(crate) fn item_name(&self, suffix: &str) -> Ident {
        generated(&format!("{}{suffix}", self.name()), &self.name)
    }
}
