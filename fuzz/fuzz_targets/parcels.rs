//! Parcels: what parses writes the same bytes again.
//!
//! `.ci/run fuzz`, or `cargo +nightly fuzz run parcels`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mobula_actor_core::ActorId;
use mobula_cluster::strangers::{Called, parcels};
use mobula_fuzz::sow;
use mobula_proto::wire::parcel::Parcel;

fn seeds() -> Vec<Vec<u8>> {
    let actor = ActorId::from_u64(7).expect("not zero");
    parcels(&Called { actor, life: 3, handlers: vec![5], constructor: 9 })
}

fuzz_target!(init: sow(seeds()), |input: &[u8]| {
    if let Ok(parcel) = Parcel::parse(input) {
        let mut again = Vec::new();
        parcel.encode_into(&mut again);
        assert_eq!(again, input);
    }
});
