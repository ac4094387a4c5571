//! Membership by certificates: what a node is told of its cluster's authority, and what it has to show.
//!
//! A secret that all share cannot be taken back from one, nor can it say that one may do less than another. An authority
//! can: it signs who may come in, as what, and until when, and it takes back what it signed.

use std::fmt;
use std::time::Duration;

use mobula_cluster::Identity;
use mobula_cluster::admission::certificate::{
    Authority, Capabilities, Certificate, Role, Signed, Token,
};
use mobula_cluster::admission::ledger::Issuer;
use mobula_cluster::admission::{AdmissionMode, CaMode};
use mobula_cluster::identity::PublicKey;

use crate::config::ConfigError;

/// How long a certificate lasts that a node issues for a join token, unless told otherwise.
pub const CERTIFICATE_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// The authority of a cluster, and what this node shows of it. Keys, certificates and tokens are lines of hexadecimal
/// digits, as `mobula ca` writes them.
///
/// # Examples
/// ```
/// use mobula::AuthorityConfig;
/// let mut authority = AuthorityConfig::new("00".repeat(32));
/// authority.token = Some("a line that `mobula ca token` wrote".to_owned());
/// assert!(!format!("{authority:?}").contains("a line"), "what opens doors is not for logs");
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthorityConfig {
    /// The authority's public key, 64 digits; `MOBULA_AUTHORITY`.
    pub public_key: String,
    /// This node's own key, 64 digits, in the file `MOBULA_NODE_KEY_FILE`; a fresh one without it. A certificate is for
    /// one key.
    pub node_key: Option<String>,
    /// This node's certificate, in the file `MOBULA_CERTIFICATE_FILE`.
    pub certificate: Option<String>,
    /// A join token, in the file `MOBULA_TOKEN_FILE`: exchanged for a certificate at the first node joined, which must be
    /// one that issues them.
    pub token: Option<String>,
    /// The authority's own key, 64 digits, in the file `MOBULA_SIGNING_KEY_FILE`: makes this node one that exchanges tokens,
    /// and needs no other certificate.
    pub signing_key: Option<String>,
    /// How long certificates last that this node issues. Default: a day.
    pub certificate_lifetime: Duration,
}

/// What a node begins with.
pub(crate) struct Papers {
    pub(crate) identity: Identity,
    pub(crate) mode: AdmissionMode,
    /// What it will be allowed, as far as it can read that itself.
    pub(crate) terms: (Role, Capabilities),
}

impl AuthorityConfig {
    /// An authority by its public key, and nothing to show yet.
    #[must_use]
    pub fn new(public_key: impl Into<String>) -> Self {
        Self {
            public_key: public_key.into(),
            node_key: None,
            certificate: None,
            token: None,
            signing_key: None,
            certificate_lifetime: CERTIFICATE_LIFETIME,
        }
    }

    /// What the environment says; `None` if it names no authority. Files are read at once.
    ///
    /// # Errors
    /// [`ConfigError`] names the variable whose file cannot be read.
    pub fn from_environment(
        read: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, ConfigError> {
        let said = |variable: &str| read(variable).filter(|text| !text.trim().is_empty());
        let Some(public_key) = said("MOBULA_AUTHORITY") else { return Ok(None) };
        let file = |variable: &'static str| -> Result<Option<String>, ConfigError> {
            let Some(path) = said(variable) else { return Ok(None) };
            match std::fs::read_to_string(path.trim()) {
                Ok(text) => Ok(Some(text.trim().to_owned())),
                Err(_unreadable) => Err(ConfigError::Unreadable {
                    variable,
                    text: path,
                    expected: "the path of a file that `mobula ca` wrote and this user can read",
                }),
            }
        };
        let mut config = Self::new(public_key.trim());
        config.node_key = file("MOBULA_NODE_KEY_FILE")?;
        config.certificate = file("MOBULA_CERTIFICATE_FILE")?;
        config.token = file("MOBULA_TOKEN_FILE")?;
        config.signing_key = file("MOBULA_SIGNING_KEY_FILE")?;
        Ok(Some(config))
    }

    /// Reads everything, for the cluster `name`.
    pub(crate) fn papers(&self, name: &str) -> Result<Papers, ConfigError> {
        let wrong = |setting: &str, allowed: &str| ConfigError::OutOfRange {
            setting: setting.to_owned(),
            allowed: allowed.to_owned(),
        };
        let digits = "64 hexadecimal digits, as `mobula ca` writes them";
        let key = |setting: &str, text: &str| {
            let bytes = text.trim().parse::<PublicKey>().map_err(|_digits| wrong(setting, digits));
            bytes.and_then(|bytes| {
                Identity::from_seed(&bytes.0).map_err(|_length| wrong(setting, digits))
            })
        };
        let authority: PublicKey = self
            .public_key
            .trim()
            .parse()
            .map_err(|_digits| wrong("the authority's public key", digits))?;
        let identity = match &self.node_key {
            Some(text) => key("the node's key", text)?,
            None => Identity::generate(),
        };
        let line = "a line that `mobula ca` wrote for this authority and this cluster";
        let certificate: Option<Signed<Certificate>> = match &self.certificate {
            Some(text) => {
                Some(Signed::from_text(text).ok_or_else(|| wrong("the node's certificate", line))?)
            }
            None => None,
        };
        let token: Option<Signed<Token>> = match &self.token {
            Some(text) => {
                Some(Signed::from_text(text).ok_or_else(|| wrong("the join token", line))?)
            }
            None => None,
        };
        let mut terms = (Role::Member, Capabilities::ALL);
        if let Some(signed) = &token {
            let token = signed.open(&authority).filter(|token| token.cluster == name);
            let token = token.ok_or_else(|| wrong("the join token", line))?;
            terms = (token.role, token.capabilities);
        }
        if let Some(signed) = &certificate {
            let shown = signed.open(&authority).filter(|shown| shown.cluster == name);
            let shown = shown.ok_or_else(|| wrong("the node's certificate", line))?;
            if shown.node != identity.public() {
                let allowed = "for the node's own key: give the key that it was written for";
                return Err(wrong("the node's certificate", allowed));
            }
            terms = (shown.role, shown.capabilities);
        }
        let mut issuer = None;
        if let Some(text) = &self.signing_key {
            let signer = Authority::new(name, key("the authority's signing key", text)?);
            if signer.public() != authority {
                let allowed = "the private half of the authority's public key";
                return Err(wrong("the authority's signing key", allowed));
            }
            issuer = Some(Issuer::new(signer, self.certificate_lifetime.as_secs().max(1)));
        }
        if certificate.is_none() && token.is_none() && issuer.is_none() {
            let allowed =
                "given where an authority is: a certificate, a join token or its signing key";
            return Err(wrong("what the node shows", allowed));
        }
        let mode = AdmissionMode::Ca(Box::new(CaMode { authority, certificate, token, issuer }));
        Ok(Papers { identity, mode, terms })
    }
}

/// Keys and tokens are not for logs.
impl fmt::Debug for AuthorityConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |text: &Option<String>| text.as_ref().map(|_| "..");
        f.debug_struct("AuthorityConfig")
            .field("public_key", &self.public_key)
            .field("node_key", &shown(&self.node_key))
            .field("certificate", &shown(&self.certificate))
            .field("token", &shown(&self.token))
            .field("signing_key", &shown(&self.signing_key))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use mobula_cluster::admission::certificate::UnixTime;

    use super::*;

    fn hex(bytes: [u8; 32]) -> String {
        PublicKey(bytes).to_string()
    }

    fn authority() -> Authority {
        Authority::new("c", Identity::from_seed(&[1; 32]).unwrap())
    }

    fn refusal(config: &AuthorityConfig) -> String {
        config.papers("c").err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_certificate_is_for_one_key_one_cluster_and_one_authority() {
        let node = Identity::from_seed(&[2; 32]).unwrap();
        let terms = (Role::Client, Capabilities::SUBMIT);
        let signed = authority().certify(node.public(), terms, UnixTime(0), UnixTime(1));
        let mut config = AuthorityConfig::new(authority().public().to_string());
        config.certificate = Some(signed.to_text());
        config.node_key = Some(hex([2; 32]));
        let papers = config.papers("c").unwrap();
        assert_eq!((papers.terms, papers.identity.public()), (terms, node.public()));
        assert!(config.papers("d").is_err(), "of another cluster");
        config.node_key = Some(hex([3; 32]));
        assert!(refusal(&config).contains("own key"));
        let other = Authority::new("c", Identity::from_seed(&[9; 32]).unwrap());
        config.public_key = other.public().to_string();
        assert!(refusal(&config).contains("for this authority"));
    }

    #[test]
    fn what_is_missing_or_unreadable_is_named() {
        let mut config = AuthorityConfig::new("nonsense");
        assert!(refusal(&config).contains("the authority's public key must be 64"));
        config.public_key = authority().public().to_string();
        assert!(refusal(&config).contains("a certificate, a join token"));
        config.token = Some("beef".to_owned());
        assert!(refusal(&config).contains("the join token must be a line"));
        config.token = None;
        config.signing_key = Some(hex([7; 32]));
        assert!(refusal(&config).contains("private half"));
        config.signing_key = Some(hex([1; 32]));
        assert_eq!(config.papers("c").unwrap().terms, (Role::Member, Capabilities::ALL));
    }

    #[test]
    fn the_environment_names_an_authority_and_files() {
        let none = AuthorityConfig::from_environment(|_| None).unwrap();
        assert_eq!(none, None);
        let read = |name: &str| match name {
            "MOBULA_AUTHORITY" => Some(hex([4; 32])),
            "MOBULA_TOKEN_FILE" => Some("/nowhere/at/all".to_owned()),
            _ => None,
        };
        let error = AuthorityConfig::from_environment(read).unwrap_err();
        assert!(error.to_string().contains("MOBULA_TOKEN_FILE is `/nowhere/at/all`"), "{error}");
    }
}
