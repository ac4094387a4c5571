//! A future's use of one board, for as long as it waits.
//!
//! Invariant: every object of the list that is pending has the crowd's board; dropping the crowd leaves the board
//! behind, idle.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use crate::{
    board::Board,
    entry::{Reach, Readiness},
    object_ref::ObjectRef,
};

/// A busy [`Board`].
pub(crate) struct Crowd {
    board: Arc<Board>,
    reach: Reach,
}

impl Crowd {
    /// Takes over the board that the pending objects of `list` have from the last time, or brings a new one.
    pub(crate) fn gather<T>(list: &[ObjectRef<T>], reach: Reach) -> Self {
        let entries = || {
            let entries = list.iter().map(|object| object.hold().entry());
            entries.filter(|entry| !entry.is_ready())
        };
        if let Some(board) = entries().next().and_then(|entry| entry.idle_board(reach)) {
            let old = Self { board, reach };
            if entries().all(|entry| entry.has_board(&old.board)) {
                return old;
            }
        }
        let new = Self { board: Arc::new(Board::new()), reach };
        entries().for_each(|entry| entry.register(&new.board, reach));
        new
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.board.is_complete()
    }

    /// Ready when it is time to look at `list` again: `wanted` of it may be ready, or one of it may have failed
    /// if `failure_ends`.
    pub(crate) fn poll<T>(
        &self,
        list: &[ObjectRef<T>],
        wanted: usize,
        failure_ends: bool,
        cx: &Context<'_>,
    ) -> Poll<()> {
        // Incomplete means armed: only the waker is new.
        if self.board.poll_complete(cx.waker()).is_pending() {
            return Poll::Pending;
        }
        let arrivals = self.board.arrivals(failure_ends);
        let mut ready_count = 0;
        let readiness = |object: &ObjectRef<T>| object.hold().entry().readiness_at(self.reach);
        for readiness in list.iter().filter_map(readiness) {
            if failure_ends && Readiness::failed(readiness) {
                return Poll::Ready(());
            }
            ready_count += 1;
        }
        if ready_count >= wanted {
            return Poll::Ready(());
        }
        self.board.arm(arrivals, (wanted - ready_count) as u64);
        self.board.poll_complete(cx.waker())
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.board.release();
    }
}
