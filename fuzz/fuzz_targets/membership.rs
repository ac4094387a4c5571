//! Messages of membership: decoding ends, what was decoded comes back, and the core survives what they say, from a neighbour
//! and from whoever broadcasts.
//!
//! `.ci/run fuzz`, or `cargo +nightly fuzz run membership`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mobula_fuzz::{after_length, encoded, parts, sow};
use mobula_proto::config::Config;
use mobula_proto::id::{Incarnation, NodeId};
use mobula_proto::member::{Details, Member, Record};
use mobula_proto::membership::{
    Alert, Fact, Heartbeat, Input, LoadDigest, LoadReport, Membership, Message, Reason,
};
use mobula_proto::time::Time;
use mobula_proto::wire::codec;
use rand::SeedableRng;
use rand::rngs::SmallRng;

fn seeds() -> Vec<Vec<u8>> {
    let (node, incarnation) = (NodeId(2), Incarnation(1));
    let details = Details {
        addresses: vec!["/ip4/127.0.0.1/tcp/7000".to_owned()],
        roles: vec!["observer".to_owned()],
        labels: [("zone".to_owned(), "works".to_owned())].into(),
        meta: b"{}".to_vec(),
        ..Details::default()
    };
    let member = Member::new(node, incarnation, details);
    let record = Record::alive(&member);
    let digest = LoadDigest([1; 12]);
    let loads = [LoadReport { node, sequence: 1, digest }].into();
    let alert = Alert {
        accused: NodeId(3),
        incarnation,
        observer: node,
        observer_incarnation: incarnation,
        sequence: 1,
        reason: Reason::Silence,
        on: true,
    };
    encoded(&[
        Message::Heartbeat(Heartbeat {
            incarnation,
            sequence: 1,
            wanted: true,
            view_hash: 9,
            loads,
        }),
        Message::Probe { nonce: 4 },
        Message::Join(member),
        Message::JoinAck { records: vec![record.clone()], last: true },
        Message::DigestRequest { hashes: vec![1; 64] },
        Message::DigestResponse { buckets: 3, records: vec![record.clone()] },
        Message::Facts(vec![
            Fact::Alert(alert),
            Fact::Record(record.clone()),
            Fact::Down { record, votes: vec![node] },
        ]),
    ])
}

fuzz_target!(init: sow(seeds().into_iter().map(after_length)), |input: &[u8]| {
    let mut rng = SmallRng::seed_from_u64(1);
    let me = Member::new(NodeId(1), Incarnation(1), Details::default());
    let mut membership = Membership::new(Config::default(), me, Time(0));
    let mut out = Vec::new();
    let (from, mut now) = (NodeId(2), 0);
    membership.on(Time(now), Input::Connected { node: from }, &mut rng, &mut out);
    membership.on(Time(now), Input::Join, &mut rng, &mut out);
    for body in parts(input) {
        let Ok(message) = codec::decode::<Message>(body) else { continue };
        let again = codec::encode(&message).expect("what was decoded can be encoded");
        assert_eq!(codec::decode::<Message>(&again).as_ref(), Ok(&message));
        let broadcast = Input::Broadcast { from, message: message.clone() };
        for input in [Input::Received { from, message }, broadcast, Input::Tick] {
            now += 100_000;
            membership.on(Time(now), input, &mut rng, &mut out);
        }
        out.clear();
    }
});
