//! What a node remembers about statements: who was revoked, and which tokens were used.
//!
//! A certificate that was stolen is good until it expires unless every node hears that it is not; and a token that may be
//! used twice must be counted somewhere.
//!
//! Invariants: the set of revocations only grows, and merging it is idempotent and free of order; a token lets in at most
//! as many nodes as it says, at each issuer.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::BTreeMap;

use super::certificate::{
    Authority, Capabilities, Certificate, Revocation, Role, Signed, Token, UnixTime,
};
use super::rules::Refusal;
use crate::identity::PublicKey;

/// Most keys a node remembers as revoked.
pub const REVOCATIONS_MAX: usize = 65_536;

/// The grow-only set of revocations: merging is idempotent and free of order.
#[derive(Clone, Debug, Default)]
pub struct Revocations {
    entries: BTreeMap<PublicKey, (UnixTime, Signed<Revocation>)>,
}

impl Revocations {
    /// Takes up `entry` if `authority` signed it for `cluster`; says whether it was new.
    ///
    /// # Errors
    /// [`Refusal::Forged`] for a wrong signature or cluster, [`Refusal::Full`] past [`REVOCATIONS_MAX`] keys.
    pub fn merge(
        &mut self,
        entry: &Signed<Revocation>,
        authority: &PublicKey,
        cluster: &str,
    ) -> Result<Option<Revocation>, Refusal> {
        let revocation = entry.open(authority).filter(|r| r.cluster == cluster);
        let revocation = revocation.ok_or(Refusal::Forged)?;
        match self.entries.get(&revocation.node) {
            Some((until, _)) if *until >= revocation.until => return Ok(None),
            None if self.entries.len() >= REVOCATIONS_MAX => return Err(Refusal::Full),
            Some(_) | None => {}
        }
        self.entries.insert(revocation.node, (revocation.until, entry.clone()));
        Ok(Some(revocation))
    }

    /// Whether a certificate for `node` issued at `issued` was taken back.
    #[must_use]
    pub fn revoked(&self, node: &PublicKey, issued: UnixTime) -> bool {
        self.entries.get(node).is_some_and(|(until, _)| issued <= *until)
    }

    /// All entries as signed, in the order of their keys, to be handed to others.
    pub fn iter(&self) -> impl Iterator<Item = &Signed<Revocation>> {
        self.entries.values().map(|(_, entry)| entry)
    }
}

/// Most tokens whose uses an issuer counts; spent ones are forgotten when they expire.
pub const TOKENS_MAX: usize = 65_536;

/// Turns join tokens into certificates and counts their uses; lives on nodes that hold the authority's key.
#[derive(Debug)]
pub struct Issuer {
    authority: Authority,
    lifetime_seconds: u64,
    uses: BTreeMap<[u8; 16], Spent>,
}

#[derive(Debug)]
struct Spent {
    expires: UnixTime,
    nodes: Vec<PublicKey>,
}

impl Issuer {
    /// Issues certificates that live `lifetime_seconds` (a day is usual).
    #[must_use]
    pub const fn new(authority: Authority, lifetime_seconds: u64) -> Self {
        Self { authority, lifetime_seconds, uses: BTreeMap::new() }
    }

    /// A certificate without a token, for the issuing node itself.
    pub(crate) fn certify(
        &self,
        node: PublicKey,
        terms: (Role, Capabilities),
        now: UnixTime,
    ) -> Signed<Certificate> {
        let expires = UnixTime(now.0.saturating_add(self.lifetime_seconds));
        self.authority.certify(node, terms, now, expires)
    }

    /// A certificate for `node` in exchange for a use of `token`; the same node may come again without a further use.
    ///
    /// # Errors
    /// [`Refusal::Forged`], [`Refusal::Expired`], [`Refusal::Spent`] or [`Refusal::Full`]; nothing is counted then.
    pub fn redeem(
        &mut self,
        token: &Signed<Token>,
        node: PublicKey,
        now: UnixTime,
    ) -> Result<Signed<Certificate>, Refusal> {
        let terms = token.open(&self.authority.public()).ok_or(Refusal::Forged)?;
        if terms.cluster != self.authority.cluster {
            return Err(Refusal::Forged);
        }
        if now > terms.expires {
            return Err(Refusal::Expired);
        }
        self.uses.retain(|_, spent| spent.expires >= now);
        if self.uses.len() >= TOKENS_MAX && !self.uses.contains_key(&terms.id) {
            return Err(Refusal::Full);
        }
        let spent = self
            .uses
            .entry(terms.id)
            .or_insert_with(|| Spent { expires: terms.expires, nodes: Vec::new() });
        if !spent.nodes.contains(&node) {
            if spent.nodes.len() >= terms.uses.min(65_536) as usize {
                return Err(Refusal::Spent);
            }
            spent.nodes.push(node);
        }
        Ok(self.certify(node, (terms.role, terms.capabilities), now))
    }
}
