//! Who is cancelled with whom: each task knows whether it is cancelled, and which tasks it started.
//!
//! Marking the tree downwards alone has a hole: a child submitted by a body that has not yet noticed
//! its own cancellation would escape. So adopting a child and being cancelled are ordered by one lock:
//! a child comes too early and is found by the walk, or too late and is refused.
//!
//! Children are held weakly: a tree never keeps a finished task alive.
//!
//! Pure: no clock, no I/O, no tasks.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicBool, Ordering},
};

use parking_lot::Mutex;

/// The place of one task in the tree; `T` is the task.
#[derive(Debug)]
pub(crate) struct CancelNode<T> {
    is_cancelled: AtomicBool,
    children: Mutex<Children<T>>,
}

#[derive(Debug)]
struct Children<T> {
    list: Vec<Weak<T>>,
    /// The list is swept when it has grown to this length.
    sweep_at: usize,
    /// Whether a cancellation that includes children has passed.
    is_closed: bool,
}

impl<T> CancelNode<T> {
    pub(crate) const fn new() -> Self {
        Self {
            is_cancelled: AtomicBool::new(false),
            children: Mutex::new(Children { list: Vec::new(), sweep_at: 16, is_closed: false }),
        }
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Acquire)
    }

    /// Takes a child in; `false` when this task was cancelled with its children, so that the child must
    /// not run either.
    #[must_use]
    pub(crate) fn adopt(&self, child: &Arc<T>) -> bool {
        let mut children = self.children.lock();
        if children.is_closed {
            return false;
        }
        if children.list.len() >= children.sweep_at {
            children.list.retain(|child| child.strong_count() > 0);
            children.sweep_at = (children.list.len() * 2).max(16);
        }
        children.list.push(Arc::downgrade(child));
        true
    }

    /// Marks this task; hands out the children that are to be cancelled too.
    #[must_use]
    pub(crate) fn cancel(&self, recursive: bool) -> Vec<Arc<T>> {
        self.is_cancelled.store(true, Ordering::Release);
        if !recursive {
            return Vec::new();
        }
        let mut children = self.children.lock();
        children.is_closed = true;
        std::mem::take(&mut children.list).iter().filter_map(Weak::upgrade).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_are_handed_out_once_and_late_ones_refused() {
        let node = CancelNode::new();
        let (alive, gone) = (Arc::new(1), Arc::new(2));
        assert!(node.adopt(&alive) && node.adopt(&gone));
        drop(gone);
        assert!(!node.is_cancelled());
        assert_eq!(node.cancel(true), [Arc::clone(&alive)]);
        assert!(node.is_cancelled());
        assert!(!node.adopt(&alive));
        assert_eq!(node.cancel(true), []);
    }

    #[test]
    fn a_cancellation_without_children_leaves_them_and_later_ones_alone() {
        let node = CancelNode::new();
        let child = Arc::new(1);
        assert!(node.adopt(&child));
        assert_eq!(node.cancel(false), []);
        assert!(node.is_cancelled() && node.adopt(&child));
    }

    #[test]
    fn finished_children_are_forgotten() {
        let node = CancelNode::new();
        for _ in 0..10_000 {
            assert!(node.adopt(&Arc::new(())));
        }
        assert!(node.children.lock().list.len() <= 16);
    }
}
