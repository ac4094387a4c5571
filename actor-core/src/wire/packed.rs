//! A value that is written already, and read later than the message it comes in.
//!
//! Whoever forwards a value must not need its type; but references in it live only as long as somebody holds them, and
//! the sender lets go when the message has been read. So a packed value carries, besides its bytes, the holds of its
//! references, which it hands to whoever writes it into a message, and the ticket of the message that it came
//! in, so that the sender goes on holding until it is unpacked.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::baggage::{self, Hold, Ticket};
use super::{Codec, CodecError, raw};

/// A written value. A copy shares bytes and holds.
#[derive(Clone, Default)]
pub struct Packed {
    bytes: Arc<Vec<u8>>,
    holds: Arc<Mutex<Vec<Hold>>>,
    ticket: Option<Ticket>,
}

impl Packed {
    /// Writes `value`, and holds what it refers to.
    ///
    /// # Errors
    /// [`CodecError`]: the value's own `Serialize` failed.
    pub fn pack<T>(codec: &Codec<T>, value: &T) -> Result<Self, CodecError> {
        let mut bytes = Vec::new();
        let (written, holds) = baggage::collect(|| codec.encode(value, &mut bytes));
        written?;
        Ok(Self { bytes: Arc::new(bytes), holds: Arc::new(Mutex::new(holds)), ticket: None })
    }

    /// Reads the value; its references belong to the current node.
    ///
    /// # Errors
    /// [`CodecError`]: it is no such value.
    pub fn unpack<T>(&self, codec: &Codec<T>) -> Result<T, CodecError> {
        match &self.ticket {
            Some(ticket) => baggage::unpack(Arc::clone(ticket), || codec.decode(&self.bytes)),
            None => codec.decode(&self.bytes),
        }
    }

    /// The value's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Packed({} bytes)", self.bytes.len())
    }
}

impl Serialize for Packed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let holds = Arc::clone(&self.holds);
        baggage::pack(|| Box::new(holds));
        if let Some(ticket) = &self.ticket {
            let ticket = Arc::clone(ticket);
            baggage::pack(|| Box::new(ticket));
        }
        raw::serialize(&self.bytes, serializer)
    }
}

impl<'de> Deserialize<'de> for Packed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = raw::deserialize(deserializer)?;
        Ok(Self { bytes: Arc::new(bytes), holds: Arc::default(), ticket: baggage::ticket() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_value_is_read_on_behalf_of_the_message_it_came_in() {
        let codec = Codec::<Vec<u32>>::serde();
        let packed = Packed::pack(&codec, &vec![1, 2]).unwrap();
        let written = rmp_serde::to_vec_named(&packed).unwrap();
        let ticket: Ticket = Arc::new(1_u8);
        let read: Packed =
            baggage::unpack(Arc::clone(&ticket), || rmp_serde::from_slice(&written).unwrap());
        assert_eq!(Arc::strong_count(&ticket), 2, "held as long as the value is packed");
        assert_eq!(read.unpack(&codec).unwrap(), [1, 2]);
        drop(read);
        assert_eq!(Arc::strong_count(&ticket), 1);
    }
}
