//! Random histories of one mailbox against a naive model that does everything in one obvious place.
#![allow(
    dead_code,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::expect_used,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::new_without_default,
    clippy::unwrap_used,
    clippy::use_self,
    reason = "a test's actors are public for the macro's sake alone, and a test may fail by a panic"
)]

#[path = "../src/mailbox/lanes.rs"]
mod lanes;

mod sync {
    pub(crate) use parking_lot::Mutex;
    pub(crate) use std::sync::atomic::{AtomicU8, Ordering};
}

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Wake, Waker};

use lanes::{Admission, Brief, InLine, Lanes, Refused, Rule, Signalled, Taken};

/// Every third signal has a code, as a few of the real ones have.
impl Brief for u32 {
    type Code = (Self, bool);

    fn shorten(signalled: Signalled<Self>) -> Result<Self::Code, Signalled<Self>> {
        let Signalled { signal, aborts } = signalled;
        if signal % 3 == 0 { Ok((signal, aborts)) } else { Err(Signalled { signal, aborts }) }
    }

    fn lengthen((signal, aborts): Self::Code) -> Signalled<Self> {
        Signalled { signal, aborts }
    }
}

struct Deaf;

impl Wake for Deaf {
    fn wake(self: Arc<Self>) {}
}

/// A generator of one's own, so that a seed means the same history for ever.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// What a mailbox is, said plainly.
struct Naive {
    capacity: usize,
    rule: Rule,
    /// Admitted, not taken.
    queue: VecDeque<u32>,
    /// Taken, not given back.
    held: usize,
    /// In line: envelope, ticket, watched.
    line: VecDeque<(u32, u64, bool)>,
    signals: VecDeque<(u32, bool)>,
    sealed: bool,
    closed: bool,
}

impl Naive {
    fn counted(&self) -> usize {
        self.queue.len() + self.held
    }
    fn has_room(&self) -> bool {
        self.counted() < self.capacity && self.line.is_empty()
    }
    fn move_up(&mut self) {
        while !self.sealed && self.counted() < self.capacity {
            let Some((envelope, _, _)) = self.line.pop_front() else { return };
            self.queue.push_back(envelope);
        }
    }
    fn push(&mut self, envelope: u32) -> Result<Option<u32>, bool> {
        if self.sealed {
            return Err(true);
        }
        let displaced = match (self.has_room(), self.rule) {
            (true, _) => None,
            (false, Rule::Displace) => self.queue.pop_front(),
            (false, Rule::Wait | Rule::Reject) => return Err(false),
        };
        self.queue.push_back(envelope);
        Ok(displaced)
    }
}

#[expect(clippy::too_many_lines, reason = "one table of moves, each with its check")]
fn history(seed: u64, steps: u32) {
    let mut random = Random(seed);
    let rule = [Rule::Wait, Rule::Wait, Rule::Reject, Rule::Displace]
        [usize::try_from(random.below(4)).unwrap()];
    let capacity = u32::try_from(1 + random.below(5)).unwrap();
    let real: Lanes<u32, u32> = Lanes::new(capacity, rule);
    let mut naive = Naive {
        capacity: usize::try_from(capacity).unwrap(),
        rule,
        queue: VecDeque::new(),
        held: 0,
        line: VecDeque::new(),
        signals: VecDeque::new(),
        sealed: false,
        closed: false,
    };
    let waker = Waker::from(Arc::new(Deaf));
    for step in 0..steps {
        let context = format!("seed {seed}, step {step}, rule {rule:?}, capacity {capacity}");
        match random.below(100) {
            0..30 => match (real.push(step), naive.push(step)) {
                (Ok(real), Ok(naive)) => assert_eq!(real, naive, "{context}"),
                (Err(Refused::Full(back)), Err(false))
                | (Err(Refused::Closed(back)), Err(true)) => {
                    assert_eq!(back, step, "{context}");
                }
                (real, naive) => panic!("{context}: {real:?}, model {naive:?}"),
            },
            30..50 => {
                let watched = random.below(2) == 0;
                match real.push_or_wait(step, watched.then_some(&waker), 3) {
                    Admission::Admitted(displaced) => {
                        assert_eq!(naive.push(step), Ok(displaced), "{context}");
                    }
                    Admission::Refused(Refused::Closed(back)) => {
                        assert_eq!((back, naive.push(step)), (step, Err(true)), "{context}");
                    }
                    Admission::Refused(Refused::Full(back)) => {
                        assert_eq!((back, naive.push(step)), (step, Err(false)), "{context}");
                        assert!(
                            rule == Rule::Reject || (!watched && naive.line.len() >= 3),
                            "{context}"
                        );
                    }
                    Admission::Waiting(ticket) => {
                        assert_eq!(naive.push(step), Err(false), "{context}");
                        assert_eq!(rule, Rule::Wait, "{context}");
                        naive.line.push_back((step, ticket, watched));
                    }
                }
            }
            50..60 => {
                let place = random.below(4);
                let Some((envelope, ticket, watched)) =
                    naive.line.get(usize::try_from(place).unwrap()).copied()
                else {
                    continue;
                };
                let forget = |naive: &mut Naive| naive.line.retain(|place| place.1 != ticket);
                if watched && random.below(2) == 0 {
                    match real.poll_line(ticket, &waker) {
                        InLine::Waiting => assert!(!naive.sealed, "{context}"),
                        InLine::Closed(back) => {
                            assert!(naive.sealed && back == envelope, "{context}");
                            forget(&mut naive);
                        }
                        InLine::Admitted => panic!("{context}: it is in line"),
                    }
                } else {
                    assert_eq!(real.withdraw(ticket), Some(envelope), "{context}");
                    assert_eq!(real.withdraw(ticket), None, "{context}");
                    forget(&mut naive);
                }
            }
            60..80 => {
                let mut batch = VecDeque::new();
                if random.below(2) == 0 {
                    let mut back = 0;
                    if let Some(envelope) = real.take_only(&mut back) {
                        assert_eq!(Some(envelope), naive.queue.pop_front(), "{context}");
                        assert!(naive.queue.is_empty() && naive.line.is_empty(), "{context}");
                        assert!(naive.signals.is_empty() && !naive.sealed, "{context}");
                        assert!(rule != Rule::Displace && real.is_idle(), "{context}");
                    }
                    continue;
                }
                let back = random.below(u64::try_from(naive.held).unwrap() + 1);
                naive.held -= usize::try_from(back).unwrap();
                naive.move_up();
                let taken = real.take(&mut batch, u32::try_from(back).unwrap(), &waker);
                let expected = if !naive.signals.is_empty() {
                    Taken::Signal
                } else if !naive.queue.is_empty() {
                    Taken::Batch
                } else if naive.sealed {
                    Taken::Drained
                } else {
                    Taken::Idle
                };
                assert_eq!(taken, expected, "{context}");
                if taken == Taken::Batch {
                    let count = if rule == Rule::Displace { 1 } else { naive.queue.len() };
                    let model: VecDeque<u32> = naive.queue.drain(..count).collect();
                    assert_eq!(batch, model, "{context}");
                    naive.held += if rule == Rule::Displace { 0 } else { count };
                }
            }
            80..86 if naive.held > 0 => {
                naive.held -= 1;
                naive.move_up();
                real.release(1);
            }
            86..93 => {
                let aborts = random.below(2) == 0;
                let back = real.signal(step, aborts);
                assert_eq!(back.is_some(), naive.closed, "{context}");
                if !naive.closed {
                    naive.signals.push_back((step, aborts));
                }
            }
            93..97 => assert_eq!(real.pop_signal(), naive.signals.pop_front(), "{context}"),
            97 if !naive.closed => {
                naive.sealed = true;
                assert_eq!(real.seal(), unwatched(&mut naive), "{context}");
            }
            98 if !naive.closed => {
                // A new generation: what is even stays, and what was taken last comes back.
                let front: VecDeque<u32> = (0..random.below(3))
                    .map(|count| 1_000_000 + step * 4 + u32::try_from(count).unwrap())
                    .collect();
                naive.sealed = false;
                naive.held = 0;
                let (kept, discarded): (Vec<u32>, Vec<u32>) =
                    naive.queue.drain(..).partition(|envelope| envelope % 2 == 0);
                naive.queue = front.iter().copied().chain(kept).collect();
                naive.move_up();
                assert_eq!(real.renew(front, |envelope| envelope % 2 == 0), discarded, "{context}");
            }
            99 if random.below(10) == 0 && !naive.closed => {
                naive.closed = true;
                naive.sealed = true;
                let mut expected: Vec<u32> = naive.queue.drain(..).collect();
                expected.extend(unwatched(&mut naive));
                assert_eq!(real.close(), expected, "{context}");
            }
            _ => {}
        }
        assert_eq!(real.is_signalled(), !naive.signals.is_empty(), "{context}");
        assert_eq!(real.is_aborted(), naive.signals.iter().any(|signal| signal.1), "{context}");
        if !naive.closed {
            assert_eq!(real.len(), naive.counted() + naive.line.len(), "{context}");
        }
    }
}

fn unwatched(naive: &mut Naive) -> Vec<u32> {
    let (watched, left): (Vec<_>, Vec<_>) = naive.line.drain(..).partition(|place| place.2);
    naive.line = watched.into();
    left.into_iter().map(|place| place.0).collect()
}

#[test]
fn random_histories_agree_with_the_naive_model() {
    for seed in 0..2_000 {
        history(seed, 400);
    }
}
