//! Who still needs an object: handles held by somebody here, tasks submitted with it, and other nodes.
//!
//! `Arc::strong_count` would say how many pointers exist, not why; it also counts the producer, who writes
//! the object but does not need it, and waiting futures.
//! So the kinds of need are counted apart, in parts of one word: one atomic addition changes either count,
//! and "all are zero" is seen by exactly one releaser. What other nodes need has one bit of the word, and its count
//! beside it: a reference that travels costs far more than a lock, and one that is copied must not pay for it.
//!
//! Invariants:
//! 1. Counts start at one local reference.
//! 2. Exactly one [`Counts::release`] returns [`Release::Last`], and after it nothing revives the object:
//!    [`Counts::try_retain`] refuses.
//! 3. While nobody holds the lock, the bit is set exactly while the count beside it is not zero.
//!
//! Pure: no clock, no I/O, no tasks.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use serde::Serialize;

/// How many need an object, as the node sees it that is asked. Each number is exact at the moment of asking.
///
/// On several nodes each counts its own: what a node holds and what it has submitted is in its own `local` and `submitted`
/// and in nobody else's. That others need the object at all, its keeper sees in `elsewhere`; how many references they
/// hold, only they know, since a message for each would flood the keeper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RefCounts {
    /// Living [`ObjectRef`](crate::ObjectRef)s on this node, those inside other objects of it and those in gets under way
    /// included. At most 2^32 - 1.
    pub local: u32,
    /// Arguments of tasks that were submitted on this node and have not ended, wherever they run; and, on a node that runs a
    /// task for another, its arguments until they are there. At most 2^31 - 1.
    pub submitted: u32,
    /// What keeps it for other nodes: on the node that keeps the object, one for all that need it; and on any node, what is
    /// on its way from there, about one for each message or value with a reference. Zero once nobody elsewhere needs it,
    /// every such message has arrived, and values with a reference in them have not been pulled for ten seconds.
    pub elsewhere: u32,
}

/// Why something holds on to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    Local,
    Submitted,
    Elsewhere,
}

/// What a release left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "after the last release the value must go"]
pub(crate) enum Release {
    Alive,
    Last,
}

/// The counts of one object.
#[derive(Debug)]
pub(crate) struct Counts {
    word: AtomicU64,
    elsewhere: Mutex<u32>,
}

const LOCAL: u64 = 1;
const SUBMITTED_SHIFT: u32 = 32;
const SUBMITTED: u64 = 1 << SUBMITTED_SHIFT;
const ELSEWHERE: u64 = 1 << 63;

impl Counts {
    /// One local reference: the one handed to whoever made the object.
    pub(crate) const fn one_local() -> Self {
        Self { word: AtomicU64::new(LOCAL), elsewhere: Mutex::new(0) }
    }

    pub(crate) fn read(&self) -> RefCounts {
        // Under the lock the bit and its count agree.
        let elsewhere = self.elsewhere.lock();
        let word = self.word.load(Ordering::Acquire);
        let submitted = ((word & !ELSEWHERE) >> SUBMITTED_SHIFT) as u32;
        RefCounts { local: word as u32, submitted, elsewhere: *elsewhere }
    }

    pub(crate) fn is_unreferenced(&self) -> bool {
        self.word.load(Ordering::Acquire) == 0
    }

    /// One more need; the caller holds a reference already, so the counts cannot be zero.
    pub(crate) fn retain(&self, need: Need) {
        let unit = match need {
            Need::Local => LOCAL,
            Need::Submitted => SUBMITTED,
            Need::Elsewhere => {
                let mut count = self.elsewhere.lock();
                *count += 1;
                if *count > 1 {
                    return;
                }
                ELSEWHERE
            }
        };
        let before = self.word.fetch_add(unit, Ordering::Relaxed);
        debug_assert!(before != 0, "retained an object nobody referenced");
    }

    /// One more need for an object found by name; false if its last reference is already gone.
    pub(crate) fn try_retain(&self, need: Need) -> bool {
        match need {
            Need::Local => self.try_add(LOCAL),
            Need::Submitted => self.try_add(SUBMITTED),
            Need::Elsewhere => {
                let mut count = self.elsewhere.lock();
                let is_alive = *count > 0 || self.try_add(ELSEWHERE);
                *count += u32::from(is_alive);
                is_alive
            }
        }
    }

    fn try_add(&self, unit: u64) -> bool {
        let add = |word: u64| (word != 0).then(|| word + unit);
        self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, add).is_ok()
    }

    /// One need less.
    pub(crate) fn release(&self, need: Need) -> Release {
        match need {
            Need::Local => self.subtract(LOCAL),
            Need::Submitted => self.subtract(SUBMITTED),
            Need::Elsewhere => {
                let mut count = self.elsewhere.lock();
                debug_assert!(*count > 0, "released an object more often than retained");
                *count -= 1;
                if *count == 0 { self.subtract(ELSEWHERE) } else { Release::Alive }
            }
        }
    }

    fn subtract(&self, unit: u64) -> Release {
        let before = self.word.fetch_sub(unit, Ordering::AcqRel);
        debug_assert!(before >= unit, "released an object more often than retained");
        if before == unit { Release::Last } else { Release::Alive }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NEEDS: [Need; 3] = [Need::Local, Need::Submitted, Need::Elsewhere];

    #[test]
    fn a_dead_object_is_not_revived() {
        let counts = Counts::one_local();
        assert!(counts.try_retain(Need::Submitted));
        assert!(counts.try_retain(Need::Elsewhere));
        assert_eq!(counts.release(Need::Local), Release::Alive);
        assert_eq!(counts.release(Need::Submitted), Release::Alive);
        assert_eq!(counts.release(Need::Elsewhere), Release::Last);
        assert!(counts.is_unreferenced());
        assert!(NEEDS.iter().all(|need| !counts.try_retain(*need)));
        assert_eq!(counts.read(), RefCounts::default());
    }

    proptest! {
        #[test]
        fn counts_agree_with_three_plain_numbers(history in prop::collection::vec((any::<bool>(), any::<bool>(), 0..3_usize), 0..200)) {
            let counts = Counts::one_local();
            let mut naive = [1u32, 0, 0];
            for (retain, is_sure, place) in history {
                let need = NEEDS[place];
                let alive = naive != [0, 0, 0];
                if retain && is_sure && alive {
                    counts.retain(need);
                    naive[place] += 1;
                } else if retain {
                    prop_assert_eq!(counts.try_retain(need), alive);
                    naive[place] += u32::from(alive);
                } else if naive[place] > 0 {
                    naive[place] -= 1;
                    let last = naive == [0, 0, 0];
                    prop_assert_eq!(counts.release(need) == Release::Last, last);
                }
                let [local, submitted, elsewhere] = naive;
                prop_assert_eq!(counts.read(), RefCounts { local, submitted, elsewhere });
                prop_assert_eq!(counts.is_unreferenced(), naive == [0, 0, 0]);
            }
        }
    }
}
