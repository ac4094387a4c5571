//! The errors of this room. How a *task* fails is [`TaskError`], which lives in the store, because an
//! object may hold it in place of a value.
//!
//! A function's own error may be of any type that can become a boxed error; it is boxed once, here, and
//! can be downcast again on the same build.

use std::{error::Error, fmt};

pub use mobula_store::TaskError;

use crate::resources::QuantityError;

/// The error that a task function returned.
pub struct UserError(Box<dyn Error + Send + Sync>);

impl UserError {
    /// Keeps a function's own error: any error type, `anyhow::Error`, or text.
    pub fn from_user(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(error.into())
    }

    pub(crate) fn into_inner(self) -> Box<dyn Error + Send + Sync> {
        self.0
    }
}

impl fmt::Debug for UserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserError({:?})", self.0.to_string())
    }
}

/// Why a scheduler could not be set up. Nothing was started; correct the configuration.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A resource has an amount that cannot be counted.
    #[error("the amount of resource `{resource}` is not usable")]
    Resource {
        /// Which resource.
        resource: String,
        /// What is wrong with it.
        source: QuantityError,
    },
    /// A limit of zero would refuse every task.
    #[error("{setting} must be at least 1")]
    Zero {
        /// Which setting.
        setting: &'static str,
    },
}
