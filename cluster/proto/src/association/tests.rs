//! One situation each, by what comes out.

use std::time::Duration;

use super::*;
use crate::wire::frame;

const NOW: Time = Time(1_000);

fn pair() -> [Association; 2] {
    [1, 2].map(|life| {
        let settings = Settings { lanes: 2, ..Settings::default() };
        Association::new(settings, NodeId(9), Incarnation(life), 1, Time(0))
    })
}

/// Moves everything on the lane both ways until nothing moves; the outputs of both, and what each delivered.
fn settle(pair: &mut [Association; 2], lane: u8, now: Time) -> [(Vec<Output>, Vec<Vec<u8>>); 2] {
    let mut seen: [(Vec<Output>, Vec<Vec<u8>>); 2] = Default::default();
    loop {
        let mut moved = 0;
        for from in 0..2 {
            let mut slices = Vec::new();
            moved += pair[from].transmit(now, lane, 1 << 14, &mut slices);
            let (outputs, delivered) = &mut seen[1 - from];
            feed(&mut pair[1 - from], &slices.concat(), now, outputs, delivered).unwrap();
        }
        if moved == 0 {
            return seen;
        }
    }
}

fn feed(
    to: &mut Association,
    mut bytes: &[u8],
    now: Time,
    outputs: &mut Vec<Output>,
    delivered: &mut Vec<Vec<u8>>,
) -> Result<(), ProtocolError> {
    while let Some((frame, taken)) = frame::cut(bytes, 1 << 24).unwrap() {
        if let Some(delivery) = to.receive(now, frame, outputs)? {
            delivered.push(delivery.payload.to_vec());
            to.taken(now, delivery.receipt);
        }
        bytes = &bytes[taken..];
    }
    Ok(())
}

fn connect(pair: &mut [Association; 2], lane: u8, now: Time) {
    for side in pair {
        side.cut(now, lane);
        side.connected(now, lane);
    }
}

#[test]
fn messages_wait_for_the_handshake_and_arrive_in_order() {
    let mut pair = pair();
    pair[0].send(NOW, 0, b"one").unwrap();
    pair[0].send(NOW, 0, b"two").unwrap();
    assert!(!pair[0].wants_transmit(NOW, 0));
    connect(&mut pair, 0, NOW);
    assert!(pair[0].wants_transmit(NOW, 0));
    let [_, (outputs, delivered)] = settle(&mut pair, 0, NOW);
    assert_eq!(delivered, [b"one", b"two"]);
    assert_eq!(outputs, [Output::Resumed { lane: 0 }]);
    assert_eq!(pair[0].buffered_bytes(0), 0);
    assert_eq!(pair[0].peer_life(), Some(Incarnation(2)));
    assert_eq!(pair[0].next_wake(), None);
}

#[test]
fn what_a_broken_connection_swallowed_is_sent_again_and_nothing_twice() {
    let mut pair = pair();
    connect(&mut pair, 0, NOW);
    settle(&mut pair, 0, NOW);
    for number in 0..10_u8 {
        pair[0].send(NOW, 0, &[number]).unwrap();
    }
    let mut slices = Vec::new();
    pair[0].transmit(NOW, 0, 1 << 14, &mut slices);
    let bytes = slices.concat();
    let mut delivered = Vec::new();
    // Each frame is ten bytes; three of them arrive, their acknowledgement does not.
    feed(&mut pair[1], &bytes[..35], NOW, &mut Vec::new(), &mut delivered).unwrap();
    assert_eq!(delivered.len(), 3);
    connect(&mut pair, 0, NOW);
    let [_, (_, rest)] = settle(&mut pair, 0, NOW);
    delivered.extend(rest);
    assert_eq!(delivered, (0..10).map(|number| vec![number]).collect::<Vec<_>>());
    assert_eq!(pair[1].dropped(), Dropped::default());
}

#[test]
fn five_seconds_without_a_connection_end_the_epoch() {
    let mut pair = pair();
    connect(&mut pair, 0, NOW);
    settle(&mut pair, 0, NOW);
    pair[0].send(NOW, 0, b"sent").unwrap();
    pair[0].transmit(NOW, 0, 1 << 14, &mut Vec::new());
    pair[0].cut(NOW, 0);
    pair[0].send(NOW, 1, b"unsent").unwrap();
    let late = NOW + Duration::from_secs(5);
    assert_eq!(pair[0].next_wake(), Some(late));
    let mut outputs = Vec::new();
    pair[0].tick(Time(late.0 - 1), &mut outputs);
    assert_eq!(outputs, []);
    pair[0].tick(late, &mut outputs);
    let lost = |lane, text: &'static str| vec![LostMessage { lane, payload: text.into() }];
    let expected = Lost {
        epoch: 1,
        cause: LossCause::Disconnected,
        sent: lost(0, "sent"),
        unsent: lost(1, "unsent"),
    };
    assert_eq!(expected.count(), 2);
    assert_eq!(outputs, [Output::Lost(expected)]);
    // The next epoch goes on as if nothing had been, and the peer is told.
    pair[0].send(late, 0, b"after").unwrap();
    connect(&mut pair, 0, late);
    let [_, (outputs, delivered)] = settle(&mut pair, 0, late);
    assert_eq!(delivered, [b"after"]);
    let told = Output::PeerLost { ended: 1, begun: 2 };
    assert_eq!(outputs, [told, Output::Resumed { lane: 0 }]);
}

#[test]
fn an_epoch_that_ends_on_a_living_connection_starts_the_next_there() {
    let mut pair = pair();
    connect(&mut pair, 0, NOW);
    settle(&mut pair, 0, NOW);
    pair[0].send(NOW, 0, b"lost").unwrap();
    pair[0].give_up(NOW, &mut Vec::new());
    pair[0].send(NOW, 0, b"kept").unwrap();
    let [_, (outputs, delivered)] = settle(&mut pair, 0, NOW);
    assert_eq!(delivered, [b"kept"]);
    assert_eq!(outputs, [Output::PeerLost { ended: 1, begun: 2 }]);
}

#[test]
fn a_new_life_of_the_peer_gets_nothing_that_was_meant_for_the_last() {
    let mut pair = pair();
    connect(&mut pair, 0, NOW);
    settle(&mut pair, 0, NOW);
    pair[0].send(NOW, 0, b"for the dead").unwrap();
    let [old, _] = [0, 1].map(|_| Settings { lanes: 2, ..Settings::default() });
    let stale =
        std::mem::replace(&mut pair[1], Association::new(old, NodeId(8), Incarnation(3), 1, NOW));
    connect(&mut pair, 0, NOW);
    let [(outputs, _), (_, delivered)] = settle(&mut pair, 0, NOW);
    let restarted = Output::PeerRestarted { ended: Incarnation(2), begun: Incarnation(3) };
    assert_eq!(outputs[0], restarted);
    assert!(matches!(&outputs[1], Output::Lost(lost) if lost.unsent[0].payload == "for the dead"));
    assert!(delivered.is_empty());
    pair[0].send(NOW, 0, b"hello").unwrap();
    assert_eq!(settle(&mut pair, 0, NOW)[1].1, [b"hello"]);
    // The old life cannot come back.
    pair[1] = stale;
    pair[1].connected(NOW, 0);
    let mut slices = Vec::new();
    pair[1].transmit(NOW, 0, 1 << 14, &mut slices);
    let refused = feed(&mut pair[0], &slices.concat(), NOW, &mut Vec::new(), &mut Vec::new());
    let (stale, known) = (Incarnation(2), Incarnation(3));
    assert_eq!(refused, Err(ProtocolError::StaleLife { stale, known }));
}

#[test]
fn credit_stops_the_sender_until_messages_are_taken() {
    let mut pair = pair();
    connect(&mut pair, 1, NOW);
    settle(&mut pair, 1, NOW);
    for _ in 0..2_000 {
        pair[0].send(NOW, 1, b"x").unwrap();
    }
    let mut receipts: Vec<Receipt> = Vec::new();
    let mut total = 0;
    for _ in 0..50 {
        let mut slices = Vec::new();
        pair[0].transmit(NOW, 1, 1 << 20, &mut slices);
        let bytes = slices.concat();
        let mut rest = &bytes[..];
        while let Some((frame, taken)) = frame::cut(rest, 100).unwrap() {
            let delivery = pair[1].receive(NOW, frame, &mut Vec::new()).unwrap();
            receipts.extend(delivery.map(|delivery| delivery.receipt));
            rest = &rest[taken..];
        }
        let mut slices = Vec::new();
        pair[1].transmit(NOW, 1, 1 << 20, &mut slices);
        feed(&mut pair[0], &slices.concat(), NOW, &mut Vec::new(), &mut Vec::new()).unwrap();
        total = receipts.len();
    }
    assert_eq!(total, 1_024);
    let mut sum = receipts[0];
    assert!(receipts[1..256].iter().all(|&receipt| sum.add(receipt).is_none()));
    pair[1].taken(NOW, sum);
    assert!(pair[1].wants_transmit(NOW, 1), "a quarter is told at once");
    assert_eq!(settle(&mut pair, 1, NOW)[1].1.len(), 2_000 - 1_024);
}

#[test]
fn a_full_lane_refuses_and_says_when_there_is_room() {
    let mut pair = pair();
    connect(&mut pair, 1, NOW);
    settle(&mut pair, 1, NOW);
    let payload = Bytes::from(vec![0; 1 << 20]);
    let mut taken = 0;
    while pair[0].send_shared(NOW, 1, &payload).is_ok() {
        taken += 1;
    }
    assert_eq!(taken, 3);
    assert_eq!(pair[0].send(NOW, 1, b"small"), Ok(3));
    let huge = Bytes::from(vec![0; 16 << 20]);
    assert!(matches!(pair[0].send_shared(NOW, 1, &huge), Err(SendError::TooLong { .. })));
    let [(outputs, _), (_, delivered)] = settle(&mut pair, 1, NOW);
    assert_eq!(outputs, [Output::Writable { lane: 1 }]);
    assert_eq!(delivered.len(), 4);
    assert_eq!(pair[0].send(NOW, 7, b""), Err(SendError::NoLane { lane: 7 }));
    pair[0].close(NOW, &mut Vec::new());
    assert_eq!(pair[0].send(NOW, 1, b""), Err(SendError::Closed { peer: NodeId(9) }));
    assert_eq!(pair[0].next_wake(), None);
}

#[test]
fn an_acknowledgement_waits_for_a_ride_but_not_for_ever() {
    let mut pair = pair();
    connect(&mut pair, 0, NOW);
    settle(&mut pair, 0, NOW);
    pair[0].send(NOW, 0, b"x").unwrap();
    let mut slices = Vec::new();
    pair[0].transmit(NOW, 0, 1 << 14, &mut slices);
    feed(&mut pair[1], &slices.concat(), NOW, &mut Vec::new(), &mut Vec::new()).unwrap();
    assert!(!pair[1].wants_transmit(NOW, 0));
    let due = NOW + Duration::from_millis(5);
    assert_eq!(pair[1].next_wake(), Some(due));
    assert!(pair[1].wants_transmit(due, 0));
}

#[test]
fn a_swallowed_tail_is_found_by_asking() {
    let mut pair = pair();
    connect(&mut pair, 0, NOW);
    settle(&mut pair, 0, NOW);
    pair[0].send(NOW, 0, b"swallowed").unwrap();
    pair[0].transmit(NOW, 0, 1 << 14, &mut Vec::new());
    let later = NOW + Duration::from_secs(1);
    assert_eq!(pair[0].next_wake(), Some(later));
    pair[0].tick(later, &mut Vec::new());
    assert_eq!(settle(&mut pair, 0, later)[1].1, [b"swallowed"]);
}

#[test]
fn a_peer_that_began_anew_in_the_same_life_is_heard_and_hears() {
    let mut pair = pair();
    connect(&mut pair, 0, NOW);
    for text in [&b"one"[..], b"two"] {
        pair[0].send(NOW, 0, text).unwrap();
        pair[1].send(NOW, 0, text).unwrap();
        settle(&mut pair, 0, NOW);
    }
    // One side took the other for dead and forgot what there was; the other side noticed nothing.
    let settings = Settings { lanes: 2, ..Settings::default() };
    pair[0] = Association::new(settings, NodeId(9), Incarnation(1), 2, NOW);
    pair[1].send(NOW, 0, b"under way").unwrap();
    connect(&mut pair, 0, NOW);
    let [_, (outputs, _)] = settle(&mut pair, 0, NOW);
    assert!(
        outputs.iter().any(|output| matches!(
            output,
            Output::Lost(Lost { cause: LossCause::PeerForgot, .. })
        )),
        "{outputs:?}"
    );
    pair[0].send(NOW, 0, b"there").unwrap();
    pair[1].send(NOW, 0, b"here").unwrap();
    let [(_, here), (_, there)] = settle(&mut pair, 0, NOW);
    assert_eq!((here, there), (vec![b"here".to_vec()], vec![b"there".to_vec()]));
}
