//! Frames, cut into portions by the first byte of the input: both readers agree, whatever arrives.
//!
//! `cargo +nightly fuzz run frames`, in `cluster/proto`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mobula_proto::wire::frame::{Decoder, cut};

const FRAME_MAX: usize = 4096;

fuzz_target!(|input: &[u8]| {
    let Some((&size, stream)) = input.split_first() else {
        return;
    };
    let mut decoder = Decoder::new(FRAME_MAX);
    let mut whole = stream;
    let mut fed = 0;
    for portion in stream.chunks(usize::from(size).max(1)) {
        let mut frames = decoder.feed(portion);
        while let Ok(Some(frame)) = frames.next_frame() {
            let Ok(Some((expected, taken))) = cut(whole, FRAME_MAX) else {
                panic!("only one of the readers finds a frame");
            };
            assert_eq!(frame, expected);
            whole = &whole[taken..];
        }
        fed += portion.len();
        assert!(decoder.reserved_bytes() <= 2 * fed + 64);
    }
});
