//! Messages of membership: decoding ends, and what was decoded comes back.
//!
//! `.ci/run fuzz`, or `cargo +nightly fuzz run membership`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mobula_fuzz::{encoded, sow};
use mobula_proto::id::{Incarnation, NodeId};
use mobula_proto::member::{Details, Member, Record};
use mobula_proto::membership::{Alert, Fact, Heartbeat, LoadDigest, LoadReport, Message, Reason};
use mobula_proto::wire::codec;

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

fuzz_target!(init: sow(seeds()), |input: &[u8]| {
    if let Ok(message) = codec::decode::<Message>(input) {
        let again = codec::encode(&message).expect("what was decoded can be encoded");
        assert_eq!(codec::decode::<Message>(&again), Ok(message));
    }
});
