//! Where a fuzzer begins: good bytes, to be damaged.
//!
//! From nothing it would take hours to find the names of fields. So each target writes what it is to begin with into
//! the directory that `FUZZ_SEEDS` names, before the fuzzer reads it; bytes that lie in the repository would be of
//! yesterday's version.

use std::path::Path;

/// Writes `seeds` if it is asked to.
///
/// # Panics
/// When they cannot be written.
pub fn sow(seeds: impl IntoIterator<Item = Vec<u8>>) {
    let Some(directory) = std::env::var_os("FUZZ_SEEDS") else { return };
    for (number, seed) in seeds.into_iter().enumerate() {
        let path = Path::new(&directory).join(format!("seed-{number:03}"));
        std::fs::write(path, seed).expect("the directory exists and can be written");
    }
}

/// Values in MessagePack with named fields.
///
/// # Panics
/// When one cannot be written.
#[must_use]
pub fn encoded<T: serde::Serialize>(values: &[T]) -> Vec<Vec<u8>> {
    let encode = |value| mobula_proto::wire::codec::encode(value).expect("a sample");
    values.iter().map(encode).collect()
}

/// A seed of which there may be several in one input, one after the other.
///
/// # Panics
/// When it is longer than two bytes can say.
#[must_use]
pub fn after_length(bytes: Vec<u8>) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("a sample is short");
    [&length.to_le_bytes(), bytes.as_slice()].concat()
}

/// The parts of an input, each after its length in two bytes; the last may be cut.
pub fn parts(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = input;
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_le_bytes(*length)).min(after.len());
        let (part, after) = after.split_at(length);
        rest = after;
        Some(part)
    })
}
