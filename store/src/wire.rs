//! Values as bytes, when somebody asks for them.
//!
//! Inside a process nothing is encoded. For the wire, MessagePack with named fields: both sides may add fields,
//! and a decoder of another language finds its way.

use std::sync::Arc;

use mobula_actor_core::wire::check;
use serde::{
    Serialize,
    de::{DeserializeOwned, Error as _},
};

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
/// The bytes may be anybody's: they are walked before the type sees them, so that a length that lies takes no memory, and
/// nesting deeper than 64 is refused before it can exhaust the stack.
///
/// # Errors
/// [`WireError::Decode`]: the bytes are of another type, damaged, nested too deep or more than one value, or a reference
/// in them leads nowhere here.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, WireError> {
    let read = check(bytes).map_err(rmp_serde::decode::Error::custom);
    read.and_then(|()| rmp_serde::from_slice(bytes)).map_err(|source| WireError::Decode {
        type_name: std::any::type_name::<T>(),
        source: Arc::new(source),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    enum Chain {
        End,
        More(Box<Self>),
    }

    #[test]
    fn what_is_nested_without_end_or_goes_on_after_its_end_is_refused() {
        // To the reader each of these is a map of one, which it does not count.
        let bytes = [b"\x81\xa4More".repeat(1_000_000), b"\xa3End".to_vec()].concat();
        assert!(decode::<Chain>(&bytes).is_err());
        let short = [b"\x81\xa4More".as_slice(), b"\xa3End"].concat();
        let Ok(Chain::More(rest)) = decode(&short) else { panic!("a short one is read") };
        assert!(matches!(*rest, Chain::End));
        assert!(decode::<Chain>(&[short.as_slice(), &[0xc0]].concat()).is_err());
    }
}
