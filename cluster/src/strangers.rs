//! Everything that bytes of another node may be read as, for those who try to break it.
//!
//! Decoders are private to the parts that use them, and a fuzzer that reaches some of them says nothing about the rest. So
//! they are all named here, with a sample of each: `tests/strangers.rs` and the fuzz targets feed them.
//!
//! Invariant: whatever is read writes down again, and reads as the same.

use std::fmt;

use futures_util::FutureExt as _;
use mobula_actor_core::remote::{Control, Home, SpawnOptions, SpawnRequest, WireAnswer};
use mobula_actor_core::{ActorId, Denied, ExitReason, NodeId, Right};
use mobula_proto::wire::codec;
use mobula_proto::wire::frame::Frame;
use mobula_proto::wire::parcel::{Parcel, Verb};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::admission::certificate::{
    Authority, Capabilities, Certificate, Revocation, Role, Signed, Token, UnixTime,
};
use crate::admission::frames;
use crate::admission::rules::{
    Answer, Closing, Mode, Opening, Presence, Proof, Purpose, Refusal, Verdict,
};
use crate::bulk::{self, wire};
use crate::exchange::message::{Extension, Signal, answer_parcel, empty, encoded, signal_parcel};
use crate::identity::Identity;

/// Reads `bytes` as each kind of frame; how many it could be.
///
/// # Panics
/// When something that was read does not come back as it was.
#[must_use]
pub fn read_all(bytes: &[u8]) -> usize {
    let text = String::from_utf8_lossy(bytes);
    let signed = [
        Signed::<Certificate>::from_text(&text).is_some(),
        Signed::<Token>::from_text(&text).is_some(),
        Signed::<Revocation>::from_text(&text).is_some(),
    ];
    let read = [
        again::<Opening>(bytes),
        again::<Answer>(bytes),
        again::<Proof>(bytes),
        again::<Verdict>(bytes),
        again::<Closing>(bytes),
        again::<Vec<Signed<Revocation>>>(bytes),
        again::<Extension>(bytes),
        shown::<Signal>(bytes),
        shown::<WireAnswer>(bytes),
        again::<bulk::Request>(bytes),
        again::<bulk::Answer>(bytes),
    ];
    signed.into_iter().chain(read).filter(|is_one| *is_one).count()
}

/// Reads `bytes` as the beginning of each kind of stream that is read frame by frame; how many frames that gave.
///
/// # Panics
/// When a reader waits for more, though the stream has ended.
#[must_use]
pub fn read_stream(bytes: &[u8]) -> usize {
    let (small, large) = (frames::SMALL_FRAME_BYTES_MAX, frames::LARGE_FRAME_BYTES_MAX);
    let mut rest = bytes;
    let admission = [
        ends(frames::receive::<_, Opening>(&mut &*bytes, small)).is_ok(),
        ends(frames::receive::<_, Answer>(&mut &*bytes, small)).is_ok(),
        ends(frames::receive::<_, Proof>(&mut &*bytes, small)).is_ok(),
        ends(frames::receive::<_, Verdict>(&mut &*bytes, large)).is_ok(),
        ends(frames::receive::<_, Closing>(&mut &*bytes, large)).is_ok(),
    ];
    let mut count = admission.into_iter().filter(|is_one| *is_one).count();
    // A reader that fails has taken what it looked at, so each begins where the last one that did not fail has ended.
    while let Some(after) = one_of_bulk(rest) {
        rest = after;
        count += 1;
    }
    count
}

/// What follows the first frame of a bulk connection.
fn one_of_bulk(bytes: &[u8]) -> Option<&[u8]> {
    let (mut request, mut answer, mut chunk, mut taken) = (bytes, bytes, bytes, bytes);
    let is_request = ends(wire::receive::<_, bulk::Request>(&mut request, wire::REQUEST));
    let is_answer = ends(wire::receive::<_, bulk::Answer>(&mut answer, wire::ANSWER));
    let is_chunk = ends(wire::receive_chunk(&mut chunk, bulk::CHUNK_BYTES));
    let is_taken = ends(wire::receive_taken(&mut taken));
    let read = [
        (matches!(is_request, Ok(Some(_))), request),
        (matches!(is_answer, Ok(Some(_))), answer),
        (is_chunk.is_ok(), chunk),
        (is_taken.is_ok(), taken),
    ];
    read.into_iter().find_map(|(is_one, after)| is_one.then_some(after))
}

/// Of a reader whose stream is memory.
fn ends<T>(reader: impl Future<Output = T>) -> T {
    let Some(read) = reader.now_or_never() else { panic!("a reader waits for what never comes") };
    read
}

/// A body as each kind of stream would carry it.
#[must_use]
pub fn framed(body: &[u8]) -> Vec<Vec<u8>> {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let bulk = [wire::REQUEST, wire::ANSWER, wire::CHUNK].map(|kind| {
        let mut bytes = Vec::new();
        Frame { kind, body }.encode_into(&mut bytes);
        bytes
    });
    let admission = [&length.to_be_bytes(), body].concat();
    bulk.into_iter().chain([admission]).collect()
}

/// What is compared with itself.
fn again<T: Serialize + DeserializeOwned + PartialEq + fmt::Debug>(bytes: &[u8]) -> bool {
    let Ok(value) = codec::decode::<T>(bytes) else { return false };
    let written = codec::encode(&value).unwrap_or_default();
    assert_eq!(codec::decode::<T>(&written), Ok(value), "{bytes:x?}");
    true
}

/// What can only be shown.
fn shown<T: Serialize + DeserializeOwned + fmt::Debug>(bytes: &[u8]) -> bool {
    let Ok(value) = codec::decode::<T>(bytes) else { return false };
    let written = codec::encode(&value).unwrap_or_default();
    let read = codec::decode::<T>(&written).map(|read| format!("{read:?}"));
    assert_eq!(read, Ok(format!("{value:?}")), "{bytes:x?}");
    true
}

/// A sample of each kind of frame, to be damaged.
#[must_use]
pub fn samples() -> Vec<Vec<u8>> {
    let identity = Identity::from_seed(&[3; 32]).unwrap_or_else(|_length| Identity::generate());
    let (node, authority) = (identity.public(), Authority::new("c", identity));
    let terms = (Role::Client, Capabilities::SUBMIT);
    let certificate = authority.certify(node, terms, UnixTime(1), UnixTime(2));
    let token = authority.token([1; 16], terms, UnixTime(9), 3);
    let revocation = authority.revoke(node, UnixTime(5));
    let presence = Presence {
        addresses: vec!["127.0.0.1:7000".to_owned()],
        limits: Some(terms),
        hello: vec![1, 2, 3],
        ..Presence::default()
    };
    let issued = Some(certificate.clone());
    let actor = ActorId::from_u64(7);
    let texts = [certificate.to_text(), token.to_text(), revocation.to_text()];
    let mut samples: Vec<Vec<u8>> = texts.into_iter().map(String::into_bytes).collect();
    let opening = Opening {
        version: 1,
        cluster: "c".to_owned(),
        purpose: Purpose::Messages { lane: 1 },
        mode: Mode::Ca,
        nonce: [4; 32],
    };
    let values = [
        codec::encode(&opening),
        codec::encode(&Answer::Challenge([5; 32])),
        codec::encode(&Answer::Refused(Refusal::Version { theirs: 2, ours: 1 })),
        codec::encode(&Proof::Secret([6; 32])),
        codec::encode(&Proof::Certificate(certificate.clone())),
        codec::encode(&Proof::Token(token)),
        codec::encode(&Verdict::Accepted {
            proof: Proof::Certificate(certificate),
            issued,
            presence: presence.clone(),
        }),
        codec::encode(&Closing::Accepted(presence)),
        codec::encode(&[revocation]),
        codec::encode(&Extension {
            chain: actor.map(|actor| vec![(1, actor); 3]).unwrap_or_default(),
            pin: Some(8),
        }),
        codec::encode(&WireAnswer::Value(vec![0xc0])),
        codec::encode(&bulk::Request { key: vec![1; 8], start: 0, end: Some(9) }),
        codec::encode(&bulk::Answer::Found { size_bytes: 9 }),
    ];
    samples.extend(values.into_iter().flatten());
    let called = |actor| Called { actor, life: 3, handlers: Vec::new(), constructor: 9 };
    let signals = actor.into_iter().flat_map(|actor| signals(&called(actor)));
    samples.extend(signals.filter_map(|signal| codec::encode(&signal).ok()));
    samples
}

/// What parcels may be addressed to: an actor of the receiving node, and what its program can do.
#[derive(Clone, Debug)]
pub struct Called {
    /// The actor.
    pub actor: ActorId,
    /// In which life of its node.
    pub life: u64,
    /// Its handlers, by key.
    pub handlers: Vec<u64>,
    /// Its constructor, by key.
    pub constructor: u64,
}

/// A sample of each kind of parcel, to be damaged: calls with one argument, answers, signals.
#[must_use]
pub fn parcels(called: &Called) -> Vec<Vec<u8>> {
    let pin = Extension { chain: vec![(2, called.actor)], pin: Some(8) };
    let extension = codec::encode(&pin).unwrap_or_default();
    let call = |verb, key: &u64, payload: &[u8]| {
        let call = Parcel { to: called.actor.as_u64(), message_type: *key, ..empty(verb) };
        encoded(&Parcel { correlation: 3, extension: &extension, payload, ..call })
    };
    // One number, and one empty list.
    let arguments: [&[u8]; 2] = [&[0x91, 1], &[0x91, 0x90]];
    let keys = called.handlers.iter();
    let calls = keys.flat_map(|key| {
        arguments.map(|one| [Verb::TELL, Verb::ASK].map(|verb| call(verb, key, one)))
    });
    let answers = [WireAnswer::Value(vec![0xc0]), WireAnswer::RefusalText("no".to_owned())];
    let answers = answers.iter().map(|answer| answer_parcel(3, answer, &extension));
    let signals = signals(called);
    let signals = signals.iter().map(signal_parcel);
    calls.flatten().chain(answers).chain(signals).map(Into::into).collect()
}

fn signals(called: &Called) -> Vec<Signal> {
    let Called { actor, life, constructor, .. } = *called;
    let linked = ExitReason::Linked { from: actor, reason: ExitReason::Killed.into() };
    let request = SpawnRequest {
        key: constructor,
        args: vec![0x91, 1],
        options: SpawnOptions::default(),
        baggage: mobula_actor_core::remote::Baggage::default(),
    };
    let why = Denied { by: NodeId(1), right: Right::Kill };
    vec![
        Signal::Hold { actor, life },
        Signal::HoldAll { actors: vec![actor; 3], life, again: true, starting: vec![7] },
        Signal::Held { actor, elsewhere: Some(Home { node: NodeId(3), incarnation: 1, actor }) },
        Signal::Unpin { pin: 8 },
        Signal::Pause { actor },
        Signal::Resume { actor },
        Signal::Ended { actor, reason: linked.clone(), for_good: true },
        Signal::Control { actor, control: Control::Linked { from: actor, reason: linked } },
        Signal::Denied { actor, why, was_end: true },
        Signal::Spawn { number: 1, request: Box::new(request), pin: Some(2) },
        Signal::Spawned { number: 1, outcome: Err(ExitReason::Denied(why)), was_begun: false },
        Signal::Spawned { number: 1, outcome: Ok(actor), was_begun: true },
        Signal::Release { actor, watches: true },
    ]
}
