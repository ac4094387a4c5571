//! What a node says of itself to all: it reads, and writes down again.
//!
//! `.ci/run fuzz`, or `cargo +nightly fuzz run profiles`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mobula::strangers::{profiles, read_profile};
use mobula_fuzz::sow;

fuzz_target!(init: sow(profiles()), |input: &[u8]| {
    let _is_one = read_profile(input);
});
