//! What can become of one object: `Pending → Sealed → Freed | Dropped`, or `Pending → Failed`; a value borrowed
//! from another node may be lost with it, `Sealed → Failed`.
//!
//! An object is written once by one producer and looked at by many.
//! A pair of flags and an `Option` would allow a value that is both missing and failed, or a result that
//! replaces an older one under the eyes of a reader.
//! Here the states are an enum and every transition says what it did and hands back what it displaced,
//! so that the caller can drop a large value after letting go of its lock.
//!
//! Invariants:
//! 1. Only a pending slot can be sealed or failed; the first one wins and stays.
//! 2. `Freed` and `Dropped` are final.
//! 3. No transition drops a value: it is returned.
//!
//! A spilled or a lost object will be two more states between `Sealed` and the final ones.
//!
//! Pure: no clock, no I/O, no tasks.

use std::mem;

use crate::object_id::ObjectId;

/// A sealed value with what the store must remember about it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Held<V> {
    pub(crate) value: V,
    /// What was charged to the budget, to be given back when the value goes.
    pub(crate) bytes: u64,
    /// Objects whose references sit inside the value.
    pub(crate) contained: Box<[ObjectId]>,
}

/// The state of one object.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Slot<V, E> {
    /// Its producer has not finished.
    Pending,
    /// The value is here, for good.
    Sealed(Held<V>),
    /// Its producer failed; there will be no value.
    Failed(E),
    /// Somebody freed it by hand while references exist.
    Freed,
    /// The last reference is gone.
    Dropped,
}

/// What [`Slot::seal`] and [`Slot::fail`] did.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a refused value still has to be given back to the budget"]
pub(crate) enum Settled<X> {
    /// The slot took it; everybody who waits must hear of it.
    Now,
    /// The slot was not pending any more; this is what it would not take.
    Refused(X),
}

impl<V, E> Slot<V, E> {
    /// The producer is done and this is the value.
    pub(crate) fn seal(&mut self, held: Held<V>) -> Settled<Held<V>> {
        match self {
            Self::Pending => {
                *self = Self::Sealed(held);
                Settled::Now
            }
            Self::Sealed(_) | Self::Failed(_) | Self::Freed | Self::Dropped => {
                Settled::Refused(held)
            }
        }
    }

    /// The producer failed.
    pub(crate) fn fail(&mut self, error: E) -> Settled<E> {
        match self {
            Self::Pending => {
                *self = Self::Failed(error);
                Settled::Now
            }
            Self::Sealed(_) | Self::Failed(_) | Self::Freed | Self::Dropped => {
                Settled::Refused(error)
            }
        }
    }

    /// Somebody frees the object by hand. A failure is kept: it says more than "freed" and weighs nothing.
    ///
    /// Returns the state that was displaced, `None` if nothing changed.
    #[must_use = "the displaced value still has to be given back to the budget"]
    pub(crate) fn free(&mut self) -> Option<Self> {
        match self {
            Self::Pending | Self::Sealed(_) => Some(mem::replace(self, Self::Freed)),
            Self::Failed(_) | Self::Freed | Self::Dropped => None,
        }
    }

    /// The value went with who kept it: whoever asks from now on gets `error`.
    ///
    /// Returns the state that was displaced, `None` if nothing changed.
    #[must_use = "the displaced value still has to be given back to the budget"]
    pub(crate) fn lose(&mut self, error: E) -> Option<Self> {
        match self {
            Self::Pending | Self::Sealed(_) => Some(mem::replace(self, Self::Failed(error))),
            Self::Failed(_) | Self::Freed | Self::Dropped => None,
        }
    }

    /// The last reference is gone. A pending slot stays pending: its producer still holds the pen and is
    /// told when it comes to seal.
    ///
    /// Returns the state that was displaced, `None` if nothing changed.
    #[must_use = "the displaced value still has to be given back to the budget"]
    pub(crate) fn unreferenced(&mut self) -> Option<Self> {
        match self {
            Self::Sealed(_) | Self::Failed(_) => Some(mem::replace(self, Self::Dropped)),
            Self::Pending | Self::Freed | Self::Dropped => None,
        }
    }

    /// One word for listings.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sealed(_) => "sealed",
            Self::Failed(_) => "failed",
            Self::Freed => "freed",
            Self::Dropped => "dropped",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Small = Slot<u8, &'static str>;

    fn held(value: u8) -> Held<u8> {
        Held { value, bytes: 1, contained: Box::default() }
    }

    fn every_state() -> [Small; 5] {
        [Slot::Pending, Slot::Sealed(held(1)), Slot::Failed("no"), Slot::Freed, Slot::Dropped]
    }

    #[test]
    fn only_a_pending_slot_takes_a_result() {
        for mut slot in every_state() {
            let was_pending = slot == Slot::Pending;
            let word = slot.word();
            match slot.seal(held(2)) {
                Settled::Now => assert!(was_pending),
                Settled::Refused(back) => {
                    assert_eq!(back, held(2));
                    assert_eq!(slot.word(), word, "a refused result must change nothing");
                }
            }
        }
        for mut slot in every_state() {
            let was_pending = slot == Slot::Pending;
            assert_eq!(slot.fail("late") == Settled::Now, was_pending);
        }
    }

    #[test]
    fn losing_displaces_pending_and_sealed_only() {
        let displaced = every_state().map(|mut slot| slot.lose("gone"));
        assert_eq!(displaced, [Some(Slot::Pending), Some(Slot::Sealed(held(1))), None, None, None]);
    }

    #[test]
    fn freeing_displaces_pending_and_sealed_only() {
        let displaced = every_state().map(|mut slot| slot.free());
        assert_eq!(displaced, [Some(Slot::Pending), Some(Slot::Sealed(held(1))), None, None, None]);
    }

    #[test]
    fn the_last_reference_takes_value_or_error_along_but_not_the_producers_place() {
        let displaced = every_state().map(|mut slot| slot.unreferenced());
        assert_eq!(
            displaced,
            [None, Some(Slot::Sealed(held(1))), Some(Slot::Failed("no")), None, None]
        );
    }
}
