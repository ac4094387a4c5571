//! The buffer is the stream: what is handed out, handed out again, and handed back.

use super::*;

const EPOCH: u64 = 3;
const LANE: u8 = 2;

fn lane(messages_max: u64, bytes_max: u64) -> Outbound {
    let mut lane = Outbound::new();
    lane.acknowledge(Time(0), &ack(0, messages_max, bytes_max)).unwrap();
    lane
}

fn ack(next: u64, messages_max: u64, bytes_max: u64) -> Ack {
    Ack { epoch: EPOCH, lane: LANE, next, messages_max, bytes_max }
}

/// What the bytes say: (sequence, payload).
fn read(slices: &[Bytes]) -> Vec<(u64, Vec<u8>)> {
    let bytes = slices.concat();
    let mut rest = &bytes[..];
    let mut seen = Vec::new();
    while let Some((frame, taken)) = frame::cut(rest, 1 << 20).unwrap() {
        let Some(Segment::Message(message)) = Segment::parse(frame).unwrap() else {
            panic!("only messages are written");
        };
        assert_eq!((message.epoch, message.lane), (EPOCH, LANE));
        seen.push((message.sequence, message.payload.to_vec()));
        rest = &rest[taken..];
    }
    assert!(rest.is_empty(), "whole frames only");
    seen
}

fn transmit(lane: &mut Outbound, budget: usize) -> Vec<(u64, Vec<u8>)> {
    let mut out = Vec::new();
    let size = lane.transmit(Time(1), budget, false, &mut out);
    assert_eq!(size, out.iter().map(Bytes::len).sum::<usize>());
    read(&out)
}

fn numbers(messages: &[(u64, Vec<u8>)]) -> Vec<u64> {
    messages.iter().map(|(number, _)| *number).collect()
}

#[test]
fn short_and_shared_payloads_come_out_in_order() {
    let mut lane = lane(100, 1 << 20);
    let long = Bytes::from(vec![7; SHARED_MIN]);
    lane.push(Time(0), EPOCH, LANE, [b"fi", b"rst"]);
    lane.push_shared(Time(0), EPOCH, LANE, &long);
    lane.push(Time(0), EPOCH, LANE, [b"thi", b"rd"]);
    let mut out = Vec::new();
    lane.transmit(Time(1), usize::MAX / 2, false, &mut out);
    assert!(out.iter().any(|slice| slice.as_ptr() == long.as_ptr()), "shared, not copied");
    let expected = vec![(0, b"first".to_vec()), (1, long.to_vec()), (2, b"third".to_vec())];
    assert_eq!(read(&out), expected);
    lane.rewind();
    assert_eq!(transmit(&mut lane, 1 << 20), expected);
}

#[test]
fn a_batch_ends_at_the_budget_and_at_the_credit() {
    let mut lane = lane(7, 1 << 20);
    for _ in 0..10 {
        lane.push(Time(0), EPOCH, LANE, [&[], &[0; 92]]);
    }
    assert_eq!(numbers(&transmit(&mut lane, 250)), [0, 1]);
    assert_eq!(numbers(&transmit(&mut lane, 1)), [2], "at least one");
    assert_eq!(numbers(&transmit(&mut lane, 100_000)), [3, 4, 5, 6], "seven were granted");
    assert!(!lane.is_ready());
    lane.acknowledge(Time(2), &ack(2, 8, 1 << 20)).unwrap();
    assert_eq!(numbers(&transmit(&mut lane, 100_000)), [7]);
    // Bytes: nine frames of 100 are below 801 bytes of credit only until the ninth has begun.
    lane.acknowledge(Time(2), &ack(2, 100, 801)).unwrap();
    lane.rewind();
    assert_eq!(numbers(&transmit(&mut lane, 100_000)).last(), Some(&9));
}

#[test]
fn bytes_of_credit_stop_the_frame_that_would_begin_beyond_them() {
    let mut lane = lane(100, 150);
    for _ in 0..4 {
        lane.push(Time(0), EPOCH, LANE, [&[], &[0; 92]]);
    }
    assert_eq!(numbers(&transmit(&mut lane, 100_000)), [0, 1]);
}

#[test]
fn acknowledged_frames_are_forgotten_and_the_rest_is_sent_again() {
    let mut lane = lane(100, 1 << 20);
    for number in 0..10_u8 {
        lane.push(Time(0), EPOCH, LANE, [&[], &[number]]);
    }
    transmit(&mut lane, 1 << 20);
    assert_eq!(lane.acknowledge(Time(2), &ack(11, 0, 0)), Err(()), "never sent");
    lane.acknowledge(Time(2), &ack(4, 0, 0)).unwrap();
    lane.acknowledge(Time(2), &ack(1, 0, 0)).unwrap();
    lane.rewind();
    assert_eq!(numbers(&transmit(&mut lane, 1 << 20)), [4, 5, 6, 7, 8, 9]);
    lane.rewind();
    lane.acknowledge(Time(2), &ack(10, 0, 0)).unwrap();
    assert!(lane.is_empty() && !lane.is_ready());
    assert_eq!(lane.buffered_bytes(), 0);
    assert_eq!(lane.oldest_sent_at(), None);
}

#[test]
fn what_is_handed_back_says_whether_it_was_ever_sent() {
    let mut lane = lane(2, 1 << 20);
    let long = Bytes::from(vec![7; SHARED_MIN]);
    lane.push(Time(0), EPOCH, LANE, [b"a", b""]);
    lane.push_shared(Time(0), EPOCH, LANE, &long);
    lane.push(Time(0), EPOCH, LANE, [b"", b"c"]);
    lane.push_shared(Time(0), EPOCH, LANE, &long);
    transmit(&mut lane, 1 << 20);
    lane.rewind();
    let (sent, unsent) = lane.take_all();
    assert_eq!(sent, [Bytes::from_static(b"a"), long.clone()]);
    assert_eq!(unsent, [Bytes::from_static(b"c"), long]);
}
