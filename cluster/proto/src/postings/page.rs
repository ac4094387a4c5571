//! One node's page: buckets of entries, each with the version at which it last changed.
//!
//! A page sent whole for each change would cost its length each time; a list of changes must never miss one.
//! A bucket is small and stands alone.
//!
//! Invariant: the page's hash is a function of its owner, its life, and bucket and version of each bucket.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use crate::error::PostError;
use crate::id::{Incarnation, NodeId};

use super::{BUCKET_ENTRIES_MAX, ENTRIES_MAX};

#[derive(Debug)]
pub(super) struct Page<E> {
    life: Incarnation,
    /// The highest version of any bucket.
    version: u64,
    /// Tells this page's part of a hash from every other page's.
    seed: u64,
    /// Zero while there is no bucket.
    hash: u64,
    count: usize,
    buckets: BTreeMap<u8, Bucket<E>>,
}

#[derive(Debug)]
struct Bucket<E> {
    version: u64,
    /// Sorted, each once.
    entries: Vec<E>,
}

/// What came into a bucket, and what went.
pub(super) struct Difference<E> {
    pub(super) added: Vec<E>,
    pub(super) removed: Vec<E>,
}

impl<E> Default for Bucket<E> {
    fn default() -> Self {
        Self { version: 0, entries: Vec::new() }
    }
}

impl<E: Clone + Ord + Hash> Page<E> {
    pub(super) fn new(owner: NodeId, life: Incarnation) -> Self {
        let seed = mixed(owner.0 ^ mixed(life.0));
        Self { life, version: 0, seed, hash: 0, count: 0, buckets: BTreeMap::new() }
    }

    pub(super) const fn life(&self) -> Incarnation {
        self.life
    }

    pub(super) const fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    pub(super) fn buckets(&self) -> impl Iterator<Item = u8> {
        self.buckets.keys().copied()
    }

    pub(super) fn versions(&self) -> Vec<(u8, u64)> {
        self.buckets.iter().map(|(number, bucket)| (*number, bucket.version)).collect()
    }

    pub(super) fn bucket(&self, number: u8) -> Option<(u64, &[E])> {
        self.buckets.get(&number).map(|bucket| (bucket.version, &bucket.entries[..]))
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &E> {
        self.buckets.values().flat_map(|bucket| &bucket.entries)
    }

    /// Adds an entry as the page's owner; the bucket, if it was not there.
    pub(super) fn add(&mut self, entry: E) -> Result<Option<u8>, PostError> {
        let number = bucket_of(&entry);
        let entries = self.buckets.get(&number).map_or(&[][..], |bucket| &bucket.entries);
        let Err(place) = entries.binary_search(&entry) else { return Ok(None) };
        if self.count >= ENTRIES_MAX || entries.len() >= BUCKET_ENTRIES_MAX {
            return Err(PostError::Full { max: ENTRIES_MAX });
        }
        self.count += 1;
        self.touch(number).entries.insert(place, entry);
        Ok(Some(number))
    }

    /// Removes an entry as the page's owner; the bucket, if it was there.
    pub(super) fn remove(&mut self, entry: &E) -> Option<u8> {
        let number = bucket_of(entry);
        let place = self.buckets.get(&number)?.entries.binary_search(entry).ok()?;
        self.count -= 1;
        self.touch(number).entries.remove(place);
        Some(number)
    }

    /// Takes a bucket from elsewhere if it is newer: what came and what went. Beyond the limits it is not taken.
    pub(super) fn merge(
        &mut self,
        number: u8,
        (version, mut entries): (u64, Vec<E>),
        takes_old: bool,
    ) -> Option<Difference<E>> {
        entries.sort_unstable();
        entries.dedup();
        let known = self.buckets.get(&number);
        let is_newer = known.is_none_or(|known| known.version < version);
        let is_other = known.is_none_or(|known| known.version != version);
        let before = known.map_or(&[][..], |known| &known.entries);
        let count = self.count - before.len() + entries.len();
        if !(is_newer || (takes_old && is_other))
            || version == 0
            || count > ENTRIES_MAX
            || entries.len() > BUCKET_ENTRIES_MAX
        {
            return None;
        }
        let not_in = |list: &[E], entry: &E| list.binary_search(entry).is_err();
        let added = entries.iter().filter(|entry| not_in(before, entry)).cloned().collect();
        let removed = before.iter().filter(|entry| not_in(&entries, entry)).cloned().collect();
        self.count = count;
        self.version = self.version.max(version);
        self.restamp(number, version).entries = entries;
        Some(Difference { added, removed })
    }

    fn touch(&mut self, number: u8) -> &mut Bucket<E> {
        self.version += 1;
        self.restamp(number, self.version)
    }

    fn restamp(&mut self, number: u8, version: u64) -> &mut Bucket<E> {
        let seed = mixed(self.seed ^ u64::from(number));
        let bucket = self.buckets.entry(number).or_default();
        if bucket.version != 0 {
            self.hash ^= mixed(seed ^ bucket.version);
        }
        self.hash ^= mixed(seed ^ version);
        bucket.version = version;
        bucket
    }
}

/// Which bucket an entry is in: the owner's choice, and nobody else's concern.
fn bucket_of(entry: &impl Hash) -> u8 {
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    entry.hash(&mut hasher);
    (mixed(hasher.finish()) >> 56) as u8
}

struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

/// Every bit of the input moves every bit of the output (the finalizer of `SplitMix64`).
const fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}
