//! Knowing that 100 000 actors are done without measuring the counter that tells it.
//!
//! One shared counter makes every handler write the same cache line, and on two workers that line
//! costs as much as the message. So members count down a leaf shared by a hundred neighbours, and
//! only the last of each hundred touches the root.
//!
//! Invariant: [`Gate::expect`] is called before the messages that count down are sent, and a
//! member arrives once for each expectation; then `wait` returns exactly once for each of them.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Members on one leaf.
const LEAF_SIZE: usize = 100;

/// A counter that tells its parent, or its waiter, when it reaches zero.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Latch {
    remaining: AtomicUsize,
    parent: Option<Arc<Self>>,
    opened: Notify,
}

impl Latch {
    /// Counts one member as done.
    pub(crate) fn arrive(&self) {
        // Counting below zero wraps and never reads 1 again: actors torn down with their
        // executor arrive unexpectedly and must not open anything.
        if self.remaining.fetch_sub(1, Ordering::AcqRel) == 1 {
            match &self.parent {
                Some(parent) => parent.arrive(),
                None => self.opened.notify_one(),
            }
        }
    }

    fn expect(&self, count: usize) {
        self.remaining.store(count, Ordering::Release);
    }
}

/// The two-level tree of latches over a row of members.
#[derive(Debug)]
pub(crate) struct Gate {
    root: Arc<Latch>,
    leaves: Vec<Arc<Latch>>,
    members: usize,
}

impl Gate {
    /// A gate over `members` members, expecting nobody yet.
    pub(crate) fn new(members: usize) -> Self {
        let root = Arc::new(Latch::default());
        let leaves = (0..members.div_ceil(LEAF_SIZE))
            .map(|_| Arc::new(Latch { parent: Some(Arc::clone(&root)), ..Latch::default() }))
            .collect();
        Self { root, leaves, members }
    }

    /// The latch that member `index` counts down.
    pub(crate) fn leaf(&self, index: usize) -> Arc<Latch> {
        Arc::clone(&self.leaves[index / LEAF_SIZE])
    }

    /// Expects every member once.
    pub(crate) fn expect_all(&self) {
        self.expect(0..self.members);
    }

    /// Expects the members of `range` once each. The range starts at a multiple of the leaf size.
    pub(crate) fn expect(&self, range: Range<usize>) {
        debug_assert_eq!(range.start % LEAF_SIZE, 0, "a leaf is expected as a whole");
        let end = range.end.min(self.members);
        let first = range.start / LEAF_SIZE;
        let last = end.div_ceil(LEAF_SIZE);
        self.root.expect(last - first);
        for leaf in first..last {
            let size = (end - leaf * LEAF_SIZE).min(LEAF_SIZE);
            self.leaves[leaf].expect(size);
        }
    }

    /// Expects a single arrival, at the leaf of the first hundred.
    pub(crate) fn expect_one(&self) {
        self.root.expect(1);
        for leaf in &self.leaves {
            leaf.expect(1);
        }
    }

    /// Waits until everybody expected has arrived.
    pub(crate) async fn wait(&self) {
        self.root.opened.notified().await;
    }
}

/// Arrives when the actor that holds it is dropped: the one sign of an end that every framework
/// gives alike.
#[derive(Debug)]
pub(crate) struct Presence(pub(crate) Arc<Latch>);

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.arrive();
    }
}
