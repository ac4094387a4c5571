//! The two lanes of a mailbox: messages, bounded, and signals, never delayed by them.
//!
//! The simple one wins: a short lock around a plain queue. The consumer swaps the whole queue out and
//! drains it without the lock, so a flood costs one lock a message for the senders and one a batch for
//! the actor. Bounding adds no second synchronisation: the bound is a count under the same lock.
//!
//! The law:
//! 1. `outstanding` counts envelopes admitted and not yet *released*. The consumer releases an envelope
//!    when its handler begins (a few at a time under load), so a bound of n means n waiting messages.
//! 2. Whoever finds no room waits in line with its envelope; room goes to the line in order, and nobody
//!    overtakes it. So order per sender holds across waiting, too.
//! 3. `Idle` is entered only under the lock, with both lanes empty and the consumer's waker stored; a push
//!    leaves `Idle` under the same lock and wakes. A signal wakes always, since the consumer may be
//!    waiting inside a handler. A consumer that takes the only envelope is idle at once: it need not look again.
//! 4. The consumer is a task, whose waker only schedules it: it is woken under the lock, by reference, since a copy
//!    of the waker would cost two more atomic operations than the wake itself.
//! 5. After `seal` or `close` nothing is admitted any more; an envelope in line is taken back by its sender.

use std::collections::VecDeque;
use std::task::Waker;

use crate::sync::{AtomicU8, Mutex, Ordering};

// The path is said because the loom test reads this file from elsewhere.
#[path = "lanes/guarded.rs"]
mod guarded;
#[path = "lanes/line.rs"]
mod line;
#[path = "lanes/outcome.rs"]
mod outcome;
#[path = "lanes/signals.rs"]
mod signals;

use guarded::{ABORTED, IDLE, Inner, Phase, Room, SIGNALLED};
use line::{Line, Waiting};
pub(crate) use outcome::{Admission, Batch, InLine, Refused, Rule, Taken};
use signals::Signals;
pub(crate) use signals::{Brief, Signalled};

/// A mailbox's two lanes; `E` is an envelope, `S` a signal.
pub(crate) struct Lanes<E, S: Brief> {
    flags: AtomicU8,
    inner: Mutex<Inner<E, S>>,
}

impl<E, S: Brief> Lanes<E, S> {
    pub(crate) fn new(capacity: u32, rule: Rule) -> Self {
        Self {
            flags: AtomicU8::new(0),
            inner: Mutex::new(Inner {
                queue: VecDeque::new(),
                consumer: None,
                signals: Signals::new(),
                first_signal: None,
                line: None,
                capacity: capacity.max(1),
                outstanding: 0,
                aborts: 0,
                rule,
                // Busy until the consumer first looks: the actor is scheduled when it is spawned.
                phase: Phase::Busy,
                is_closed: false,
            }),
        }
    }

    /// Takes `envelope` if there is room by the rule; returns the one it displaced.
    pub(crate) fn push(&self, envelope: E) -> Result<Option<E>, Refused<E>> {
        self.push_made(|| envelope)
    }

    /// The same, with an envelope that is made where it is to lie: one that is made before and then moved costs more than
    /// all the rest, since a processor waits for what it has just written in parts and reads as a whole.
    #[inline(always)]
    pub(crate) fn push_made(&self, make: impl FnOnce() -> E) -> Result<Option<E>, Refused<E>> {
        let mut inner = self.inner.lock();
        if inner.has_room() && inner.queue.len() < inner.queue.capacity() {
            // It need not grow, so nothing can unwind here: the envelope needs no place to be dropped from.
            inner.queue.push_back(make());
            self.admitted(&mut inner);
            return Ok(None);
        }
        drop(inner);
        self.push_at_length(make())
    }

    /// Full, closed, or room made meanwhile.
    #[cold]
    fn push_at_length(&self, envelope: E) -> Result<Option<E>, Refused<E>> {
        self.offer(&mut self.inner.lock(), envelope)
    }

    /// What becomes of an envelope that cannot wait.
    fn offer(&self, inner: &mut Inner<E, S>, envelope: E) -> Result<Option<E>, Refused<E>> {
        match inner.room() {
            Room::Yes => {
                self.admit(inner, envelope);
                Ok(None)
            }
            Room::Displace => {
                let displaced = inner.queue.pop_front();
                inner.outstanding -= u32::from(displaced.is_some());
                self.admit(inner, envelope);
                Ok(displaced)
            }
            Room::No => Err(Refused::Full(envelope)),
            Room::Closed => Err(Refused::Closed(envelope)),
        }
    }

    fn admit(&self, inner: &mut Inner<E, S>, envelope: E) {
        if inner.queue.capacity() == 0 {
            inner.first_buffer();
        }
        inner.queue.push_back(envelope);
        self.admitted(inner);
    }

    #[inline(always)]
    fn admitted(&self, inner: &mut Inner<E, S>) {
        inner.outstanding += 1;
        if inner.phase == Phase::Idle {
            self.rouse(inner);
        }
    }

    /// Ends idleness, if it is one, and wakes the consumer.
    #[inline]
    fn rouse(&self, inner: &mut Inner<E, S>) {
        if inner.phase == Phase::Idle {
            inner.phase = Phase::Busy;
        }
        self.flags.store(inner.flags(), Ordering::Release);
        if let Some(consumer) = &inner.consumer {
            consumer.wake_by_ref();
        }
    }

    /// Takes `envelope`, or puts it in line, to be admitted as soon as there is room.
    ///
    /// With a waker the place is watched: [`poll_line`](Self::poll_line) tells, [`withdraw`](Self::withdraw)
    /// takes it back. Without one the envelope is left in line, of which there may be `line_max` in all.
    pub(crate) fn push_or_wait(
        &self,
        envelope: E,
        waker: Option<&Waker>,
        line_max: usize,
    ) -> Admission<E> {
        let mut inner = self.inner.lock();
        let envelope = match self.offer(&mut inner, envelope) {
            Ok(displaced) => return Admission::Admitted(displaced),
            Err(Refused::Full(envelope)) if inner.rule == Rule::Wait => envelope,
            Err(refused) => return Admission::Refused(refused),
        };
        let line = inner.line.get_or_insert_with(|| Box::new(Line::new()));
        if waker.is_none() && line.waiting.len() >= line_max {
            return Admission::Refused(Refused::Full(envelope));
        }
        let ticket = line.next_ticket;
        line.next_ticket += 1;
        line.waiting.push_back(Waiting {
            ticket,
            envelope,
            watched: waker.is_some(),
            waker: waker.cloned(),
        });
        Admission::Waiting(ticket)
    }

    /// Whether the envelope under `ticket` got in; stores `waker` while it has not.
    pub(crate) fn poll_line(&self, ticket: u64, waker: &Waker) -> InLine<E> {
        let mut inner = self.inner.lock();
        let closed = inner.phase == Phase::Sealed;
        let Some(line) = &mut inner.line else {
            return InLine::Admitted;
        };
        let Ok(place) = line.waiting.binary_search_by_key(&ticket, |waiting| waiting.ticket) else {
            return InLine::Admitted;
        };
        if closed {
            return match line.waiting.remove(place) {
                Some(waiting) => InLine::Closed(waiting.envelope),
                None => InLine::Admitted,
            };
        }
        let watched = &mut line.waiting[place].waker;
        if !watched.as_ref().is_some_and(|stored| stored.will_wake(waker)) {
            *watched = Some(waker.clone());
        }
        InLine::Waiting
    }

    /// Takes the envelope under `ticket` out of the line; `None` if it got in before.
    pub(crate) fn withdraw(&self, ticket: u64) -> Option<E> {
        let mut inner = self.inner.lock();
        let line = inner.line.as_mut()?;
        let place = line.waiting.binary_search_by_key(&ticket, |waiting| waiting.ticket).ok()?;
        line.waiting.remove(place).map(|waiting| waiting.envelope)
    }

    /// Puts a signal on its lane; `abort` asks the consumer to drop the handler it is in.
    /// A lane that was closed hands it back.
    pub(crate) fn signal(&self, signal: S, abort: bool) -> Option<S> {
        let mut inner = self.inner.lock();
        if inner.is_closed {
            return Some(signal);
        }
        inner.push_signal(Signalled { signal, aborts: abort });
        inner.aborts += u32::from(abort);
        self.rouse(&mut inner);
        None
    }

    /// Whether a signal waits. One load: asked before each message.
    pub(crate) fn is_signalled(&self) -> bool {
        self.flags.load(Ordering::Acquire) & SIGNALLED != 0
    }

    /// Whether a signal waits that ends the running handler.
    pub(crate) fn is_aborted(&self) -> bool {
        self.flags.load(Ordering::Acquire) & ABORTED != 0
    }

    /// Whether nothing has come since the consumer went idle.
    pub(crate) fn is_idle(&self) -> bool {
        self.flags.load(Ordering::Acquire) & IDLE != 0
    }

    /// The next signal, and whether it aborts; a flag falls with the last signal that raised it.
    pub(crate) fn pop_signal(&self) -> Option<(S, bool)> {
        let mut inner = self.inner.lock();
        let Signalled { signal, aborts } = inner.pop_signal()?;
        inner.aborts -= u32::from(aborts);
        self.flags.store(inner.flags(), Ordering::Release);
        Some((signal, aborts))
    }

    /// Stores the consumer's waker without going idle: it waits inside a handler.
    pub(crate) fn register(&self, waker: &Waker) {
        self.inner.lock().store(waker);
    }

    /// Gives back `count` slots, to the line first.
    pub(crate) fn release(&self, count: u32) {
        let mut inner = self.inner.lock();
        let wakers = inner.release(count);
        drop(inner);
        wake_all(wakers);
    }

    /// Releases `count` slots and swaps the queue into `batch`, which must be empty; with nothing to
    /// take, stores `waker` and goes idle.
    pub(crate) fn take(&self, batch: &mut impl Batch<E>, count: u32, waker: &Waker) -> Taken {
        let mut inner = self.inner.lock();
        let wakers = inner.release(count);
        let taken = if inner.is_signalled() {
            Taken::Signal
        } else if inner.queue.is_empty() {
            if inner.phase == Phase::Sealed {
                Taken::Drained
            } else {
                inner.store(waker);
                self.rest(&mut inner);
                Taken::Idle
            }
        } else {
            match inner.rule {
                // What may still be displaced stays in the queue, and counts no longer once taken.
                Rule::Displace => {
                    batch.queue().extend(inner.queue.pop_front());
                    inner.outstanding -= 1;
                }
                Rule::Wait | Rule::Reject => std::mem::swap(&mut inner.queue, batch.queue()),
            }
            Taken::Batch
        };
        drop(inner);
        wake_all(wakers);
        taken
    }

    /// The envelope of a queue that holds one, and nothing else is to be heeded: for a consumer that was idle, and is
    /// idle again at once. Releases `count` slots and the envelope's own.
    #[inline]
    pub(crate) fn take_only(&self, count: &mut u32) -> Option<E> {
        let mut inner = self.inner.lock();
        let is_alone = inner.queue.len() == 1
            && !inner.is_signalled()
            && inner.line.as_ref().is_none_or(|line| line.waiting.is_empty())
            && inner.phase == Phase::Busy
            && inner.rule != Rule::Displace
            && inner.consumer.is_some();
        if !is_alone {
            return None;
        }
        inner.outstanding = inner.outstanding.saturating_sub(std::mem::take(count) + 1);
        self.rest(&mut inner);
        inner.queue.pop_front()
    }

    fn rest(&self, inner: &mut Inner<E, S>) {
        inner.phase = Phase::Idle;
        self.flags.store(inner.flags(), Ordering::Release);
    }

    /// How many messages may wait.
    pub(crate) fn capacity(&self) -> usize {
        usize::try_from(self.inner.lock().capacity).unwrap_or(usize::MAX)
    }

    /// The capacity, if slots of taken envelopes are given back by [`release`](Self::release).
    pub(crate) fn counted_capacity(&self) -> Option<u32> {
        let inner = self.inner.lock();
        (inner.rule != Rule::Displace).then_some(inner.capacity)
    }

    /// Takes nothing new; what waits can still be taken by the consumer.
    pub(crate) fn seal(&self) -> Vec<E> {
        let mut inner = self.inner.lock();
        inner.phase = Phase::Sealed;
        self.flags.store(inner.flags(), Ordering::Release);
        let (left, wakers) = inner.line.as_mut().map(|line| line.dissolve()).unwrap_or_default();
        drop(inner);
        wakers.into_iter().for_each(Waker::wake);
        left
    }

    /// Seals, and empties the queue; what was taken before is the consumer's.
    pub(crate) fn close(&self) -> Vec<E> {
        let mut left = Vec::new();
        {
            let mut inner = self.inner.lock();
            inner.consumer = None;
            inner.is_closed = true;
            left.extend(inner.queue.drain(..));
        }
        left.extend(self.seal());
        left
    }

    /// For a new generation: puts `front` at the head, keeps of the queue what `keep` says, and returns
    /// the rest. The line stays and moves up; a sealed mailbox takes messages again.
    pub(crate) fn renew(&self, front: VecDeque<E>, mut keep: impl FnMut(&E) -> bool) -> Vec<E> {
        let mut inner = self.inner.lock();
        let mut discarded = Vec::new();
        let mut kept = front;
        for envelope in std::mem::take(&mut inner.queue) {
            if keep(&envelope) {
                kept.push_back(envelope);
            } else {
                discarded.push(envelope);
            }
        }
        inner.queue = kept;
        inner.consumer = None;
        inner.outstanding = u32::try_from(inner.queue.len()).unwrap_or(u32::MAX);
        inner.phase = Phase::Busy;
        self.flags.store(inner.flags(), Ordering::Release);
        let wakers = inner.release(0);
        drop(inner);
        wake_all(wakers);
        discarded
    }

    /// Messages admitted whose handler has not begun, those in line included.
    pub(crate) fn len(&self) -> usize {
        let inner = self.inner.lock();
        let line = inner.line.as_ref().map_or(0, |line| line.waiting.len());
        usize::try_from(inner.outstanding).unwrap_or(usize::MAX) + line
    }
}

fn wake_all(wakers: Option<Vec<Waker>>) {
    if let Some(wakers) = wakers {
        wakers.into_iter().for_each(Waker::wake);
    }
}
