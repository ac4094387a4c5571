//! Registration of one waiting future with many objects.
//!
//! The owner of the crowd keeps the objects; the crowd knows them by their place in the owner's list, so that
//! joining and leaving touch no counts.
//!
//! Invariant: an owner calls [`Crowd::leave`] before its list changes or goes, and then no object that is still
//! pending remembers the crowd.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use crate::{board::Board, object_ref::ObjectRef, waiters::WaiterKey};

/// One [`Board`] and its places at the objects it waits for.
pub(crate) struct Crowd {
    board: Arc<Board>,
    /// Places in the owner's list, and what to withdraw there.
    keys: Vec<(usize, WaiterKey)>,
}

impl Crowd {
    /// Waits until `missing` of `list` are ready, or until one of them failed if `failure_ends`. Those that are
    /// ready already count.
    pub(crate) fn gather<T>(list: &[ObjectRef<T>], missing: usize, failure_ends: bool) -> Self {
        let board = Arc::new(Board::new(missing, failure_ends));
        let keys = list
            .iter()
            .enumerate()
            .filter_map(|(place, object)| Some((place, object.hold().entry().register(&board)?)))
            .collect();
        Self { board, keys }
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.board.is_complete()
    }

    pub(crate) fn poll_complete(&self, cx: &Context<'_>) -> Poll<()> {
        self.board.poll_complete(cx.waker())
    }

    /// Leaves the objects that are still pending; `list` is the one that was gathered from.
    pub(crate) fn leave<T>(self, list: &[ObjectRef<T>]) {
        for (place, key) in self.keys {
            if let Some(object) = list.get(place)
                && !object.is_ready()
            {
                object.hold().entry().forget(key);
            }
        }
    }
}
