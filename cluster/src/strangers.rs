//! Everything that bytes of another node may be read as, for those who try to break it.
//!
//! Decoders are private to the parts that use them, and a fuzzer that reaches some of them says nothing about the rest. So
//! they are all named here, with a sample of each: `tests/strangers.rs` and the fuzz targets feed them.
//!
//! Invariant: whatever is read writes down again, and reads as the same.

use std::fmt;

use mobula_actor_core::remote::{Control, SpawnOptions, SpawnRequest, WireAnswer};
use mobula_actor_core::{ActorId, Denied, ExitReason, NodeId, Right};
use mobula_proto::wire::codec;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::admission::certificate::{
    Authority, Capabilities, Certificate, Revocation, Role, Signed, Token, UnixTime,
};
use crate::admission::rules::{
    Answer, Closing, Mode, Opening, Presence, Proof, Purpose, Refusal, Verdict,
};
use crate::bulk;
use crate::exchange::message::{Extension, Signal};
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
    samples.extend(actor.into_iter().flat_map(signals));
    samples
}

fn signals(actor: ActorId) -> Vec<Vec<u8>> {
    let linked = ExitReason::Linked { from: actor, reason: ExitReason::Killed.into() };
    let request = SpawnRequest {
        key: 9,
        args: vec![0x90],
        options: SpawnOptions::default(),
        baggage: mobula_actor_core::remote::Baggage::default(),
    };
    let why = Denied { by: NodeId(1), right: Right::Kill };
    let signals = [
        Signal::Hold { actor, life: 3 },
        Signal::HoldAll { actors: vec![actor; 3], life: 3, again: true, starting: vec![7] },
        Signal::Ended { actor, reason: linked.clone(), for_good: true },
        Signal::Control { actor, control: Control::Linked { from: actor, reason: linked } },
        Signal::Denied { actor, why, was_end: true },
        Signal::Spawn { number: 1, request, pin: Some(2) },
        Signal::Spawned { number: 1, outcome: Err(ExitReason::Denied(why)) },
    ];
    signals.iter().filter_map(|signal| codec::encode(signal).ok()).collect()
}
