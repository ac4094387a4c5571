//! The owner's part: who holds what is ours.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::NodeId;

use super::Borrows;
use super::message::{Message, Output};
use super::mutant::Mutant;

/// A thing of ours.
#[derive(Clone, Debug, Default)]
pub(super) struct Owned {
    /// References on this node.
    pub(super) live: u64,
    /// References in flight from this node.
    pub(super) pins: u64,
    /// The newest hold of each node, also after it ended: a late message must not bring it back.
    holders: BTreeMap<NodeId, Holder>,
}

#[derive(Clone, Copy, Debug)]
struct Holder {
    sequence: u64,
    is_held: bool,
}

impl Owned {
    pub(super) fn holder_count(&self) -> usize {
        self.holders.values().filter(|holder| holder.is_held).count()
    }

    pub(super) fn is_unused(&self) -> bool {
        self.live == 0 && self.pins == 0 && !self.holders.values().any(|holder| holder.is_held)
    }
}

impl<T: Copy + Ord> Borrows<T> {
    pub(super) fn on_holds(&mut self, from: NodeId, holds: &[(T, u64)], out: &mut Vec<Output<T>>) {
        let mut held = Vec::new();
        for &(thing, sequence) in holds {
            let Some(owned) = self.owned.get_mut(&thing) else {
                let message = Message::Gone { thing, sequence };
                out.push(Output::Send { to: from, lane: None, message });
                continue;
            };
            let is_new = owned.holders.get(&from).is_none_or(|holder| sequence > holder.sequence);
            if is_new {
                owned.holders.insert(from, Holder { sequence, is_held: true });
                self.held_by.entry(from).or_default().insert(thing);
            }
            held.push((thing, sequence));
        }
        if !held.is_empty() {
            let message = Message::Held { holds: held };
            out.push(Output::Send { to: from, lane: None, message });
        }
    }

    pub(super) fn on_release(
        &mut self,
        from: NodeId,
        thing: T,
        sequence: u64,
        out: &mut Vec<Output<T>>,
    ) {
        let Some(owned) = self.owned.get_mut(&thing) else {
            return;
        };
        let newest = owned.holders.get(&from).map_or(0, |holder| holder.sequence);
        if sequence < newest && self.mutant != Mutant::IgnoreSequence {
            return;
        }
        let sequence = sequence.max(newest);
        owned.holders.insert(from, Holder { sequence, is_held: false });
        self.unlist(from, thing);
        self.settle(thing, out);
    }

    /// Ends the holds in a range of names that the borrower did not list.
    pub(super) fn drop_unlisted(
        &mut self,
        from: NodeId,
        (after, up_to): (Option<T>, Option<T>),
        snapshot: u64,
        holds: &[(T, u64)],
        out: &mut Vec<Output<T>>,
    ) {
        let listed: BTreeSet<T> = holds.iter().map(|&(thing, _)| thing).collect();
        let held = self.held_by.get(&from).into_iter().flatten().copied();
        let unlisted: Vec<T> = held
            .filter(|thing| after.is_none_or(|after| *thing > after))
            .filter(|thing| up_to.is_none_or(|up_to| *thing <= up_to))
            .filter(|thing| !listed.contains(thing))
            .collect();
        for thing in unlisted {
            let holder = self.owned.get(&thing).and_then(|owned| owned.holders.get(&from));
            if let Some(&Holder { sequence, .. }) = holder
                && sequence <= snapshot
            {
                self.on_release(from, thing, sequence, out);
            }
        }
    }

    pub(super) fn forget_holder(&mut self, node: NodeId, out: &mut Vec<Output<T>>) {
        if self.mutant == Mutant::KeepDownHolder {
            return;
        }
        self.listed.remove(&node);
        // Holds that ended are remembered against late messages; after this none can come.
        for thing in self.held_by.remove(&node).unwrap_or_default() {
            if let Some(owned) = self.owned.get_mut(&thing) {
                owned.holders.remove(&node);
            }
            self.settle(thing, out);
        }
        for owned in self.owned.values_mut() {
            owned.holders.remove(&node);
        }
    }

    fn unlist(&mut self, node: NodeId, thing: T) {
        if let Some(things) = self.held_by.get_mut(&node) {
            things.remove(&thing);
            if things.is_empty() {
                self.held_by.remove(&node);
            }
        }
    }
}
