//! Entries in their order, on every node.
//!
//! Committed entries are flooded along the overlay, and a flood comes twice, out of order, or with a hole. To apply
//! what comes would make every node another state; to ask somebody for each entry would make the voters a bottleneck.
//! So entries wait until those before them are there; a hole that does not close by itself is fetched from any
//! neighbour; and who has missed nothing learns from one number, the applied index in its neighbours' heartbeats.
//!
//! Invariants: entries come out once each, in order and without a hole; the applied index never goes back, whatever
//! arrives; what waits and what is kept for others is bounded.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::entry::{self, Entry};
use super::id::{ClusterId, Index};
use crate::error::{ForeignCluster, FragmentError};
use crate::time::Time;

/// Entries that wait for those before them, at most. What is beyond them is dropped and fetched later.
pub const WAITING_MAX: usize = 4_096;
/// Applied entries that are kept for neighbours, at most.
pub const TAIL_MAX: usize = 4_096;
/// Bytes of applied entries that are kept for neighbours, about: 8 MiB.
pub const TAIL_BYTES_MAX: usize = 8 << 20;
/// Entries in one fragment at most.
pub const FRAGMENT_ENTRIES_MAX: usize = 256;
/// Bytes of entries in one fragment, about; one entry may be longer: 256 KiB.
pub const FRAGMENT_BYTES_MAX: usize = 256 << 10;
/// How long a hole may close by itself before it is fetched: 100 ms.
pub const FETCH_AFTER: Duration = Duration::from_millis(100);
/// Between two fetches: 500 ms.
pub const FETCH_AGAIN: Duration = Duration::from_millis(500);

/// Committed entries, one after another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fragment {
    /// Of which cluster's log.
    pub cluster: ClusterId,
    /// The index of the first.
    pub from: Index,
    /// The entries.
    pub entries: Vec<Entry>,
}

/// What a neighbour that asked gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Served {
    /// Nothing: this node has no more than it.
    Nothing,
    /// These.
    Entries(Fragment),
    /// A snapshot of the state: what it needs is not kept any more.
    Snapshot,
}

/// What the driver is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Apply it to this node's state.
    Apply {
        /// Its place.
        index: Index,
        /// What.
        entry: Entry,
    },
    /// Send what is new here to the neighbours, except whoever sent it.
    Flood(Fragment),
    /// Ask any neighbour or voter for entries from here on: it answers as [`Observer::serve`] says.
    Fetch {
        /// The first that is missing.
        from: Index,
    },
}

/// One node's view of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observer {
    cluster: ClusterId,
    applied: Index,
    waiting: BTreeMap<Index, Entry>,
    /// The last entries applied, the newest last.
    tail: VecDeque<Entry>,
    tail_bytes: usize,
    /// The highest index that anybody has spoken of.
    heard: Index,
    /// When a fetch is due, if something is missing.
    fetch_at: Option<Time>,
}

impl Observer {
    /// A node whose state contains all entries up to `applied`.
    #[must_use]
    pub const fn new(cluster: ClusterId, applied: Index) -> Self {
        Self {
            cluster,
            applied,
            waiting: BTreeMap::new(),
            tail: VecDeque::new(),
            tail_bytes: 0,
            heard: applied,
            fetch_at: None,
        }
    }

    /// The last entry that was given out.
    #[must_use]
    pub const fn applied(&self) -> Index {
        self.applied
    }

    /// Entries have arrived, flooded or fetched.
    ///
    /// # Errors
    /// [`FragmentError`]: it was not taken. Of another cluster: raise the alarm. Beyond a limit: close the connection.
    pub fn handle_fragment(
        &mut self,
        now: Time,
        fragment: Fragment,
        out: &mut Vec<Output>,
    ) -> Result<(), FragmentError> {
        let Fragment { cluster, from, entries } = fragment;
        if cluster != self.cluster {
            let foreign = ForeignCluster { ours: self.cluster, theirs: cluster };
            return Err(FragmentError::Foreign(foreign));
        }
        if entries.len() > FRAGMENT_ENTRIES_MAX || from == Index(0) {
            return Err(FragmentError::BadShape { from, count: entries.len() });
        }
        entries.iter().try_for_each(entry::check).map_err(FragmentError::Entry)?;
        let mut index = from;
        for entry in entries {
            self.heard = self.heard.max(index);
            let has_room = self.waiting.len() < WAITING_MAX || index == self.applied.next();
            if index > self.applied && has_room {
                self.waiting.entry(index).or_insert(entry);
            }
            index = index.next();
        }
        self.give_out(out);
        self.look_for_holes(now);
        Ok(())
    }

    /// A neighbour has applied so much.
    pub fn handle_applied_elsewhere(&mut self, now: Time, index: Index) {
        self.heard = self.heard.max(index);
        self.look_for_holes(now);
    }

    /// The state was taken over as a whole. `false` if it is older than what is here: then nothing was changed, and the
    /// driver keeps its own.
    #[must_use]
    pub fn handle_snapshot(&mut self, now: Time, applied: Index, out: &mut Vec<Output>) -> bool {
        if applied <= self.applied {
            return false;
        }
        self.applied = applied;
        self.heard = self.heard.max(applied);
        self.waiting = self.waiting.split_off(&applied.next());
        self.tail.clear();
        self.tail_bytes = 0;
        self.give_out(out);
        self.look_for_holes(now);
        true
    }

    /// Asks for what is missing, if it is time.
    pub fn tick(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.fetch_at.is_some_and(|at| at <= now) {
            self.fetch_at = Some(now + FETCH_AGAIN);
            out.push(Output::Fetch { from: self.applied.next() });
        }
    }

    /// When [`Observer::tick`] is next worth calling.
    #[must_use]
    pub const fn next_wake(&self) -> Option<Time> {
        self.fetch_at
    }

    /// What a neighbour gets that lacks the entries from `from` on.
    #[must_use]
    pub fn serve(&self, from: Index) -> Served {
        if from > self.applied {
            return Served::Nothing;
        }
        let behind = self.applied.0 - from.0;
        let Some(skipped) = (self.tail.len() as u64).checked_sub(behind.saturating_add(1)) else {
            return Served::Snapshot;
        };
        let mut bytes = 0;
        let is_within = |entry: &&Entry| {
            let is_first = bytes == 0;
            bytes += size_of(entry);
            is_first || bytes <= FRAGMENT_BYTES_MAX
        };
        let entries = self.tail.iter().skip(usize::try_from(skipped).unwrap_or(usize::MAX));
        let entries = entries.take(FRAGMENT_ENTRIES_MAX).take_while(is_within).cloned().collect();
        Served::Entries(Fragment { cluster: self.cluster, from, entries })
    }

    /// Whatever is next in order.
    fn give_out(&mut self, out: &mut Vec<Output>) {
        let first = self.applied.next();
        let mut fresh = Vec::new();
        while let Some(entry) = self.waiting.remove(&self.applied.next()) {
            self.applied = self.applied.next();
            self.keep(entry.clone());
            fresh.push(entry);
        }
        let mut index = first;
        for entry in &fresh {
            out.push(Output::Apply { index, entry: entry.clone() });
            index = index.next();
        }
        let mut from = first;
        for entries in fresh.chunks(FRAGMENT_ENTRIES_MAX) {
            let (cluster, entries) = (self.cluster, entries.to_vec());
            let count = entries.len() as u64;
            out.push(Output::Flood(Fragment { cluster, from, entries }));
            from = Index(from.0 + count);
        }
    }

    fn keep(&mut self, entry: Entry) {
        self.tail_bytes += size_of(&entry);
        self.tail.push_back(entry);
        while self.tail.len() > TAIL_MAX || self.tail_bytes > TAIL_BYTES_MAX {
            let Some(oldest) = self.tail.pop_front() else { break };
            self.tail_bytes -= size_of(&oldest);
        }
    }

    fn look_for_holes(&mut self, now: Time) {
        let is_missing = self.heard > self.applied;
        self.fetch_at = match self.fetch_at {
            _ if !is_missing => None,
            Some(at) => Some(at),
            None => Some(now + FETCH_AFTER),
        };
    }
}

/// About how many bytes an entry takes: what may be long in it, and something for the rest.
fn size_of(entry: &Entry) -> usize {
    const REST: usize = 128;
    const PER_ASSIGN: usize = 128;
    match entry {
        Entry::Claim(claim) => REST + claim.spec.bytes().len(),
        Entry::Expire { assigns, .. } | Entry::Assign { assigns } => {
            REST + PER_ASSIGN * assigns.len()
        }
        Entry::Configure { voters, outgoing, .. } => REST + 20 * (voters.len() + outgoing.len()),
        Entry::Blank
        | Entry::OpenSession { .. }
        | Entry::Started { .. }
        | Entry::Release { .. }
        | Entry::Ended { .. }
        | Entry::Kill { .. }
        | Entry::CloseSession { .. }
        | Entry::Fence { .. } => REST,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::id::SessionId;

    const CLUSTER: ClusterId = ClusterId(3);

    fn at(ms: u64) -> Time {
        Time(ms * 1_000)
    }

    /// Each entry names its own index, so that a wrong place shows.
    fn entry(index: u64) -> Entry {
        Entry::Fence { session: SessionId(index) }
    }

    fn fragment(indices: std::ops::RangeInclusive<u64>) -> Fragment {
        let from = Index(*indices.start());
        Fragment { cluster: CLUSTER, from, entries: indices.map(entry).collect() }
    }

    fn give(
        observer: &mut Observer,
        now: Time,
        indices: std::ops::RangeInclusive<u64>,
    ) -> Vec<Output> {
        let mut out = Vec::new();
        observer.handle_fragment(now, fragment(indices), &mut out).unwrap();
        out
    }

    fn applied(indices: std::ops::RangeInclusive<u64>) -> Vec<Output> {
        let apply = |index| Output::Apply { index: Index(index), entry: entry(index) };
        let mut out: Vec<Output> = indices.clone().map(apply).collect();
        out.push(Output::Flood(fragment(indices)));
        out
    }

    #[test]
    fn entries_come_out_in_order_and_once_and_are_passed_on() {
        let mut observer = Observer::new(CLUSTER, Index(0));
        assert_eq!(give(&mut observer, at(0), 1..=2), applied(1..=2));
        assert_eq!(give(&mut observer, at(0), 1..=2), []);
        assert_eq!(give(&mut observer, at(0), 5..=6), []);
        assert_eq!(observer.applied(), Index(2));
        assert_eq!(give(&mut observer, at(0), 2..=5), applied(3..=6));
    }

    #[test]
    fn a_hole_that_stays_is_fetched_again_and_again() {
        let mut observer = Observer::new(CLUSTER, Index(0));
        let ticked = |observer: &mut Observer, now| {
            let mut out = Vec::new();
            observer.tick(now, &mut out);
            out
        };
        give(&mut observer, at(0), 2..=2);
        assert_eq!(observer.next_wake(), Some(at(100)));
        assert_eq!(ticked(&mut observer, at(99)), []);
        assert_eq!(ticked(&mut observer, at(100)), [Output::Fetch { from: Index(1) }]);
        assert_eq!(ticked(&mut observer, at(599)), []);
        assert_eq!(ticked(&mut observer, at(600)), [Output::Fetch { from: Index(1) }]);
        give(&mut observer, at(600), 1..=1);
        assert_eq!((observer.applied(), observer.next_wake()), (Index(2), None));
        // One number says that something is missing of which nothing has come.
        observer.handle_applied_elsewhere(at(700), Index(2));
        assert_eq!(observer.next_wake(), None);
        observer.handle_applied_elsewhere(at(700), Index(9));
        assert_eq!(ticked(&mut observer, at(800)), [Output::Fetch { from: Index(3) }]);
    }

    #[test]
    fn neighbours_get_entries_as_long_as_they_are_kept_then_a_snapshot() {
        let mut observer = Observer::new(CLUSTER, Index(10));
        for start in (11..5_011).step_by(250) {
            give(&mut observer, at(0), start..=start + 249);
        }
        assert_eq!(observer.applied(), Index(5_010));
        assert_eq!(observer.serve(Index(5_011)), Served::Nothing);
        assert_eq!(observer.serve(Index(5_009)), Served::Entries(fragment(5_009..=5_010)));
        assert_eq!(observer.serve(Index(915)), Served::Entries(fragment(915..=1_170)));
        assert_eq!(observer.serve(Index(914)), Served::Snapshot);
        assert_eq!(observer.serve(Index(0)), Served::Snapshot);
    }

    #[test]
    fn a_snapshot_moves_forward_alone_and_the_tail_follows() {
        let mut observer = Observer::new(CLUSTER, Index(5));
        give(&mut observer, at(0), 8..=9);
        let mut out = Vec::new();
        assert!(!observer.handle_snapshot(at(1), Index(5), &mut out));
        assert!(observer.handle_snapshot(at(1), Index(7), &mut out));
        assert_eq!(out, applied(8..=9));
        assert_eq!((observer.applied(), observer.next_wake()), (Index(9), None));
        assert_eq!(observer.serve(Index(7)), Served::Snapshot);
    }

    #[test]
    fn other_clusters_and_too_much_are_refused() {
        let mut observer = Observer::new(CLUSTER, Index(0));
        let mut out = Vec::new();
        let theirs = ClusterId(4);
        let foreign = Fragment { cluster: theirs, ..fragment(1..=1) };
        let refused = observer.handle_fragment(at(0), foreign, &mut out);
        let expected = ForeignCluster { ours: CLUSTER, theirs };
        assert_eq!(refused, Err(FragmentError::Foreign(expected)));
        let refused = observer.handle_fragment(at(0), fragment(1..=257), &mut out);
        assert_eq!(refused, Err(FragmentError::BadShape { from: Index(1), count: 257 }));
        assert_eq!((observer.applied(), out), (Index(0), Vec::new()));
        // What waits is bounded, and what is next always has room.
        for start in (2..6_002).step_by(200) {
            give(&mut observer, at(0), start..=start + 199);
        }
        assert_eq!(observer.waiting.len(), WAITING_MAX);
        give(&mut observer, at(0), 1..=1);
        assert_eq!(observer.applied(), Index(1 + WAITING_MAX as u64));
        assert!(observer.next_wake().is_some());
    }
}
