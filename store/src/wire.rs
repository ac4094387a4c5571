//! Values as bytes, when somebody asks for them.
//!
//! Inside a process nothing is encoded. For the wire, MessagePack with named fields: both sides may add fields,
//! and a decoder of another language finds its way.

use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};

use crate::{codec::Object, error::WireError, object_ref::ObjectRef};

impl<T: Object> ObjectRef<T> {
    /// Waits for the value and encodes it. Encoded anew each time.
    ///
    /// # Errors
    /// - [`WireError::Get`]: there is no value.
    /// - [`WireError::Encode`]: the type's `Serialize` refused; the object is unharmed.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn bytes(&self) -> Result<Vec<u8>, WireError> {
        let value = self.get().await?;
        encode(&*value).map_err(|source| WireError::Encode {
            object: self.id(),
            type_name: std::any::type_name::<T>(),
            source: Arc::new(source),
        })
    }
}

fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, rmp_serde::encode::Error> {
    rmp_serde::to_vec_named(value)
}

/// The value that [`ObjectRef::bytes`] gave these bytes for. References in it are looked up in the store of the
/// node that the running code belongs to.
///
/// # Errors
/// [`WireError::Decode`]: the bytes are of another type or damaged, or a reference in them leads nowhere here.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, WireError> {
    rmp_serde::from_slice(bytes).map_err(|source| WireError::Decode {
        type_name: std::any::type_name::<T>(),
        source: Arc::new(source),
    })
}
