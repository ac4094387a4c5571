//! Comparing with a neighbour: first a hash of everything, then of each page, then the versions of its buckets; what
//! differs is asked for, or owed.
//!
//! Invariant: a question of versions is answered by one question at most, so that two who cannot agree fall silent
//! until the next round.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hash;

use rand_core::RngCore;

use super::page::Page;
use super::{ANSWERED_VERSIONS_MAX, Message, Output, PAGES_MAX, Postings};
use crate::id::{Incarnation, NodeId};
use crate::time::Time;

impl<E: Clone + Ord + Hash> Postings<E> {
    pub(super) fn compare_with_somebody(&self, rng: &mut dyn RngCore, out: &mut Vec<Output<E>>) {
        let from = NodeId(rng.next_u64());
        let next = self.neighbours.range(from..).next().or_else(|| self.neighbours.iter().next());
        if let Some((&node, _)) = next {
            self.send_summary(node, out);
        }
    }

    pub(super) fn send_summary(&self, to: NodeId, out: &mut Vec<Output<E>>) {
        out.push(Output::Send { to, message: Message::Summary { hash: self.hash() } });
    }

    /// Digests of all pages, in ranges without a gap, so that each message stands alone.
    pub(super) fn send_pages(&self, to: NodeId, out: &mut Vec<Output<E>>) {
        let pages = self.pages.iter().filter(|(_, page)| !page.is_empty());
        let all: Vec<(NodeId, Incarnation, u64)> =
            pages.map(|(owner, page)| (*owner, page.life(), page.hash())).collect();
        let mut from = NodeId(0);
        let mut rest = &all[..];
        loop {
            let (part, after) = rest.split_at(rest.len().min(PAGES_MAX));
            let end = part.last().filter(|_| !after.is_empty());
            let last = end.map_or(NodeId(u64::MAX), |&(owner, ..)| owner);
            let message = Message::Pages { from, to: last, pages: part.to_vec() };
            out.push(Output::Send { to, message });
            if after.is_empty() {
                return;
            }
            from = NodeId(last.0 + 1);
            rest = after;
        }
    }

    /// Asks for what the other has and we lack, and owes what it lacks.
    pub(super) fn on_pages(
        &mut self,
        now: Time,
        from: NodeId,
        (first, last): (NodeId, NodeId),
        pages: &[(NodeId, Incarnation, u64)],
        out: &mut Vec<Output<E>>,
    ) {
        let mut left = ANSWERED_VERSIONS_MAX;
        for &(owner, life, hash) in pages {
            let known = self.pages.get(&owner);
            if known.is_some_and(|page| page.life() == life && page.hash() == hash)
                || self.life_of(owner) != Some(life)
            {
                continue;
            }
            let versions = known.map(Page::versions).unwrap_or_default();
            if versions.len() >= left {
                break;
            }
            left -= versions.len() + 1;
            let message = Message::Versions { owner, life, versions, answers: false };
            out.push(Output::Send { to: from, message });
        }
        let listed: BTreeSet<NodeId> = pages.iter().map(|&(owner, ..)| owner).collect();
        let lacking = self.pages.range(first..=last).filter(|(owner, _)| !listed.contains(owner));
        let lacking: Vec<(NodeId, u8)> = lacking
            .flat_map(|(owner, page)| page.buckets().map(|bucket| (*owner, bucket)))
            .collect();
        self.owe(now, from, lacking);
    }

    pub(super) fn on_versions(
        &mut self,
        now: Time,
        from: NodeId,
        (owner, life): (NodeId, Incarnation),
        (theirs, answers): (&[(u8, u64)], bool),
        out: &mut Vec<Output<E>>,
    ) {
        let page = self.pages.get(&owner).filter(|page| page.life() == life);
        let theirs: BTreeMap<u8, u64> = theirs.iter().copied().collect();
        let ours: BTreeMap<u8, u64> =
            page.map(Page::versions).unwrap_or_default().into_iter().collect();
        let lacks = |one: &BTreeMap<u8, u64>, bucket: &u8, version: &u64| {
            one.get(bucket).is_none_or(|known| known < version)
        };
        let we_lack = theirs.iter().any(|(bucket, version)| lacks(&ours, bucket, version));
        let they_lack: Vec<(NodeId, u8)> = ours
            .iter()
            .filter(|(bucket, version)| lacks(&theirs, bucket, version))
            .map(|(bucket, _)| (owner, *bucket))
            .collect();
        self.owe(now, from, they_lack);
        if we_lack && !answers && owner != self.own && self.life_of(owner) == Some(life) {
            let versions = ours.into_iter().collect();
            let message = Message::Versions { owner, life, versions, answers: true };
            out.push(Output::Send { to: from, message });
        }
    }
}
