//! How a node over a transport of one's own takes part.

use std::collections::BTreeMap;

use mobula_proto::association::Settings;
use mobula_proto::config::Config as MembershipConfig;
use mobula_proto::member::Details;

/// How a node over a given transport takes part.
#[derive(Debug, Default)]
pub struct Options {
    /// As [`ClusterConfig::details`](super::ClusterConfig::details).
    pub details: Details,
    /// As [`ClusterConfig::membership`](super::ClusterConfig::membership).
    pub membership: MembershipConfig,
    /// As [`ClusterConfig::lanes`](super::ClusterConfig::lanes).
    pub lanes: Settings,
    /// As [`ClusterConfig::seed`](super::ClusterConfig::seed).
    pub seed: Option<u64>,
}

/// Labels as a map, for configurations written by hand.
#[must_use]
pub fn labels<const N: usize>(labels: [(&str, &str); N]) -> BTreeMap<String, String> {
    labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}
