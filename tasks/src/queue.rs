//! Tasks that have all their inputs and wait for resources, in the order in which they should run.
//!
//! One FIFO queue fails twice. A task at its head that needs a rare resource blocks everything
//! behind it; so tasks are kept apart by *shape* (what they demand), and only heads compete. And on
//! one CPU a thousand parents that each wait for a child would all start before the first child
//! does, each leaving a blocked thread behind; so the more deeply nested task goes first, and a
//! parent that blocks is followed by its own child, not by the next parent.
//!
//! Depth alone would let a task that submits its own successor, and so goes ever deeper, keep all
//! others waiting for ever. So after [`PATIENCE`] tasks that went before shallower ones, the oldest
//! of all depths has its turn.
//!
//! Invariant: within one shape and depth, first in is first out; a head is the deepest of its shape,
//! or the oldest when its patience is at an end.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::VecDeque;

/// Depths from here on share one lane: nothing sensible nests deeper, and it bounds the table, which
/// never shrinks (32 bytes a depth).
const DEPTH_MAX: usize = 4096;

/// How many of the last are looked at for one that is wanted: the rest is not worth the time under the lock.
const LASTS_MAX: usize = 64;

/// How often those in front may be passed over, by deeper ones or by ones that fit, before it is their turn.
pub(crate) const PATIENCE: u32 = 64;

/// Where a shape's head stands in the order: deeper first, then older.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rank {
    depth: usize,
    number: u64,
}

impl Rank {
    /// Whether this one should run before the other.
    pub(crate) fn goes_before(self, other: Self) -> bool {
        (self.depth, other.number) > (other.depth, self.number)
    }

    /// Whether this one has waited longer than the other.
    pub(crate) const fn is_older(self, other: Self) -> bool {
        self.number < other.number
    }
}

/// The ready tasks of one shape.
#[derive(Debug)]
pub(crate) struct ReadyQueue<T> {
    /// Those that room was held for: before all others, first in first out.
    expected: VecDeque<(u64, T)>,
    lanes: Vec<VecDeque<(u64, T)>>,
    /// No lane above this one holds anything.
    deepest: usize,
    len: usize,
    /// How many went before shallower ones since one of those last had its turn.
    passed_over: u32,
}

impl<T> Default for ReadyQueue<T> {
    fn default() -> Self {
        Self { expected: VecDeque::new(), lanes: Vec::new(), deepest: 0, len: 0, passed_over: 0 }
    }
}

impl<T> ReadyQueue<T> {
    /// Appends a task that was submitted from `depth` tasks deep; `number` grows with every push.
    pub(crate) fn push(&mut self, depth: u32, number: u64, task: T) {
        let depth = usize::try_from(depth).unwrap_or(DEPTH_MAX).min(DEPTH_MAX);
        if self.lanes.len() <= depth {
            self.lanes.resize_with(depth + 1, VecDeque::new);
        }
        if let Some(lane) = self.lanes.get_mut(depth) {
            lane.push_back((number, task));
            self.deepest = self.deepest.max(depth);
            self.len += 1;
        }
    }

    /// Appends a task that room was held for; it goes before all that nobody expected.
    pub(crate) fn push_expected(&mut self, number: u64, task: T) {
        self.expected.push_back((number, task));
        self.len += 1;
    }

    /// How many tasks wait here.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The next task and its rank.
    pub(crate) fn head(&mut self) -> Option<(Rank, &T)> {
        if !self.expected.is_empty() {
            let (number, task) = self.expected.front()?;
            return Some((Rank { depth: usize::MAX, number: *number }, task));
        }
        let depth = self.turn()?;
        let (number, task) = self.lanes.get(depth)?.front()?;
        Some((Rank { depth, number: *number }, task))
    }

    /// A task that would come last and that `is_wanted`: of the least nested ones, the newest. Looks at few.
    pub(crate) fn last(&self, is_wanted: impl Fn(&T) -> bool) -> Option<&T> {
        let lane = self.lanes.iter().find(|lane| !lane.is_empty())?;
        let mut lasts = lane.iter().rev().take(LASTS_MAX).map(|(_, task)| task);
        lasts.find(|task| is_wanted(task))
    }

    /// Takes such a task.
    pub(crate) fn pop_last(&mut self, is_wanted: impl Fn(&T) -> bool) -> Option<T> {
        let lane = self.lanes.iter_mut().find(|lane| !lane.is_empty())?;
        let mut lasts = (0..lane.len()).rev().take(LASTS_MAX);
        let index =
            lasts.find(|&index| lane.get(index).is_some_and(|(_, task)| is_wanted(task)))?;
        let (_, task) = lane.remove(index)?;
        self.len -= 1;
        Some(task)
    }

    /// Takes the next task.
    pub(crate) fn pop(&mut self) -> Option<T> {
        if let Some((_, task)) = self.expected.pop_front() {
            self.len -= 1;
            return Some(task);
        }
        let depth = self.turn()?;
        let lane = self.lanes.get_mut(depth)?;
        let (_, task) = lane.pop_front()?;
        self.len -= 1;
        let others_wait = self.len > self.expected.len() + lane.len();
        let is_their_turn = self.passed_over >= PATIENCE;
        self.passed_over = if others_wait && !is_their_turn { self.passed_over + 1 } else { 0 };
        Some(task)
    }

    /// Takes out every task for which `keep` does not hold.
    pub(crate) fn sweep(&mut self, keep: &impl Fn(&T) -> bool) -> Vec<T> {
        let mut swept = Vec::new();
        for lane in std::iter::once(&mut self.expected).chain(&mut self.lanes) {
            for (number, task) in std::mem::take(lane) {
                if keep(&task) {
                    lane.push_back((number, task));
                } else {
                    swept.push(task);
                }
            }
        }
        self.len -= swept.len();
        swept
    }

    /// The lane whose head is next: the deepest, or the one with the oldest head if it is that one's turn.
    fn turn(&mut self) -> Option<usize> {
        let deepest = self.settle()?;
        if self.passed_over < PATIENCE {
            return Some(deepest);
        }
        let heads = self.lanes.iter().take(deepest + 1).enumerate();
        let ages = heads.filter_map(|(depth, lane)| Some((lane.front()?.0, depth)));
        ages.min().map(|(_, depth)| depth)
    }

    /// Lowers `deepest` to the deepest lane that holds something.
    fn settle(&mut self) -> Option<usize> {
        if self.len == self.expected.len() {
            return None;
        }
        while self.lanes.get(self.deepest).is_none_or(VecDeque::is_empty) {
            self.deepest = self.deepest.checked_sub(1)?;
        }
        Some(self.deepest)
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

    use super::*;

    fn drain<T>(queue: &mut ReadyQueue<T>) -> Vec<T> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn deeper_first_then_first_in_first_out() {
        let mut queue = ReadyQueue::default();
        for (number, (depth, name)) in
            [(0, "f1"), (0, "f2"), (1, "g1"), (2, "h"), (1, "g2")].into_iter().enumerate()
        {
            queue.push(depth, number as u64, name);
        }
        let swept = queue.sweep(&|task| *task != "g1" && *task != "f2");
        assert_eq!(swept, ["f2", "g1"]);
        assert_eq!(drain(&mut queue), ["h", "g2", "f1"]);
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn who_is_expected_goes_first_and_who_is_wanted_elsewhere_comes_from_behind() {
        let mut queue = ReadyQueue::default();
        for (number, name) in ["a", "b", "c"].into_iter().enumerate() {
            queue.push(0, number as u64, name);
        }
        queue.push_expected(3, "x");
        queue.push_expected(4, "y");
        assert_eq!(queue.last(|task| *task != "c"), Some(&"b"));
        assert_eq!(queue.pop_last(|task| *task != "c"), Some("b"));
        assert_eq!(queue.pop_last(|task| *task == "x"), None, "expected here");
        assert_eq!(drain(&mut queue), ["x", "y", "a", "c"]);
    }

    #[test]
    fn absurd_depths_share_one_lane() {
        let mut queue = ReadyQueue::default();
        queue.push(u32::MAX, 0, 'a');
        queue.push(5000, 1, 'b');
        queue.push(3, 2, 'c');
        assert_eq!(drain(&mut queue), ['a', 'b', 'c']);
    }

    #[test]
    fn a_chain_that_goes_ever_deeper_lets_the_oldest_have_its_turn() {
        let mut queue = ReadyQueue::default();
        queue.push(0, 0, "first");
        queue.push(1, 1, "second");
        queue.push(2, 2, "chain");
        let mut order = Vec::new();
        for number in 3..200 {
            let next = queue.pop().unwrap();
            if next == "chain" {
                queue.push(u32::try_from(number).unwrap(), number, "chain");
            }
            order.push(next);
        }
        let at = |name| order.iter().position(|task| *task == name).unwrap();
        let patience = PATIENCE as usize;
        assert_eq!((at("first"), at("second")), (patience, 2 * patience + 1));
    }

    #[test]
    fn random_histories_agree_with_a_sorted_list() {
        for seed in 0..100 {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut queue = ReadyQueue::default();
            let mut model: Vec<(u32, u64)> = Vec::new();
            let mut passed_over = 0;
            for number in 0..300 {
                if rng.random_bool(0.6) {
                    let depth = rng.random_range(0..5);
                    queue.push(depth, number, (depth, number));
                    model.push((depth, number));
                } else {
                    model.sort_by_key(|&(depth, number)| (std::cmp::Reverse(depth), number));
                    if passed_over == PATIENCE {
                        model.sort_by_key(|&(_, number)| number);
                    }
                    let expected = (!model.is_empty()).then(|| model.remove(0));
                    if let Some((taken, _)) = expected {
                        let others = model.iter().any(|&(depth, _)| depth != taken);
                        let goes_on = others && passed_over < PATIENCE;
                        passed_over = if goes_on { passed_over + 1 } else { 0 };
                    }
                    assert_eq!(queue.head().map(|(_, task)| *task), expected);
                    assert_eq!(queue.pop(), expected, "seed {seed}");
                }
                assert_eq!(queue.len(), model.len());
            }
        }
    }
}
