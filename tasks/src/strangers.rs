//! Recipes as they come from whoever kept them, for those who try to break their decoder. In builds for fuzzing alone.
//!
//! Invariant: whatever is read becomes options, writes down again, and that reads and writes as the same.
//!
//! Pure: no clock, no I/O, no tasks.

use mobula_actor_core::wire::Codec;
use mobula_store::lineage::Beside;

use crate::recipe::Call;

/// Reads `bytes` as a recipe; whether they are one.
///
/// # Panics
/// When what was read does not come back as it was.
#[must_use]
pub fn read_recipe(bytes: &[u8]) -> bool {
    let codec = Codec::<Call>::serde();
    let Ok(call) = codec.decode(bytes) else { return false };
    let _options = call.options(1, &Beside::default());
    let written = |call: &Call| {
        let mut bytes = Vec::new();
        codec.encode(call, &mut bytes).map(|()| bytes)
    };
    // A reference that leads nowhere here is not passed on.
    let Ok(first) = written(&call) else { return true };
    match codec.decode(&first) {
        Ok(call) => assert_eq!(written(&call).as_ref(), Ok(&first), "{bytes:x?}"),
        Err(error) => panic!("what was written is not read: {error}; {bytes:x?}"),
    }
    true
}

/// Samples, to be damaged.
#[must_use]
pub fn recipes() -> Vec<Vec<u8>> {
    let codec = Codec::<Call>::serde();
    let written = Call::samples().into_iter().filter_map(|call| {
        let mut bytes = Vec::new();
        codec.encode(&call, &mut bytes).map(|()| bytes).ok()
    });
    written.collect()
}
