//! What nodes say of themselves to all, for those who try to break its decoder. In builds for fuzzing alone.
//!
//! The messages of this crate's services are found by way of the table of handlers; a profile is in none, since it travels
//! in the membership.
//!
//! Invariant: whatever is read writes down again, and reads as the same.

use crate::wiring::profile::Profile;

/// Reads `bytes` as a profile; whether they are one.
///
/// # Panics
/// When what was read does not come back as it was.
#[must_use]
pub fn read_profile(bytes: &[u8]) -> bool {
    let Ok(profile) = serde_json::from_slice::<Profile>(bytes) else { return false };
    let written = serde_json::to_vec(&profile).unwrap_or_default();
    match serde_json::from_slice::<Profile>(&written) {
        Ok(again) => assert_eq!(format!("{again:?}"), format!("{profile:?}"), "{bytes:x?}"),
        Err(error) => panic!("what was written is not read: {error}; {bytes:x?}"),
    }
    true
}

/// Samples, to be damaged.
#[must_use]
pub fn profiles() -> Vec<Vec<u8>> {
    let resources = [("gpu".to_owned(), 10_000)].into();
    let profile = Profile { cpus: 2.5, key: "ab".to_owned(), resources, ..Profile::default() };
    serde_json::to_vec(&profile).into_iter().collect()
}
