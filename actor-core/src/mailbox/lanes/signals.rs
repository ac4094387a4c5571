//! The signals that wait, in order. Most actors hear one in their life, at its end, so one costs one small box, and an
//! actor that has none waiting one pointer.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::VecDeque;

/// A signal, and whether it ends the running handler.
pub(crate) struct Signalled<S> {
    pub(crate) signal: S,
    pub(crate) aborts: bool,
}

struct Waiting<S> {
    first: Signalled<S>,
    rest: VecDeque<Signalled<S>>,
}

/// Signals in order.
pub(crate) struct Signals<S>(Option<Box<Waiting<S>>>);

impl<S> Signals<S> {
    pub(crate) const fn new() -> Self {
        Self(None)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn push(&mut self, signalled: Signalled<S>) {
        match &mut self.0 {
            Some(waiting) => waiting.rest.push_back(signalled),
            None => self.0 = Some(Box::new(Waiting { first: signalled, rest: VecDeque::new() })),
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Signalled<S>> {
        let mut waiting = self.0.take()?;
        Some(match waiting.rest.pop_front() {
            Some(second) => {
                let first = std::mem::replace(&mut waiting.first, second);
                self.0 = Some(waiting);
                first
            }
            None => waiting.first,
        })
    }
}
