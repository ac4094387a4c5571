//! What the macros refuse, and what they say then.
//!
//! An error message is part of the interface, and the first thing a newcomer reads. Each file in
//! `tests/ui` is one mistake; the text beside it is what the compiler answers. After a change that is
//! meant, write the texts anew with `TRYBUILD=overwrite cargo test --test macro_errors` and read them.

#[test]
fn every_refusal_says_what_to_write_instead() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
