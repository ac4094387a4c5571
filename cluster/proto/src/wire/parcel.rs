//! What one actor says to another, inside a message.
//!
//! A map with named fields would cost more to read than most handlers cost to run, and actor messages are the
//! bulk of the traffic.
//! So what every message has is bare and in a fixed order; what few have (the chain of callers, references in
//! flight, trace context) is an `extension` that the upper layer encodes as it likes; then comes the payload.
//!
//! Invariant: `parse` borrows everything and accepts exactly what `encode_into` writes.
//!
//! Pure: no clock, no I/O, no tasks.

use std::time::Duration;

use bytes::BufMut;

use crate::error::WireError;

use super::varint;

/// What the receiver is to do with a parcel. Verbs that this version does not know go to dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Verb(pub u8);

impl Verb {
    /// Handle, no answer.
    pub const TELL: Self = Self(1);
    /// Handle and answer under `correlation`.
    pub const ASK: Self = Self(2);
    /// The answer to an ask.
    pub const REPLY: Self = Self(3);
    /// The refusal of an ask; the payload is the error.
    pub const REFUSE: Self = Self(4);
    /// The asker is no longer interested.
    pub const CANCEL: Self = Self(5);
    /// A signal of the system lane: stop, kill, watch, down.
    pub const SIGNAL: Self = Self(6);
}

/// One parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parcel<'a> {
    /// What to do.
    pub verb: Verb,
    /// The actor on the receiving node.
    pub to: u64,
    /// The generation of that actor that the sender knows; 0 if any will do.
    pub generation: u64,
    /// The actor on the sending node; 0 if it is none.
    pub from: u64,
    /// The type of the payload: the hash of its name and version.
    pub message_type: u64,
    /// Joins answer and question; 0 for a tell.
    pub correlation: u64,
    /// What remained until the deadline when this was sent; `None` if there is none. Whole microseconds.
    pub deadline: Option<Duration>,
    /// What few parcels have; empty for most.
    pub extension: &'a [u8],
    /// The message itself.
    pub payload: &'a [u8],
}

impl<'a> Parcel<'a> {
    /// The most bytes before extension and payload.
    pub const HEADER_MAX: usize = 1 + 8 + 5 * varint::SIZE_MAX + varint::SIZE_MAX;

    /// Appends the parcel.
    #[inline]
    pub fn encode_into(&self, out: &mut impl BufMut) {
        out.put_u8(self.verb.0);
        varint::put(self.to, out);
        varint::put(self.generation, out);
        varint::put(self.from, out);
        // A hash is never short.
        out.put_u64_le(self.message_type);
        varint::put(self.correlation, out);
        let deadline_micros = self.deadline.map_or(0, |left| {
            u64::try_from(left.as_micros()).unwrap_or(u64::MAX).saturating_add(1)
        });
        varint::put(deadline_micros, out);
        varint::put(self.extension.len() as u64, out);
        out.put_slice(self.extension);
        out.put_slice(self.payload);
    }

    /// Reads a parcel.
    ///
    /// # Errors
    /// [`WireError::Truncated`], [`WireError::BadNumber`], [`WireError::LengthBeyondInput`].
    #[inline]
    pub fn parse(input: &'a [u8]) -> Result<Self, WireError> {
        let mut rest = input;
        let verb = Verb(varint::take_byte(&mut rest)?);
        let to = varint::take(&mut rest)?;
        let generation = varint::take(&mut rest)?;
        let from = varint::take(&mut rest)?;
        let (hash, after) = rest.split_first_chunk::<8>().ok_or(WireError::Truncated)?;
        rest = after;
        let message_type = u64::from_le_bytes(*hash);
        let correlation = varint::take(&mut rest)?;
        let deadline = varint::take(&mut rest)?.checked_sub(1).map(Duration::from_micros);
        let length = varint::take(&mut rest)?;
        let (extension, payload) = usize::try_from(length)
            .ok()
            .and_then(|length| rest.split_at_checked(length))
            .ok_or(WireError::LengthBeyondInput { claimed: length, remaining_bytes: rest.len() })?;
        Ok(Self {
            verb,
            to,
            generation,
            from,
            message_type,
            correlation,
            deadline,
            extension,
            payload,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASK: Parcel<'_> = Parcel {
        verb: Verb::ASK,
        to: 900,
        generation: 2,
        from: 1,
        message_type: 0x1234_5678_9abc_def0,
        correlation: 77,
        deadline: Some(Duration::from_secs(5)),
        extension: b"chain",
        payload: b"hello",
    };

    #[test]
    fn a_parcel_comes_back() {
        let tell = Parcel { deadline: None, extension: b"", correlation: 0, ..ASK };
        for parcel in [ASK, tell, Parcel { payload: b"", ..tell }] {
            let mut bytes = Vec::new();
            parcel.encode_into(&mut bytes);
            assert!(bytes.len() <= Parcel::HEADER_MAX + 10);
            assert_eq!(Parcel::parse(&bytes), Ok(parcel));
        }
    }

    #[test]
    fn a_deadline_of_zero_is_not_none() {
        let mut bytes = Vec::new();
        let parcel = Parcel { deadline: Some(Duration::ZERO), ..ASK };
        parcel.encode_into(&mut bytes);
        assert_eq!(Parcel::parse(&bytes).unwrap().deadline, Some(Duration::ZERO));
    }

    #[test]
    fn an_extension_cannot_reach_beyond_the_parcel() {
        let mut bytes = Vec::new();
        ASK.encode_into(&mut bytes);
        let header = bytes.len() - 11;
        bytes.truncate(header);
        varint::put(u64::MAX, &mut bytes);
        let refused = Parcel::parse(&bytes);
        assert!(matches!(refused, Err(WireError::LengthBeyondInput { .. })), "{refused:?}");
    }
}
