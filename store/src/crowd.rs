//! Registration of one waiting future with many objects.
//!
//! Invariant: when the crowd is dropped, no object that is still pending remembers it.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use crate::{board::Board, entry::Entry, waiters::WaiterKey};

/// One [`Board`] and its places at the objects it waits for.
pub(crate) struct Crowd {
    board: Arc<Board>,
    places: Vec<(Arc<Entry>, WaiterKey)>,
}

impl Crowd {
    /// Waits until `missing` of `entries` are ready, or until one of them failed if `failure_ends`. Those that
    /// are ready already count.
    pub(crate) fn gather<'a>(
        entries: impl Iterator<Item = &'a Arc<Entry>>,
        missing: usize,
        failure_ends: bool,
    ) -> Self {
        let board = Arc::new(Board::new(missing, failure_ends));
        let places = entries
            .filter_map(|entry| Some((Arc::clone(entry), entry.register(&board)?)))
            .collect();
        Self { board, places }
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.board.is_complete()
    }

    pub(crate) fn poll_complete(&self, cx: &Context<'_>) -> Poll<()> {
        self.board.poll_complete(cx.waker())
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for (entry, key) in self.places.drain(..) {
            if !entry.is_ready() {
                entry.forget(key);
            }
        }
    }
}
