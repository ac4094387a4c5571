//! The walk before every decoder: what it lets pass, serde reads to the end, whatever the type.
//!
//! `.ci/run fuzz`, or `cargo +nightly fuzz run shape`.

#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use mobula_fuzz::{encoded, sow};
use mobula_proto::wire::shape;
use serde::Deserialize;
use serde::de::IgnoredAny;

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = encoded(&[(1_u8, -1_i64, "text", [1.5_f64; 3], Some(true))]);
    seeds.push(vec![0xd6, 1, 2, 3, 4, 5]);
    seeds.push(vec![0x81, 0xa1, b'k', 0xc4, 2, 7, 7]);
    seeds
}

fuzz_target!(init: sow(seeds()), |input: &[u8]| {
    if let Ok(size_bytes) = shape::measure(input) {
        assert!(size_bytes <= input.len());
        let mut reader = rmp_serde::Deserializer::new(Cursor::new(&input[..size_bytes]));
        IgnoredAny::deserialize(&mut reader).expect("well-formed");
        assert_eq!(reader.get_ref().position(), size_bytes as u64, "all of it");
    }
});
