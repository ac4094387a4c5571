//! Parcels: what parses writes the same bytes again.
//!
//! `cargo +nightly fuzz run parcels`, in `cluster/proto`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mobula_proto::wire::parcel::Parcel;

fuzz_target!(|input: &[u8]| {
    if let Ok(parcel) = Parcel::parse(input) {
        let mut again = Vec::new();
        parcel.encode_into(&mut again);
        assert_eq!(again, input);
    }
});
