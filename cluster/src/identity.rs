//! Who a node is: an ed25519 key pair, and the name that follows from it.
//!
//! A name that a node chooses for itself proves nothing, and a name given by a server needs the server.
//! So the name is derived from the public key, and the Noise handshake of every connection proves the private one.
//!
//! Invariant: [`PublicKey`] and the transport's own peer name hold the same 32 bytes, so neither needs a table
//! to find the other.

use std::fmt;
use std::str::FromStr;

use libp2p::PeerId;
use libp2p::identity::{Keypair, ed25519};
use mobula_proto::id::NodeId;
use serde::{Deserialize, Serialize};

use crate::error::IdentityError;

/// The key pair of a node; the private half never leaves this value.
///
/// A node that keeps its identity over restarts keeps its [`NodeId`]; its lives are told apart by their incarnations.
#[derive(Clone)]
pub struct Identity {
    keypair: Keypair,
    public: PublicKey,
}

impl Identity {
    /// A fresh identity from the operating system's randomness.
    #[must_use]
    pub fn generate() -> Self {
        Self::of(ed25519::Keypair::generate())
    }

    /// The identity of a 32-byte ed25519 seed, as kept in a key file.
    ///
    /// # Errors
    /// [`IdentityError::Seed`] when `seed` has another length than 32 bytes.
    pub fn from_seed(seed: &[u8]) -> Result<Self, IdentityError> {
        let mut bytes: [u8; 32] =
            seed.try_into().map_err(|_wrong| IdentityError::Seed { length: seed.len() })?;
        let secret = ed25519::SecretKey::try_from_bytes(&mut bytes)
            .map_err(|_wrong| IdentityError::Seed { length: seed.len() })?;
        Ok(Self::of(ed25519::Keypair::from(secret)))
    }

    fn of(pair: ed25519::Keypair) -> Self {
        let public = PublicKey(pair.public().to_bytes());
        Self { keypair: Keypair::from(pair), public }
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> PublicKey {
        self.public
    }

    /// The name of the node.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.public.node()
    }

    /// Signs `message` (ed25519, RFC 8032).
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        // Only RSA signing can fail, and this pair is ed25519 by construction.
        self.keypair.sign(message).unwrap_or_default()
    }

    pub(crate) const fn keypair(&self) -> &Keypair {
        &self.keypair
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("public", &self.public).finish_non_exhaustive()
    }
}

/// The public key of a node, 32 bytes of ed25519; shown as 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// The name that follows from this key.
    #[must_use]
    pub fn node(&self) -> NodeId {
        NodeId::of_key(&self.0)
    }

    /// Whether `signature` over `message` was made with the private half of this key.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        ed25519::PublicKey::try_from_bytes(&self.0).is_ok_and(|key| key.verify(message, signature))
    }

    /// The key inside libp2p's name; `None` for keys that are not ed25519.
    pub(crate) fn of_peer(peer: &PeerId) -> Option<Self> {
        let multihash = peer.as_ref();
        // Short keys are not hashed: the digest is the key itself (libp2p peer-ids specification).
        if multihash.code() != 0 {
            return None;
        }
        let key = libp2p::identity::PublicKey::try_decode_protobuf(multihash.digest()).ok()?;
        key.try_into_ed25519().ok().map(|key| Self(key.to_bytes()))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let wrong = || IdentityError::PublicKey { text: text.chars().take(80).collect() };
        // A number may begin with a sign; a key may not.
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let mut key = [0; 32];
        for (index, byte) in key.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16)
                .map_err(|_wrong| wrong())?;
        }
        Ok(Self(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_the_way_through_the_transport() {
        let identity = Identity::from_seed(&[7; 32]).unwrap();
        let peer = identity.keypair().public().to_peer_id();
        assert_eq!(PublicKey::of_peer(&peer), Some(identity.public()));
        assert_eq!(identity.public().to_string().parse::<PublicKey>().unwrap(), identity.public());
        assert_eq!(identity.node(), Identity::from_seed(&[7; 32]).unwrap().node());
    }

    #[test]
    fn a_signature_holds_for_its_message_alone() {
        let identity = Identity::generate();
        let signature = identity.sign(b"yes");
        assert!(identity.public().verify(b"yes", &signature));
        assert!(!identity.public().verify(b"no", &signature));
        assert!(!Identity::generate().public().verify(b"yes", &signature));
    }

    #[test]
    fn odd_texts_and_seeds_are_refused() {
        assert!("".parse::<PublicKey>().is_err());
        assert!("zz".repeat(32).parse::<PublicKey>().is_err());
        assert!("é".repeat(32).parse::<PublicKey>().is_err());
        assert!("+1".repeat(32).parse::<PublicKey>().is_err());
        assert!(Identity::from_seed(&[1; 31]).is_err());
    }
}
