//! How many messages of 100 bytes one core puts on a lane, and takes off one.
//!
//! `cargo bench -p mobula-proto --bench frames` prints millions a second, the best of five runs.
//! Nothing here is checked: a figure depends on the machine.

#![expect(clippy::print_stdout, reason = "the figures are the point")]
#![expect(clippy::unwrap_used, reason = "a failing benchmark may panic")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mobula_proto::association::{Association, Receipt, Settings};
use mobula_proto::id::{Incarnation, NodeId};
use mobula_proto::time::Time;
use mobula_proto::wire::frame::{DATA_FRAME_MAX, Decoder, Frame, Kind};
use mobula_proto::wire::parcel::{Parcel, Verb};

const COUNT: u64 = 2_000_000;
const BATCH: usize = 16 << 10;

fn report(name: &str, count: u64, mut run: impl FnMut() -> Duration) {
    let best = (0..5).map(|_| run()).min().unwrap();
    println!("{name:<40} {:>8.2} M/s", count as f64 / best.as_secs_f64() / 1e6);
}

fn main() {
    let body = [7_u8; 100];
    let mut bytes = Vec::with_capacity(BATCH + 200);
    report("frames: encode", COUNT, || {
        let begin = Instant::now();
        for _ in 0..COUNT {
            Frame { kind: Kind::CONTROL, body: black_box(&body) }.encode_into(&mut bytes);
            if bytes.len() >= BATCH {
                black_box(&bytes);
                bytes.clear();
            }
        }
        begin.elapsed()
    });

    let mut stream = Vec::new();
    for _ in 0..10_000 {
        Frame { kind: Kind::CONTROL, body: &body }.encode_into(&mut stream);
    }
    report("frames: decode portions of 16 KiB", COUNT, || {
        let mut decoder = Decoder::new(DATA_FRAME_MAX);
        let begin = Instant::now();
        for _ in 0..COUNT / 10_000 {
            for portion in stream.chunks(BATCH) {
                let mut frames = decoder.feed(portion);
                while let Some(frame) = frames.next_frame().unwrap() {
                    black_box(frame.body);
                }
            }
        }
        begin.elapsed()
    });

    let parcel = Parcel {
        verb: Verb::TELL,
        to: 1_000,
        generation: 1,
        from: 2_000,
        message_type: 0x1234_5678_9abc_def0,
        correlation: 0,
        deadline: None,
        extension: &[],
        payload: &body,
    };
    let mut encoded = Vec::new();
    parcel.encode_into(&mut encoded);
    report("parcels: encode and parse", COUNT, || {
        let begin = Instant::now();
        for _ in 0..COUNT {
            encoded.clear();
            black_box(&parcel).encode_into(&mut encoded);
            black_box(Parcel::parse(black_box(&encoded)).unwrap());
        }
        begin.elapsed()
    });

    let mut sending = Duration::MAX;
    let mut receiving = Duration::MAX;
    for _ in 0..5 {
        let (sent, received) = associations(&encoded);
        sending = sending.min(sent);
        receiving = receiving.min(received);
    }
    report("associations: send, hand out, be acked", COUNT, || sending);
    report("associations: decode, receive, take, ack", COUNT, || receiving);
}

/// Time spent by the sending and by the receiving side.
fn associations(payload: &[u8]) -> (Duration, Duration) {
    let now = Time(1);
    let mut pair = [1, 2].map(|life| {
        let mut side = Association::new(Settings::default(), NodeId(1), Incarnation(life), 1, now);
        side.connected(now, 0);
        side
    });
    let mut decoders = [0, 1].map(|_| Decoder::new(DATA_FRAME_MAX));
    let mut spent = [Duration::ZERO; 2];
    let mut slices: Vec<Bytes> = Vec::new();
    let mut sent = 0;
    let mut taken = 0;
    while taken < COUNT {
        for side in 0..2 {
            let begin = Instant::now();
            // A batch is what a writer would find in its queue.
            while side == 0 && sent < COUNT && pair[0].buffered_bytes(0) < 4 * BATCH {
                pair[0].send(now, 0, payload).unwrap();
                sent += 1;
            }
            slices.clear();
            pair[side].transmit(now, 0, BATCH, &mut slices);
            spent[side] += begin.elapsed();

            let begin = Instant::now();
            let other = 1 - side;
            let mut sum: Option<Receipt> = None;
            for slice in &slices {
                let mut frames = decoders[other].feed(slice);
                while let Some(frame) = frames.next_frame().unwrap() {
                    let delivery = pair[other].receive(now, frame, &mut Vec::new()).unwrap();
                    if let Some(delivery) = delivery {
                        black_box(delivery.payload);
                        taken += 1;
                        match &mut sum {
                            Some(sum) => assert!(sum.add(delivery.receipt).is_none()),
                            None => sum = Some(delivery.receipt),
                        }
                    }
                }
            }
            if let Some(sum) = sum {
                pair[other].taken(now, sum);
            }
            spent[other] += begin.elapsed();
        }
    }
    (spent[0], spent[1])
}
