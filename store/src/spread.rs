//! Who pulls one object from whom.
//!
//! If a hundred nodes want one object and all ask its maker, the maker sends it a hundred times through one
//! wire. But whoever has it all can pass it on: so each source serves few at a time, who finds no source free
//! stands in line, and everybody who has finished is a source for those in line. That is a broadcast tree,
//! grown by whoever is ready first, and its depth is logarithmic without anybody planning it.
//! Where few want the object, one of them may be given several sources and pulls parts from each.
//!
//! Invariants:
//! 1. A source serves at most [`FAN_OUT`] receivers at a time.
//! 2. Between one source and one receiver there is at most one transfer.
//! 3. Who wants the object is served, in line, or finished.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rand::{Rng, seq::SliceRandom};

use crate::object_id::StoreId;

/// So many receivers a source serves at a time.
pub const FAN_OUT: usize = 2;
/// So many sources a receiver is given at most.
pub const SOURCES_MAX: usize = 4;

/// The copies of one object and the transfers between them.
#[derive(Debug, Default)]
pub struct Spread {
    /// Everybody with a sealed copy, and its size there.
    copies: BTreeMap<StoreId, u64>,
    /// Receiver and the sources it was given.
    transfers: BTreeMap<StoreId, Vec<StoreId>>,
    line: VecDeque<StoreId>,
    /// Receiver and source that did not get on.
    failed: BTreeSet<(StoreId, StoreId)>,
}

/// A receiver and the sources it may pull from.
pub type Assignment = (StoreId, Vec<StoreId>);

impl Spread {
    /// Who has a sealed copy.
    pub fn copies(&self) -> impl Iterator<Item = StoreId> {
        self.copies.keys().copied()
    }

    /// Whether nobody has a copy.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.copies.is_empty()
    }

    /// Whether somebody waits for a source.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        !self.line.is_empty()
    }

    /// How many receivers pull from `source`.
    #[must_use]
    pub fn serving(&self, source: StoreId) -> usize {
        self.transfers.values().filter(|sources| sources.contains(&source)).count()
    }

    /// The size of the value; `None` while there is no copy.
    #[must_use]
    pub fn bytes(&self) -> Option<u64> {
        self.copies.values().next().copied()
    }

    /// A copy that is known from the start, before anybody wants it.
    pub fn enter(&mut self, store: StoreId, bytes: u64) {
        self.copies.insert(store, bytes);
    }

    /// `receiver` wants the object: it gets sources now, or stands in line. Asking again gives the same answer.
    pub fn want(&mut self, receiver: StoreId, rng: &mut impl Rng) -> Vec<Assignment> {
        if let Some(sources) = self.transfers.get(&receiver) {
            return vec![(receiver, sources.clone())];
        }
        if !self.line.contains(&receiver) {
            self.line.push_back(receiver);
        }
        self.serve(rng)
    }

    /// `store` has a copy: it has finished if it was pulling, and is a source from now on.
    pub fn located(&mut self, store: StoreId, bytes: u64, rng: &mut impl Rng) -> Vec<Assignment> {
        self.withdraw(store);
        self.copies.insert(store, bytes);
        self.serve(rng)
    }

    /// `receiver` cannot pull from `source`; `gone` if that has no copy. The receiver stands in line again.
    pub fn missing(
        &mut self,
        receiver: StoreId,
        source: StoreId,
        gone: bool,
        rng: &mut impl Rng,
    ) -> Vec<Assignment> {
        if gone {
            self.copies.remove(&source);
        } else {
            self.failed.insert((receiver, source));
        }
        if let Some(sources) = self.transfers.get_mut(&receiver) {
            sources.retain(|given| *given != source);
            if sources.is_empty() {
                self.transfers.remove(&receiver);
                self.line.push_front(receiver);
            }
        }
        self.serve(rng)
    }

    /// `store` wants the object no more, and has no copy unless it `hosts` one.
    pub fn leave(&mut self, store: StoreId, hosts: bool, rng: &mut impl Rng) -> Vec<Assignment> {
        self.withdraw(store);
        if !hosts {
            self.copies.remove(&store);
        }
        self.failed.retain(|(receiver, _)| *receiver != store);
        self.serve(rng)
    }

    /// `store` is gone: whoever pulled from nobody else stands in line again.
    pub fn down(&mut self, store: StoreId, rng: &mut impl Rng) -> Vec<Assignment> {
        self.withdraw(store);
        self.copies.remove(&store);
        self.failed.retain(|(receiver, source)| *receiver != store && *source != store);
        let mut alone = Vec::new();
        self.transfers.retain(|receiver, sources| {
            sources.retain(|source| *source != store);
            if sources.is_empty() {
                alone.push(*receiver);
            }
            !sources.is_empty()
        });
        for receiver in alone {
            self.line.push_front(receiver);
        }
        self.serve(rng)
    }

    /// Everybody who waits for a source, taken out of the line: there will be none.
    pub fn give_up(&mut self) -> Vec<StoreId> {
        self.line.drain(..).collect()
    }

    fn withdraw(&mut self, receiver: StoreId) {
        self.transfers.remove(&receiver);
        self.line.retain(|waiting| *waiting != receiver);
    }

    /// Gives free sources to those in line, first come, first served.
    fn serve(&mut self, rng: &mut impl Rng) -> Vec<Assignment> {
        let mut assignments = Vec::new();
        if self.copies.is_empty() || self.line.is_empty() {
            return assignments;
        }
        let mut load: BTreeMap<StoreId, usize> = self.copies().map(|source| (source, 0)).collect();
        for source in self.transfers.values().flatten() {
            *load.entry(*source).or_default() += 1;
        }
        let mut passed_over = VecDeque::new();
        while let Some(receiver) = self.line.pop_front() {
            let waiting = self.line.len() + 1;
            let mut free: Vec<StoreId> = self.usable(receiver, &load);
            if free.is_empty() {
                passed_over.push_back(receiver);
                if load.values().all(|load| *load >= FAN_OUT) {
                    break;
                }
                continue;
            }
            free.shuffle(rng);
            // Sources are shared among those who wait; with more of them than sources, each gets one.
            let slots: usize = load.values().map(|load| FAN_OUT.saturating_sub(*load)).sum();
            free.truncate((slots / waiting).clamp(1, SOURCES_MAX));
            for source in &free {
                *load.entry(*source).or_default() += 1;
            }
            self.transfers.insert(receiver, free.clone());
            assignments.push((receiver, free));
        }
        passed_over.append(&mut self.line);
        self.line = passed_over;
        assignments
    }

    fn usable(&self, receiver: StoreId, load: &BTreeMap<StoreId, usize>) -> Vec<StoreId> {
        let free = |source: &StoreId| {
            *source != receiver && load.get(source).is_some_and(|load| *load < FAN_OUT)
        };
        let sources: Vec<StoreId> = self.copies().filter(free).collect();
        let untried = |source: &&StoreId| !self.failed.contains(&(receiver, **source));
        let good: Vec<StoreId> = sources.iter().filter(untried).copied().collect();
        // If all were tried, the trouble may have passed.
        if good.is_empty() { sources } else { good }
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::SmallRng};

    use super::*;
    use crate::object_id::{Incarnation, NodeId};

    fn store(node: u64) -> StoreId {
        StoreId::new(NodeId(node), Incarnation(1))
    }

    #[test]
    fn many_receivers_grow_a_tree_with_one_transfer_per_pair() {
        let mut rng = SmallRng::seed_from_u64(1);
        let mut spread = Spread::default();
        let mut running: Vec<Assignment> = spread.located(store(0), 1 << 30, &mut rng);
        for receiver in 1..=200 {
            running.extend(spread.want(store(receiver), &mut rng));
        }
        let mut pairs = BTreeSet::new();
        let mut rounds = 0;
        while !running.is_empty() {
            rounds += 1;
            for source in 0..=200 {
                assert!(spread.serving(store(source)) <= FAN_OUT);
            }
            for (receiver, sources) in std::mem::take(&mut running) {
                for source in sources {
                    assert!(pairs.insert((source, receiver)), "one transfer per pair");
                }
                running.extend(spread.located(receiver, 1 << 30, &mut rng));
            }
        }
        assert_eq!(spread.copies().count(), 201);
        assert!(rounds <= 8, "{rounds} rounds for 200 receivers");
        let from_the_first = pairs.iter().filter(|(source, _)| *source == store(0)).count();
        assert!(from_the_first <= 16, "the maker served {from_the_first}");
    }

    #[test]
    fn one_receiver_gets_several_sources_and_others_when_they_go() {
        let mut rng = SmallRng::seed_from_u64(2);
        let mut spread = Spread::default();
        for source in 1..=6 {
            assert_eq!(spread.located(store(source), 9, &mut rng), []);
        }
        let (receiver, sources) = spread.want(store(7), &mut rng).remove(0);
        assert_eq!((receiver, sources.len()), (store(7), SOURCES_MAX));
        assert_eq!(spread.want(store(7), &mut rng), [(store(7), sources.clone())], "the same");
        let mut last = Vec::new();
        for source in &sources {
            assert_eq!(last, [], "as long as one is left");
            last = spread.down(*source, &mut rng);
        }
        assert_eq!(last[0].1.len(), 2);
        for source in 1..=6 {
            let _ = spread.missing(store(7), store(source), true, &mut rng);
        }
        assert!(spread.is_lost() && spread.is_wanted());
        assert_eq!(spread.give_up(), [store(7)]);
    }
}
