//! Frames come out as they went in, however the connection cuts them.

use super::*;

fn stream(bodies: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (index, body) in bodies.iter().enumerate() {
        Frame { kind: Kind(index as u8), body }.encode_into(&mut bytes);
    }
    bytes
}

/// Feeds `bytes` in portions of `size` and collects what comes out.
fn read(bytes: &[u8], size: usize, frame_max: usize) -> Result<Vec<(Kind, Vec<u8>)>, WireError> {
    let mut decoder = Decoder::new(frame_max);
    let mut seen = Vec::new();
    for portion in bytes.chunks(size) {
        let mut frames = decoder.feed(portion);
        while let Some(frame) = frames.next_frame()? {
            seen.push((frame.kind, frame.body.to_vec()));
        }
    }
    Ok(seen)
}

#[test]
fn any_cutting_gives_the_same_frames() {
    let bodies: [&[u8]; 5] = [b"", b"a", &[7; 300], b"", &[9; 17]];
    let bytes = stream(&bodies);
    let expected: Vec<_> =
        bodies.iter().enumerate().map(|(i, body)| (Kind(i as u8), body.to_vec())).collect();
    for size in 1..=bytes.len() {
        assert_eq!(read(&bytes, size, 1_000).unwrap(), expected, "portions of {size}");
    }
}

#[test]
fn whole_frames_are_borrowed_from_the_input() {
    let bytes = stream(&[b"first", b"second"]);
    let mut decoder = Decoder::new(100);
    let mut frames = decoder.feed(&bytes);
    let range = bytes.as_ptr_range();
    while let Some(frame) = frames.next_frame().unwrap() {
        assert!(range.contains(&frame.body.as_ptr()));
    }
    assert_eq!(decoder.reserved_bytes(), 0);
    assert!(decoder.is_between_frames());
}

#[test]
fn a_long_prefix_is_refused_before_anything_is_reserved() {
    let claim = 101_u32.to_le_bytes();
    for size in 1..=PREFIX {
        let error = read(&claim, size, 100).unwrap_err();
        assert_eq!(error, WireError::FrameTooLong { size_bytes: 101, limit_bytes: 100 });
        assert!(error.closes_connection());
    }
    let mut decoder = Decoder::new(usize::MAX);
    assert_eq!(decoder.feed(&[0xff, 0xff, 0xff, 0x7f, 1]).next_frame(), Ok(None));
    assert!(decoder.reserved_bytes() <= 16, "{}", decoder.reserved_bytes());
}

#[test]
fn a_decoder_in_error_stays_in_error() {
    let mut decoder = Decoder::new(10);
    assert_eq!(decoder.feed(&[0; 4]).next_frame(), Err(WireError::EmptyFrame));
    let good = stream(&[b"x"]);
    assert_eq!(decoder.feed(&good).next_frame(), Err(WireError::EmptyFrame));
}

#[test]
fn taking_shares_the_buffer() {
    let mut buffer = BytesMut::from(&stream(&[b"first", b"second"])[..]);
    buffer.truncate(buffer.len() - 1);
    let start = buffer.as_ptr();
    let (kind, body) = take(&mut buffer, 100).unwrap().unwrap();
    assert_eq!((kind, &body[..]), (Kind(0), &b"first"[..]));
    assert_eq!(body.as_ptr() as usize, start as usize + PREFIX + 1);
    assert_eq!(take(&mut buffer, 100), Ok(None));
    buffer.put_u8(b'd');
    assert_eq!(take(&mut buffer, 100).unwrap().unwrap().1, "second");
}
