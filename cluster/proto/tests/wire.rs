//! What a stranger's bytes may not do: panic, take memory out of proportion, or mean two things.
//!
//! A million cases in a release build: random bytes, and valid ones with a few bytes changed, cut or repeated.
//! A debug build runs thirty thousand unless `WIRE_CASES` says otherwise. A failing run prints its seed, which
//! `WIRE_SEED=n` repeats.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and a failing one prints its seed"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use mobula_proto::borrow;
use mobula_proto::error::WireError;
use mobula_proto::id::Incarnation;
use mobula_proto::membership;
use mobula_proto::monitors;
use mobula_proto::wire::frame::{self, Decoder, Frame, Kind};
use mobula_proto::wire::parcel::{Parcel, Verb};
use mobula_proto::wire::segment::{Ack, Message, Resume, Segment};
use mobula_proto::wire::{codec, shape};
use rand::rngs::SmallRng;
use rand::{Rng, RngCore, SeedableRng};
use serde::{Deserialize, Serialize};

const FRAME_MAX: usize = 600;

/// A type with everything that decoders get wrong: itself inside itself, lists of large elements, maps, options.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Tree {
    Leaf,
    Number(u64),
    Text(String),
    Branch(Vec<Self>),
    Named { left: Box<Self>, right: Option<Box<Self>> },
    Table(BTreeMap<String, Self>),
    Wide(Vec<[u64; 16]>),
    Nothing(Vec<()>),
}

impl Tree {
    fn random(rng: &mut SmallRng, depth: u32) -> Self {
        let deeper = |rng: &mut SmallRng| Self::random(rng, depth + 1);
        match rng.random_range(0..if depth < 4 { 8 } else { 3 }) {
            0 => Self::Leaf,
            1 => Self::Number(rng.next_u64() >> rng.random_range(0..64)),
            2 => Self::Text("ä".repeat(rng.random_range(0..20))),
            3 => Self::Branch((0..rng.random_range(0..4)).map(|_| deeper(rng)).collect()),
            4 => {
                let right = rng.random::<bool>().then(|| Box::new(deeper(rng)));
                Self::Named { left: Box::new(deeper(rng)), right }
            }
            5 => Self::Table(
                (0..rng.random_range(0..4)).map(|key| (key.to_string(), deeper(rng))).collect(),
            ),
            6 => Self::Wide(vec![[rng.next_u64(); 16]; rng.random_range(0..3)]),
            _ => Self::Nothing(vec![(); rng.random_range(0..9)]),
        }
    }

    /// What is reserved for it, about.
    fn reserved_bytes(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Leaf | Self::Number(_) | Self::Nothing(_) => 0,
                Self::Text(text) => text.capacity(),
                Self::Branch(trees) => {
                    let spare = (trees.capacity() - trees.len()) * size_of::<Self>();
                    spare + trees.iter().map(Self::reserved_bytes).sum::<usize>()
                }
                Self::Named { left, right } => {
                    left.reserved_bytes() + right.as_ref().map_or(0, |right| right.reserved_bytes())
                }
                Self::Table(table) => {
                    let size =
                        |(key, tree): (&String, &Self)| key.capacity() + tree.reserved_bytes();
                    table.iter().map(size).sum()
                }
                Self::Wide(rows) => rows.capacity() * 128,
            }
    }
}

fn random_bytes(rng: &mut SmallRng, max: usize) -> Vec<u8> {
    let mut bytes = vec![0; rng.random_range(0..=max)];
    rng.fill_bytes(&mut bytes);
    bytes
}

fn small(rng: &mut SmallRng) -> u64 {
    rng.next_u64() >> rng.random_range(0..64)
}

fn segment<'a>(rng: &mut SmallRng, payload: &'a [u8]) -> Segment<'a> {
    let ack = Ack {
        epoch: small(rng),
        lane: rng.random(),
        next: small(rng),
        messages_max: small(rng),
        bytes_max: small(rng),
    };
    match rng.random_range(0..3) {
        0 => {
            let (epoch, sequence) = (small(rng), small(rng));
            Segment::Message(Message { epoch, lane: rng.random(), sequence, payload })
        }
        1 => Segment::Ack(ack),
        _ => Segment::Resume(Resume {
            from_life: Incarnation(small(rng)),
            to_life: Incarnation(small(rng)),
            epoch: small(rng),
            sent: small(rng),
            wants_answer: rng.random(),
            received: ack,
        }),
    }
}

fn parcel<'a>(rng: &mut SmallRng, extension: &'a [u8], payload: &'a [u8]) -> Parcel<'a> {
    Parcel {
        verb: Verb(rng.random()),
        to: small(rng),
        generation: small(rng),
        from: small(rng),
        message_type: rng.next_u64(),
        correlation: small(rng),
        deadline: rng.random::<bool>().then(|| Duration::from_micros(small(rng) >> 1)),
        extension,
        payload,
    }
}

/// Changes, cuts, repeats or leaves the bytes as they are.
fn mutate(rng: &mut SmallRng, bytes: &mut Vec<u8>) {
    for _ in 0..rng.random_range(0..4) {
        if bytes.is_empty() {
            return;
        }
        let at = rng.random_range(0..bytes.len());
        match rng.random_range(0..5) {
            0 => bytes[at] = rng.random(),
            1 => bytes[at] ^= 1 << rng.random_range(0..8),
            2 => bytes.truncate(at),
            3 => bytes.insert(at, rng.random()),
            // A marker that claims the most.
            _ => bytes[at] = [0xc6, 0xdb, 0xdd, 0xdf, 0xc9, 0xff][rng.random_range(0..6)],
        }
    }
}

/// A stream of frames, whole and damaged, in random portions.
fn frames(rng: &mut SmallRng) {
    let mut stream = Vec::new();
    let mut bodies = Vec::new();
    for _ in 0..rng.random_range(0..6) {
        let (kind, body) = (Kind(rng.random()), random_bytes(rng, 200));
        Frame { kind, body: &body }.encode_into(&mut stream);
        bodies.push((kind, body));
    }
    let before = stream.clone();
    mutate(rng, &mut stream);
    let mut decoder = Decoder::new(FRAME_MAX);
    let mut seen = Vec::new();
    let mut is_broken = false;
    let mut fed = 0;
    let mut rest = &stream[..];
    while !rest.is_empty() {
        let (portion, after) = rest.split_at(rng.random_range(1..=rest.len()));
        let mut portions = decoder.feed(portion);
        loop {
            match portions.next_frame() {
                Ok(Some(frame)) => {
                    assert!(frame.body.len() < FRAME_MAX);
                    seen.push((frame.kind, frame.body.to_vec()));
                }
                Ok(None) => break,
                Err(error) => {
                    assert!(error.closes_connection());
                    is_broken = true;
                    break;
                }
            }
        }
        fed += portion.len();
        assert!(decoder.reserved_bytes() <= 2 * fed + 64);
        rest = after;
    }
    if stream == before {
        assert_eq!(seen, bodies);
        assert!(!is_broken && decoder.is_between_frames());
    }
    // What was read writes the bytes that were read.
    let mut again = Vec::new();
    for (kind, body) in &seen {
        Frame { kind: *kind, body }.encode_into(&mut again);
    }
    assert!(stream.starts_with(&again));
    if let Ok(Some((frame, taken))) = frame::cut(&stream, FRAME_MAX) {
        assert_eq!((frame.kind, frame.body), (seen[0].0, &seen[0].1[..]));
        assert_eq!(taken, frame.wire_size());
    }
}

/// Segments and parcels mean one thing: what parses writes the same bytes again.
fn headers(rng: &mut SmallRng) {
    let (extension, payload) = (random_bytes(rng, 20), random_bytes(rng, 40));
    let mut bytes = Vec::new();
    let sent = segment(rng, &payload);
    sent.encode_into(&mut bytes);
    let (frame, _) = frame::cut(&bytes, FRAME_MAX).unwrap().unwrap();
    assert_eq!(Segment::parse(frame), Ok(Some(sent)));
    let mut body = frame.body.to_vec();
    mutate(rng, &mut body);
    let damaged = Frame { kind: frame.kind, body: &body };
    if let Ok(Some(segment)) = Segment::parse(damaged) {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        segment.encode_into(&mut first);
        damaged.encode_into(&mut second);
        assert_eq!(first, second);
    }

    let sent = parcel(rng, &extension, &payload);
    bytes.clear();
    sent.encode_into(&mut bytes);
    assert_eq!(Parcel::parse(&bytes), Ok(sent));
    mutate(rng, &mut bytes);
    if let Ok(parcel) = Parcel::parse(&bytes) {
        let mut again = Vec::new();
        parcel.encode_into(&mut again);
        assert_eq!(again, bytes);
    }
}

/// Values: what is claimed is there, and what comes in goes out.
fn values(rng: &mut SmallRng) {
    let tree = Tree::random(rng, 0);
    let mut bytes = codec::encode(&tree).unwrap();
    assert_eq!(codec::decode::<Tree>(&bytes), Ok(tree));
    if rng.random_range(0..10) == 0 {
        bytes = random_bytes(rng, 200);
    }
    mutate(rng, &mut bytes);
    let is_well_formed = shape::check(&bytes);
    match codec::decode::<Tree>(&bytes) {
        Ok(tree) => {
            assert!(is_well_formed.is_ok());
            // No byte makes more than one element, and no element is larger than its type.
            assert!(tree.reserved_bytes() <= 64 + 256 * bytes.len(), "{bytes:x?}");
            let again = codec::encode(&tree).unwrap();
            assert_eq!(codec::decode::<Tree>(&again), Ok(tree));
        }
        Err(WireError::Mismatch { .. }) => assert!(is_well_formed.is_ok()),
        Err(error) => assert_eq!(is_well_formed, Err(error)),
    }
    // No message type of ours panics on another's bytes.
    let _: Result<membership::Message, _> = codec::decode(&bytes);
    let _: Result<borrow::Message<(u64, u64)>, _> = codec::decode(&bytes);
    let _: Result<monitors::Message<(u64, u64), String>, _> = codec::decode(&bytes);
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
fn strangers_bytes_do_no_harm() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let cases = if cfg!(debug_assertions) { 30_000 } else { 1_000_000 };
    let cases = number("WIRE_CASES").unwrap_or(cases);
    let seeds = number("WIRE_SEED").map_or(0..cases, |seed| seed..seed + 1);
    for seed in seeds {
        let _seed = SaidOnPanic(seed);
        let mut rng = SmallRng::seed_from_u64(seed);
        match seed % 3 {
            0 => frames(&mut rng),
            1 => headers(&mut rng),
            _ => values(&mut rng),
        }
    }
}
