//! The voters, and what a majority of them is.
//!
//! A change of voters is the moment at which two majorities may not know each other: {A, C} of three and {B, D} of
//! the three after them have nobody in both. So voters change by way of a *joint* configuration, of which a quorum is
//! a majority of the old and a majority of the new ones (Ongaro and Ousterhout, 2014, section 6); or by one voter more
//! or less at a time.
//!
//! Invariant: [`Config::meets`] holds between a configuration and the next one: each quorum of one and each quorum of
//! the other have a voter in common. So once the next one is committed, no quorum can form any more of voters that
//! have not got it.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::id::{ConfigId, VoterId};

/// Voters of one configuration at most.
pub const VOTERS_MAX: usize = 7;

/// Who votes, since which entry of the log.
///
/// # Examples
/// ```
/// use mobula_proto::id::{Incarnation, NodeId};
/// use mobula_proto::registry::{Config, ConfigId, Host};
/// let voter = |node| Host { node: NodeId(node), life: Incarnation(1) };
/// let config = Config::uniform(ConfigId(0), [voter(1), voter(2), voter(3)]);
/// assert!(config.is_quorum(|voter| voter.node != NodeId(2)));
/// assert!(!config.is_quorum(|voter| voter.node == NodeId(2)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Config {
    /// Which configuration.
    pub id: ConfigId,
    /// The voters, or, of a joint configuration, those who will remain.
    pub voters: BTreeSet<VoterId>,
    /// Of a joint configuration: the voters of the one before. Otherwise empty.
    #[serde(default)]
    pub outgoing: BTreeSet<VoterId>,
}

impl Config {
    /// A configuration that is not joint.
    #[must_use]
    pub fn uniform(id: ConfigId, voters: impl IntoIterator<Item = VoterId>) -> Self {
        Self { id, voters: voters.into_iter().collect(), outgoing: BTreeSet::new() }
    }

    /// Whether it is on the way from one set of voters to another.
    #[must_use]
    pub fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether `voter`, in this very life, is one of them.
    #[must_use]
    pub fn contains(&self, voter: VoterId) -> bool {
        self.voters.contains(&voter) || self.outgoing.contains(&voter)
    }

    /// Everybody in it, each once.
    #[must_use]
    pub fn everybody(&self) -> BTreeSet<VoterId> {
        &self.voters | &self.outgoing
    }

    /// Whether those of whom `agrees` is true are a quorum.
    pub fn is_quorum(&self, mut agrees: impl FnMut(VoterId) -> bool) -> bool {
        self.groups()
            .all(|group| 2 * group.iter().filter(|&&voter| agrees(voter)).count() > group.len())
            && !self.voters.is_empty()
    }

    /// Whether it has voters, and not too many.
    #[must_use]
    pub fn is_within_limits(&self) -> bool {
        !self.voters.is_empty() && self.groups().all(|group| group.len() <= VOTERS_MAX)
    }

    /// Whether every quorum of the one and every quorum of the other have a voter in common.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        self.groups().any(|ours| other.groups().any(|theirs| majorities_meet(ours, theirs)))
    }

    fn groups(&self) -> impl Iterator<Item = &BTreeSet<VoterId>> {
        [&self.voters, &self.outgoing].into_iter().filter(|group| !group.is_empty())
    }
}

/// A majority that avoids those who are in both sets still needs some of them; if both together need more than there
/// are, they share one.
fn majorities_meet(one: &BTreeSet<VoterId>, other: &BTreeSet<VoterId>) -> bool {
    let shared = one.intersection(other).count();
    let needed = |set: &BTreeSet<VoterId>| (set.len() / 2 + 1).saturating_sub(set.len() - shared);
    needed(one) + needed(other) > shared
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Incarnation, NodeId};

    fn voters(nodes: u32) -> BTreeSet<VoterId> {
        let bits = (0..8).filter(|bit| nodes & (1 << bit) != 0);
        bits.map(|bit| VoterId { node: NodeId(bit), life: Incarnation(1) }).collect()
    }

    fn config(nodes: u32, outgoing: u32) -> Config {
        Config { id: ConfigId(0), voters: voters(nodes), outgoing: voters(outgoing) }
    }

    fn is_quorum(config: &Config, nodes: u32) -> bool {
        config.is_quorum(|voter| nodes & (1 << voter.node.0) != 0)
    }

    #[test]
    fn meeting_is_what_trying_all_quorums_says() {
        let truth = |one: &Config, other: &Config| {
            let quorums = |config: &Config| -> Vec<u32> {
                (0..32).filter(|&nodes| is_quorum(config, nodes)).collect()
            };
            let others = quorums(other);
            quorums(one).iter().all(|one| others.iter().all(|other| one & other != 0))
        };
        for one in 1..32 {
            for other in 1..32 {
                let (one, other) = (config(one, 0), config(other, 0));
                assert_eq!(one.meets(&other), truth(&one, &other), "{one:?} {other:?}");
                let joint = Config { outgoing: one.voters.clone(), ..other.clone() };
                assert!(joint.meets(&one) && joint.meets(&other));
                assert!(truth(&joint, &one) && truth(&joint, &other));
            }
        }
        assert!(!config(0b0111, 0).meets(&config(0b1011, 0)));
        assert!(config(0b0111, 0).meets(&config(0b1111, 0)));
    }

    #[test]
    fn a_quorum_is_a_majority_of_each_part() {
        let joint = config(0b1110, 0b0111);
        assert!(is_quorum(&joint, 0b0110));
        assert!(!is_quorum(&joint, 0b1010));
        assert!(is_quorum(&joint, 0b1011));
        assert!(!is_quorum(&config(0, 0), 0b111));
        assert!(!config(0xff, 0).is_within_limits() && config(0x7f, 0x7).is_within_limits());
    }
}
