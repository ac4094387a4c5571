//! Messages of borrows and monitors: decoding ends, and the cores survive what they say.
//!
//! `.ci/run fuzz`, or `cargo +nightly fuzz run control`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mobula_fuzz::{encoded, sow};
use mobula_proto::id::NodeId;
use mobula_proto::wire::codec;
use mobula_proto::{borrow, monitors};

type Borrow = borrow::Message<(u64, u64)>;
type Monitor = monitors::Message<(u64, u64), String>;

fn seeds() -> Vec<Vec<u8>> {
    let (thing, sequence) = ((1, 1), 1);
    let holds = vec![(thing, sequence)];
    let mut seeds = encoded(&[
        Borrow::Hold { thing, sequence },
        Borrow::Release { thing, sequence },
        Borrow::Holds { after: None, up_to: Some(thing), snapshot: 4, holds: holds.clone() },
        Borrow::Held { holds },
        Borrow::Gone { thing, sequence },
        Borrow::Received { pins: vec![1] },
        Borrow::AskPins { pins: vec![1] },
    ]);
    seeds.extend(encoded(&[
        Monitor::Watch { id: 1, actor: thing },
        Monitor::Unwatch { id: 1 },
        Monitor::Watches { from: 0, to: 9, open: vec![(1, thing)] },
        Monitor::Down { id: 0, reason: monitors::Down::Exited("why".to_owned()) },
    ]));
    seeds
}

fuzz_target!(init: sow(seeds()), |input: &[u8]| {
    let peer = NodeId(2);
    if let Ok(message) = codec::decode::<Borrow>(input) {
        let mut borrows = borrow::Borrows::new(NodeId(1));
        borrows.own((1, 1));
        borrows.handle_message(peer, message, &mut Vec::new());
    }
    if let Ok(message) = codec::decode::<Monitor>(input) {
        let mut monitors = monitors::Monitors::new();
        let mut out = Vec::new();
        let _ = monitors.watch(peer, (2, 1), &mut out);
        monitors.handle_message(peer, message, |actor| actor.0 == 1, &mut out);
    }
});
