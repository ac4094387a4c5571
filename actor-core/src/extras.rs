//! What an actor has beside its state and mailbox, once it needs it: timers, streams, children, monitors,
//! callers that wait for arguments, handlers that run beside each other.
//!
//! All of these are *sources*: the run loop polls them in turn with the mailbox, one envelope at a time, so
//! that neither a flood of messages starves a timer nor a busy stream starves the messages.

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use futures_util::stream::{BoxStream, FuturesUnordered, SelectAll, StreamExt};
use tokio::time::{Instant, Sleep};

use crate::actor::{Actor, BoxFuture};
use crate::arg::DependencyFailed;
use crate::context::Ending;
use crate::drive::Watch;
use crate::ending::Settle;
use crate::envelope::BoxedEnvelope;
use crate::flight_recorder::FlightRecorder;
use crate::handle::ActorHandle;
use crate::id::{CallerId, MonitorRef};
use crate::signal::Signal;
use crate::timers::{Due, TimerKey, TimerTable};

type Ticker<A> = Box<dyn FnMut() -> BoxedEnvelope<A> + Send>;

pub(crate) struct Extras<A: Actor> {
    pub(crate) timers: TimerTable<BoxedEnvelope<A>>,
    tickers: HashMap<TimerKey, Ticker<A>>,
    alarm: Option<Pin<Box<Sleep>>>,
    pub(crate) streams: SelectAll<BoxStream<'static, BoxedEnvelope<A>>>,
    pub(crate) beside: FuturesUnordered<BoxFuture<'static, ()>>,
    /// Callers whose oldest message waits for its arguments, and what they sent after it.
    parked: HashMap<CallerId, VecDeque<Parked<A>>>,
    parked_count: usize,
    pub(crate) children: Vec<ActorHandle>,
    pub(crate) watching: HashMap<MonitorRef, ActorHandle>,
    pub(crate) traps_exits: bool,
    /// The end that a handler asked for.
    pub(crate) ending: Option<Ending>,
    pub(crate) held_reply: Option<Box<dyn Any + Send>>,
    /// The envelope whose handler runs and may be retried.
    pub(crate) retrying: Option<(BoxedEnvelope<A>, Option<Box<Watch>>)>,
    /// The envelope that a source gave and that is handled next.
    pub(crate) from_source: Option<BoxedEnvelope<A>>,
    pub(crate) recorder: Option<FlightRecorder>,
    /// The signal that a hook must heed next.
    pub(crate) to_heed: Option<Box<Signal>>,
    /// Replies that a crash dropped, for the end.
    pub(crate) orphans: Vec<Settle>,
    /// Which source is polled first, by turns.
    turn: u8,
}

impl<A: Actor> Default for Extras<A> {
    fn default() -> Self {
        Self {
            timers: TimerTable::new(),
            tickers: HashMap::new(),
            alarm: None,
            streams: SelectAll::new(),
            beside: FuturesUnordered::new(),
            parked: HashMap::new(),
            parked_count: 0,
            children: Vec::new(),
            watching: HashMap::new(),
            traps_exits: false,
            ending: None,
            held_reply: None,
            retrying: None,
            from_source: None,
            recorder: None,
            to_heed: None,
            orphans: Vec::new(),
            turn: 0,
        }
    }
}

/// An envelope whose turn has not come although it was taken.
struct Parked<A: Actor> {
    envelope: BoxedEnvelope<A>,
    /// Whether it still occupies its slot of the mailbox.
    holds_slot: bool,
}

/// What the sources gave.
pub(crate) enum FromSource<A: Actor> {
    /// An envelope to handle.
    Envelope(BoxedEnvelope<A>),
    /// An envelope that was parked, and whether it holds a slot of the mailbox.
    Parked(BoxedEnvelope<A>, bool),
    /// A parked envelope whose arguments cannot be made.
    Failed(BoxedEnvelope<A>, bool, DependencyFailed),
}

impl<A: Actor> Extras<A> {
    pub(crate) fn set_timer(&mut self, key: TimerKey, delay: Duration, give: BoxedEnvelope<A>) {
        self.tickers.remove(&key);
        self.timers.set(key, after(delay), None, Some(give));
    }

    pub(crate) fn set_ticker(&mut self, key: TimerKey, period: Duration, make: Ticker<A>) {
        self.timers.set(key.clone(), after(period), Some(period), None);
        self.tickers.insert(key, make);
    }

    pub(crate) fn cancel_timer(&mut self, key: &TimerKey) -> bool {
        self.tickers.remove(key);
        self.timers.cancel(key)
    }

    /// Whether a caller's earlier message waits, so that this one must, too.
    pub(crate) fn is_parked(&self, caller: CallerId) -> bool {
        !self.parked.is_empty() && self.parked.contains_key(&caller)
    }

    /// Parks an envelope. Up to `free` of them give their slots back, so that a caller who waits for an argument does
    /// not hold up the others; any more keep theirs, so that there is a bound. Returns whether it keeps its slot.
    pub(crate) fn park(&mut self, envelope: BoxedEnvelope<A>, free: usize) -> bool {
        let holds_slot = self.parked_count >= free;
        self.parked_count += 1;
        let line = self.parked.entry(envelope.meta().caller).or_default();
        line.push_back(Parked { envelope, holds_slot });
        holds_slot
    }

    /// Everything parked, caller by caller; for the end.
    pub(crate) fn unpark_all(&mut self) -> Vec<BoxedEnvelope<A>> {
        self.parked_count = 0;
        let parked = self.parked.drain().flat_map(|(_, line)| line);
        parked.map(|parked| parked.envelope).collect()
    }

    pub(crate) fn has_parked(&self) -> bool {
        !self.parked.is_empty()
    }

    /// One envelope of a source that is ready, by turns; registers with all of them otherwise. Nothing while
    /// `concurrency` handlers run beside each other, nothing new while `draining`. Panics in handlers
    /// that run beside come out of here.
    pub(crate) fn poll(
        &mut self,
        cx: &mut TaskContext<'_>,
        concurrency: usize,
        draining: bool,
    ) -> Option<FromSource<A>> {
        while let Poll::Ready(Some(())) = self.beside.poll_next_unpin(cx) {}
        if self.beside.len() >= concurrency {
            return None;
        }
        if draining {
            return self.poll_parked(cx);
        }
        for _ in 0..3 {
            self.turn = (self.turn + 1) % 3;
            let found = match self.turn {
                0 => self.poll_parked(cx),
                1 => self.poll_timers(cx),
                _ => match self.streams.poll_next_unpin(cx) {
                    Poll::Ready(Some(envelope)) => Some(FromSource::Envelope(envelope)),
                    Poll::Ready(None) | Poll::Pending => None,
                },
            };
            if found.is_some() {
                return found;
            }
        }
        None
    }

    fn poll_parked(&mut self, cx: &mut TaskContext<'_>) -> Option<FromSource<A>> {
        let mut open = None;
        for (caller, envelopes) in &mut self.parked {
            let Some(first) = envelopes.front_mut() else {
                continue;
            };
            if let Poll::Ready(result) = first.envelope.poll_gate(cx) {
                open = Some((*caller, result));
                break;
            }
        }
        let (caller, result) = open?;
        let envelopes = self.parked.get_mut(&caller)?;
        let Parked { envelope, holds_slot } = envelopes.pop_front()?;
        self.parked_count -= 1;
        if envelopes.is_empty() {
            self.parked.remove(&caller);
        }
        Some(match result {
            Ok(()) => FromSource::Parked(envelope, holds_slot),
            Err(error) => FromSource::Failed(envelope, holds_slot, error),
        })
    }

    fn poll_timers(&mut self, cx: &mut TaskContext<'_>) -> Option<FromSource<A>> {
        loop {
            let due = Instant::from_std(self.timers.next_due()?);
            let alarm = match &mut self.alarm {
                Some(alarm) => {
                    if alarm.deadline() != due {
                        alarm.as_mut().reset(due);
                    }
                    alarm
                }
                None => self.alarm.insert(Box::pin(tokio::time::sleep_until(due))),
            };
            if alarm.as_mut().poll(cx).is_pending() {
                return None;
            }
            match self.timers.pop_due(Instant::now().into_std()) {
                Some(Due::Once(envelope)) => return Some(FromSource::Envelope(envelope)),
                Some(Due::Again(key)) => {
                    if let Some(make) = self.tickers.get_mut(&key) {
                        return Some(FromSource::Envelope(make()));
                    }
                }
                None => {}
            }
        }
    }
}

/// When `delay` from now is; a delay beyond what the clock can tell is thirty years, as in tokio.
fn after(delay: Duration) -> std::time::Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 3600);
    let now = Instant::now();
    now.checked_add(delay).unwrap_or_else(|| now + FAR).into_std()
}
