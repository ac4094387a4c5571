//! How membership is proved: what a node is started with.

use std::fmt;

use super::certificate::{Certificate, Signed, Token};
use super::ledger::Issuer;
use crate::identity::PublicKey;

/// How membership is proved. The same on all nodes of a cluster.
pub enum AdmissionMode {
    /// Not at all: only for nodes that listen on loopback alone.
    Open,
    /// By a secret that all share, at least 16 random bytes. It cannot be taken back from one node.
    Secret(Vec<u8>),
    /// By certificates that an authority signs.
    Ca(Box<CaMode>),
}

/// What a node needs where certificates are demanded: the authority, and at least one of the other three.
#[derive(Debug)]
pub struct CaMode {
    /// The key that every certificate must be signed with.
    pub authority: PublicKey,
    /// Our certificate.
    pub certificate: Option<Signed<Certificate>>,
    /// A join token, to be exchanged for a certificate at the first node that can.
    pub token: Option<Signed<Token>>,
    /// Makes this node one that exchanges tokens; it certifies itself.
    pub issuer: Option<Issuer>,
}

impl fmt::Debug for AdmissionMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("Open"),
            Self::Secret(_) => f.write_str("Secret(..)"),
            Self::Ca(mode) => f.debug_tuple("Ca").field(mode).finish(),
        }
    }
}
