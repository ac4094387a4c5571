//! How a node takes part in a cluster: where it listens, whom it joins, what it shows to be let in.
//!
//! A node alone needs none of this. One that says [`listen`](ClusterConfig::listen) is a cluster of one, which others
//! join by its address; no address is special, and the first node may be the first to go.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use mobula_cluster::admission::certificate::{Capabilities, Role};
use mobula_cluster::transport::libp2p::{RELAYS_MAX, RelayLimits};

use crate::config::ConfigError;

mod authority;

pub use authority::AuthorityConfig;
pub(crate) use authority::Papers;

/// How long a node that cannot reach anybody tries to join, unless told otherwise.
pub const JOIN_LIMIT: Duration = Duration::from_secs(30);

/// How a node takes part in a cluster.
///
/// # Examples
/// ```
/// use mobula::ClusterConfig;
/// let config = ClusterConfig::listen("127.0.0.1:0".parse()?);
/// assert_eq!(config.name, "mobula");
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterConfig {
    /// The cluster's name, 1 to 64 bytes: nodes of different clusters never join; `MOBULA_CLUSTER`. Default: `mobula`.
    pub name: String,
    /// Where to listen, for everything; port 0 takes any free one; `MOBULA_LISTEN`.
    pub listen: SocketAddr,
    /// Listens nowhere after all, and is reached by its `relays` alone; `MOBULA_LISTEN=none`. A node that may listen should:
    /// through a port that nobody can dial a direct connection may still be made.
    pub dial_only: bool,
    /// What others should dial instead, `host:port`; `MOBULA_ADVERTISE`, separated by commas.
    pub advertise: Vec<String>,
    /// Members to join by, `host:port` or as they say of themselves, tried in turn; `MOBULA_JOIN`, separated by commas. Empty: wait to be joined.
    pub join: Vec<String>,
    /// How long to try.
    pub join_limit: Duration,
    /// What all members know and nobody else, at least 16 bytes; `MOBULA_SECRET`. Without one the node lets everybody
    /// in, and may therefore only listen on loopback.
    pub secret: Option<String>,
    /// Instead of a secret: the authority that signs who may come in, as what, and until when; `MOBULA_AUTHORITY`.
    pub authority: Option<AuthorityConfig>,
    /// What others may place by, such as `zone=a`; `MOBULA_LABELS`, separated by commas.
    pub labels: BTreeMap<String, String>,
    /// How the node takes part; `MOBULA_ROLE=client` or `observer`. Nothing is placed on a client, and an observer may only
    /// look. A certificate may say less, never more.
    pub role: Role,
    /// What the node will ask of others at most, as in `MOBULA_CAN=submit,observe`; others refuse the rest. A certificate may
    /// say less, never more.
    pub capabilities: Capabilities,
    /// Announces the node on the local network by multicast DNS, and joins whoever of its cluster does the same;
    /// `MOBULA_MDNS=1`. Needs the feature `mdns`, and an address to listen on beyond loopback.
    pub mdns: bool,
    /// Messages and objects go by QUIC, on the UDP port of the same number, where the other node has it, too;
    /// `MOBULA_QUIC=1`. Needs the feature `quic`. For networks that let only UDP through, or lose much: else TCP carries
    /// more.
    pub quic: bool,
    /// Relays for members that cannot be dialed, within these limits; `MOBULA_RELAY_SERVER=1` for the usual ones. Strangers
    /// are not served, and what is relayed cannot be read here. Needs the feature `relay`.
    pub relay_server: Option<RelayLimits>,
    /// Members to be reached by where this node cannot be dialed, `host:port` as all members can dial it, at most four;
    /// `MOBULA_RELAYS`, separated by commas. All are kept; the others learn these ways and `advertise`, not `listen`. Where
    /// both routers let it happen, a direct connection takes over. Needs the feature `relay`, as do those who dial it.
    ///
    /// # Examples
    /// ```
    /// # use mobula::ClusterConfig;
    /// let mut config = ClusterConfig::listen("0.0.0.0:7000".parse()?);
    /// config.secret = Some("sixteen bytes or more".to_owned());
    /// config.relays = vec!["relay.example.org:7000".to_owned()];
    /// assert_eq!(config.validate().is_ok(), cfg!(feature = "relay"));
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    pub relays: Vec<String>,
}

impl ClusterConfig {
    /// A node that listens here, and is otherwise as usual.
    #[must_use]
    pub fn listen(listen: SocketAddr) -> Self {
        Self {
            name: "mobula".to_owned(),
            listen,
            dial_only: false,
            advertise: Vec::new(),
            join: Vec::new(),
            join_limit: JOIN_LIMIT,
            secret: None,
            authority: None,
            labels: BTreeMap::new(),
            role: Role::Member,
            capabilities: Capabilities::ALL,
            mdns: false,
            quic: false,
            relay_server: None,
            relays: Vec::new(),
        }
    }

    /// What the environment says; `None` if it says neither where to listen nor whom to join.
    ///
    /// # Errors
    /// [`ConfigError`] names the variable that cannot be read.
    pub fn from_environment(
        read: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, ConfigError> {
        let list = |variable: &str| -> Vec<String> {
            let text = read(variable).unwrap_or_default();
            text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(Into::into).collect()
        };
        let join = list("MOBULA_JOIN");
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let told = read("MOBULA_LISTEN");
        let dial_only = told.as_ref().is_some_and(|text| text.trim() == "none");
        let listen = match told {
            Some(_) if dial_only => nowhere,
            Some(text) => match text.trim().parse() {
                Ok(listen) => listen,
                Err(_unreadable) => {
                    return Err(ConfigError::Unreadable {
                        variable: "MOBULA_LISTEN",
                        text,
                        expected: "an address and a port such as 10.0.0.5:7000 or 127.0.0.1:0, or none",
                    });
                }
            },
            None if join.is_empty() => return Ok(None),
            None => nowhere,
        };
        let mut labels = BTreeMap::new();
        for label in list("MOBULA_LABELS") {
            let Some((name, value)) = label.split_once('=') else {
                return Err(ConfigError::Unreadable {
                    variable: "MOBULA_LABELS",
                    text: label,
                    expected: "names and values such as zone=a,disk=ssd",
                });
            };
            labels.insert(name.trim().to_owned(), value.trim().to_owned());
        }
        let mut config = Self::listen(listen);
        config.dial_only = dial_only;
        config.join = join;
        config.advertise = list("MOBULA_ADVERTISE");
        config.labels = labels;
        config.secret = read("MOBULA_SECRET").filter(|secret| !secret.is_empty());
        config.authority = AuthorityConfig::from_environment(&read)?;
        config.role = match read("MOBULA_ROLE").as_deref() {
            Some("observer") => Role::Observer,
            Some("client") => Role::Client,
            // What else a process is beside its node is read elsewhere.
            Some(_) | None => Role::Member,
        };
        if let Some(text) = read("MOBULA_CAN") {
            let Some(capabilities) = Capabilities::from_names(&text) else {
                return Err(ConfigError::Unreadable {
                    variable: "MOBULA_CAN",
                    text,
                    expected: "some of spawn, submit, kill and observe, or none, separated by commas",
                });
            };
            config.capabilities = capabilities;
        }
        let is_on = |variable: &str| read(variable).is_some_and(|value| value == "1");
        (config.mdns, config.quic) = (is_on("MOBULA_MDNS"), is_on("MOBULA_QUIC"));
        config.relay_server = is_on("MOBULA_RELAY_SERVER").then(RelayLimits::default);
        config.relays = list("MOBULA_RELAYS");
        if let Some(name) = read("MOBULA_CLUSTER").filter(|name| !name.is_empty()) {
            config.name = name;
        }
        Ok(Some(config))
    }

    /// Checks what can be checked before anything is opened.
    ///
    /// # Errors
    /// [`ConfigError`] names the first wrong setting and says what it may be.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let out = |setting: &str, allowed: &str| {
            Err(ConfigError::OutOfRange { setting: setting.into(), allowed: allowed.into() })
        };
        if self.name.is_empty() || self.name.len() > 64 {
            return out("the cluster's name", "1 to 64 bytes");
        }
        if self.secret.as_ref().is_some_and(|secret| secret.len() < 16) {
            return out("the cluster's secret", "at least 16 bytes, drawn at random");
        }
        if self.mdns && (!cfg!(feature = "mdns") || self.listen.ip().is_loopback()) {
            return out(
                "mdns",
                "asked for where the program is built with the feature `mdns` and listens beyond loopback",
            );
        }
        if self.quic && !cfg!(feature = "quic") {
            return out("quic", "asked for where the program is built with the feature `quic`");
        }
        self.validate_relays()?;
        match (&self.secret, &self.authority) {
            (Some(_), Some(_)) => {
                return out("the cluster's secret", "left out where an authority is given");
            }
            (None, None) if self.is_reached_from_outside() => {
                return out(
                    "the cluster's secret",
                    "given where a node listens beyond loopback or is reached by a relay there, or an authority: without either everybody would be let in",
                );
            }
            (None, Some(authority)) => drop(authority.papers(&self.name)?),
            (Some(_), None) | (None, None) => {}
        }
        Ok(())
    }
}

impl ClusterConfig {
    fn validate_relays(&self) -> Result<(), ConfigError> {
        let out = |setting: &str, allowed: &str| {
            Err(ConfigError::OutOfRange { setting: setting.into(), allowed: allowed.into() })
        };
        let asked = self.relay_server.is_some() || !self.relays.is_empty();
        if asked && !cfg!(feature = "relay") {
            return out("relay", "asked for where the program is built with the feature `relay`");
        }
        if self.relays.len() > RELAYS_MAX {
            return out("relays", "at most four");
        }
        if self.dial_only && self.relays.is_empty() {
            return out("listen", "an address where there is no relay to be reached by");
        }
        if self.dial_only && self.mdns {
            return out("mdns", "asked for where the node listens");
        }
        if let Some(Err(error)) = self.relay_server.as_ref().map(RelayLimits::validate) {
            return out("relay_server", &error.to_string());
        }
        Ok(())
    }

    /// Whether somebody on another machine might reach this node; a name may lead anywhere.
    fn is_reached_from_outside(&self) -> bool {
        let is_outside = |relay: &String| {
            !relay.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_loopback())
        };
        let listens_outside = !self.dial_only && !self.listen.ip().is_loopback();
        listens_outside || self.relays.iter().any(is_outside)
    }
}

/// A secret is not for logs.
impl std::fmt::Debug for ClusterConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClusterConfig")
            .field("name", &self.name)
            .field("listen", &self.listen)
            .field("advertise", &self.advertise)
            .field("join", &self.join)
            .field("secret", &self.secret.as_ref().map(|_| ".."))
            .field("labels", &self.labels)
            .field("authority", &self.authority)
            .field("role", &self.role)
            .field("capabilities", &self.capabilities)
            .field("mdns", &self.mdns)
            .field("quic", &self.quic)
            .field("dial_only", &self.dial_only)
            .field("relay_server", &self.relay_server)
            .field("relays", &self.relays)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(pairs: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        move |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn a_program_that_is_told_nothing_is_alone() {
        assert_eq!(ClusterConfig::from_environment(|_| None).unwrap(), None);
    }

    #[test]
    fn the_environment_names_addresses_labels_and_the_secret() {
        let config = ClusterConfig::from_environment(reading(&[
            ("MOBULA_JOIN", "10.0.0.1:7000, 10.0.0.2:7000"),
            ("MOBULA_LABELS", "zone=a, disk=ssd"),
            ("MOBULA_SECRET", "sixteen bytes or more"),
            ("MOBULA_ROLE", "observer"),
            ("MOBULA_CAN", "observe, submit"),
        ]));
        let config = config.unwrap().unwrap();
        assert_eq!(config.join, ["10.0.0.1:7000", "10.0.0.2:7000"]);
        assert_eq!(config.labels["disk"], "ssd");
        assert!(config.role == Role::Observer && config.listen.ip().is_loopback());
        assert_eq!(config.capabilities, Capabilities::OBSERVE.and(Capabilities::SUBMIT));
        assert!(!format!("{config:?}").contains("sixteen"), "a secret is not shown");
        config.validate().unwrap();
    }

    #[test]
    fn a_node_without_a_secret_listens_on_loopback_only() {
        let mut config = ClusterConfig::listen("0.0.0.0:7000".parse().unwrap());
        assert!(config.validate().unwrap_err().to_string().contains("secret"));
        config.secret = Some("short".into());
        assert!(config.validate().unwrap_err().to_string().contains("16 bytes"));
    }

    #[test]
    fn what_was_left_out_of_the_build_is_named() {
        let on = |pairs| ClusterConfig::from_environment(reading(pairs)).unwrap().unwrap();
        let quic = on(&[("MOBULA_LISTEN", "127.0.0.1:0"), ("MOBULA_QUIC", "1")]);
        assert!(quic.quic && !quic.mdns);
        assert_eq!(quic.validate().is_ok(), cfg!(feature = "quic"));
        const SECRET: (&str, &str) = ("MOBULA_SECRET", "sixteen bytes or more");
        let mdns = on(&[("MOBULA_LISTEN", "0.0.0.0:0"), SECRET, ("MOBULA_MDNS", "1")]);
        assert!(mdns.mdns && !mdns.quic);
        assert_eq!(mdns.validate().is_ok(), cfg!(feature = "mdns"));
        let unheard = on(&[("MOBULA_LISTEN", "127.0.0.1:0"), ("MOBULA_MDNS", "1")]);
        assert!(unheard.validate().unwrap_err().to_string().contains("beyond loopback"));
    }

    #[test]
    fn relays_are_read_and_judged() {
        let on = |pairs| ClusterConfig::from_environment(reading(pairs)).unwrap().unwrap();
        let served = on(&[("MOBULA_LISTEN", "127.0.0.1:0"), ("MOBULA_RELAY_SERVER", "1")]);
        assert_eq!(served.relay_server, Some(RelayLimits::default()));
        assert_eq!(served.validate().is_ok(), cfg!(feature = "relay"));

        let mut hidden =
            on(&[("MOBULA_LISTEN", "none"), ("MOBULA_RELAYS", "127.0.0.1:7, [::1]:7")]);
        assert!(hidden.dial_only && hidden.relays == ["127.0.0.1:7", "[::1]:7"]);
        assert_eq!(hidden.validate().is_ok(), cfg!(feature = "relay"));
        let complaint = |config: &ClusterConfig| config.validate().unwrap_err().to_string();
        hidden.relays.clear();
        assert!(complaint(&hidden).contains("no relay"));
        hidden.relays = vec!["127.0.0.1:7".to_owned(); RELAYS_MAX + 1];
        let too_many = if cfg!(feature = "relay") { "at most four" } else { "feature `relay`" };
        assert!(complaint(&hidden).contains(too_many));
        hidden.relays = vec!["relay.example.org:7".to_owned()];
        let open = if cfg!(feature = "relay") { "secret" } else { "feature `relay`" };
        assert!(complaint(&hidden).contains(open));
        hidden.secret = Some("sixteen bytes or more".to_owned());
        assert_eq!(hidden.validate().is_ok(), cfg!(feature = "relay"));
        hidden.relay_server = Some(RelayLimits { circuits: 0, ..RelayLimits::default() });
        assert!(hidden.validate().is_err());
    }

    #[test]
    fn a_wrong_address_is_named() {
        let error = ClusterConfig::from_environment(reading(&[("MOBULA_LISTEN", "here")]));
        assert!(error.unwrap_err().to_string().contains("MOBULA_LISTEN is `here`"));
    }
}
