//! What a stranger's bytes may not do to a store: panic, end the stack, or mean two things.
//!
//! A million cases in a release build, ten thousand in a debug build unless `WIRE_CASES` says otherwise. A failing run
//! prints its seed, which `WIRE_SEED=n` repeats.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and a failing one prints its seed"
)]

use mobula_actor_core::wire::Codec;
use mobula_store::message::{
    Answer, Carried, Failure, LossReason, Message, Parcel, PinId, Record, Sequence,
};
use mobula_store::{Incarnation, NodeId, ObjectId, StoreId};
use rand::rngs::SmallRng;
use rand::{Rng, RngCore, SeedableRng};

fn samples() -> Vec<Message> {
    let store = |number| StoreId::new(NodeId(number), Incarnation(3));
    let object: ObjectId = ObjectId::new(store(1), 1).unwrap();
    let parcel = Parcel {
        pin: PinId(4),
        carried: vec![Carried { object, keeper: store(2), backup: Some(store(3)) }; 2],
    };
    let record = Record {
        term: 1,
        bytes: Some(9),
        locations: vec![store(1), store(2)],
        borrowers: vec![(store(3), Sequence(5))],
    };
    let failure =
        Failure { kind: "UserError".into(), task: "f a1".into(), text: "no".into(), attempt: 1 };
    let bytes = vec![1, 2, 3];
    vec![
        Message::Borrow { object, sequence: Sequence(1) },
        Message::Want { object, or_place: false },
        Message::Want { object, or_place: true },
        Message::Located { object, bytes: 7, hosted: true },
        Message::Gone { object, reason: LossReason::AttemptsUsed { attempts: 3 } },
        Message::Answer {
            object,
            answer: Answer::Inline { bytes: bytes.clone(), parcel: Some(parcel.clone()) },
        },
        Message::Answer { object, answer: Answer::At { bytes: 5, sources: vec![store(2)] } },
        Message::Answer { object, answer: Answer::Made { bytes: 5, copies: vec![store(2)] } },
        Message::Answer { object, answer: Answer::Failed(failure) },
        Message::Chunk { object, offset: 1, total: 9, bytes: bytes.into(), parcel: Some(parcel) },
        Message::Mirror { object, version: 3, record: Some(record.clone()) },
        Message::Adopt { object, record },
    ]
}

fn damage(rng: &mut SmallRng, bytes: &mut Vec<u8>) {
    for _ in 0..rng.random_range(0..4) {
        if bytes.is_empty() {
            return;
        }
        let at = rng.random_range(0..bytes.len());
        match rng.random_range(0..6) {
            0 => bytes[at] = rng.random(),
            1 => bytes[at] ^= 1 << rng.random_range(0..8),
            2 => bytes.truncate(at),
            3 => bytes.insert(at, rng.random()),
            4 => bytes[at] = [0xc6, 0xdb, 0xdd, 0xdf, 0xc9, 0xff][rng.random_range(0..6)],
            _ => {
                let deep = vec![0x91; rng.random_range(0..200)];
                bytes.splice(at..at, deep);
            }
        }
    }
}

/// Says which case it was.
struct SaidOnPanic(u64);

impl Drop for SaidOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("WIRE_SEED={}", self.0);
        }
    }
}

#[test]
fn strangers_messages_do_no_harm() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let cases = if cfg!(debug_assertions) { 10_000 } else { 1_000_000 };
    let cases = number("WIRE_CASES").unwrap_or(cases);
    let seeds = number("WIRE_SEED").map_or(0..cases, |seed| seed..seed + 1);
    let codec = Codec::<Message>::serde();
    let written = |message: &Message| {
        let mut bytes = Vec::new();
        codec.encode(message, &mut bytes).unwrap();
        bytes
    };
    let samples: Vec<Vec<u8>> = samples().iter().map(written).collect();
    let mut read = 0_u64;
    for seed in seeds.clone() {
        let _seed = SaidOnPanic(seed);
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut bytes = samples[rng.random_range(0..samples.len())].clone();
        if rng.random_range(0..20) == 0 {
            rng.fill_bytes(&mut bytes);
        }
        damage(&mut rng, &mut bytes);
        if let Ok(message) = codec.decode(&bytes) {
            read += 1;
            assert_eq!(codec.decode(&written(&message)), Ok(message), "{bytes:x?}");
        }
    }
    assert!(seeds.end - seeds.start < 100 || read > 0, "some are whole");
}
