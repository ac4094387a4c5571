//! Borrows: which nodes hold references to a thing, so that its owner knows when nobody does.
//!
//! To count every reference with the owner, a message per clone and drop, costs more than the things are worth; and
//! a count that travels without order is wrong as soon as a decrement overtakes an increment.
//! So nodes are counted, not references: a node tells the owner when its first reference comes (`Hold`) and when
//! its last goes (`Release`). What remains is the reference in flight, which is with no node at all: its sender
//! keeps it pinned until the receiver says that the owner has acknowledged its hold.
//! (Ownership: Wang et al., NSDI '21; distributed counting with pins: Birrell et al., Network Objects, 1993.)
//!
//! Invariants, each with a seeded bug ([`Mutant`]):
//! - a thing is never freed while a reference to it lives on a node that is up, or is in flight. The exception:
//!   the sender of the reference dies before the hold of its receiver reaches the owner. Then the receiver is told
//!   that the thing is lost;
//! - when the last reference is gone, and messages have come through, it is freed;
//! - a node that is down holds nothing.
//!
//! A *thing* is whatever is exported: an actor, an object. Its name is never used again.
//!
//! How to drive it:
//! 1. Messages go over associations. Those with `lane: Some(_)` go on that lane, the others on the control lane:
//!    a question about a pin must not overtake the message that carried the reference.
//! 2. References in an arriving message are registered ([`Borrows::receive`]) before the next frame is looked at.
//! 3. When an epoch ends in either direction, [`Borrows::associated`]; when a node is down or in a new life,
//!    [`Borrows::node_down`], before anything that it says after that; and again when an output is for a node that
//!    is down, for a reference may arrive after its owner died.
//!
//! Pure: no clock, no I/O, no tasks.

mod borrower;
mod message;
mod mutant;
mod owner;

use std::collections::{BTreeMap, BTreeSet};

use crate::id::NodeId;

use self::borrower::Borrowed;
use self::owner::Owned;

pub use self::message::{HOLDS_MAX, Message, Output};
#[doc(hidden)]
pub use self::mutant::Mutant;

/// All borrows of one node: as owner, as borrower and as sender.
#[derive(Debug)]
pub struct Borrows<T> {
    node: NodeId,
    owned: BTreeMap<T, Owned>,
    /// Which things of ours each node holds.
    held_by: BTreeMap<NodeId, BTreeSet<T>>,
    /// What each node has listed last, after an epoch ended: older holds of it are in the list or have ended.
    listed: BTreeMap<NodeId, u64>,
    borrowed: BTreeMap<T, Borrowed>,
    pins: BTreeMap<u64, Pin<T>>,
    next_pin: u64,
    /// Numbers every hold of this node, over all things.
    sequence: u64,
    mutant: Mutant,
}

/// A reference in flight.
#[derive(Clone, Copy, Debug)]
struct Pin<T> {
    thing: T,
    to: NodeId,
    lane: u8,
}

impl<T: Copy + Ord> Borrows<T> {
    /// Nothing owned, nothing borrowed.
    #[must_use]
    pub const fn new(node: NodeId) -> Self {
        Self {
            node,
            owned: BTreeMap::new(),
            held_by: BTreeMap::new(),
            listed: BTreeMap::new(),
            borrowed: BTreeMap::new(),
            pins: BTreeMap::new(),
            next_pin: 0,
            sequence: 0,
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

    /// A thing of this node is exported: it gets its first reference, to be given up by [`Borrows::release`].
    pub fn own(&mut self, thing: T) {
        self.owned.entry(thing).or_default().live += 1;
    }

    /// One more reference on this node. `false` if the node has none to copy: then nothing was counted.
    pub fn retain(&mut self, thing: T) -> bool {
        let live = match (self.owned.get_mut(&thing), self.borrowed.get_mut(&thing)) {
            (Some(owned), _) => &mut owned.live,
            (None, Some(borrowed)) => &mut borrowed.live,
            (None, None) => return false,
        };
        *live += 1;
        true
    }

    /// One reference less on this node.
    pub fn release(&mut self, thing: T, out: &mut Vec<Output<T>>) {
        if let Some(owned) = self.owned.get_mut(&thing) {
            owned.live = owned.live.saturating_sub(1);
        } else if let Some(borrowed) = self.borrowed.get_mut(&thing) {
            borrowed.live = borrowed.live.saturating_sub(1);
        }
        self.settle(thing, out);
    }

    /// A reference is about to travel to `to` on `lane`: the number to travel with it.
    /// `None` if this node has no reference, or the thing is gone: send nothing.
    pub fn pin(&mut self, thing: T, to: NodeId, lane: u8) -> Option<u64> {
        let pins = match (self.owned.get_mut(&thing), self.borrowed.get_mut(&thing)) {
            (Some(owned), _) => &mut owned.pins,
            (None, Some(borrowed)) if !borrowed.is_gone => &mut borrowed.pins,
            (None, Some(_) | None) => return None,
        };
        let number = self.next_pin;
        self.next_pin += 1;
        if self.mutant != Mutant::SendUnpinned {
            *pins += 1;
            self.pins.insert(number, Pin { thing, to, lane });
        }
        Some(number)
    }

    /// The message with this pin was certainly never sent.
    pub fn unpin(&mut self, number: u64, out: &mut Vec<Output<T>>) {
        let Some(Pin { thing, .. }) = self.pins.remove(&number) else {
            return;
        };
        if let Some(owned) = self.owned.get_mut(&thing) {
            owned.pins -= 1;
        } else if let Some(borrowed) = self.borrowed.get_mut(&thing) {
            borrowed.pins -= 1;
        }
        self.settle(thing, out);
    }

    /// A reference to a thing of `owner` arrived in a message from `from`, with this pin. It counts as one
    /// reference of this node, to be given up by [`Borrows::release`].
    pub fn receive(
        &mut self,
        thing: T,
        owner: NodeId,
        from: NodeId,
        pin: u64,
        out: &mut Vec<Output<T>>,
    ) {
        if owner == self.node {
            match self.owned.get_mut(&thing) {
                Some(owned) => owned.live += 1,
                None => out.push(Output::Lost { thing }),
            }
            out.push(received(from, vec![pin]));
        } else {
            self.borrow(thing, owner, (from, pin), out);
        }
    }

    /// A message of these protocols arrived from `from`.
    pub fn handle_message(&mut self, from: NodeId, message: Message<T>, out: &mut Vec<Output<T>>) {
        match message {
            Message::Hold { thing, sequence } => {
                if sequence > self.listed_by(from) {
                    self.on_holds(from, &[(thing, sequence)], out);
                }
            }
            Message::Release { thing, sequence } => self.on_release(from, thing, sequence, out),
            Message::Holds { after, up_to, snapshot, holds } => {
                if snapshot >= self.listed_by(from) {
                    self.listed.insert(from, snapshot);
                    self.on_holds(from, &holds, out);
                    self.drop_unlisted(from, (after, up_to), snapshot, &holds, out);
                }
            }
            Message::Held { holds } => self.on_held(from, &holds, out),
            Message::Gone { thing, sequence } => self.on_gone(from, thing, sequence, out),
            Message::AskPins { pins } => self.on_ask_pins(from, pins, out),
            Message::Received { pins } => {
                for pin in pins {
                    // A peer may only speak for what was sent to it.
                    if self.pins.get(&pin).is_some_and(|pin| pin.to == from) {
                        self.unpin(pin, out);
                    }
                }
            }
        }
    }

    /// An epoch between this node and `peer` has ended, in whichever direction: what was said may be lost, so
    /// it is said again.
    pub fn associated(&mut self, peer: NodeId, out: &mut Vec<Output<T>>) {
        if self.mutant == Mutant::NeverRepeat {
            return;
        }
        self.repeat_holds(peer, out);
        let mut of_lane: BTreeMap<u8, Vec<u64>> = BTreeMap::new();
        for (&number, pin) in self.pins.iter().filter(|(_, pin)| pin.to == peer) {
            of_lane.entry(pin.lane).or_default().push(number);
        }
        for (lane, pins) in of_lane {
            if self.mutant == Mutant::UnpinOnLoss {
                pins.into_iter().for_each(|pin| self.unpin(pin, out));
                continue;
            }
            out.extend(pins.chunks(HOLDS_MAX).map(|pins| Output::Send {
                to: peer,
                lane: Some(lane),
                message: Message::AskPins { pins: pins.to_vec() },
            }));
        }
    }

    /// A node is down, or in a new life: it holds nothing of ours, what it owned is lost, and nothing more
    /// arrives of what was sent to it.
    pub fn node_down(&mut self, node: NodeId, out: &mut Vec<Output<T>>) {
        self.forget_holder(node, out);
        self.lose_owner(node, out);
        let pins: Vec<u64> =
            self.pins.iter().filter(|(_, pin)| pin.to == node).map(|(&pin, _)| pin).collect();
        for pin in pins {
            self.unpin(pin, out);
        }
    }

    /// How many nodes hold a thing of ours.
    #[must_use]
    pub fn holder_count(&self, thing: T) -> usize {
        self.owned.get(&thing).map_or(0, Owned::holder_count)
    }

    /// Whether nothing is owned, borrowed or in flight.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.owned.is_empty() && self.borrowed.is_empty() && self.pins.is_empty()
    }

    fn listed_by(&self, node: NodeId) -> u64 {
        self.listed.get(&node).copied().unwrap_or_default()
    }

    /// Frees or gives back what has no reference left.
    fn settle(&mut self, thing: T, out: &mut Vec<Output<T>>) {
        if self.owned.get(&thing).is_some_and(Owned::is_unused) {
            self.owned.remove(&thing);
            out.push(Output::Free { thing });
        } else if self.borrowed.get(&thing).is_some_and(Borrowed::is_unused) {
            self.give_back(thing, out);
        }
    }
}

fn received<T>(to: NodeId, pins: Vec<u64>) -> Output<T> {
    Output::Send { to, lane: None, message: Message::Received { pins } }
}

#[cfg(test)]
mod tests;
