//! Messages of borrows and monitors: decoding ends, and the cores survive what they say.
//!
//! `cargo +nightly fuzz run control`, in `cluster/proto`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mobula_proto::id::NodeId;
use mobula_proto::wire::codec;
use mobula_proto::{borrow, monitors};

fuzz_target!(|input: &[u8]| {
    let peer = NodeId(2);
    if let Ok(message) = codec::decode::<borrow::Message<(u64, u64)>>(input) {
        let mut borrows = borrow::Borrows::new(NodeId(1));
        borrows.own((1, 1));
        borrows.handle_message(peer, message, &mut Vec::new());
    }
    if let Ok(message) = codec::decode::<monitors::Message<(u64, u64), String>>(input) {
        let mut monitors = monitors::Monitors::new();
        let mut out = Vec::new();
        let _ = monitors.watch(peer, (2, 1), &mut out);
        monitors.handle_message(peer, message, |actor| actor.0 == 1, &mut out);
    }
});
