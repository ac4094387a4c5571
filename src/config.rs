//! A node's settings: what they mean, what they may be, and how they relate; checked once, at the start.
//!
//! They come from code ([`NodeBuilder`](crate::NodeBuilder)) or from the environment, which wins over the defaults and
//! loses to code. A wrong value ends the start with a sentence, never later with a surprise.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

/// The settings of one node.
///
/// # Examples
/// ```
/// let mut config = mobula::NodeConfig::default();
/// config.num_cpus = 0.00001;
/// assert!(config.validate().unwrap_err().to_string().contains("num_cpus"));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct NodeConfig {
    /// CPUs that tasks may use at once, in steps of 0.0001; `MOBULA_NUM_CPUS`. Default: the machine's.
    pub num_cpus: f64,
    /// Other resources by name, in steps of 0.0001; `MOBULA_RESOURCES`, as `gpu=1,disk=0.5`. Default: none.
    pub resources: BTreeMap<String, f64>,
    /// Bytes that objects may use together; `MOBULA_STORE_BYTES`. Default: 1 GiB.
    pub store_bytes: u64,
    /// Bytes of recipes that are kept for results that may be lost with other nodes; over it the older half is given up;
    /// `MOBULA_LINEAGE_BYTES`. Default: 256 MiB.
    pub lineage_bytes: u64,
    /// Threads for pinned actors, started with the first one; `MOBULA_ARBITERS`. Default: 1.
    pub arbiters: usize,
    /// Tasks that may wait; one more fails as queue full. Default: 1 000 000.
    pub queued_tasks_max: usize,
    /// How the node takes part in a cluster. Default: not at all.
    #[cfg(feature = "cluster")]
    pub cluster: Option<crate::ClusterConfig>,
}

/// The least amount of a resource that is told from zero.
const RESOURCE_STEP: f64 = 0.0001;

impl Default for NodeConfig {
    fn default() -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self {
            num_cpus: f64::from(u32::try_from(cpus).unwrap_or(u32::MAX)),
            resources: BTreeMap::new(),
            store_bytes: 1 << 30,
            lineage_bytes: 256 << 20,
            arbiters: 1,
            queued_tasks_max: 1_000_000,
            #[cfg(feature = "cluster")]
            cluster: None,
        }
    }
}

impl NodeConfig {
    /// The defaults, changed by what the environment says. `read` looks a variable up.
    ///
    /// # Errors
    /// [`ConfigError`] names the variable that cannot be read.
    pub fn from_environment(read: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        if let Some(cpus) = parsed(&read, "MOBULA_NUM_CPUS", "a number such as 2 or 0.5")? {
            config.num_cpus = cpus;
        }
        if let Some(bytes) = parsed(&read, "MOBULA_STORE_BYTES", "a whole number of bytes")? {
            config.store_bytes = bytes;
        }
        if let Some(bytes) = parsed(&read, "MOBULA_LINEAGE_BYTES", "a whole number of bytes")? {
            config.lineage_bytes = bytes;
        }
        if let Some(arbiters) = parsed(&read, "MOBULA_ARBITERS", "a whole number of threads")? {
            config.arbiters = arbiters;
        }
        if let Some(resources) = read("MOBULA_RESOURCES") {
            config.resources = parse_resources(&resources)?;
        }
        #[cfg(feature = "cluster")]
        {
            config.cluster = crate::ClusterConfig::from_environment(&read)?;
        }
        Ok(config)
    }

    /// Checks every setting and how they relate.
    ///
    /// # Errors
    /// [`ConfigError`] names the first wrong one and says what it may be.
    pub fn validate(&self) -> Result<(), ConfigError> {
        amount("num_cpus", self.num_cpus)?;
        for (name, value) in &self.resources {
            if name.trim().is_empty() || name == "cpu" || name == "CPU" {
                return Err(ConfigError::OutOfRange {
                    setting: format!("resource `{name}`"),
                    allowed: "a name of your own; CPUs are set by num_cpus".to_owned(),
                });
            }
            amount(&format!("resource `{name}`"), *value)?;
        }
        #[cfg(feature = "cluster")]
        if let Some(cluster) = &self.cluster {
            cluster.validate()?;
        }
        at_least_one("store_bytes", self.store_bytes > 0)?;
        at_least_one("arbiters", self.arbiters > 0)?;
        at_least_one("queued_tasks_max", self.queued_tasks_max > 0)
    }
}

fn amount(setting: &str, value: f64) -> Result<(), ConfigError> {
    if value == 0.0 || (value.is_finite() && (RESOURCE_STEP..=1e9).contains(&value)) {
        return Ok(());
    }
    Err(ConfigError::OutOfRange {
        setting: setting.to_owned(),
        allowed: format!("0, or {RESOURCE_STEP} to 1e9"),
    })
}

fn at_least_one(setting: &str, holds: bool) -> Result<(), ConfigError> {
    if holds {
        return Ok(());
    }
    Err(ConfigError::OutOfRange { setting: setting.to_owned(), allowed: "at least 1".to_owned() })
}

fn parsed<T: std::str::FromStr>(
    read: &impl Fn(&str) -> Option<String>,
    variable: &'static str,
    expected: &'static str,
) -> Result<Option<T>, ConfigError> {
    let Some(text) = read(variable) else { return Ok(None) };
    match text.trim().parse() {
        Ok(value) => Ok(Some(value)),
        Err(_) => Err(ConfigError::Unreadable { variable, text, expected }),
    }
}

fn parse_resources(text: &str) -> Result<BTreeMap<String, f64>, ConfigError> {
    let unreadable = || ConfigError::Unreadable {
        variable: "MOBULA_RESOURCES",
        text: text.to_owned(),
        expected: "names and amounts such as gpu=1,disk=0.5",
    };
    let mut resources = BTreeMap::new();
    for part in text.split(',').filter(|part| !part.trim().is_empty()) {
        let (name, value) = part.split_once('=').ok_or_else(unreadable)?;
        let value: f64 = value.trim().parse().ok().ok_or_else(unreadable)?;
        resources.insert(name.trim().to_owned(), value);
    }
    Ok(resources)
}

/// A setting that makes no sense. Nothing was started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A value outside its range.
    #[error("{setting} must be {allowed}")]
    OutOfRange {
        /// Which setting.
        setting: String,
        /// What it may be.
        allowed: String,
    },
    /// An environment variable that cannot be read.
    #[error("{variable} is `{text}`, but must be {expected}")]
    Unreadable {
        /// Which variable.
        variable: &'static str,
        /// What it says.
        text: String,
        /// What it should say.
        expected: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(pairs: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        move |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn the_environment_changes_the_defaults() {
        let config = NodeConfig::from_environment(reading(&[
            ("MOBULA_NUM_CPUS", "0.5"),
            ("MOBULA_RESOURCES", "gpu=2, disk=0.25"),
        ]))
        .unwrap();
        assert_eq!(config.num_cpus, 0.5);
        assert_eq!(config.resources["disk"], 0.25);
        assert_eq!(config.store_bytes, NodeConfig::default().store_bytes);
        config.validate().unwrap();
    }

    #[test]
    fn a_wrong_variable_is_named_with_what_it_should_be() {
        let error = NodeConfig::from_environment(reading(&[("MOBULA_ARBITERS", "many")]));
        assert_eq!(
            error.unwrap_err().to_string(),
            "MOBULA_ARBITERS is `many`, but must be a whole number of threads"
        );
    }

    #[test]
    fn the_budget_of_the_store_is_a_whole_number_of_bytes() {
        let saying = |text: &'static str| {
            NodeConfig::from_environment(move |name| {
                (name == "MOBULA_STORE_BYTES").then(|| text.to_owned())
            })
        };
        assert_eq!(saying(" 1048576 ").unwrap().store_bytes, 1 << 20);
        for wrong in ["1GiB", "-1", "0.5", ""] {
            assert_eq!(
                saying(wrong).unwrap_err().to_string(),
                format!("MOBULA_STORE_BYTES is `{wrong}`, but must be a whole number of bytes")
            );
        }
        let nothing = saying("0").unwrap().validate();
        assert_eq!(nothing.unwrap_err().to_string(), "store_bytes must be at least 1");
    }

    #[test]
    fn every_range_is_checked() {
        let broken: [fn(&mut NodeConfig); 5] = [
            |config| config.num_cpus = -1.0,
            |config| config.num_cpus = f64::NAN,
            |config| config.store_bytes = 0,
            |config| config.arbiters = 0,
            |config| {
                config.resources.insert("cpu".to_owned(), 1.0);
            },
        ];
        for break_one in broken {
            let mut config = NodeConfig::default();
            break_one(&mut config);
            assert!(config.validate().is_err(), "{config:?}");
        }
    }
}
