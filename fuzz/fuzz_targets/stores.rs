//! Messages of stores: what is read writes down again, and reads as the same.
//!
//! `.ci/run fuzz`, or `cargo +nightly fuzz run stores`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mobula_actor_core::wire::Codec;
use mobula_fuzz::{encoded, sow};
use mobula_store::message::{
    Answer, Carried, Failure, LossReason, Message, Parcel, PinId, Record, Sequence,
};
use mobula_store::{Incarnation, NodeId, ObjectId, StoreId};

fn seeds() -> Vec<Vec<u8>> {
    let store = StoreId::new(NodeId(2), Incarnation(1));
    let object = ObjectId::new(store, 7).expect("not zero");
    let carried = vec![Carried { object, keeper: store, backup: None }];
    let parcel = Some(Parcel { pin: PinId(3), carried });
    let failure = Failure {
        kind: "Panicked".to_owned(),
        task: "t".to_owned(),
        text: "why".to_owned(),
        attempt: 1,
    };
    let record = Record {
        term: 1,
        bytes: Some(9),
        locations: vec![store],
        borrowers: vec![(store, Sequence(2))],
    };
    let answer = |answer| Message::Answer { object, answer };
    let (bytes, inner) = (vec![7; 9], parcel.clone());
    encoded(&[
        Message::Borrow { object, sequence: Sequence(1) },
        answer(Answer::Inline { bytes, parcel: inner }),
        answer(Answer::At { bytes: 9, sources: vec![store] }),
        answer(Answer::Failed(failure)),
        answer(Answer::Lost(LossReason::AttemptsUsed { attempts: 3 })),
        Message::Gone { object, reason: LossReason::NotRebuildable { text: "it".to_owned() } },
        Message::Pull { object, offset: 0, length: 9 },
        Message::Chunk { object, offset: 0, total: 9, bytes: vec![7; 9].into(), parcel },
        Message::Mirror { object, version: 1, record: Some(record.clone()) },
        Message::Adopt { object, record },
        Message::Moved { object, keeper: store, term: 2 },
    ])
}

fuzz_target!(init: sow(seeds()), |input: &[u8]| {
    let codec = Codec::<Message>::serde();
    if let Ok(message) = codec.decode(input) {
        let mut again = Vec::new();
        codec.encode(&message, &mut again).expect("what was decoded can be encoded");
        assert_eq!(codec.decode(&again), Ok(message));
    }
});
