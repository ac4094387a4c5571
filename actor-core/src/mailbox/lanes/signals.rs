//! The signals that wait, in order.
//!
//! Most actors hear one in their life, at its end, and a hundred thousand that are told to stop have it waiting all at
//! once: a box for each would be memory that nobody had before. So a commonplace signal that waits alone is kept as a
//! code of one byte ([`Brief`]), beside the mailbox's other small fields, and only others cost a box.
//!
//! Pure: no clock, no I/O, no tasks.

use std::collections::VecDeque;

/// A signal, and whether it ends the running handler.
pub(crate) struct Signalled<S> {
    pub(crate) signal: S,
    pub(crate) aborts: bool,
}

/// A signal that may be said in one byte.
pub(crate) trait Brief: Sized {
    /// The byte.
    type Code: Copy;

    /// The code of a commonplace signal; any other is handed back.
    fn shorten(signalled: Signalled<Self>) -> Result<Self::Code, Signalled<Self>>;

    /// What was shortened.
    fn lengthen(code: Self::Code) -> Signalled<Self>;
}

struct Waiting<S> {
    first: Signalled<S>,
    rest: VecDeque<Signalled<S>>,
}

/// Signals in order: the one with a code before the others.
pub(crate) struct Signals<S>(Option<Box<Waiting<S>>>);

impl<S: Brief> Signals<S> {
    pub(crate) const fn new() -> Self {
        Self(None)
    }

    pub(crate) const fn is_empty(&self, first: Option<S::Code>) -> bool {
        first.is_none() && self.0.is_none()
    }

    pub(crate) fn push(&mut self, first: &mut Option<S::Code>, signalled: Signalled<S>) {
        let signalled = if self.is_empty(*first) {
            match S::shorten(signalled) {
                Ok(code) => return *first = Some(code),
                Err(signalled) => signalled,
            }
        } else {
            signalled
        };
        match &mut self.0 {
            Some(waiting) => waiting.rest.push_back(signalled),
            None => self.0 = Some(Box::new(Waiting { first: signalled, rest: VecDeque::new() })),
        }
    }

    pub(crate) fn pop(&mut self, first: &mut Option<S::Code>) -> Option<Signalled<S>> {
        if let Some(code) = first.take() {
            return Some(S::lengthen(code));
        }
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
