//! How a borrower says its words, and says them again.
//!
//! Pure: no clock, no I/O, no tasks.

use super::{
    Borrower, Effect, Loss, Message, Mutant, ObjectId, PinId, REPEAT, REPEAT_MAX, Sequence,
    StoreId, Time, Wake,
};

impl Borrower {
    /// Says a new word: whether the object is needed here.
    pub(super) fn say(&mut self, object: ObjectId, now: Time, out: &mut Vec<Effect>) {
        let Some(borrowed) = self.objects.get_mut(&object) else { return };
        self.sequence += 1;
        borrowed.word = Sequence(self.sequence);
        borrowed.heard = false;
        borrowed.pause = REPEAT;
        out.push(Self::word(object, borrowed));
        self.repeat(object, now);
    }

    /// A new keeper has to hear everything.
    pub(super) fn say_again(&mut self, object: ObjectId, now: Time, out: &mut Vec<Effect>) {
        self.say(object, now, out);
        out.extend(self.objects.get(&object).and_then(|borrowed| Self::wanted(object, borrowed)));
    }

    fn word(object: ObjectId, borrowed: &super::Borrowed) -> Effect {
        let sequence = borrowed.word;
        let message = if borrowed.holds > 0 {
            Message::Borrow { object, sequence }
        } else {
            Message::Release { object, sequence }
        };
        Effect::Send { to: borrowed.keeper, message }
    }

    /// Comes back to the object if the keeper does not answer.
    pub(super) fn repeat(&mut self, object: ObjectId, now: Time) {
        if self.mutant == Mutant::NeverRepeats {
            return;
        }
        if let Some(borrowed) = self.objects.get_mut(&object) {
            let at = now + borrowed.pause;
            borrowed.pause = (borrowed.pause * 2).min(REPEAT_MAX);
            if let Some(before) = borrowed.repeat_at.replace(at) {
                self.wakes.remove(&(before, Wake::Object(object)));
            }
            self.wakes.insert((at, Wake::Object(object)));
        }
    }

    pub(super) fn repeat_object(&mut self, object: ObjectId, now: Time, out: &mut Vec<Effect>) {
        let Some(borrowed) = self.objects.get_mut(&object) else { return };
        borrowed.repeat_at = None;
        if borrowed.lost.is_some() || (borrowed.heard && borrowed.wish.is_none()) {
            return;
        }
        if !borrowed.heard {
            out.push(Self::word(object, borrowed));
        }
        out.extend(Self::wanted(object, borrowed));
        self.repeat(object, now);
    }

    /// The keeper is down: the backup keeps it now, if there is one.
    pub(super) fn keeper_down(&mut self, object: ObjectId, now: Time, out: &mut Vec<Effect>) {
        let Some(borrowed) = self.objects.get_mut(&object) else { return };
        let owner = borrowed.keeper;
        match borrowed.backup.take() {
            Some(backup) if !self.dead.contains(backup) => {
                borrowed.keeper = backup;
                self.say_again(object, now, out);
            }
            _ => self.lose(object, Loss::OwnerDied { owner }, now, out),
        }
    }

    pub(super) fn lose(&mut self, object: ObjectId, loss: Loss, now: Time, out: &mut Vec<Effect>) {
        let Some(borrowed) = self.objects.get_mut(&object) else { return };
        (borrowed.wish, borrowed.place) = (None, None);
        let (held, was_lost) = (borrowed.holds > 0, borrowed.lost.is_some());
        borrowed.lost = Some(loss.clone());
        self.take_over(object, now, out);
        if !held {
            self.forget(object);
        } else if !was_lost {
            out.push(Effect::Lose { object, loss });
        }
    }

    pub(super) fn forget(&mut self, object: ObjectId) {
        if let Some(borrowed) = self.objects.remove(&object)
            && let Some(at) = borrowed.repeat_at
        {
            self.wakes.remove(&(at, Wake::Object(object)));
        }
    }

    /// What waited for this object to be counted waits no longer.
    pub(super) fn take_over(&mut self, object: ObjectId, now: Time, out: &mut Vec<Effect>) {
        let Some(borrowed) = self.objects.get_mut(&object) else { return };
        for (from, pin) in std::mem::take(&mut borrowed.pins) {
            if let Some(arrival) = self.arrivals.get_mut(&(from, pin)) {
                arrival.missing = arrival.missing.saturating_sub(1);
                self.unpin_if_complete(from, pin, now, out);
            }
        }
    }

    pub(super) fn unpin_if_complete(
        &mut self,
        from: StoreId,
        pin: PinId,
        now: Time,
        out: &mut Vec<Effect>,
    ) {
        if let Some(arrival) = self.arrivals.get_mut(&(from, pin))
            && arrival.missing == 0
        {
            out.push(Effect::Send { to: from, message: Message::Unpin { pin } });
            if self.mutant != Mutant::NeverRepeats {
                let at = now + REPEAT;
                if let Some(before) = arrival.repeat_at.replace(at) {
                    self.wakes.remove(&(before, Wake::Pin(from, pin)));
                }
                self.wakes.insert((at, Wake::Pin(from, pin)));
            }
        }
    }
}
