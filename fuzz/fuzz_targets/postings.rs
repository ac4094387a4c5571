//! Postings of other nodes: what is read writes down again and reads as the same, and the core survives it.
//!
//! `.ci/run fuzz`, or `cargo +nightly fuzz run postings`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mobula_actor_core::ActorId;
use mobula_actor_core::postings::Posting;
use mobula_fuzz::{after_length, encoded, parts, sow};
use mobula_proto::id::{Incarnation, NodeId};
use mobula_proto::postings::{Input, Message, Postings};
use mobula_proto::time::Time;
use mobula_proto::wire::codec;
use rand::SeedableRng;
use rand::rngs::SmallRng;

const OWN: NodeId = NodeId(1);
const PEER: NodeId = NodeId(2);

fn member(number: u64) -> Posting {
    let actor = ActorId::from_u64(number).expect("not zero");
    Posting::Member { group: "g".into(), key: 7, actor }
}

fn seeds() -> Vec<Vec<u8>> {
    let (owner, life) = (PEER, Incarnation(1));
    encoded(&[
        Message::Summary { hash: 9 },
        Message::Pages { from: NodeId(0), to: NodeId(9), pages: vec![(owner, life, 5)] },
        Message::Versions { owner, life, versions: vec![(3, 1)], answers: false },
        Message::News { owner, life, buckets: vec![(3, 2, vec![member(1), member(2)])] },
    ])
}

// Messages follow each other, each after its length in two bytes.
fuzz_target!(init: sow(seeds().into_iter().map(after_length)), |input: &[u8]| {
    let mut rng = SmallRng::seed_from_u64(1);
    let mut postings = Postings::new(OWN, Incarnation(1));
    let mut out = Vec::new();
    postings.post(Time(0), member(3)).expect("there is room");
    let member = Input::Member { node: PEER, life: Incarnation(1) };
    postings.on(Time(0), member, &mut rng, &mut out);
    postings.on(Time(0), Input::Connected { node: PEER }, &mut rng, &mut out);
    let mut now = 0;
    for body in parts(input) {
        if let Ok(message) = codec::decode::<Message<Posting>>(body) {
            let again = codec::encode(&message).expect("what was decoded can be encoded");
            assert_eq!(codec::decode::<Message<Posting>>(&again).as_ref(), Ok(&message));
            now += 50_000_000;
            postings.on(Time(now), Input::Received { from: PEER, message }, &mut rng, &mut out);
            postings.on(Time(now), Input::Tick, &mut rng, &mut out);
        }
        out.clear();
    }
});
