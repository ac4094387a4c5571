//! The borrower's part: what we hold of others, and whom we owe a word about it.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::BTreeSet;

use crate::id::NodeId;

use super::message::{HOLDS_MAX, Message, Output};
use super::mutant::Mutant;
use super::{Borrows, received};

/// A thing of another node.
#[derive(Clone, Debug)]
pub(super) struct Borrowed {
    owner: NodeId,
    /// References on this node.
    pub(super) live: u64,
    /// References in flight from this node.
    pub(super) pins: u64,
    /// The number of our hold.
    sequence: u64,
    /// The owner has acknowledged it.
    is_confirmed: bool,
    /// The owner is down or knows no such thing: nobody needs to be told of anything.
    pub(super) is_gone: bool,
    /// Senders that keep a pin until the hold is acknowledged.
    waiting: Vec<(NodeId, u64)>,
}

impl Borrowed {
    pub(super) const fn is_unused(&self) -> bool {
        self.live == 0 && self.pins == 0
    }

    fn tell_waiting<T>(&mut self, out: &mut Vec<Output<T>>) {
        out.extend(self.waiting.drain(..).map(|(sender, pin)| received(sender, vec![pin])));
    }
}

impl<T: Copy + Ord> Borrows<T> {
    pub(super) fn borrow(
        &mut self,
        thing: T,
        owner: NodeId,
        pin: (NodeId, u64),
        out: &mut Vec<Output<T>>,
    ) {
        let sequence = self.sequence + 1;
        let borrowed = self.borrowed.entry(thing).or_insert_with(|| Borrowed {
            owner,
            live: 0,
            pins: 0,
            sequence,
            is_confirmed: false,
            is_gone: false,
            waiting: Vec::new(),
        });
        borrowed.live += 1;
        borrowed.waiting.push(pin);
        if borrowed.sequence == sequence {
            self.sequence = sequence;
            let message = Message::Hold { thing, sequence };
            out.push(Output::Send { to: owner, lane: None, message });
        }
        let is_safe = borrowed.is_confirmed || borrowed.is_gone;
        if is_safe || self.mutant == Mutant::ReceivedBeforeHeld {
            borrowed.tell_waiting(out);
        }
    }

    /// The last reference is gone.
    pub(super) fn give_back(&mut self, thing: T, out: &mut Vec<Output<T>>) {
        let Some(mut borrowed) = self.borrowed.remove(&thing) else {
            return;
        };
        let is_silent = self.mutant == Mutant::NoReleaseWhileUnconfirmed && !borrowed.is_confirmed;
        if !borrowed.is_gone && !is_silent {
            let message = Message::Release { thing, sequence: borrowed.sequence };
            out.push(Output::Send { to: borrowed.owner, lane: None, message });
        }
        borrowed.tell_waiting(out);
    }

    pub(super) fn on_held(&mut self, from: NodeId, holds: &[(T, u64)], out: &mut Vec<Output<T>>) {
        for (thing, sequence) in holds {
            if let Some(borrowed) = self.borrowed.get_mut(thing)
                && borrowed.owner == from
                && borrowed.sequence == *sequence
            {
                borrowed.is_confirmed = true;
                borrowed.tell_waiting(out);
            }
        }
    }

    pub(super) fn on_gone(
        &mut self,
        from: NodeId,
        thing: T,
        sequence: u64,
        out: &mut Vec<Output<T>>,
    ) {
        if let Some(borrowed) = self.borrowed.get_mut(&thing)
            && borrowed.owner == from
            && borrowed.sequence == sequence
            && !borrowed.is_gone
        {
            borrowed.is_gone = true;
            borrowed.tell_waiting(out);
            out.push(Output::Lost { thing });
        }
    }

    /// Everything that this node owned is lost; and it waits for no word of ours.
    pub(super) fn lose_owner(&mut self, node: NodeId, out: &mut Vec<Output<T>>) {
        for (&thing, borrowed) in &mut self.borrowed {
            borrowed.waiting.retain(|&(sender, _)| sender != node);
            if borrowed.owner == node && !borrowed.is_gone {
                borrowed.is_gone = true;
                borrowed.tell_waiting(out);
                out.push(Output::Lost { thing });
            }
        }
    }

    /// Says to an owner everything that is held of it, in ranges of names so that each message stands alone.
    pub(super) fn repeat_holds(&mut self, owner: NodeId, out: &mut Vec<Output<T>>) {
        // A number of its own, so that an earlier list that comes late is known to be earlier.
        self.sequence += 1;
        let of_owner = self.borrowed.iter().filter(|(_, borrowed)| borrowed.owner == owner);
        let holds: Vec<(T, u64)> = of_owner
            .filter(|(_, borrowed)| !borrowed.is_gone)
            .map(|(&thing, borrowed)| (thing, borrowed.sequence))
            .collect();
        let mut after = None;
        let parts = holds.chunks(HOLDS_MAX).map(<[_]>::to_vec);
        let mut parts = parts.collect::<Vec<_>>();
        if parts.is_empty() {
            parts.push(Vec::new());
        }
        let last = parts.len() - 1;
        for (index, holds) in parts.into_iter().enumerate() {
            let end = holds.last().map(|&(thing, _)| thing);
            let up_to = if index == last { None } else { end };
            let message = Message::Holds { after, up_to, snapshot: self.sequence, holds };
            out.push(Output::Send { to: owner, lane: None, message });
            after = end;
        }
    }

    /// A sender asks what became of its references. What is not waiting for an acknowledgement is held by now, or
    /// never came: the question travels behind it.
    pub(super) fn on_ask_pins(&self, from: NodeId, pins: Vec<u64>, out: &mut Vec<Output<T>>) {
        let waiting = self.borrowed.values().flat_map(|borrowed| &borrowed.waiting);
        let waiting: BTreeSet<u64> =
            waiting.filter(|&&(sender, _)| sender == from).map(|&(_, pin)| pin).collect();
        let settled: Vec<u64> = pins.into_iter().filter(|pin| !waiting.contains(pin)).collect();
        if !settled.is_empty() {
            out.push(received(from, settled));
        }
    }
}
