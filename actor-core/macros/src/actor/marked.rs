//! Our attributes inside the block: `#[constructor]` and `#[method]`.
//!
//! They are no attributes that the compiler knows, so they must be gone from what is given back.

use syn::{Attribute, ImplItem, ImplItemFn, ItemImpl};

use crate::refusals::Refusals;

use super::arguments::CallDefaults;

/// A function of the block with the attributes that were ours.
#[derive(Debug)]
pub(crate) struct Marked {
    pub(crate) function: ImplItemFn,
    pub(crate) constructor_mark: Option<Attribute>,
    pub(crate) method_attribute: Option<Attribute>,
    pub(crate) defaults: Option<CallDefaults>,
}

impl Marked {
    /// Copies the function, and takes our attributes out of both.
    pub(crate) fn take(function: &mut ImplItemFn, refusals: &mut Refusals) -> Self {
        let mut marked = Self {
            function: function.clone(),
            constructor_mark: None,
            method_attribute: None,
            defaults: None,
        };
        for attribute in &function.attrs {
            if attribute.path().is_ident("constructor") {
                marked.constructor_mark = Some(attribute.clone());
            } else if attribute.path().is_ident("method") {
                marked.defaults = refusals.keep(attribute.parse_args());
                marked.method_attribute = Some(attribute.clone());
            }
        }
        function.attrs.retain(|attribute| !is_ours(attribute));
        marked.function.attrs.retain(|attribute| !is_ours(attribute));
        marked
    }
}

/// Takes our attributes out of a block that could not be read.
pub(crate) fn strip_attributes(block: &mut ItemImpl) {
    for item in &mut block.items {
        if let ImplItem::Fn(function) = item {
            function.attrs.retain(|attribute| !is_ours(attribute));
        }
    }
}

fn is_ours(attribute: &Attribute) -> bool {
    attribute.path().is_ident("constructor") || attribute.path().is_ident("method")
}
