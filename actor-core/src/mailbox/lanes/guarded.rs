//! What the mailbox's lock guards, and what can be said of it while it is held.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::VecDeque;
use std::task::Waker;

use super::line::Line;
use super::outcome::Rule;
use super::signals::{Brief, Signalled, Signals};

pub(super) const SIGNALLED: u8 = 1;
pub(super) const ABORTED: u8 = 2;
pub(super) const IDLE: u8 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Idle,
    Busy,
    Sealed,
}

pub(super) struct Inner<E, S: Brief> {
    pub(super) queue: VecDeque<E>,
    pub(super) consumer: Option<Waker>,
    pub(super) signals: Signals<S>,
    /// The signal before those, if it is one of few words.
    pub(super) first_signal: Option<S::Code>,
    pub(super) line: Option<Box<Line<E>>>,
    pub(super) capacity: u32,
    pub(super) outstanding: u32,
    /// How many of the signals abort.
    pub(super) aborts: u32,
    pub(super) rule: Rule,
    pub(super) phase: Phase,
    /// Signals are not taken any more either.
    pub(super) is_closed: bool,
}

pub(super) enum Room {
    Yes,
    Displace,
    No,
    Closed,
}

impl<E, S: Brief> Inner<E, S> {
    pub(super) fn is_signalled(&self) -> bool {
        !self.signals.is_empty(self.first_signal)
    }

    pub(super) fn push_signal(&mut self, signalled: Signalled<S>) {
        self.signals.push(&mut self.first_signal, signalled);
    }

    pub(super) fn pop_signal(&mut self) -> Option<Signalled<S>> {
        self.signals.pop(&mut self.first_signal)
    }

    pub(super) fn flags(&self) -> u8 {
        let signalled = if self.is_signalled() { SIGNALLED } else { 0 };
        let aborted = if self.aborts == 0 { 0 } else { ABORTED };
        let idle = if self.phase == Phase::Idle { IDLE } else { 0 };
        signalled | aborted | idle
    }

    /// Room, and nobody stands in line for it.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.outstanding < self.capacity
            && self.line.as_ref().is_none_or(|line| line.waiting.is_empty())
            && self.phase != Phase::Sealed
    }

    /// Most of many actors never have two messages waiting.
    #[cold]
    pub(super) fn first_buffer(&mut self) {
        self.queue.reserve_exact(1);
    }

    pub(super) fn room(&self) -> Room {
        if self.phase == Phase::Sealed {
            Room::Closed
        } else if self.has_room() {
            Room::Yes
        } else if self.rule == Rule::Displace {
            Room::Displace
        } else {
            Room::No
        }
    }

    pub(super) fn store(&mut self, waker: &Waker) {
        if !self.consumer.as_ref().is_some_and(|stored| stored.will_wake(waker)) {
            self.consumer = Some(waker.clone());
        }
    }

    /// Gives back slots, and admits from the line while there is room. Whoever calls is the consumer, so
    /// it is not idle and needs no waking.
    #[inline]
    pub(super) fn release(&mut self, count: u32) -> Option<Vec<Waker>> {
        self.outstanding = self.outstanding.saturating_sub(count);
        if self.line.is_none() || self.phase == Phase::Sealed {
            return None;
        }
        Some(self.admit_line())
    }

    fn admit_line(&mut self) -> Vec<Waker> {
        let mut wakers = Vec::new();
        let Some(line) = &mut self.line else {
            return wakers;
        };
        while self.outstanding < self.capacity {
            let Some(waiting) = line.waiting.pop_front() else {
                break;
            };
            self.queue.push_back(waiting.envelope);
            self.outstanding += 1;
            wakers.extend(waiting.waker);
        }
        wakers
    }
}
