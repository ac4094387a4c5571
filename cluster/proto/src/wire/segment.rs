//! The three frames of an association: message, acknowledgement, resume.
//!
//! Named fields would double a short message, so these are bare numbers in a fixed order; their layout belongs to
//! the protocol version that the handshake of the connection compares.
//! Every frame says its epoch: a frame that was delayed or doubled is then recognised by itself, whatever
//! connection it comes from.
//!
//! Invariant: `parse` accepts exactly what `encode_into` writes.
//!
//! Pure: no clock, no I/O, no tasks.

use bytes::BufMut;

use crate::error::WireError;
use crate::id::Incarnation;

use super::frame::{self, Frame, Kind};
use super::varint;

/// One message of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The sender's epoch.
    pub epoch: u64,
    /// Which lane.
    pub lane: u8,
    /// Its place in the lane, from 0 in every epoch.
    pub sequence: u64,
    /// What the upper layer wrote.
    pub payload: &'a [u8],
}

/// What a receiver has and how much more it takes. All numbers count from the beginning of the epoch and only grow,
/// so the order in which acknowledgements arrive does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ack {
    /// The epoch of the stream that is acknowledged: the other side's.
    pub epoch: u64,
    /// Which lane.
    pub lane: u8,
    /// Everything before this sequence number has arrived.
    pub next: u64,
    /// How many messages may be sent in this epoch.
    pub messages_max: u64,
    /// While fewer bytes of message frames than this were sent in this epoch, one more may be.
    pub bytes_max: u64,
}

/// The handshake of a lane after a connection was made; later, the question whether something is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resume {
    /// The life of the node that speaks.
    pub from_life: Incarnation,
    /// The life of the node it believes to speak with; 0 while it does not know.
    pub to_life: Incarnation,
    /// The epoch of what the speaker sends.
    pub epoch: u64,
    /// The sequence number of the next message that the speaker has not yet sent on this lane.
    pub sent: u64,
    /// Whether the other side is to answer with a resume of its own.
    pub wants_answer: bool,
    /// What the speaker has received on this lane (its `lane` is the lane of the whole frame).
    pub received: Ack,
}

/// A frame of an association.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment<'a> {
    /// A message.
    Message(Message<'a>),
    /// An acknowledgement.
    Ack(Ack),
    /// A handshake.
    Resume(Resume),
}

impl<'a> Segment<'a> {
    /// Reads a frame; `None` if its kind belongs to somebody else.
    ///
    /// # Errors
    /// [`WireError::Truncated`], [`WireError::BadNumber`], [`WireError::BadField`], [`WireError::TrailingBytes`].
    #[inline]
    pub fn parse(frame: Frame<'a>) -> Result<Option<Self>, WireError> {
        let mut rest = frame.body;
        match frame.kind {
            Kind::MESSAGE => {
                let epoch = varint::take(&mut rest)?;
                let lane = varint::take_byte(&mut rest)?;
                let sequence = varint::take(&mut rest)?;
                Ok(Some(Self::Message(Message { epoch, lane, sequence, payload: rest })))
            }
            Kind::ACK => {
                let ack = take_ack(&mut rest)?;
                ended(rest)?;
                Ok(Some(Self::Ack(ack)))
            }
            Kind::RESUME => {
                let from_life = Incarnation(varint::take(&mut rest)?);
                let to_life = Incarnation(varint::take(&mut rest)?);
                let epoch = varint::take(&mut rest)?;
                let sent = varint::take(&mut rest)?;
                let wants_answer = match varint::take_byte(&mut rest)? {
                    0 => false,
                    1 => true,
                    other => {
                        return Err(WireError::BadField { field: "answer", value: other.into() });
                    }
                };
                let received = take_ack(&mut rest)?;
                ended(rest)?;
                let resume = Resume { from_life, to_life, epoch, sent, wants_answer, received };
                Ok(Some(Self::Resume(resume)))
            }
            _ => Ok(None),
        }
    }

    /// Appends the frame.
    pub fn encode_into(&self, out: &mut impl BufMut) {
        match self {
            Self::Message(message) => {
                message.start_into(out);
                out.put_slice(message.payload);
            }
            Self::Ack(ack) => ack.encode_into(out),
            Self::Resume(resume) => resume.encode_into(out),
        }
    }
}

impl Message<'_> {
    /// Bytes of prefix, kind and header before the payload.
    #[must_use]
    #[inline]
    pub const fn overhead(&self) -> usize {
        frame::PREFIX + 1 + self.header_size()
    }

    const fn header_size(&self) -> usize {
        varint::size_of(self.epoch) + 1 + varint::size_of(self.sequence)
    }

    /// Appends everything but the payload, which the caller appends next.
    #[inline]
    pub fn start_into(&self, out: &mut impl BufMut) {
        self.start_of(self.payload.len(), out);
    }

    /// The same for a payload of so many bytes, whichever lies here.
    #[inline]
    pub fn start_of(&self, payload_bytes: usize, out: &mut impl BufMut) {
        frame::start(Kind::MESSAGE, self.header_size() + payload_bytes, out);
        varint::put(self.epoch, out);
        out.put_u8(self.lane);
        varint::put(self.sequence, out);
    }
}

impl Ack {
    /// Appends the frame.
    pub fn encode_into(&self, out: &mut impl BufMut) {
        frame::start(Kind::ACK, self.size(), out);
        self.put(out);
    }

    const fn size(&self) -> usize {
        1 + varint::size_of(self.epoch)
            + varint::size_of(self.next)
            + varint::size_of(self.messages_max)
            + varint::size_of(self.bytes_max)
    }

    fn put(&self, out: &mut impl BufMut) {
        varint::put(self.epoch, out);
        out.put_u8(self.lane);
        varint::put(self.next, out);
        varint::put(self.messages_max, out);
        varint::put(self.bytes_max, out);
    }
}

impl Resume {
    /// Appends the frame.
    pub fn encode_into(&self, out: &mut impl BufMut) {
        let numbers = [self.from_life.0, self.to_life.0, self.epoch, self.sent];
        let size: usize = numbers.iter().map(|&number| varint::size_of(number)).sum();
        frame::start(Kind::RESUME, size + 1 + self.received.size(), out);
        for number in numbers {
            varint::put(number, out);
        }
        out.put_u8(u8::from(self.wants_answer));
        self.received.put(out);
    }
}

fn take_ack(rest: &mut &[u8]) -> Result<Ack, WireError> {
    Ok(Ack {
        epoch: varint::take(rest)?,
        lane: varint::take_byte(rest)?,
        next: varint::take(rest)?,
        messages_max: varint::take(rest)?,
        bytes_max: varint::take(rest)?,
    })
}

const fn ended(rest: &[u8]) -> Result<(), WireError> {
    match rest.len() {
        0 => Ok(()),
        excess_bytes => Err(WireError::TrailingBytes { excess_bytes }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comes_back(segment: Segment<'_>) {
        let mut bytes = Vec::new();
        segment.encode_into(&mut bytes);
        let (frame, taken) = frame::cut(&bytes, 1_000).unwrap().unwrap();
        assert_eq!(taken, bytes.len());
        assert_eq!(Segment::parse(frame), Ok(Some(segment)));
        for cut in 0..frame.body.len() {
            let short = Frame { kind: frame.kind, body: &frame.body[..cut] };
            assert_ne!(Segment::parse(short), Ok(Some(segment)));
        }
    }

    #[test]
    fn each_kind_comes_back() {
        let message = Message { epoch: 1, lane: 3, sequence: 300, payload: b"hello" };
        assert_eq!(message.overhead(), 4 + 1 + 1 + 1 + 2);
        comes_back(Segment::Message(message));
        let ack =
            Ack { epoch: u64::MAX, lane: 255, next: 0, messages_max: 1_024, bytes_max: 1 << 20 };
        comes_back(Segment::Ack(ack));
        comes_back(Segment::Resume(Resume {
            from_life: Incarnation(u64::MAX),
            to_life: Incarnation(0),
            epoch: 7,
            sent: 9,
            wants_answer: true,
            received: ack,
        }));
    }

    #[test]
    fn other_kinds_are_left_alone() {
        assert_eq!(Segment::parse(Frame { kind: Kind(200), body: &[0xff; 3] }), Ok(None));
    }
}
