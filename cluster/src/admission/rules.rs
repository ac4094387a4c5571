//! Who is let in, decided without touching a socket or a clock.
//!
//! Noise proves which key is at the other end, not that this key belongs here; and a check after the connection is up
//! comes too late, because by then the multiplexer and every protocol on it already answer.
//! So five small frames pass on the encrypted stream before anything else does, and both ends judge them by these rules:
//!
//! ```text
//! dialer → listener   Opening     version, cluster, purpose, mode, nonce
//! listener → dialer   Answer      nonce, or a refusal
//! dialer → listener   Proof       what its mode demands
//! listener → dialer   Verdict     its own proof and presence, or a refusal
//! dialer → listener   Closing     its presence, or a refusal
//! ```
//!
//! Invariant: a listener tells nothing about itself but a nonce before the dialer has proved membership, and neither
//! end hands the stream on before the other has.
//! A proof of a secret covers both keys, both nonces, the cluster, the purpose and who is who, so it fits no other
//! connection and cannot be sent back to its maker.
//!
//! Pure: no clock, no I/O, no tasks.

use std::fmt;

use hmac::{Hmac, Mac};
use mobula_proto::id::Incarnation;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::admission::certificate::{
    Capabilities, Certificate, Role, Signed, Token, UnixTime, octets,
};
use crate::admission::ledger::Revocations;
use crate::identity::PublicKey;

/// The version of everything that nodes say to each other; both ends must have the same.
pub const PROTOCOL_VERSION: u16 = 1;

/// Longest name of a cluster, in bytes.
pub const CLUSTER_NAME_BYTES_MAX: usize = 64;

/// Shortest secret that is accepted, in bytes: shorter ones can be guessed from one recorded handshake.
pub const SECRET_BYTES_MIN: usize = 16;

/// Why a node was not let in; travels to the other end so that both can say it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Another protocol version. Update one of the two; nothing was exchanged.
    #[error("protocol version {theirs} meets version {ours}")]
    Version {
        /// The version of the refused end.
        theirs: u16,
        /// The version of the refusing end.
        ours: u16,
    },
    /// Another cluster. Two clusters never merge; check the cluster's name and the address.
    #[error("the address belongs to another cluster")]
    Cluster,
    /// One end wants a secret where the other wants certificates. Start both with the same mode.
    #[error("admission by {theirs} meets admission by {ours}")]
    Mode {
        /// What the refused end offers.
        theirs: Mode,
        /// What the refusing end demands.
        ours: Mode,
    },
    /// The secret is another one, or the proof was made for another connection.
    #[error("wrong cluster secret")]
    Secret,
    /// No proof of the kind demanded. A node with certificates needs one, or a join token.
    #[error("no proof of membership")]
    Unproved,
    /// The signature is not the authority's, or the statement is about another cluster.
    #[error("not signed by the authority of this cluster")]
    Forged,
    /// The certificate is another node's.
    #[error("the certificate belongs to another key")]
    NotYours,
    /// Past its last second. Ask for a new one.
    #[error("the certificate or token has expired")]
    Expired,
    /// Taken back by the authority. Only a certificate issued later lets this key in again.
    #[error("the certificate was revoked")]
    Revoked,
    /// The token was used as often as it may.
    #[error("the join token is used up")]
    Spent,
    /// The node that was dialed cannot turn tokens into certificates. Dial one that can.
    #[error("this node does not exchange join tokens")]
    NoIssuer,
    /// A table is full. Try later or elsewhere.
    #[error("too many entries here")]
    Full,
    /// The frame could not be read. The other end is no node, or a broken one.
    #[error("unreadable admission frame")]
    Malformed,
}

/// The kind of proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// None: for loopback alone.
    Open,
    /// A secret shared by all.
    Secret,
    /// A certificate of the cluster's authority.
    Ca,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "nothing",
            Self::Secret => "secret",
            Self::Ca => "certificate",
        })
    }
}

/// What a connection is for; part of what is proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Purpose {
    /// Membership and rare facts.
    Control,
    /// Messages of actors, on one of several lanes.
    Messages {
        /// The lane.
        lane: u8,
    },
    /// Object bytes.
    Bulk,
}

/// The first frame of a dialer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    pub(crate) version: u16,
    pub(crate) cluster: String,
    pub(crate) purpose: Purpose,
    pub(crate) mode: Mode,
    pub(crate) nonce: [u8; 32],
}

/// The first frame of a listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    Challenge([u8; 32]),
    Refused(Refusal),
}

/// What one end shows to be let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Proof {
    Open,
    Secret([u8; 32]),
    Certificate(Signed<Certificate>),
    Token(Signed<Token>),
}

/// What an end says about itself once the other has proved membership.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// The life of the node; a restart has a higher one.
    pub incarnation: Incarnation,
    /// Where the node listens, most useful first; at most [`ADDRESSES_MAX`].
    pub addresses: Vec<String>,
    /// What the node will do at most, however much its proof allows; `None`: whatever that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<(Role, Capabilities)>,
    /// Whatever the layers above want the other end to know; at most [`HELLO_BYTES_MAX`], on control connections only.
    #[serde(with = "octets")]
    pub hello: Vec<u8>,
}

/// Most bytes of a [`Presence::hello`].
pub const HELLO_BYTES_MAX: usize = 1024 * 1024;

/// Most entries of [`Presence::addresses`].
pub const ADDRESSES_MAX: usize = 16;

/// The second frame of a listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Verdict {
    Accepted { proof: Proof, issued: Option<Signed<Certificate>>, presence: Presence },
    Refused(Refusal),
}

/// The last frame of a dialer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Closing {
    Accepted(Presence),
    Refused(Refusal),
}

/// What a proved node may do here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How it takes part.
    pub role: Role,
    /// What it may ask for.
    pub capabilities: Capabilities,
    /// The life of its certificate, if it has one: issued, and last second. The connection must be closed then.
    pub valid: Option<(UnixTime, UnixTime)>,
}

impl Standing {
    const FULL: Self = Self { role: Role::Member, capabilities: Capabilities::ALL, valid: None };

    /// The same, within limits that the node set itself: an observer that shares the secret of all is an observer.
    #[must_use]
    pub fn within(self, limits: Option<(Role, Capabilities)>) -> Self {
        match limits {
            Some((role, capabilities)) => Self {
                role: self.role.max(role),
                capabilities: self.capabilities.only(capabilities),
                valid: self.valid,
            },
            None => self,
        }
    }
}

/// What an end demands of the other and shows of itself.
pub(crate) enum Gate {
    Open,
    Secret(Vec<u8>),
    Ca { authority: PublicKey, own: Own, revocations: Revocations },
}

/// What a node under an authority has to show.
#[derive(Clone, Debug, Default)]
pub(crate) struct Own {
    pub(crate) certificate: Option<Signed<Certificate>>,
    pub(crate) token: Option<Signed<Token>>,
}

impl Own {
    /// The certificate while it holds, else the token, else nothing.
    fn proof(&self, authority: &PublicKey, now: UnixTime) -> Proof {
        let holds = |c: &&Signed<Certificate>| c.open(authority).is_some_and(|c| now <= c.expires);
        match (self.certificate.as_ref().filter(holds), &self.token) {
            (Some(certificate), _) => Proof::Certificate(certificate.clone()),
            (None, Some(token)) => Proof::Token(token.clone()),
            (None, None) => match &self.certificate {
                Some(expired) => Proof::Certificate(expired.clone()),
                None => Proof::Open,
            },
        }
    }
}

impl Gate {
    pub(crate) const fn mode(&self) -> Mode {
        match self {
            Self::Open => Mode::Open,
            Self::Secret(_) => Mode::Secret,
            Self::Ca { .. } => Mode::Ca,
        }
    }

    /// The listener's first question: could this dialer belong here at all?
    pub(crate) fn review(&self, cluster: &str, opening: &Opening) -> Result<(), Refusal> {
        if opening.version != PROTOCOL_VERSION {
            return Err(Refusal::Version { theirs: opening.version, ours: PROTOCOL_VERSION });
        }
        if opening.cluster != cluster {
            return Err(Refusal::Cluster);
        }
        if opening.mode != self.mode() {
            return Err(Refusal::Mode { theirs: opening.mode, ours: self.mode() });
        }
        Ok(())
    }

    /// What this end shows.
    pub(crate) fn proof(&self, scene: &Scene<'_>, side: Side, now: UnixTime) -> Proof {
        match self {
            Self::Open => Proof::Open,
            Self::Secret(secret) => Proof::Secret(scene.sealed(secret, side)),
            Self::Ca { own, authority, .. } => own.proof(authority, now),
        }
    }

    /// Judges what `side` showed. A token proves nothing here: it must have been exchanged before.
    pub(crate) fn judge(
        &self,
        scene: &Scene<'_>,
        side: Side,
        proof: &Proof,
        now: UnixTime,
    ) -> Result<Standing, Refusal> {
        match (self, proof) {
            (Self::Open, Proof::Open) => Ok(Standing::FULL),
            (Self::Secret(secret), Proof::Secret(seal)) => {
                let holds = scene.mac(secret, side).verify_slice(seal).is_ok();
                if holds { Ok(Standing::FULL) } else { Err(Refusal::Secret) }
            }
            (Self::Ca { authority, revocations, .. }, Proof::Certificate(signed)) => {
                let certificate =
                    signed.open(authority).filter(|c| c.cluster == scene.opening.cluster);
                let certificate = certificate.ok_or(Refusal::Forged)?;
                check(&certificate, &scene.key(side), revocations, now)
            }
            (Self::Ca { .. }, Proof::Token(_)) => Err(Refusal::NoIssuer),
            (Self::Open | Self::Secret(_) | Self::Ca { .. }, _) => Err(Refusal::Unproved),
        }
    }

    /// Whether a node that was let in is no longer welcome: its certificate ended or was revoked.
    pub(crate) fn takes_back(&self, node: &PublicKey, standing: &Standing, now: UnixTime) -> bool {
        match (self, standing.valid) {
            (Self::Ca { revocations, .. }, Some((issued, expires))) => {
                now > expires || revocations.revoked(node, issued)
            }
            (Self::Open | Self::Secret(_) | Self::Ca { .. }, _) => false,
        }
    }
}

fn check(
    certificate: &Certificate,
    shown_by: &PublicKey,
    revocations: &Revocations,
    now: UnixTime,
) -> Result<Standing, Refusal> {
    if certificate.node != *shown_by {
        return Err(Refusal::NotYours);
    }
    if now > certificate.expires {
        return Err(Refusal::Expired);
    }
    if revocations.revoked(&certificate.node, certificate.issued) {
        return Err(Refusal::Revoked);
    }
    Ok(Standing {
        role: certificate.role,
        capabilities: certificate.capabilities,
        valid: Some((certificate.issued, certificate.expires)),
    })
}

/// Which end of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Dialer,
    Listener,
}

/// Everything about one connection that a proof must cover.
pub(crate) struct Scene<'a> {
    pub(crate) opening: &'a Opening,
    pub(crate) dialer: PublicKey,
    pub(crate) listener: PublicKey,
    pub(crate) challenge: [u8; 32],
}

impl Scene<'_> {
    const fn key(&self, side: Side) -> PublicKey {
        match side {
            Side::Dialer => self.dialer,
            Side::Listener => self.listener,
        }
    }

    fn mac(&self, secret: &[u8], side: Side) -> Hmac<Sha256> {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of every length (RFC 2104)")]
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes every key");
        mac.update(b"mobula/admission/1\0");
        mac.update(match side {
            Side::Dialer => b"dialer\0\0",
            Side::Listener => b"listener",
        });
        mac.update(&self.dialer.0);
        mac.update(&self.listener.0);
        mac.update(&self.opening.nonce);
        mac.update(&self.challenge);
        mac.update(&self.opening.version.to_be_bytes());
        mac.update(&match self.opening.purpose {
            Purpose::Control => [0, 0],
            Purpose::Messages { lane } => [1, lane],
            Purpose::Bulk => [2, 0],
        });
        mac.update(self.opening.cluster.as_bytes());
        mac
    }

    fn sealed(&self, secret: &[u8], side: Side) -> [u8; 32] {
        self.mac(secret, side).finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests;
