//! Messages of membership: decoding ends, and what was decoded comes back.
//!
//! `cargo +nightly fuzz run membership`, in `cluster/proto`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mobula_proto::membership::Message;
use mobula_proto::wire::codec;

fuzz_target!(|input: &[u8]| {
    if let Ok(message) = codec::decode::<Message>(input) {
        let again = codec::encode(&message).expect("what was decoded can be encoded");
        assert_eq!(codec::decode::<Message>(&again), Ok(message));
    }
});
