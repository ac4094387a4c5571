//! The line of those who found no room, in order of arrival.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::VecDeque;
use std::task::Waker;

pub(crate) struct Waiting<E> {
    pub(crate) ticket: u64,
    pub(crate) envelope: E,
    /// Whether a future watches this place, and takes the envelope back when the mailbox closes. Else the
    /// envelope was left in line by its sender.
    pub(crate) watched: bool,
    pub(crate) waker: Option<Waker>,
}

pub(crate) struct Line<E> {
    pub(crate) waiting: VecDeque<Waiting<E>>,
    pub(crate) next_ticket: u64,
}

impl<E> Line<E> {
    pub(crate) const fn new() -> Self {
        Self { waiting: VecDeque::new(), next_ticket: 0 }
    }

    /// Takes unwatched envelopes out of the line and wakes the watchers of the others.
    pub(crate) fn dissolve(&mut self) -> (Vec<E>, Vec<Waker>) {
        let (mut left, mut wakers) = (Vec::new(), Vec::new());
        for mut waiting in std::mem::take(&mut self.waiting) {
            if waiting.watched {
                wakers.extend(waiting.waker.take());
                self.waiting.push_back(waiting);
            } else {
                left.push(waiting.envelope);
            }
        }
        (left, wakers)
    }
}
