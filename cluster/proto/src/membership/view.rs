//! Everything one node knows of all others.
//!
//! To find what two views differ in, sending them whole is too much and one hash too little: it says that, not where.
//! So the records stand in 64 buckets by a hash of their names, each with a hash of who in it is live.
//!
//! Invariant: hashes and rings depend on the set of live records alone, not on the way it came about.
//! Copies are cheap and share: see `spread`.
//!
//! Pure: no clock, no I/O, no tasks.

use crate::config::Mutant;
use crate::id::{Incarnation, NodeId};
use crate::member::{Record, Status};

use super::message::BUCKETS;
use super::rings::Rings;
use super::spread::{OfNode, Spread, scramble};

impl OfNode for Record {
    fn node(&self) -> NodeId {
        self.node
    }
}

/// What one node knows of all others; a copy is cheap.
#[derive(Clone, Debug)]
pub struct View {
    records: Spread<Record>,
    rings: Rings,
    hashes: [u64; BUCKETS],
}

impl Default for View {
    fn default() -> Self {
        Self::new()
    }
}

impl FromIterator<Record> for View {
    fn from_iter<I: IntoIterator<Item = Record>>(records: I) -> Self {
        let mut view = Self::new();
        for record in records {
            view.merge(record, Mutant::None);
        }
        view
    }
}

impl View {
    /// Knows nobody.
    #[must_use]
    pub fn new() -> Self {
        Self { records: Spread::new(0), rings: Rings::new(), hashes: [0; BUCKETS] }
    }

    /// What is known of `node`.
    #[must_use]
    pub fn get(&self, node: NodeId) -> Option<&Record> {
        self.records.get(node)
    }

    /// Whether `node` is known and live.
    #[must_use]
    pub fn is_live(&self, node: NodeId) -> bool {
        self.get(node).is_some_and(|record| record.status.is_live())
    }

    /// All records, in an order that depends on the names alone.
    pub fn iter(&self) -> impl Iterator<Item = &Record> {
        self.records.iter()
    }

    /// Records, live or not.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether nobody is known.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Live members.
    #[must_use]
    pub const fn live_count(&self) -> usize {
        self.rings.len()
    }

    /// Fingerprint of who is live, in which incarnation.
    ///
    /// Suspicion is part of it: one that only we have heard of must reach the suspect, or nobody refutes it.
    /// The departed are not: each node forgets them in its own time.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hashes.iter().fold(0, |all, hash| all.rotate_left(1) ^ hash)
    }

    /// The fingerprint in [`BUCKETS`] parts.
    #[must_use]
    pub const fn hashes(&self) -> &[u64; BUCKETS] {
        &self.hashes
    }

    /// All records of a bucket.
    pub fn bucket(&self, bucket: usize) -> impl Iterator<Item = &Record> {
        self.records.part(bucket % BUCKETS, BUCKETS)
    }

    /// The bucket in which `node` is.
    #[must_use]
    pub const fn bucket_of(&self, node: NodeId) -> usize {
        (self.records.hash(node) >> (u64::BITS - BUCKETS.ilog2())) as usize
    }

    /// Merges a record in; what it replaced: `None` if it said nothing new, `Some(None)` if the node was unknown.
    #[expect(clippy::option_option, reason = "news of an unknown node and no news are two things")]
    pub(super) fn merge(&mut self, record: Record, mutant: Mutant) -> Option<Option<Record>> {
        let known = self.records.get(record.node);
        if known.is_some_and(|known| !says_more(&record, known, mutant)) {
            return None;
        }
        let known = known.cloned();
        let mark = |record: &Record| fingerprint(record.node, record.incarnation, record.status);
        let bucket = self.bucket_of(record.node);
        self.hashes[bucket] ^= known.as_ref().map_or(0, mark) ^ mark(&record);
        let was_live = known.as_ref().is_some_and(|known| known.status.is_live());
        match (was_live, record.status.is_live()) {
            (false, true) => self.rings.insert(record.node),
            (true, false) => self.rings.remove(record.node),
            (true, true) | (false, false) => {}
        }
        self.records.insert(record);
        Some(known)
    }

    /// Forgets a node that is no longer live; live ones stay.
    pub(super) fn forget(&mut self, node: NodeId) {
        if !self.is_live(node) {
            self.records.remove(node);
        }
    }

    /// A live member picked by a random number; never `except`.
    #[must_use]
    pub fn pick(&self, random: u64, except: NodeId) -> Option<NodeId> {
        self.rings.pick(random, except)
    }

    /// Who watches `node` and is watched by it: live, rising, at most [`NEIGHBOURS_MAX`](super::NEIGHBOURS_MAX).
    #[must_use]
    pub fn neighbours(&self, node: NodeId) -> Vec<NodeId> {
        self.rings.neighbours(node)
    }

    /// The rings alone.
    pub(super) const fn rings(&self) -> &Rings {
        &self.rings
    }
}

impl<'a> IntoIterator for &'a View {
    type Item = &'a Record;
    type IntoIter = Box<dyn Iterator<Item = &'a Record> + 'a>;

    fn into_iter(self) -> Self::IntoIter {
        Box::new(self.iter())
    }
}

fn says_more(new: &Record, known: &Record, mutant: Mutant) -> bool {
    if mutant == Mutant::StatusBeatsIncarnation {
        (new.status, new.incarnation) > (known.status, known.incarnation)
    } else {
        new.precedence(known).is_gt()
    }
}

/// The part of one record in the fingerprint of a view.
const fn fingerprint(node: NodeId, incarnation: Incarnation, status: Status) -> u64 {
    let class = match status {
        Status::Alive => 1,
        Status::Suspect => 2,
        Status::Leaving => 3,
        Status::Down | Status::Left => return 0,
    };
    scramble(scramble(node.0) ^ scramble(incarnation.0).rotate_left(class))
}

#[cfg(test)]
mod tests;
