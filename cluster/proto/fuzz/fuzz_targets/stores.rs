//! Messages of stores: what is read writes down again, and reads as the same.
//!
//! `cargo +nightly fuzz run stores`, in `cluster/proto`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mobula_actor_core::wire::Codec;
use mobula_store::message::Message;

fuzz_target!(|input: &[u8]| {
    let codec = Codec::<Message>::serde();
    if let Ok(message) = codec.decode(input) {
        let mut again = Vec::new();
        codec.encode(&message, &mut again).expect("what was decoded can be encoded");
        assert_eq!(codec.decode(&again), Ok(message));
    }
});
