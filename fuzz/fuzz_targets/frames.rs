//! Frames, cut into portions by the first byte of the input: all three readers agree, whatever arrives.
//!
//! `.ci/run fuzz`, or `cargo +nightly fuzz run frames`.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use mobula_fuzz::sow;
use mobula_proto::wire::frame::{Decoder, Frame, Kind, cut, take};

const FRAME_MAX: usize = 4096;

fn seeds() -> Vec<Vec<u8>> {
    let mut bytes = vec![3];
    for body in [&b"hello"[..], &[], &[7; 300]] {
        Frame { kind: Kind::CONTROL, body }.encode_into(&mut bytes);
    }
    vec![bytes]
}

fuzz_target!(init: sow(seeds()), |input: &[u8]| {
    let Some((&size, stream)) = input.split_first() else {
        return;
    };
    let mut decoder = Decoder::new(FRAME_MAX);
    let mut whole = stream;
    let mut buffer = BytesMut::from(stream);
    let mut fed = 0;
    for portion in stream.chunks(usize::from(size).max(1)) {
        let mut frames = decoder.feed(portion);
        while let Ok(Some(frame)) = frames.next_frame() {
            let Ok(Some((expected, taken))) = cut(whole, FRAME_MAX) else {
                panic!("only one of the readers finds a frame");
            };
            assert_eq!(frame, expected);
            let Ok(Some((kind, body))) = take(&mut buffer, FRAME_MAX) else {
                panic!("only one of the readers takes a frame");
            };
            assert_eq!((kind, &*body), (expected.kind, expected.body));
            whole = &whole[taken..];
        }
        fed += portion.len();
        assert!(decoder.reserved_bytes() <= 2 * fed + 64);
    }
});
