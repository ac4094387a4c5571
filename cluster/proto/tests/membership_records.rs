//! Records merge to the same whatever the order: a join-semilattice.

use std::sync::Arc;

use mobula_proto::id::{Incarnation, NodeId};
use mobula_proto::member::{DETAILS_BYTES_MAX, Details, Member, Record, Status};
use mobula_proto::membership::{Alert, Fact, Heartbeat, LoadDigest, LoadReport, Message, Reason};
use proptest::prelude::*;

fn any_record() -> impl Strategy<Value = Record> {
    let statuses =
        [Status::Alive, Status::Suspect, Status::Leaving, Status::Down, Status::Left].to_vec();
    (0_u64..4, prop::sample::select(statuses), 0_u8..3).prop_map(|(incarnation, status, meta)| {
        let details = Arc::new(Details { meta: vec![meta], ..Details::default() });
        Record { node: NodeId(1), incarnation: Incarnation(incarnation), status, details }
    })
}

fn join(left: &Record, right: &Record) -> Record {
    let mut joined = left.clone();
    joined.merge(right);
    joined
}

proptest! {
    #[test]
    fn merging_is_commutative_associative_and_idempotent(
        a in any_record(),
        b in any_record(),
        c in any_record(),
    ) {
        prop_assert_eq!(join(&a, &b), join(&b, &a));
        prop_assert_eq!(join(&join(&a, &b), &c), join(&a, &join(&b, &c)));
        prop_assert_eq!(join(&a, &a), a.clone());
        let joined = join(&a, &b);
        prop_assert!(joined.precedence(&a).is_ge() && joined.precedence(&b).is_ge());
    }
}

#[test]
fn a_record_of_another_node_says_nothing() {
    let me = Member::new(NodeId(1), Incarnation(1), Details::default());
    let mut mine = Record::alive(&me);
    let other = Record { node: NodeId(2), incarnation: Incarnation(9), ..mine.clone() };
    assert!(!mine.merge(&other));
    assert_eq!(mine, Record::alive(&me));
}

#[test]
fn every_message_survives_the_wire() {
    let me = Member::new(NodeId(u64::MAX), Incarnation(u64::MAX), Details::default());
    let record = Record::alive(&me);
    let report = LoadReport { node: NodeId(3), sequence: u64::MAX, digest: LoadDigest([255; 12]) };
    let alert = Alert {
        accused: NodeId(1),
        incarnation: Incarnation(2),
        observer: NodeId(3),
        observer_incarnation: Incarnation(4),
        sequence: 5,
        reason: Reason::Refused,
        on: true,
    };
    let messages = [
        Message::Heartbeat(Heartbeat {
            incarnation: Incarnation(1),
            sequence: 2,
            wanted: true,
            view_hash: u64::MAX,
            loads: Arc::new([report; 17]),
        }),
        Message::Probe { nonce: 1 },
        Message::ProbeAck { nonce: 1 },
        Message::Join(me),
        Message::JoinAck { records: vec![record.clone()], last: true },
        Message::StaleIncarnation { known: Incarnation(1) },
        Message::DigestRequest { hashes: vec![u64::MAX; 64] },
        Message::DigestResponse { buckets: u64::MAX, records: vec![record.clone()] },
        Message::Records(vec![record.clone()]),
        Message::Facts(vec![
            Fact::Alert(alert),
            Fact::Record(record.clone()),
            Fact::Down { record, votes: vec![NodeId(1)] },
        ]),
    ];
    for message in messages {
        assert!(message.is_within_limits());
        let bytes = rmp_serde::to_vec_named(&message).unwrap();
        let back: Message = rmp_serde::from_slice(&bytes).unwrap();
        assert_eq!(back, message);
    }
}

#[test]
fn what_breaks_a_limit_is_seen() {
    let fat = Details { meta: vec![0; DETAILS_BYTES_MAX + 1], ..Details::default() };
    let fat = Member::new(NodeId(1), Incarnation(1), fat);
    let report = LoadReport { node: NodeId(3), sequence: 1, digest: LoadDigest([0; 12]) };
    let too_much = [
        Message::Join(fat.clone()),
        Message::Records(vec![Record::alive(&fat)]),
        Message::DigestRequest { hashes: vec![0; 65] },
        Message::Facts(vec![
            Fact::Record(Record::alive(&Member::new(
                NodeId(1),
                Incarnation(1),
                Details::default()
            )));
            257
        ]),
        Message::Heartbeat(Heartbeat {
            incarnation: Incarnation(1),
            sequence: 1,
            wanted: false,
            view_hash: 0,
            loads: Arc::new([report; 18]),
        }),
    ];
    for message in too_much {
        assert!(!message.is_within_limits(), "{message:?}");
    }
}
