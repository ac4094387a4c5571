//! Postings: what each node says of its own actors to all others, such as names and memberships of groups.
//!
//! One set that everybody edits needs a tombstone for each removal, and nobody knows when the last one may go; a log of
//! changes must be kept for the slowest reader.
//! So each node owns one *page* and alone writes it. A page is cut into buckets, and a bucket carries the page's version
//! at which it last changed and all of its entries: of two copies the newer one holds, removals included.
//! News is passed on once, to all neighbours of the overlay; what a link loses is found by comparing digests with a
//! random neighbour (the anti-entropy of Demers and others, 1987; pages with one writer as in Scuttlebutt, 2008).
//!
//! Invariants, each with a seeded bug ([`Mutant`]):
//! - what is known of a page is a join-semilattice: the later life wins, then, bucket by bucket, the higher version;
//! - entries are known of those nodes alone that take part in the life they take part in;
//! - when changes end and messages come through, all who see the same members know the same entries.
//!
//! How to drive it: give it the members and the neighbours, the messages of neighbours, and a tick at
//! [`Postings::next_wake`]. Messages may be lost, doubled and reordered.
//!
//! Pure: no clock, no I/O, no tasks.

mod compare;
mod message;
mod mutant;
mod page;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hash;
use std::time::Duration;

use rand_core::RngCore;

use crate::error::PostError;
use crate::id::{Incarnation, NodeId};
use crate::time::Time;

use self::page::Page;

pub use self::message::{Input, Message, Output};
#[doc(hidden)]
pub use self::mutant::Mutant;

/// Entries of one node at most: 2^14.
pub const ENTRIES_MAX: usize = 1 << 14;
/// Entries of one bucket at most. Buckets are chosen by a hash: eight times what an even share would be.
pub const BUCKET_ENTRIES_MAX: usize = 512;
/// Entries in one message, unless a single bucket has more.
pub const NEWS_ENTRIES_MAX: usize = 256;
/// Entries that go to one neighbour in one turn, and not many more; the rest waits for the next one.
pub const TURN_ENTRIES_MAX: usize = 512;
/// Pages in one digest.
pub const PAGES_MAX: usize = 1024;
/// Versions that answer one digest: what differs beyond that waits for the next one.
pub const ANSWERED_VERSIONS_MAX: usize = 4096;

/// How long changes are gathered before they go out.
pub const TURN: Duration = Duration::from_millis(20);
/// How often a random neighbour is told the hash of all that is known.
pub const SUMMARY_EVERY: Duration = Duration::from_secs(1);

/// All that one node knows of everybody's postings. `E` is one entry.
#[derive(Debug)]
pub struct Postings<E> {
    own: NodeId,
    life: Incarnation,
    /// Pages with at least one bucket, our own included.
    pages: BTreeMap<NodeId, Page<E>>,
    /// Others who take part, and in which life.
    members: BTreeMap<NodeId, Incarnation>,
    /// What neighbours are still to be sent: owner and bucket.
    neighbours: BTreeMap<NodeId, BTreeSet<(NodeId, u8)>>,
    next_turn: Option<Time>,
    next_summary: Time,
    mutant: Mutant,
}

impl<E: Clone + Ord + Hash> Postings<E> {
    /// Of a node in this life of it, that knows nobody.
    #[must_use]
    pub const fn new(own: NodeId, life: Incarnation) -> Self {
        Self {
            own,
            life,
            pages: BTreeMap::new(),
            members: BTreeMap::new(),
            neighbours: BTreeMap::new(),
            next_turn: None,
            next_summary: Time::ZERO,
            mutant: Mutant::None,
        }
    }

    /// With a bug on purpose: for the mutation gate.
    #[doc(hidden)]
    #[must_use]
    pub const fn with_mutant(mut self, mutant: Mutant) -> Self {
        self.mutant = mutant;
        self
    }

    /// Adds an entry to our page; `false` if it is there already.
    ///
    /// # Errors
    /// [`PostError::Full`]: nothing changed.
    pub fn post(&mut self, now: Time, entry: E) -> Result<bool, PostError> {
        let page = self.pages.entry(self.own).or_insert_with(|| Page::new(self.own, self.life));
        let Some(bucket) = page.add(entry)? else { return Ok(false) };
        self.owe_all(now, self.own, bucket, None);
        Ok(true)
    }

    /// Takes an entry off our page; `false` if it is not there.
    pub fn withdraw(&mut self, now: Time, entry: &E) -> bool {
        let page = self.pages.get_mut(&self.own);
        let Some(bucket) = page.and_then(|page| page.remove(entry)) else { return false };
        self.owe_all(now, self.own, bucket, None);
        true
    }

    /// Takes an input; outputs are to be carried out in their order.
    pub fn on(
        &mut self,
        now: Time,
        input: Input<E>,
        rng: &mut dyn RngCore,
        out: &mut Vec<Output<E>>,
    ) {
        match input {
            Input::Tick => self.on_tick(now, rng, out),
            Input::Member { node, life } => self.on_member(node, life, rng, out),
            Input::Lost { node } => {
                self.members.remove(&node);
                self.drop_page(node, out);
            }
            Input::Connected { node } => {
                self.neighbours.entry(node).or_default();
                self.send_summary(node, out);
            }
            Input::Disconnected { node } => drop(self.neighbours.remove(&node)),
            Input::Received { from, message } => self.on_message(now, from, message, out),
        }
    }

    /// When to tick next.
    #[must_use]
    pub fn next_wake(&self) -> Time {
        self.next_turn.map_or(self.next_summary, |turn| turn.min(self.next_summary))
    }

    /// The entries of a node, in no promised order.
    pub fn entries_of(&self, owner: NodeId) -> impl Iterator<Item = &E> {
        self.pages.get(&owner).into_iter().flat_map(Page::entries)
    }

    /// The others of whom anything is known, and in which life.
    pub fn owners(&self) -> impl Iterator<Item = (NodeId, Incarnation)> {
        let others = self.pages.iter().filter(|(owner, _)| **owner != self.own);
        others.map(|(owner, page)| (*owner, page.life()))
    }

    /// Stands for all that is known: nodes with equal hashes know the same.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.pages.values().fold(0, |hash, page| hash ^ page.hash())
    }

    fn on_tick(&mut self, now: Time, rng: &mut dyn RngCore, out: &mut Vec<Output<E>>) {
        if self.next_turn.is_some_and(|turn| turn <= now) {
            self.next_turn = None;
            for to in self.neighbours.keys().copied().collect::<Vec<_>>() {
                self.pay(now, to, out);
            }
        }
        if self.next_summary <= now {
            self.next_summary = now + SUMMARY_EVERY;
            self.compare_with_somebody(rng, out);
        }
    }

    fn on_member(
        &mut self,
        node: NodeId,
        life: Incarnation,
        rng: &mut dyn RngCore,
        out: &mut Vec<Output<E>>,
    ) {
        if node == self.own || self.members.insert(node, life) == Some(life) {
            return;
        }
        if self.pages.get(&node).is_some_and(|page| page.life() != life) {
            self.drop_page(node, out);
        }
        // What came of it before it was known here was not kept.
        self.compare_with_somebody(rng, out);
    }

    fn on_message(
        &mut self,
        now: Time,
        from: NodeId,
        message: Message<E>,
        out: &mut Vec<Output<E>>,
    ) {
        match message {
            Message::Summary { hash } => {
                if hash != self.hash() && self.mutant != Mutant::NeverCompare {
                    self.send_pages(from, out);
                }
            }
            Message::Pages { from: first, to: last, pages } => {
                if first <= last {
                    self.on_pages(now, from, (first, last), &pages, out);
                }
            }
            Message::Versions { owner, life, versions, answers } => {
                self.on_versions(now, from, (owner, life), (&versions, answers), out);
            }
            Message::News { owner, life, buckets } => {
                self.on_news(now, from, (owner, life), buckets, out);
            }
        }
    }

    fn on_news(
        &mut self,
        now: Time,
        from: NodeId,
        (owner, life): (NodeId, Incarnation),
        buckets: Vec<(u8, u64, Vec<E>)>,
        out: &mut Vec<Output<E>>,
    ) {
        let is_stranger = self.life_of(owner) != Some(life);
        if owner == self.own || (is_stranger && self.mutant != Mutant::TakeStrangers) {
            return;
        }
        let page = self.pages.entry(owner).or_insert_with(|| Page::new(owner, life));
        if page.life() != life {
            return;
        }
        let (mut added, mut removed) = (Vec::new(), Vec::new());
        let mut news = Vec::new();
        for (bucket, version, entries) in buckets {
            let takes_old = self.mutant == Mutant::TakeOldNews;
            if let Some(difference) = page.merge(bucket, (version, entries), takes_old) {
                news.push(bucket);
                added.extend(difference.added);
                removed.extend(difference.removed);
            }
        }
        for bucket in news {
            self.owe_all(now, owner, bucket, Some(from));
        }
        if !added.is_empty() || !removed.is_empty() {
            out.push(Output::Changed { owner, life, added, removed });
        }
    }

    /// The life in which a node takes part, as far as we know.
    fn life_of(&self, node: NodeId) -> Option<Incarnation> {
        if node == self.own { Some(self.life) } else { self.members.get(&node).copied() }
    }

    fn drop_page(&mut self, node: NodeId, out: &mut Vec<Output<E>>) {
        if self.mutant == Mutant::KeepLost {
            return;
        }
        if let Some(page) = self.pages.remove(&node) {
            out.push(Output::Gone { owner: node, life: page.life() });
        }
    }

    fn owe_all(&mut self, now: Time, owner: NodeId, bucket: u8, but: Option<NodeId>) {
        let mut is_owed = false;
        for (node, owed) in &mut self.neighbours {
            if Some(*node) != but {
                is_owed |= owed.insert((owner, bucket));
            }
        }
        if is_owed {
            self.next_turn.get_or_insert(now + TURN);
        }
    }

    fn owe(&mut self, now: Time, to: NodeId, buckets: Vec<(NodeId, u8)>) {
        if buckets.is_empty() {
            return;
        }
        // One that asks and is no neighbour any more will ask another one.
        if let Some(owed) = self.neighbours.get_mut(&to) {
            owed.extend(buckets);
            self.next_turn.get_or_insert(now + TURN);
        }
    }

    /// Sends a neighbour what it is owed, as much as one turn allows.
    fn pay(&mut self, now: Time, to: NodeId, out: &mut Vec<Output<E>>) {
        let Some(owed) = self.neighbours.get_mut(&to) else { return };
        let mut left = TURN_ENTRIES_MAX;
        let mut news: Option<message::News<E>> = None;
        while left > 0
            && let Some((owner, bucket)) = owed.pop_first()
        {
            let Some(page) = self.pages.get(&owner) else { continue };
            let Some((version, entries)) = page.bucket(bucket) else { continue };
            if self.mutant == Mutant::ForgetRemovals && entries.is_empty() {
                continue;
            }
            // An empty bucket costs something, too.
            let cost = entries.len() + 1;
            left = left.saturating_sub(cost);
            let fits = news.as_ref().is_some_and(|news| news.has_room(owner, page.life(), cost));
            if !fits {
                out.extend(news.take().map(|news| news.into_output(to)));
            }
            let news = news.get_or_insert_with(|| message::News::new(owner, page.life()));
            news.push(bucket, version, entries.to_vec());
        }
        out.extend(news.map(|news| news.into_output(to)));
        if !owed.is_empty() {
            self.next_turn.get_or_insert(now + TURN);
        }
    }
}

#[cfg(test)]
mod tests;
