//! Each way not to belong is refused, and says which it was.

use super::*;
use crate::admission::certificate::Authority;
use crate::identity::Identity;

const MEMBER: (Role, Capabilities) = (Role::Member, Capabilities::SPAWN);
const NOW: UnixTime = UnixTime(1_000);

fn identity(seed: u8) -> Identity {
    Identity::from_seed(&[seed; 32]).unwrap()
}

fn opening(mode: Mode) -> Opening {
    Opening {
        version: PROTOCOL_VERSION,
        cluster: "c".into(),
        purpose: Purpose::Control,
        mode,
        nonce: [1; 32],
    }
}

fn scene(opening: &Opening) -> Scene<'_> {
    Scene {
        opening,
        dialer: identity(2).public(),
        listener: identity(3).public(),
        challenge: [4; 32],
    }
}

fn secret(text: &str) -> Gate {
    Gate::Secret(text.into())
}

fn authority() -> Authority {
    Authority::new("c", identity(1))
}

fn ca(own: Signed<Certificate>) -> Gate {
    Gate::Ca {
        authority: authority().public(),
        own: Own { certificate: Some(own), token: None },
        revocations: Revocations::default(),
    }
}

#[test]
fn version_cluster_and_mode_are_compared_first() {
    let gate = secret("0123456789abcdef");
    assert_eq!(gate.review("c", &opening(Mode::Secret)), Ok(()));
    assert_eq!(gate.review("d", &opening(Mode::Secret)), Err(Refusal::Cluster));
    let refusal = Refusal::Mode { theirs: Mode::Ca, ours: Mode::Secret };
    assert_eq!(gate.review("c", &opening(Mode::Ca)), Err(refusal));
    let old = Opening { version: 0, ..opening(Mode::Secret) };
    let refusal = Refusal::Version { theirs: 0, ours: PROTOCOL_VERSION };
    assert_eq!(gate.review("c", &old), Err(refusal));
}

#[test]
fn the_same_secret_opens_and_another_does_not() {
    let opening = opening(Mode::Secret);
    let (ours, theirs) = (secret("0123456789abcdef"), secret("another secret!!"));
    let proof = ours.proof(&scene(&opening), Side::Dialer, NOW);
    assert_eq!(ours.judge(&scene(&opening), Side::Dialer, &proof, NOW), Ok(Standing::FULL));
    assert_eq!(theirs.judge(&scene(&opening), Side::Dialer, &proof, NOW), Err(Refusal::Secret));
    for none in [Proof::Open, Proof::Secret([0; 32])] {
        assert!(ours.judge(&scene(&opening), Side::Dialer, &none, NOW).is_err());
    }
}

#[test]
fn a_proof_fits_no_other_connection_and_not_the_way_back() {
    let gate = secret("0123456789abcdef");
    let here = opening(Mode::Secret);
    let proof = gate.proof(&scene(&here), Side::Dialer, NOW);
    let refused =
        |scene: &Scene<'_>, side| gate.judge(scene, side, &proof, NOW) == Err(Refusal::Secret);
    assert!(refused(&scene(&here), Side::Listener), "reflected");
    assert!(refused(&Scene { challenge: [5; 32], ..scene(&here) }, Side::Dialer), "replayed");
    let relayed = Scene { listener: identity(9).public(), ..scene(&here) };
    assert!(refused(&relayed, Side::Dialer), "relayed by a third");
    for other in [
        Opening { purpose: Purpose::Bulk, ..here.clone() },
        Opening { purpose: Purpose::Messages { lane: 0 }, ..here.clone() },
        Opening { nonce: [8; 32], ..here.clone() },
        Opening { cluster: "d".into(), ..here.clone() },
    ] {
        assert!(refused(&scene(&other), Side::Dialer), "{other:?}");
    }
}

#[test]
fn certificates_are_checked_for_signer_holder_time_and_revocation() {
    let opening = opening(Mode::Ca);
    let scene = scene(&opening);
    let own = authority().certify(identity(3).public(), MEMBER, UnixTime(0), UnixTime(9_999));
    let mut gate = ca(own);
    let show = |gate: &Gate, certificate| {
        gate.judge(&scene, Side::Dialer, &Proof::Certificate(certificate), NOW)
    };
    let of = |node, until| authority().certify(node, MEMBER, UnixTime(500), UnixTime(until));
    let dialer = scene.dialer;
    let standing = show(&gate, of(dialer, 1_000)).unwrap();
    assert_eq!(standing.capabilities, Capabilities::SPAWN);
    assert_eq!(show(&gate, of(dialer, 999)), Err(Refusal::Expired));
    assert_eq!(show(&gate, of(identity(7).public(), 9_999)), Err(Refusal::NotYours));
    let foreign = Authority::new("c", identity(8));
    let forged = foreign.certify(dialer, MEMBER, UnixTime(500), UnixTime(9_999));
    assert_eq!(show(&gate, forged), Err(Refusal::Forged));
    let elsewhere = Authority::new("d", identity(1));
    let elsewhere = elsewhere.certify(dialer, MEMBER, UnixTime(500), UnixTime(9_999));
    assert_eq!(show(&gate, elsewhere), Err(Refusal::Forged));
    if let Gate::Ca { revocations, authority: key, .. } = &mut gate {
        revocations.merge(&authority().revoke(dialer, UnixTime(600)), key, "c").unwrap();
    }
    assert_eq!(show(&gate, of(dialer, 9_999)), Err(Refusal::Revoked));
    assert!(gate.takes_back(&dialer, &standing, NOW));
    assert!(!gate.takes_back(&identity(3).public(), &Standing::FULL, NOW));
    let token = authority().token([0; 16], MEMBER, UnixTime(9_999), 1);
    let answer = gate.judge(&scene, Side::Dialer, &Proof::Token(token), NOW);
    assert_eq!(answer, Err(Refusal::NoIssuer));
    assert_eq!(gate.judge(&scene, Side::Dialer, &Proof::Open, NOW), Err(Refusal::Unproved));
}
