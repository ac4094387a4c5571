//! What the cluster's authority signs: join tokens, node certificates, revocations.
//!
//! A secret shared by all cannot be taken back from one of them, and X.509 brings a grammar larger than this crate.
//! So the authority signs three small statements, each under its own domain tag, and a node carries the one about itself.
//!
//! Invariant: a statement is read only after its signature held, and a signature holds for one kind of statement alone.
//!
//! Pure: no clock, no I/O, no tasks.

use std::fmt;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::identity::{Identity, PublicKey};

/// Seconds since 1970 (UTC), as an argument: the rules never read a clock.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct UnixTime(pub u64);

/// What a node may ask of others; checked where the request arrives.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Capabilities(u8);

impl Capabilities {
    /// Nothing but to be connected.
    pub const NONE: Self = Self(0);
    /// May start actors on other nodes.
    pub const SPAWN: Self = Self(1);
    /// May submit tasks and read and write objects.
    pub const SUBMIT: Self = Self(2);
    /// May stop or kill what it does not own.
    pub const KILL: Self = Self(4);
    /// May list and watch what runs.
    pub const OBSERVE: Self = Self(8);
    /// All of them.
    pub const ALL: Self = Self(15);

    /// Both sets together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both sets.
    #[must_use]
    pub const fn only(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The set with these names, separated by commas: `spawn`, `submit`, `kill`, `observe`; or `all`, or `none`.
    #[must_use]
    pub fn from_names(text: &str) -> Option<Self> {
        let mut set = Self::NONE;
        for name in text.split(',').map(str::trim) {
            set = set.and(match name {
                "spawn" => Self::SPAWN,
                "submit" => Self::SUBMIT,
                "kill" => Self::KILL,
                "observe" => Self::OBSERVE,
                "all" => Self::ALL,
                "none" => Self::NONE,
                _ => return None,
            });
        }
        Some(set)
    }

    /// Whether every capability of `wanted` is in this set.
    #[must_use]
    pub const fn allow(self, wanted: Self) -> bool {
        self.0 & wanted.0 == wanted.0
    }
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (Self::SPAWN, "spawn"),
            (Self::SUBMIT, "submit"),
            (Self::KILL, "kill"),
            (Self::OBSERVE, "observe"),
        ];
        f.debug_set().entries(names.iter().filter(|(c, _)| self.allow(*c)).map(|(_, n)| n)).finish()
    }
}

/// How a node takes part, most rights first.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[non_exhaustive]
pub enum Role {
    /// Hosts actors, tasks and objects, and votes in failure detection.
    #[default]
    Member,
    /// Uses the cluster without hosting anything for it.
    Client,
    /// Only looks.
    Observer,
}

/// A statement that the authority signs.
///
/// Sealed in effect: [`Signed`] is only made and opened for the three kinds of this file.
pub trait Statement: Serialize + DeserializeOwned {
    /// Separates the kinds: a signature over one never holds for another.
    const DOMAIN: &'static str;
}

/// A statement with its signature; the bytes are kept as they were signed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Signed<S> {
    #[serde(with = "octets")]
    body: Vec<u8>,
    #[serde(with = "octets")]
    signature: Vec<u8>,
    #[serde(skip)]
    kind: PhantomData<fn() -> S>,
}

/// Largest statement in bytes; an honest one has about 200.
const STATEMENT_BYTES_MAX: usize = 1024;

impl<S: Statement> Signed<S> {
    fn new(statement: &S, authority: &Identity) -> Self {
        // Named MessagePack of flat structures cannot fail; an empty body would fail to open.
        let body = rmp_serde::to_vec_named(statement).unwrap_or_default();
        let signature = authority.sign(&Self::signed_bytes(&body));
        Self { body, signature, kind: PhantomData }
    }

    /// The statement, if `authority` signed it; `None` otherwise, or when it is larger than 1 KiB.
    #[must_use]
    pub fn open(&self, authority: &PublicKey) -> Option<S> {
        if self.body.len() > STATEMENT_BYTES_MAX
            || !authority.verify(&Self::signed_bytes(&self.body), &self.signature)
        {
            return None;
        }
        rmp_serde::from_slice(&self.body).ok()
    }

    fn signed_bytes(body: &[u8]) -> Vec<u8> {
        [b"mobula/", S::DOMAIN.as_bytes(), b"/1\0", body].concat()
    }

    /// One line of hexadecimal digits, for files and command lines.
    #[must_use]
    pub fn to_text(&self) -> String {
        let bytes = rmp_serde::to_vec_named(self).unwrap_or_default();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Reads what [`Signed::to_text`] wrote; says nothing about the signature.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let text = text.trim();
        // A number may begin with a sign; what is signed has one text.
        let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !text.len().is_multiple_of(2) || text.len() > 4 * STATEMENT_BYTES_MAX || !is_hex {
            return None;
        }
        let bytes: Option<Vec<u8>> = (0..text.len() / 2)
            .map(|index| u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok())
            .collect();
        rmp_serde::from_slice(&bytes?).ok()
    }
}

impl<S> fmt::Debug for Signed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signed").field("bytes", &self.body.len()).finish_non_exhaustive()
    }
}

/// The right to become a member, before the key of the node is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// The cluster it is for.
    pub cluster: String,
    /// Chosen at random by the authority; uses are counted under it.
    pub id: [u8; 16],
    /// The role the node will have.
    pub role: Role,
    /// What the node will be allowed to do.
    pub capabilities: Capabilities,
    /// The last second in which it may be redeemed.
    pub expires: UnixTime,
    /// How many nodes may redeem it, at each issuer.
    pub uses: u32,
}

impl Statement for Token {
    const DOMAIN: &'static str = "token";
}

/// The right of one key to take part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The cluster it is for.
    pub cluster: String,
    /// The key it is for.
    pub node: PublicKey,
    /// How the node takes part.
    pub role: Role,
    /// What it may ask of others.
    pub capabilities: Capabilities,
    /// When it was issued; revocations compare with this.
    pub issued: UnixTime,
    /// The last second in which it is accepted.
    pub expires: UnixTime,
}

impl Statement for Certificate {
    const DOMAIN: &'static str = "certificate";
}

/// Takes back what was granted to one key, up to a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// The cluster it is for.
    pub cluster: String,
    /// The key that is no longer welcome.
    pub node: PublicKey,
    /// Certificates issued at or before this second are void; a later one is a new grant.
    pub until: UnixTime,
}

impl Statement for Revocation {
    const DOMAIN: &'static str = "revocation";
}

/// The cluster's signing key and the three statements it makes.
///
/// Keep it off the nodes where you can: tokens and certificates may be signed anywhere and carried by hand.
#[derive(Clone, Debug)]
pub struct Authority {
    key: Identity,
    pub(super) cluster: String,
}

impl Authority {
    /// Signs for `cluster` with `key`.
    #[must_use]
    pub fn new(cluster: impl Into<String>, key: Identity) -> Self {
        Self { key, cluster: cluster.into() }
    }

    /// The key that members verify against.
    #[must_use]
    pub const fn public(&self) -> PublicKey {
        self.key.public()
    }

    /// Signs a join token for `uses` nodes; `id` must be random.
    #[must_use]
    pub fn token(
        &self,
        id: [u8; 16],
        (role, capabilities): (Role, Capabilities),
        expires: UnixTime,
        uses: u32,
    ) -> Signed<Token> {
        let cluster = self.cluster.clone();
        Signed::new(&Token { cluster, id, role, capabilities, expires, uses }, &self.key)
    }

    /// Signs a certificate for the key `node`.
    #[must_use]
    pub fn certify(
        &self,
        node: PublicKey,
        (role, capabilities): (Role, Capabilities),
        issued: UnixTime,
        expires: UnixTime,
    ) -> Signed<Certificate> {
        let cluster = self.cluster.clone();
        Signed::new(&Certificate { cluster, node, role, capabilities, issued, expires }, &self.key)
    }

    /// Takes back every certificate of `node` issued until now.
    #[must_use]
    pub fn revoke(&self, node: PublicKey, until: UnixTime) -> Signed<Revocation> {
        Signed::new(&Revocation { cluster: self.cluster.clone(), node, until }, &self.key)
    }
}

/// Byte strings as MessagePack's `bin`, not as arrays of numbers.
pub(crate) mod octets {
    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        struct Octets;
        impl<'de> Visitor<'de> for Octets {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a byte string")
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
            fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(bytes)
            }
        }
        from.deserialize_bytes(Octets)
    }
}

#[cfg(test)]
mod tests;
