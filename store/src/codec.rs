//! What the store knows of a value's type: its name, and how to turn it into bytes and back.
//!
//! Values stay as they are while they stay in the process, behind `dyn Any`. When one must leave, the type is
//! long forgotten; so two function pointers are kept with every object from the moment it is made, when its
//! type was still known. They cost nothing until they are called.
//!
//! On the wire a value is MessagePack with named fields. Plain bytes travel as they are: a `Vec<u8>` encoded
//! element by element would grow by half and take a hundred times as long. Both sides know by the type.

use std::{
    any::{Any, TypeId},
    fmt,
    sync::Arc,
};

use bytes::Bytes;
use mobula_actor_core::wire::check;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    discard::AnyValue,
    size::{Estimate, estimate},
    table::Held,
};

/// What can be an object's value: anything owned that can be shared between threads, and encoded when it must
/// leave the process.
pub trait Object: Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Object for T {}

/// What [`Object`] says, for types of which a macro cannot know whether they borrow for ever: the compiler chooses
/// without regard to lifetimes, so it must not be asked for `DeserializeOwned`. Values are read from input that does
/// not stay.
pub trait Portable: Serialize + Deserialize<'static> + Send + Sync + 'static {}

impl<T: Serialize + Deserialize<'static> + Send + Sync + 'static> Portable for T {}

/// An encoded value, of which parts can be kept; neither they nor a value that is plain bytes itself are copied for it.
#[derive(Clone)]
pub(crate) struct Encoded(Bytes);

impl Encoded {
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// The whole, or a slice of it to be made from it: it stays as long as any of them does.
    pub(crate) const fn bytes(&self) -> &Bytes {
        &self.0
    }
}

impl From<Vec<u8>> for Encoded {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

/// A value that is a `Vec<u8>` itself.
struct Plain(Arc<Vec<u8>>);

impl AsRef<[u8]> for Plain {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Encoded({} bytes)", self.as_slice().len())
    }
}

/// The type of an object's value, for checks, listings and the wire.
pub(crate) struct ValueType {
    pub(crate) id: fn() -> TypeId,
    pub(crate) name: fn() -> &'static str,
    pub(crate) encode: fn(&AnyValue) -> Result<Encoded, String>,
    pub(crate) decode: fn(Vec<u8>) -> Result<Held<AnyValue>, String>,
}

impl ValueType {
    pub(crate) const fn of<T: Object>() -> &'static Self {
        const {
            &Self {
                id: TypeId::of::<T>,
                name: std::any::type_name::<T>,
                encode: encode::<T>,
                decode: decode::<T>,
            }
        }
    }

    pub(crate) const fn portable<T: Portable>() -> &'static Self {
        const {
            &Self {
                id: TypeId::of::<T>,
                name: std::any::type_name::<T>,
                encode: encode::<T>,
                decode: decode_portable::<T>,
            }
        }
    }
}

impl fmt::Debug for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str((self.name)())
    }
}

fn encode<T: Portable>(value: &AnyValue) -> Result<Encoded, String> {
    if let Ok(bytes) = Arc::clone(value).downcast::<Vec<u8>>() {
        return Ok(Encoded(Bytes::from_owner(Plain(bytes))));
    }
    let value: Option<&T> = value.downcast_ref();
    let value = value.ok_or("the object has another type than its entry says")?;
    let bytes = rmp_serde::to_vec_named(value).map_err(|error| error.to_string())?;
    Ok(bytes.into())
}

fn decode<T: Object>(bytes: Vec<u8>) -> Result<Held<AnyValue>, String> {
    if TypeId::of::<T>() == TypeId::of::<Vec<u8>>() {
        let charge = bytes.len() as u64;
        let value: AnyValue = Arc::new(bytes);
        return Ok(Held { value, bytes: charge, contained: Box::default() });
    }
    check(&bytes).map_err(|error| error.to_string())?;
    let value: T = rmp_serde::from_slice(&bytes).map_err(|error| error.to_string())?;
    drop(bytes);
    Ok(held(Arc::new(value)))
}

fn decode_portable<T: Portable>(bytes: Vec<u8>) -> Result<Held<AnyValue>, String> {
    if TypeId::of::<T>() == TypeId::of::<Vec<u8>>() {
        return decode::<Vec<u8>>(bytes);
    }
    check(&bytes).map_err(|error| error.to_string())?;
    let mut reader = rmp_serde::Deserializer::new(bytes.as_slice());
    let value = T::deserialize(&mut reader).map_err(|error| error.to_string())?;
    drop(bytes);
    Ok(held(Arc::new(value)))
}

/// A value with what the store remembers about it.
pub(crate) fn held<T: Portable>(value: Arc<T>) -> Held<AnyValue> {
    let Estimate { bytes, contained, is_reference: _ } = estimate(&*value);
    let value: Arc<dyn Any + Send + Sync> = value;
    Held { value, bytes, contained: contained.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize, Deserialize)]
    enum Chain {
        End,
        More(Box<Self>),
    }

    #[test]
    fn a_value_of_another_node_cannot_end_the_stack_whoever_reads_it() {
        let short = [b"\x81\xa4More".as_slice(), b"\xa3End"].concat();
        let deep = [b"\x81\xa4More".repeat(1_000_000), b"\xa3End".to_vec()].concat();
        for value_type in [ValueType::of::<Chain>(), ValueType::portable::<Chain>()] {
            let read = (value_type.decode)(short.clone()).ok().unwrap();
            let chain = read.value.downcast::<Chain>().ok().unwrap();
            assert!(matches!(&*chain, Chain::More(rest) if matches!(**rest, Chain::End)));
            let error = (value_type.decode)(deep.clone()).err().unwrap();
            assert!(error.contains("deeper"), "{error}");
        }
    }
}
