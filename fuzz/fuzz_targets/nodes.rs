//! Admission, certificates, the exchange, bulk: what is read writes down again, and reads as the same. Once as the body of
//! a frame, once as a stream of frames.
//!
//! `.ci/run fuzz`, or `cargo +nightly fuzz run nodes`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mobula_cluster::strangers::{framed, read_all, read_stream, samples};
use mobula_fuzz::sow;

fn seeds() -> Vec<Vec<u8>> {
    let samples = samples();
    let framed = samples.iter().flat_map(|sample| framed(sample));
    framed.chain(samples.iter().cloned()).collect()
}

fuzz_target!(init: sow(seeds()), |input: &[u8]| {
    let _kinds = read_all(input);
    let _kinds = read_stream(input);
});
