//! Who still needs an object: handles held by somebody, and tasks submitted with it.
//!
//! `Arc::strong_count` would say how many pointers exist, not why; it also counts the producer, who writes
//! the object but does not need it, and waiting futures.
//! So the two kinds of need are counted apart, in the halves of one word: one atomic addition changes either,
//! and "both are zero" is seen by exactly one releaser.
//!
//! Invariants:
//! 1. Counts start at one local reference.
//! 2. Exactly one [`Counts::release`] returns [`Release::Last`], and after it nothing revives the object:
//!    [`Counts::try_retain`] refuses.
//!
//! Pure: no clock, no I/O, no tasks.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// How many references need an object, as the owner's table sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RefCounts {
    /// Living [`ObjectRef`](crate::ObjectRef)s, those inside other objects included.
    pub local: u32,
    /// Arguments of tasks that are submitted and have not ended.
    pub submitted: u32,
}

/// Why something holds on to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    Local,
    Submitted,
}

/// What a release left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "after the last release the value must go"]
pub(crate) enum Release {
    Alive,
    Last,
}

/// The two counts of one object.
#[derive(Debug)]
pub(crate) struct Counts(AtomicU64);

const SUBMITTED_SHIFT: u32 = 32;

const fn unit(need: Need) -> u64 {
    match need {
        Need::Local => 1,
        Need::Submitted => 1 << SUBMITTED_SHIFT,
    }
}

impl Counts {
    /// One local reference: the one handed to whoever made the object.
    pub(crate) const fn one_local() -> Self {
        Self(AtomicU64::new(unit(Need::Local)))
    }

    pub(crate) fn read(&self) -> RefCounts {
        let word = self.0.load(Ordering::Acquire);
        RefCounts { local: word as u32, submitted: (word >> SUBMITTED_SHIFT) as u32 }
    }

    pub(crate) fn is_unreferenced(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }

    /// One more need; the caller holds a reference already, so the counts cannot be zero.
    pub(crate) fn retain(&self, need: Need) {
        let before = self.0.fetch_add(unit(need), Ordering::Relaxed);
        debug_assert!(before != 0, "retained an object nobody referenced");
    }

    /// One more need for an object found by name; false if its last reference is already gone.
    pub(crate) fn try_retain(&self, need: Need) -> bool {
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
                (word != 0).then(|| word + unit(need))
            })
            .is_ok()
    }

    /// One need less.
    pub(crate) fn release(&self, need: Need) -> Release {
        let before = self.0.fetch_sub(unit(need), Ordering::AcqRel);
        debug_assert!(before >= unit(need), "released an object more often than retained");
        if before == unit(need) { Release::Last } else { Release::Alive }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_dead_object_is_not_revived() {
        let counts = Counts::one_local();
        assert!(counts.try_retain(Need::Submitted));
        assert_eq!(counts.release(Need::Local), Release::Alive);
        assert_eq!(counts.release(Need::Submitted), Release::Last);
        assert!(counts.is_unreferenced());
        assert!(!counts.try_retain(Need::Local));
        assert_eq!(counts.read(), RefCounts::default());
    }

    proptest! {
        #[test]
        fn counts_agree_with_two_plain_numbers(history in prop::collection::vec((any::<bool>(), any::<bool>()), 0..200)) {
            let counts = Counts::one_local();
            let mut naive = [1u32, 0];
            for (retain, local) in history {
                let (need, place) = if local { (Need::Local, 0) } else { (Need::Submitted, 1) };
                let alive = naive != [0, 0];
                if retain {
                    prop_assert_eq!(counts.try_retain(need), alive);
                    naive[place] += u32::from(alive);
                } else if naive[place] > 0 {
                    naive[place] -= 1;
                    let last = naive == [0, 0];
                    prop_assert_eq!(counts.release(need) == Release::Last, last);
                }
                prop_assert_eq!(counts.read(), RefCounts { local: naive[0], submitted: naive[1] });
            }
        }
    }
}
