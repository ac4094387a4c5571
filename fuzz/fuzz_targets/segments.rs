//! Frames of an association: what parses writes the same bytes again, and an association survives them all.
//!
//! `.ci/run fuzz`, or `cargo +nightly fuzz run segments`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mobula_fuzz::sow;
use mobula_proto::association::{Association, Settings};
use mobula_proto::id::{Incarnation, NodeId};
use mobula_proto::time::Time;
use mobula_proto::wire::frame::cut;
use mobula_proto::wire::segment::{Ack, Message, Resume, Segment};

fn seeds() -> Vec<Vec<u8>> {
    let ack = Ack { epoch: 1, lane: 0, next: 1, messages_max: 9, bytes_max: 900 };
    let resume = Resume {
        from_life: Incarnation(2),
        to_life: Incarnation(1),
        epoch: 1,
        sent: 0,
        wants_answer: true,
        received: ack,
    };
    let message = |sequence| Message { epoch: 1, lane: 0, sequence, payload: b"hello" };
    let messages = [0, 1, 3].map(|sequence| Segment::Message(message(sequence)));
    let segments = [Segment::Resume(resume)].into_iter().chain(messages).chain([Segment::Ack(ack)]);
    let mut stream = Vec::new();
    segments.for_each(|segment| segment.encode_into(&mut stream));
    vec![stream]
}

fuzz_target!(init: sow(seeds()), |input: &[u8]| {
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
