//! How a lost result is made again, as it comes from whoever kept the recipe: it reads, becomes options, and writes down
//! again.
//!
//! `.ci/run fuzz`, or `cargo +nightly fuzz run recipes`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mobula_fuzz::sow;
use mobula_tasks::strangers::{read_recipe, recipes};

fuzz_target!(init: sow(recipes()), |input: &[u8]| {
    let _is_one = read_recipe(input);
});
