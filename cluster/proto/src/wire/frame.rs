//! Where a frame begins and ends.
//!
//! A connection gives bytes in whatever portions it likes; to collect them all and cut later copies everything
//! and holds what nobody asked for.
//! So a frame is `length: u32 little-endian · kind: u8 · body`, the length counting kind and body; it is cut out of
//! the portion it arrived in, and only the one frame that straddles two portions is put together in a buffer.
//!
//! Invariant: the length is compared with the limit before a byte is reserved for it, and the buffer of an
//! unfinished frame grows with what has arrived, not with what was announced.
//!
//! Pure: no clock, no I/O, no tasks.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::error::WireError;

/// The longest frame of a control lane: 1 MiB.
pub const CONTROL_FRAME_MAX: usize = 1 << 20;
/// The longest frame of a lane for messages: 16 MiB. What is larger travels as an object.
pub const DATA_FRAME_MAX: usize = 16 << 20;
/// Bytes of the length prefix.
pub const PREFIX: usize = 4;

/// An unfinished frame's buffer above this is given back when the frame is done.
const KEPT_BUFFER_MAX: usize = 64 << 10;

/// What a frame is. Kinds up to 15 belong to this crate, the others to drivers; an unknown kind is counted and
/// dropped by whoever reads the connection, so that a newer peer can be spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(pub u8);

impl Kind {
    /// A message of an association ([`crate::wire::segment`]).
    pub const MESSAGE: Self = Self(1);
    /// An acknowledgement and grant of credit.
    pub const ACK: Self = Self(2);
    /// The handshake after a connection was made, and the question whether something is missing.
    pub const RESUME: Self = Self(3);
    /// A message of membership: MessagePack ([`crate::wire::codec`]).
    pub const MEMBERSHIP: Self = Self(4);
    /// A message of monitors, borrows or placement outside any lane's order: MessagePack.
    pub const CONTROL: Self = Self(5);
}

/// One frame, borrowed from where it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What it is.
    pub kind: Kind,
    /// What it says.
    pub body: &'a [u8],
}

impl Frame<'_> {
    /// Bytes on the wire, prefix included.
    #[must_use]
    pub const fn wire_size(&self) -> usize {
        PREFIX + 1 + self.body.len()
    }

    /// Appends the frame. Many frames appended to one buffer are one write.
    ///
    /// The sender checks its limit before it calls; a body beyond 4 GiB is cut off by the prefix and would be
    /// refused by every receiver.
    #[inline]
    pub fn encode_into(&self, out: &mut impl BufMut) {
        start(self.kind, self.body.len(), out);
        out.put_slice(self.body);
    }
}

/// Appends prefix and kind of a frame whose body of `body_bytes` bytes follows.
#[inline]
pub fn start(kind: Kind, body_bytes: usize, out: &mut impl BufMut) {
    debug_assert!(body_bytes < u32::MAX as usize, "no limit is that high");
    out.put_u32_le(body_bytes as u32 + 1);
    out.put_u8(kind.0);
}

/// Cuts the first frame from `input`: the frame and how many bytes it took, or `None` while it is unfinished.
///
/// # Errors
/// [`WireError::FrameTooLong`], [`WireError::EmptyFrame`]: the borders are lost, close the connection.
///
/// # Examples
/// ```
/// use mobula_proto::wire::frame::{self, Frame, Kind};
/// let mut bytes = Vec::new();
/// Frame { kind: Kind::CONTROL, body: b"hello" }.encode_into(&mut bytes);
/// let (first, taken) = frame::cut(&bytes, frame::CONTROL_FRAME_MAX)?.ok_or("unfinished")?;
/// assert_eq!((first.body, taken), (&b"hello"[..], bytes.len()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[inline]
pub fn cut(input: &[u8], frame_max: usize) -> Result<Option<(Frame<'_>, usize)>, WireError> {
    let Some(prefix) = input.first_chunk::<PREFIX>() else {
        return Ok(None);
    };
    let end = PREFIX + checked_length(*prefix, frame_max)?;
    if input.len() < end {
        return Ok(None);
    }
    let frame = Frame { kind: Kind(input[PREFIX]), body: &input[PREFIX + 1..end] };
    Ok(Some((frame, end)))
}

/// Takes the first frame out of `buffer` without copying it: the body shares the buffer's memory.
/// For bodies that outlive the read, such as parts of objects. `None` while the frame is unfinished.
///
/// # Errors
/// As [`cut`].
pub fn take(buffer: &mut BytesMut, frame_max: usize) -> Result<Option<(Kind, Bytes)>, WireError> {
    let Some((frame, end)) = cut(buffer, frame_max)? else {
        return Ok(None);
    };
    let kind = frame.kind;
    let mut whole = buffer.split_to(end);
    whole.advance(PREFIX + 1);
    Ok(Some((kind, whole.freeze())))
}

#[inline]
const fn checked_length(prefix: [u8; PREFIX], frame_max: usize) -> Result<usize, WireError> {
    let length = u32::from_le_bytes(prefix) as usize;
    if length > frame_max {
        return Err(WireError::FrameTooLong { size_bytes: length, limit_bytes: frame_max });
    }
    if length == 0 {
        return Err(WireError::EmptyFrame);
    }
    Ok(length)
}

/// Cuts a stream of slices into frames. One per direction of a connection.
///
/// After an error the decoder stays in error: what follows has no borders.
#[derive(Debug)]
pub struct Decoder {
    frame_max: usize,
    /// The frame that began in an earlier slice, prefix included.
    unfinished: Vec<u8>,
    broken: Option<WireError>,
}

impl Decoder {
    /// Takes the most bytes that a frame may have after its prefix.
    #[must_use]
    pub const fn new(frame_max: usize) -> Self {
        Self { frame_max, unfinished: Vec::new(), broken: None }
    }

    /// Gives the decoder what was read. Call [`Frames::next_frame`] until it says `None`: only then is the tail of
    /// `input` kept for the next call.
    #[must_use = "the frames are in here"]
    pub const fn feed<'a>(&'a mut self, input: &'a [u8]) -> Frames<'a> {
        Frames { decoder: self, input, lent: false }
    }

    /// What is reserved for the unfinished frame.
    #[must_use]
    pub const fn reserved_bytes(&self) -> usize {
        self.unfinished.capacity()
    }

    /// Whether the stream ends between two frames. A connection that closes elsewhere was cut.
    #[must_use]
    pub const fn is_between_frames(&self) -> bool {
        self.unfinished.is_empty()
    }

    fn give_back_buffer(&mut self) {
        self.unfinished.clear();
        self.unfinished.shrink_to(KEPT_BUFFER_MAX);
    }

    fn fail(&mut self, error: WireError) -> WireError {
        self.unfinished = Vec::new();
        self.broken = Some(error.clone());
        error
    }
}

/// The frames of one slice, in order.
#[derive(Debug)]
pub struct Frames<'a> {
    decoder: &'a mut Decoder,
    input: &'a [u8],
    /// The frame given last lies in the decoder's buffer.
    lent: bool,
}

impl Frames<'_> {
    /// The next whole frame; `None` when the rest of the slice is kept for later.
    ///
    /// # Errors
    /// [`WireError::FrameTooLong`], [`WireError::EmptyFrame`]: close the connection.
    #[inline]
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, WireError> {
        if self.lent {
            self.lent = false;
            self.decoder.give_back_buffer();
        }
        if let Some(error) = &self.decoder.broken {
            return Err(error.clone());
        }
        if !self.decoder.unfinished.is_empty() {
            return self.finish_frame();
        }
        match cut(self.input, self.decoder.frame_max) {
            Ok(Some((frame, taken))) => {
                self.input = &self.input[taken..];
                Ok(Some(frame))
            }
            Ok(None) => {
                self.decoder.unfinished.extend_from_slice(self.input);
                self.input = &[];
                Ok(None)
            }
            Err(error) => Err(self.decoder.fail(error)),
        }
    }

    fn finish_frame(&mut self) -> Result<Option<Frame<'_>>, WireError> {
        self.fill_up_to(PREFIX);
        let Some(prefix) = self.decoder.unfinished.first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        let end = match checked_length(*prefix, self.decoder.frame_max) {
            Ok(length) => PREFIX + length,
            Err(error) => return Err(self.decoder.fail(error)),
        };
        self.fill_up_to(end);
        let buffer = &self.decoder.unfinished;
        if buffer.len() < end {
            return Ok(None);
        }
        self.lent = true;
        Ok(Some(Frame { kind: Kind(buffer[PREFIX]), body: &buffer[PREFIX + 1..end] }))
    }

    /// Moves bytes from the slice until the buffer holds `size_bytes`, or the slice is empty.
    fn fill_up_to(&mut self, size_bytes: usize) {
        let missing = size_bytes.saturating_sub(self.decoder.unfinished.len());
        let (taken, rest) = self.input.split_at(missing.min(self.input.len()));
        self.decoder.unfinished.extend_from_slice(taken);
        self.input = rest;
    }
}

#[cfg(test)]
mod tests;
