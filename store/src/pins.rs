//! References in flight: who keeps an object alive while a reference to it travels.
//!
//! A passes B a reference to an object of C. If A lets go when the message is sent, C may hear A's *release*
//! before B's *borrow*, and free an object that B is about to use. Telling C of every reference in every
//! message would cost a round trip before each send.
//! So A holds on itself: what a message contains is pinned at its sender until the receiver says that its own
//! need is counted at C. The pin travels as a number in the message.
//!
//! A message may be lost, and then nobody would ever take the pin back. Where the channel knows, it says so
//! ([`Pins::undelivered`]). Where it cannot know, the sender asks the receiver to close the pin: either the
//! message has come, and the answer is on its way, or it has not, and then it is refused when it comes late.
//!
//! Invariants:
//! 1. A pin is taken back exactly once: by its receiver, by the channel, or because the receiver is down.
//! 2. A message whose pin was closed before it arrived brings no reference.
//!
//! Source: Ray's borrower protocol (NSDI '21, section 4.2), with counts per node.
//!
//! Pure: no clock, no I/O, no tasks.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use crate::{
    dead::Dead,
    effect::{Effect, Mutant},
    message::{Carried, Message, Parcel, PinId},
    object_id::StoreId,
    time::Time,
};

/// So many pins may be open at once.
const OPEN_MAX: usize = 1 << 20;
/// So many closed pins are remembered, the oldest forgotten first.
const REFUSED_MAX: usize = 1 << 16;
/// How long to wait before asking again.
const REPEAT: Duration = Duration::from_secs(1);

/// Too many messages with references are on their way. Wait for some to arrive, or send fewer at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{OPEN_MAX} messages with references are on their way, which is the limit; send fewer at once"
)]
pub struct TooManyPins;

#[derive(Debug)]
struct Pin {
    to: StoreId,
    /// When to ask the receiver again, if it was asked.
    closing: Option<Time>,
}

/// The pins of one store: those it opened, and those of others that it refuses.
#[derive(Debug, Default)]
pub struct Pins {
    opened: u64,
    open: BTreeMap<PinId, Pin>,
    wakes: BTreeSet<(Time, PinId)>,
    refused: BTreeSet<(StoreId, PinId)>,
    refused_order: VecDeque<(StoreId, PinId)>,
    dead: Dead,
    mutant: Mutant,
}

impl Pins {
    /// No pins, and a rule left out.
    #[doc(hidden)]
    #[must_use]
    pub fn mutated(mutant: Mutant) -> Self {
        Self { mutant, ..Self::default() }
    }

    /// How many pins are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether no pin is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Pins what a message to `to` carries. The caller holds the objects until [`Effect::Unpin`]. Of one that is gone
    /// already nobody will hear again, and the next [`tick`](Self::tick) takes its pin back.
    ///
    /// # Errors
    /// [`TooManyPins`]: nothing was pinned.
    pub fn open(&mut self, to: StoreId, carried: Vec<Carried>) -> Result<Parcel, TooManyPins> {
        if self.open.len() >= OPEN_MAX {
            return Err(TooManyPins);
        }
        self.opened += 1;
        let pin = PinId(self.opened);
        let closing = self.dead.contains(to).then_some(Time(0));
        self.wakes.extend(closing.map(|at| (at, pin)));
        self.open.insert(pin, Pin { to, closing });
        Ok(Parcel { pin, carried })
    }

    // What the sender hears.

    /// The receiver has taken over, or refuses the message.
    pub fn unpin(&mut self, from: StoreId, pin: PinId, out: &mut Vec<Effect>) {
        if self.open.get(&pin).is_some_and(|open| open.to == from) {
            self.take_back(pin, out);
        }
        // Also for a pin that is gone: the receiver repeats itself until it hears this.
        out.push(Effect::Send { to: from, message: Message::Unpinned { pin } });
    }

    /// The message under this pin was not delivered and never will be.
    pub fn undelivered(&mut self, pin: PinId, out: &mut Vec<Effect>) {
        self.take_back(pin, out);
    }

    /// Nobody knows whether the message under this pin was delivered.
    pub fn uncertain(&mut self, pin: PinId, now: Time, out: &mut Vec<Effect>) {
        if let Some(open) = self.open.get_mut(&pin)
            && open.closing.is_none()
        {
            open.closing = Some(now);
            self.wakes.insert((now, pin));
            self.tick(now, out);
        }
    }

    /// A store is gone: nobody will answer for the pins it was sent.
    pub fn down(&mut self, store: StoreId, out: &mut Vec<Effect>) {
        if self.mutant == Mutant::PinsForTheDead {
            return;
        }
        self.dead.insert(store);
        let theirs = self.open.iter().filter(|(_, open)| open.to == store);
        let theirs: Vec<PinId> = theirs.map(|(pin, _)| *pin).collect();
        for pin in theirs {
            self.take_back(pin, out);
        }
        self.refused.retain(|(from, _)| *from != store);
        self.refused_order.retain(|(from, _)| *from != store);
    }

    /// A store that was taken for gone is there in the same life; false if it was not.
    pub fn back(&mut self, store: StoreId) -> bool {
        let was_gone = self.dead.remove(store);
        // Those opened meanwhile are as any other.
        for (pin, open) in self.open.iter_mut().filter(|(_, open)| was_gone && open.to == store) {
            if let Some(at) = open.closing.take() {
                self.wakes.remove(&(at, *pin));
            }
        }
        was_gone
    }

    /// Asks again where no answer came.
    pub fn tick(&mut self, now: Time, out: &mut Vec<Effect>) {
        while let Some((at, pin)) = self.wakes.first().copied()
            && at <= now
        {
            self.wakes.pop_first();
            let Some(open) = self.open.get_mut(&pin) else { continue };
            if self.dead.contains(open.to) {
                self.take_back(pin, out);
                continue;
            }
            out.push(Effect::Send { to: open.to, message: Message::Close { pin } });
            if self.mutant != Mutant::NeverRepeats {
                open.closing = Some(now + REPEAT);
                self.wakes.insert((now + REPEAT, pin));
            }
        }
    }

    /// When [`tick`](Self::tick) has something to do.
    #[must_use]
    pub fn next_wake(&self) -> Option<Time> {
        self.wakes.first().map(|(at, _)| *at)
    }

    fn take_back(&mut self, pin: PinId, out: &mut Vec<Effect>) {
        if let Some(open) = self.open.remove(&pin) {
            if let Some(at) = open.closing {
                self.wakes.remove(&(at, pin));
            }
            out.push(Effect::Unpin(pin));
        }
    }

    // What the receiver hears.

    /// The sender wants to close a pin; `arrived` says whether it is being taken over here.
    pub fn close(&mut self, from: StoreId, pin: PinId, arrived: bool, out: &mut Vec<Effect>) {
        if arrived {
            return;
        }
        if self.mutant != Mutant::LateArrivals && self.refused.insert((from, pin)) {
            self.refused_order.push_back((from, pin));
            if self.refused_order.len() > REFUSED_MAX
                && let Some(oldest) = self.refused_order.pop_front()
            {
                self.refused.remove(&oldest);
            }
        }
        out.push(Effect::Send { to: from, message: Message::Unpin { pin } });
    }

    /// Whether a message with this pin comes too late.
    #[must_use]
    pub fn is_refused(&self, from: StoreId, pin: PinId) -> bool {
        self.refused.contains(&(from, pin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TO: StoreId = StoreId::new(crate::object_id::NodeId(2), crate::object_id::Incarnation(1));

    #[test]
    fn a_pin_for_one_that_is_gone_already_is_taken_back_at_the_next_tick() {
        let (mut pins, mut out) = (Pins::default(), Vec::new());
        let now = Time(0) + REPEAT;
        pins.down(TO, &mut out);
        let parcel = pins.open(TO, Vec::new()).unwrap();
        assert!(pins.next_wake().is_some_and(|at| at <= now));
        pins.tick(now, &mut out);
        assert_eq!(out, [Effect::Unpin(parcel.pin)]);
        assert!(pins.is_empty() && pins.next_wake().is_none());
    }

    #[test]
    fn a_pin_for_one_that_is_back_stays_until_it_is_answered() {
        let (mut pins, mut out) = (Pins::default(), Vec::new());
        pins.down(TO, &mut out);
        let parcel = pins.open(TO, Vec::new()).unwrap();
        assert!(pins.back(TO) && !pins.back(TO));
        pins.tick(Time(0) + REPEAT, &mut out);
        assert_eq!((pins.len(), out.len(), pins.next_wake()), (1, 0, None));
        pins.unpin(TO, parcel.pin, &mut out);
        assert_eq!(out.first(), Some(&Effect::Unpin(parcel.pin)));
    }
}
