//! Bytes of a value on their way: in the pieces in which they came, so that nobody joins what is taken apart again.
//!
//! A part is a slice of the encoded value where it is sent, and what was read chunk by chunk where it arrives. Either is
//! handed on as it is; the bytes are written once, into the value's buffer.
//!
//! Pure: no clock, no I/O, no tasks.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::raw;

/// Bytes in one or more pieces. Equal if the bytes are, however they are cut.
///
/// # Examples
/// ```
/// use mobula_store::message::Pieces;
///
/// let mut pieces = Pieces::default();
/// pieces.push(vec![1, 2].into());
/// pieces.push(vec![3].into());
/// assert_eq!(pieces, Pieces::from(vec![1, 2, 3]));
/// assert_eq!(pieces.into_bytes(), [1, 2, 3].as_slice());
/// ```
#[derive(Clone, Default)]
pub struct Pieces(Vec<Bytes>);

impl Pieces {
    /// How many bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Bytes::is_empty)
    }

    /// Adds what comes next.
    pub fn push(&mut self, piece: Bytes) {
        self.0.push(piece);
    }

    /// The pieces, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|piece| &**piece)
    }

    /// All of it as one; copied only if it is more than one piece.
    #[must_use]
    pub fn into_bytes(mut self) -> Bytes {
        match self.0.len() {
            0 | 1 => self.0.pop().unwrap_or_default(),
            _ => self.0.concat().into(),
        }
    }
}

impl From<Bytes> for Pieces {
    fn from(piece: Bytes) -> Self {
        Self(vec![piece])
    }
}

impl From<Vec<u8>> for Pieces {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl fmt::Debug for Pieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pieces({} bytes)", self.len())
    }
}

impl PartialEq for Pieces {
    fn eq(&self, other: &Self) -> bool {
        self.iter().flatten().eq(other.iter().flatten())
    }
}

impl Eq for Pieces {}

impl Serialize for Pieces {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &*self.0 {
            [piece] => raw::serialize(piece, serializer),
            pieces => raw::serialize(&pieces.concat(), serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Pieces {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        raw::deserialize(from).map(Self::from)
    }
}
