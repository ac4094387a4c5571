//! Values as MessagePack with named fields.
//!
//! Named, so that both sides may add fields: an unknown field is skipped, a missing one takes its default.
//! Decoding straight from a peer's bytes would trust their lengths, so [`crate::wire::shape`] walks them first.
//!
//! Invariants: what `decode` allocates is at most proportional to its input (by the size of the type's largest
//! element); it takes all of the input or fails.
//!
//! Pure: no clock, no I/O, no tasks.

use serde::{Deserialize, Serialize};

use crate::error::WireError;

use super::shape;

pub use super::shape::DEPTH_MAX;

/// Encodes a value.
///
/// # Errors
/// [`WireError::Unencodable`]: the type's own `Serialize` refused, or a list does not know its length.
///
/// # Examples
/// ```
/// use mobula_proto::wire::codec;
/// let bytes = codec::encode(&("prices", 7_u64))?;
/// assert_eq!(codec::decode::<(String, u64)>(&bytes)?, ("prices".to_owned(), 7));
/// # Ok::<(), mobula_proto::error::WireError>(())
/// ```
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, WireError> {
    let mut bytes = Vec::with_capacity(64);
    encode_into(value, &mut bytes)?;
    Ok(bytes)
}

/// Appends a value to `out`. On an error `out` is as it was.
///
/// # Errors
/// As [`encode`].
pub fn encode_into<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), WireError> {
    let before = out.len();
    let mut serializer = rmp_serde::Serializer::new(&mut *out).with_struct_map();
    value.serialize(&mut serializer).map_err(|error| {
        out.truncate(before);
        WireError::Unencodable { reason: error.to_string() }
    })
}

/// Decodes exactly one value; strings and bytes may be borrowed from the input.
///
/// # Errors
/// - [`WireError::Mismatch`]: well-formed, but of another type.
/// - All others: not well-formed, nested deeper than [`DEPTH_MAX`], or more than one value.
pub fn decode<'a, T: Deserialize<'a>>(input: &'a [u8]) -> Result<T, WireError> {
    shape::check(input)?;
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(input);
    T::deserialize(&mut deserializer)
        .map_err(|error| WireError::Mismatch { reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Chain {
        End,
        More(Box<Self>),
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Old {
        id: u64,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct New {
        id: u64,
        #[serde(default)]
        labels: Vec<String>,
    }

    #[test]
    fn fields_may_be_added_by_either_side() {
        let new = encode(&New { id: 4, labels: vec!["gpu".into()] }).unwrap();
        assert_eq!(decode::<Old>(&new), Ok(Old { id: 4 }));
        let old = encode(&Old { id: 4 }).unwrap();
        assert_eq!(decode::<New>(&old), Ok(New { id: 4, labels: Vec::new() }));
    }

    #[test]
    fn a_chain_of_enums_cannot_end_the_stack() {
        // `rmp-serde` alone does not count the depth of enums: each of these is a map of one.
        let mut bytes = Vec::new();
        for _ in 0..1_000_000 {
            bytes.extend_from_slice(b"\x81\xa4More");
        }
        bytes.extend_from_slice(b"\xa3End");
        assert_eq!(decode::<Chain>(&bytes), Err(WireError::TooDeep { max: DEPTH_MAX }));
        let short = encode(&Chain::More(Box::new(Chain::End))).unwrap();
        assert_eq!(decode::<Chain>(&short), Ok(Chain::More(Box::new(Chain::End))));
    }

    #[test]
    fn another_type_is_a_mismatch() {
        let bytes = encode("text").unwrap();
        assert!(matches!(decode::<u64>(&bytes), Err(WireError::Mismatch { .. })));
        assert_eq!(decode::<&str>(&bytes), Ok("text"));
    }
}
