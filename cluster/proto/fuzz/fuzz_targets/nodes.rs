//! Admission, certificates, the exchange, bulk: what is read writes down again, and reads as the same.
//!
//! `cargo +nightly fuzz run nodes`, in `cluster/proto`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let _kinds = mobula_cluster::strangers::read_all(input);
});
