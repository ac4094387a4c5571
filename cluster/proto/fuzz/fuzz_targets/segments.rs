//! Frames of an association: what parses writes the same bytes again, and an association survives them all.
//!
//! `cargo +nightly fuzz run segments`, in `cluster/proto`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mobula_proto::association::{Association, Settings};
use mobula_proto::id::{Incarnation, NodeId};
use mobula_proto::time::Time;
use mobula_proto::wire::frame::cut;
use mobula_proto::wire::segment::Segment;

fuzz_target!(|input: &[u8]| {
    let now = Time(1);
    let mut association = Association::new(Settings::default(), NodeId(1), Incarnation(1), 1, now);
    association.connected(now, 0);
    let (mut outputs, mut slices) = (Vec::new(), Vec::new());
    let mut rest = input;
    while let Ok(Some((frame, taken))) = cut(rest, 4096) {
        if let Ok(Some(segment)) = Segment::parse(frame) {
            let mut again = Vec::new();
            segment.encode_into(&mut again);
            assert_eq!(again, rest[..taken]);
        }
        if let Ok(Some(delivery)) = association.receive(now, frame, &mut outputs) {
            association.taken(now, delivery.receipt);
        }
        association.transmit(now, 0, 4096, &mut slices);
        rest = &rest[taken..];
    }
});
