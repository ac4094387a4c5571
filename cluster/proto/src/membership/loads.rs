//! How busy the others are, as far as rumour has it.
//!
//! Everybody's load to everybody each period is O(N) per node; but placement only wants hints on some.
//! So a report that is news is passed on once, to all neighbours, at most sixteen in a heartbeat: an idle cluster, where
//! nothing changes, sends nothing.
//!
//! Invariant: of a node's reports the one with the highest sequence is kept, of so many nodes at most.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rand_core::RngCore;

use crate::id::NodeId;

use super::message::{LOADS_GOSSIPED_MAX, LoadDigest, LoadReport};

/// Beats between two sendings of our own load if it does not change.
const OWN_EVERY: u64 = 16;
/// Beats in which a changed own load is sent: one may be lost.
const OWN_REPEATS: u64 = 2;

#[derive(Clone, Debug, Default)]
pub(super) struct Loads {
    own: Option<LoadReport>,
    own_beats: u64,
    reports: BTreeMap<NodeId, LoadReport>,
    /// Reports not yet passed on.
    news: BTreeSet<NodeId>,
    /// Goes up with every change of what is known of others.
    version: u64,
}

impl Loads {
    /// Our own load, from now on; `sequence_min` grows with our lives.
    pub(super) fn set_own(&mut self, node: NodeId, sequence_min: u64, digest: LoadDigest) {
        if self.own.is_some_and(|own| own.digest == digest) {
            return;
        }
        let sequence = self.own.map_or(0, |own| own.sequence + 1).max(sequence_min);
        self.own = Some(LoadReport { node, sequence, digest });
        self.own_beats = 0;
    }

    /// Keeps a report if it is news; whether it was.
    pub(super) fn keep(&mut self, report: LoadReport, max: usize, rng: &mut dyn RngCore) -> bool {
        if self.reports.get(&report.node).is_some_and(|known| known.sequence >= report.sequence) {
            return false;
        }
        if self.reports.len() >= max && !self.reports.contains_key(&report.node) {
            let from = NodeId(rng.next_u64());
            let next = self.reports.range(from..).next().or_else(|| self.reports.iter().next());
            match next.map(|(node, _)| *node) {
                Some(node) => self.remove(node),
                None => return false,
            }
        }
        self.reports.insert(report.node, report);
        self.news.insert(report.node);
        self.version += 1;
        true
    }

    pub(super) fn remove(&mut self, node: NodeId) {
        self.reports.remove(&node);
        self.news.remove(&node);
        self.version += 1;
    }

    pub(super) const fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn get(&self, node: NodeId) -> Option<&LoadReport> {
        self.reports.get(&node)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &LoadReport> {
        self.reports.values()
    }

    /// What the next heartbeat carries: news from a random place on, and our own load now and then.
    pub(super) fn take(&mut self, rng: &mut dyn RngCore) -> Arc<[LoadReport]> {
        let from = NodeId(rng.next_u64());
        let around = self.news.range(from..).chain(self.news.range(..from));
        let picked: Vec<NodeId> = around.take(LOADS_GOSSIPED_MAX).copied().collect();
        let own_is_due = self.own_beats.is_multiple_of(OWN_EVERY) || self.own_beats < OWN_REPEATS;
        self.own_beats += 1;
        let own = self.own.filter(|_| own_is_due);
        for node in &picked {
            self.news.remove(node);
        }
        own.into_iter()
            .chain(picked.iter().filter_map(|node| self.reports.get(node).copied()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn report(node: u64, sequence: u64) -> LoadReport {
        LoadReport { node: NodeId(node), sequence, digest: LoadDigest([7; 12]) }
    }

    #[test]
    fn news_is_passed_on_once_and_old_news_never() {
        let mut rng = rand::rngs::SmallRng::seed_from_u64(1);
        let mut loads = Loads::default();
        assert!(loads.keep(report(1, 5), 10, &mut rng));
        assert!(!loads.keep(report(1, 5), 10, &mut rng));
        assert!(!loads.keep(report(1, 4), 10, &mut rng));
        assert_eq!(&*loads.take(&mut rng), [report(1, 5)]);
        assert_eq!(&*loads.take(&mut rng), []);
        assert_eq!(loads.get(NodeId(1)), Some(&report(1, 5)));
    }

    #[test]
    fn a_heartbeat_carries_sixteen_and_the_table_is_bounded() {
        let mut rng = rand::rngs::SmallRng::seed_from_u64(2);
        let mut loads = Loads::default();
        for node in 0..100 {
            loads.keep(report(node, 1), 40, &mut rng);
        }
        assert_eq!(loads.iter().count(), 40);
        let taken: usize = (0..10).map(|_| loads.take(&mut rng).len()).sum();
        assert_eq!(loads.take(&mut rng).len(), 0);
        assert_eq!(taken, 40);
    }

    #[test]
    fn our_own_load_is_repeated_when_it_changes_and_now_and_then() {
        let mut rng = rand::rngs::SmallRng::seed_from_u64(3);
        let mut loads = Loads::default();
        loads.set_own(NodeId(9), 100, LoadDigest([1; 12]));
        let sent = |loads: &mut Loads, rng: &mut rand::rngs::SmallRng| {
            (0..32).map(|_| loads.take(rng).len()).sum::<usize>()
        };
        assert_eq!(sent(&mut loads, &mut rng), 3);
        loads.set_own(NodeId(9), 100, LoadDigest([1; 12]));
        assert_eq!(sent(&mut loads, &mut rng), 2, "the same load is no change");
    }
}
