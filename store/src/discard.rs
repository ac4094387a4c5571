//! Letting go of values, however deep.
//!
//! A value may hold references to objects whose values hold references, to any depth. Dropping the outermost
//! drops the next inside its drop, and so on: a list of a hundred thousand objects would exhaust the stack.
//! So the first drop on a thread opens a queue, and values met while it works are queued instead of dropped
//! in place.
//!
//! Invariant: no value is dropped while a lock of the store is held.

use std::{any::Any, cell::RefCell, sync::Arc};

/// A value of any type, as objects hold it.
pub(crate) type AnyValue = Arc<dyn Any + Send + Sync>;

thread_local! {
    /// Values to drop after the one that is being dropped on this thread; `None` while none is.
    static QUEUE: RefCell<Option<Vec<AnyValue>>> = const { RefCell::new(None) };
}

/// Drops `value`, now or, if this thread is in the middle of dropping another, right after that.
pub(crate) fn discard(value: AnyValue) {
    // A thread that is ending has no queue any more; there the value drops in place.
    let mine = QUEUE.try_with(|queue| match &mut *queue.borrow_mut() {
        Some(queue) => {
            queue.push(Arc::clone(&value));
            false
        }
        empty => {
            *empty = Some(Vec::new());
            true
        }
    });
    drop(value);
    if mine == Ok(true) {
        let _close = Close;
        while let Ok(Some(next)) = QUEUE.try_with(|queue| queue.borrow_mut().as_mut()?.pop()) {
            drop(next);
        }
    }
}

/// Closes the queue even if a drop panicked; what is left in it drops in place.
struct Close;

impl Drop for Close {
    fn drop(&mut self) {
        let _left = QUEUE.try_with(|queue| queue.borrow_mut().take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Link(Option<AnyValue>);

    impl Drop for Link {
        fn drop(&mut self) {
            if let Some(next) = self.0.take() {
                discard(next);
            }
        }
    }

    #[test]
    fn a_very_long_chain_drops_without_recursion() {
        let mut chain: AnyValue = Arc::new(Link(None));
        for _ in 0..1_000_000 {
            chain = Arc::new(Link(Some(chain)));
        }
        discard(chain);
        assert!(QUEUE.with(|queue| queue.borrow().is_none()));
    }
}
