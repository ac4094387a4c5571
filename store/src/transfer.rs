//! One object being pulled, in parts, from several stores.
//!
//! One request for all of it would make a gigabyte wait behind itself, tie the pull to one source, and start
//! from nothing when that source fails. So the value comes in parts of 5 MiB; each part is asked of one source,
//! drawn at random among those with credit left, and of another when that one fails or is slow. Whoever answers
//! first fills the part; the later answer is ignored.
//!
//! Nobody knows how long the encoded value is before a source has encoded it, so the first part is asked for
//! alone and tells.
//!
//! Invariants:
//! 1. Of one source at most [`CREDIT`] parts are asked at a time: no receiver is flooded, no source hoards.
//! 2. A part is asked of one source at a time, unless that one is slow.
//! 3. A pull ends: complete, or with no source left, which it says.
//!
//! Source: Ray's object manager: 5 MiB chunks, sources at random.
//!
//! Pure: no clock, no I/O, no tasks.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use rand::{Rng, seq::IteratorRandom};

use crate::{object_id::StoreId, time::Time};

/// The length of a part; the last one is shorter.
pub const CHUNK_BYTES: u64 = 5 << 20;
/// So many parts may be asked of one source at a time.
pub const CREDIT: usize = 4;
/// A part that takes longer is asked of another source, too; doubles each time.
const PATIENCE: Duration = Duration::from_secs(3);
/// A source that was too slow so often in a row is given up.
const STRIKES_MAX: u32 = 4;

/// What a pull asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// Ask `source` for a part.
    Part {
        /// Whom.
        source: StoreId,
        /// Where it begins.
        offset: u64,
        /// How long it is at most.
        length: u64,
    },
    /// `source` is given up: it has no copy, is gone or too slow. Tell the keeper.
    GivenUp {
        /// Whom.
        source: StoreId,
    },
    /// No source is left.
    Stuck,
    /// Every part has come.
    Complete,
}

/// What to do with a part that has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a part is written once"]
pub enum Fill {
    /// Write it.
    Write,
    /// It is there already, or fits nowhere.
    Ignore,
}

#[derive(Debug, Default)]
struct Part {
    /// Whom it was asked of, and until when that one has time.
    asked: BTreeMap<StoreId, Time>,
    times_asked: u32,
}

/// One pull.
#[derive(Debug, Default)]
pub struct Pull {
    total: Option<u64>,
    /// By offset, those that have not come.
    missing: BTreeMap<u64, Part>,
    /// Offsets nobody has been asked for.
    unasked: BTreeSet<u64>,
    sources: BTreeMap<StoreId, Source>,
    stuck: bool,
}

#[derive(Debug, Default)]
struct Source {
    asked: usize,
    strikes: u32,
}

impl Pull {
    /// A pull that knows no source yet.
    #[must_use]
    pub fn new() -> Self {
        let missing = BTreeMap::from([(0, Part::default())]);
        Self { missing, unasked: BTreeSet::from([0]), ..Self::default() }
    }

    /// The length of the whole, once known.
    #[must_use]
    pub const fn total(&self) -> Option<u64> {
        self.total
    }

    /// Whether no source is known.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.sources.is_empty()
    }

    /// More stores have a copy.
    pub fn add_sources(
        &mut self,
        sources: impl IntoIterator<Item = StoreId>,
        now: Time,
        rng: &mut impl Rng,
        out: &mut Vec<Request>,
    ) {
        for source in sources {
            self.sources.entry(source).or_default();
        }
        self.stuck = self.stuck && self.sources.is_empty();
        self.ask(now, rng, out);
    }

    /// A part has come: says whether it is to be written.
    pub fn part(
        &mut self,
        source: StoreId,
        (offset, length, total): (u64, u64, u64),
        now: Time,
        rng: &mut impl Rng,
        out: &mut Vec<Request>,
    ) -> Fill {
        let is_expected = self.missing.get(&offset).is_some_and(|part| {
            let known = self.total.unwrap_or(total);
            !part.asked.is_empty()
                && known == total
                && length == total.saturating_sub(offset).min(CHUNK_BYTES)
        });
        if !is_expected {
            return Fill::Ignore;
        }
        if self.total.is_none() {
            self.total = Some(total);
            let mut next = CHUNK_BYTES;
            while next < total {
                self.missing.insert(next, Part::default());
                self.unasked.insert(next);
                next += CHUNK_BYTES;
            }
        }
        if let Some(source) = self.sources.get_mut(&source) {
            source.strikes = 0;
        }
        self.unasked.remove(&offset);
        let part = self.missing.remove(&offset).unwrap_or_default();
        for source in part.asked.keys() {
            if let Some(source) = self.sources.get_mut(source) {
                source.asked = source.asked.saturating_sub(1);
            }
        }
        if self.missing.is_empty() {
            out.push(Request::Complete);
        } else {
            self.ask(now, rng, out);
        }
        Fill::Write
    }

    /// `source` has no copy, or is gone.
    pub fn give_up(
        &mut self,
        source: StoreId,
        now: Time,
        rng: &mut impl Rng,
        out: &mut Vec<Request>,
    ) {
        if self.sources.remove(&source).is_none() {
            return;
        }
        for (offset, part) in &mut self.missing {
            if part.asked.remove(&source).is_some() && part.asked.is_empty() {
                self.unasked.insert(*offset);
            }
        }
        out.push(Request::GivenUp { source });
        self.ask(now, rng, out);
        if self.sources.is_empty() && !self.stuck {
            self.stuck = true;
            out.push(Request::Stuck);
        }
    }

    /// Asks others for what is late.
    pub fn tick(&mut self, now: Time, rng: &mut impl Rng, out: &mut Vec<Request>) {
        let mut slow: BTreeSet<StoreId> = BTreeSet::new();
        for (offset, part) in &mut self.missing {
            let late: Vec<StoreId> = part
                .asked
                .iter()
                .filter(|(_, until)| **until <= now)
                .map(|(who, _)| *who)
                .collect();
            for source in late {
                part.asked.remove(&source);
                slow.insert(source);
                if let Some(source) = self.sources.get_mut(&source) {
                    source.asked = source.asked.saturating_sub(1);
                }
                if part.asked.is_empty() {
                    self.unasked.insert(*offset);
                }
            }
        }
        let mut given_up = Vec::new();
        for source in slow {
            if let Some(state) = self.sources.get_mut(&source) {
                state.strikes += 1;
                if state.strikes >= STRIKES_MAX {
                    given_up.push(source);
                }
            }
        }
        for source in given_up {
            self.give_up(source, now, rng, out);
        }
        self.ask(now, rng, out);
    }

    /// When [`tick`](Self::tick) has something to do.
    #[must_use]
    pub fn next_wake(&self) -> Option<Time> {
        self.missing.values().flat_map(|part| part.asked.values()).min().copied()
    }

    /// Asks sources with credit for parts that nobody was asked for, the earliest first.
    fn ask(&mut self, now: Time, rng: &mut impl Rng, out: &mut Vec<Request>) {
        while let Some(offset) = self.unasked.first().copied() {
            let Some(part) = self.missing.get_mut(&offset) else {
                self.unasked.remove(&offset);
                continue;
            };
            // The one that was slow last is drawn again only if there is nobody else.
            let free = self.sources.iter_mut().filter(|(_, source)| source.asked < CREDIT);
            let fewest = free.map(|(id, source)| (source.strikes, *id, source));
            let candidates: Vec<_> = fewest.collect();
            let Some(fewest) = candidates.iter().map(|(strikes, ..)| *strikes).min() else {
                return;
            };
            let best = candidates.into_iter().filter(|(strikes, ..)| *strikes == fewest);
            let Some((_, source, state)) = best.choose(rng) else { return };
            state.asked += 1;
            part.times_asked += 1;
            let patience = PATIENCE * (1 << part.times_asked.saturating_sub(1).min(5));
            part.asked.insert(source, now + patience);
            self.unasked.remove(&offset);
            let length = match self.total {
                Some(total) => (total - offset).min(CHUNK_BYTES),
                None => CHUNK_BYTES,
            };
            out.push(Request::Part { source, offset, length });
        }
    }
}

#[cfg(test)]
mod tests;
