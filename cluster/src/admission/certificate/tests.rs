//! Statements hold for what was signed, and nothing else.

use super::*;
use crate::admission::ledger::{Issuer, Revocations};
use crate::admission::rules::Refusal;

fn authority() -> Authority {
    Authority::new("c", Identity::from_seed(&[1; 32]).unwrap())
}

fn node(seed: u8) -> PublicKey {
    Identity::from_seed(&[seed; 32]).unwrap().public()
}

const MEMBER: (Role, Capabilities) = (Role::Member, Capabilities::ALL);

#[test]
fn a_statement_of_one_kind_is_none_of_another() {
    let signed = authority().revoke(node(2), UnixTime(9));
    let posing: Signed<Certificate> = Signed {
        body: signed.body.clone(),
        signature: signed.signature.clone(),
        kind: PhantomData,
    };
    assert!(signed.open(&authority().public()).is_some());
    assert!(posing.open(&authority().public()).is_none());
    assert!(signed.open(&node(2)).is_none(), "signed by another");
}

#[test]
fn text_keeps_the_statement() {
    let signed = authority().certify(node(2), MEMBER, UnixTime(1), UnixTime(2));
    let again = Signed::<Certificate>::from_text(&signed.to_text()).unwrap();
    assert_eq!(again.open(&authority().public()), signed.open(&authority().public()));
    assert!(Signed::<Certificate>::from_text("0").is_none());
    assert!(Signed::<Certificate>::from_text("zz").is_none());
    // What is signed has one text: `0f` cannot be written as `+f`.
    let mut text = signed.to_text();
    let first_zero = (0..text.len()).step_by(2).find(|at| text[*at..].starts_with('0')).unwrap();
    text.replace_range(first_zero..=first_zero, "+");
    assert!(Signed::<Certificate>::from_text(&text).is_none());
}

#[test]
fn revocations_only_grow() {
    let (authority, mut set) = (authority(), Revocations::default());
    let (early, late) =
        (authority.revoke(node(2), UnixTime(5)), authority.revoke(node(2), UnixTime(8)));
    assert!(set.merge(&late, &authority.public(), "c").unwrap().is_some());
    assert!(set.merge(&early, &authority.public(), "c").unwrap().is_none(), "nothing new");
    assert!(set.revoked(&node(2), UnixTime(8)));
    assert!(!set.revoked(&node(2), UnixTime(9)), "a later certificate is a new grant");
    assert!(!set.revoked(&node(3), UnixTime(0)));
    assert_eq!(set.merge(&late, &authority.public(), "d"), Err(Refusal::Forged));
    let other = Authority::new("c", Identity::from_seed(&[9; 32]).unwrap());
    let forged = other.revoke(node(4), UnixTime(99));
    assert_eq!(set.merge(&forged, &authority.public(), "c"), Err(Refusal::Forged));
    assert_eq!(set.iter().count(), 1);
}

#[test]
fn a_token_serves_as_many_nodes_as_it_says() {
    let token = authority().token([3; 16], MEMBER, UnixTime(100), 2);
    let mut issuer = Issuer::new(authority(), 50);
    let first = issuer.redeem(&token, node(2), UnixTime(10)).unwrap();
    let terms = first.open(&authority().public()).unwrap();
    assert_eq!((terms.node, terms.expires), (node(2), UnixTime(60)));
    issuer.redeem(&token, node(2), UnixTime(11)).expect("the same node needs no further use");
    issuer.redeem(&token, node(3), UnixTime(100)).expect("the second use");
    assert_eq!(issuer.redeem(&token, node(4), UnixTime(100)).err(), Some(Refusal::Spent));
    assert_eq!(issuer.redeem(&token, node(2), UnixTime(101)).err(), Some(Refusal::Expired));
    let other = Authority::new("c", Identity::from_seed(&[9; 32]).unwrap());
    let forged = other.token([3; 16], MEMBER, UnixTime(100), 2);
    assert_eq!(issuer.redeem(&forged, node(2), UnixTime(10)).err(), Some(Refusal::Forged));
}

#[test]
fn capabilities_are_a_set() {
    let some = Capabilities::SPAWN.and(Capabilities::OBSERVE);
    assert!(some.allow(Capabilities::SPAWN) && some.allow(Capabilities::NONE));
    assert!(!some.allow(Capabilities::KILL.and(Capabilities::SPAWN)));
    assert_eq!(format!("{some:?}"), r#"{"spawn", "observe"}"#);
}
