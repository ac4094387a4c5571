//! Waiting for what other stores do with an object: back it up, take it over.
//!
//! Both are told by messages that may be lost and are repeated; so whoever waits looks at what is known, and is woken
//! whenever something came that may have changed it.
//!
//! Invariant: a watch looks again after it has left its waker, so that nothing between is missed.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use super::{Exchange, ObjectId, StoreId};

/// So many may wait for one object; the longest waiting is woken in vain, and waits again.
const WATCHERS_MAX: usize = 64;

/// Who waits for which object.
#[derive(Default)]
pub(super) struct Watchers(BTreeMap<ObjectId, Vec<Waker>>);

impl Watchers {
    fn enter(&mut self, object: ObjectId, waker: &Waker) -> Option<Waker> {
        let wakers = self.0.entry(object).or_default();
        if wakers.iter().any(|known| known.will_wake(waker)) {
            return None;
        }
        let displaced = (wakers.len() >= WATCHERS_MAX).then(|| wakers.remove(0));
        wakers.push(waker.clone());
        displaced
    }

    #[must_use]
    pub(super) fn take(&mut self, object: ObjectId) -> Vec<Waker> {
        self.0.remove(&object).unwrap_or_default()
    }

    #[must_use]
    pub(super) fn take_all(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.0).into_values().flatten().collect()
    }
}

/// What is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// Another store has a copy and would take over, or there is no other store.
    BackedUp,
    /// That store keeps the object.
    HandedOver(StoreId),
}

/// Waits until it has come true (`true`) or cannot any more (`false`).
pub(crate) struct Watch {
    exchange: Arc<Exchange>,
    object: ObjectId,
    until: Until,
}

impl Watch {
    pub(crate) const fn new(exchange: Arc<Exchange>, object: ObjectId, until: Until) -> Self {
        Self { exchange, object, until }
    }

    fn look(&self) -> Option<bool> {
        let Self { exchange, object, until } = self;
        let has_others = !exchange.port.members().is_empty();
        let state = exchange.state.lock();
        let owner = &state.core.owner;
        match until {
            Until::BackedUp => {
                let backup = owner.backup(*object);
                let has_copy =
                    backup.is_some_and(|backup| owner.locations(*object).any(|at| at == backup));
                (has_copy || !has_others || !owner.knows(*object)).then_some(true)
            }
            Until::HandedOver(to) if owner.moved_to(*object) == Some(*to) => Some(true),
            Until::HandedOver(to) => (!owner.is_offered(*object, *to)).then_some(false),
        }
    }
}

impl Future for Watch {
    type Output = bool;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        if let Some(seen) = self.look() {
            return Poll::Ready(seen);
        }
        let displaced = self.exchange.state.lock().watchers.enter(self.object, cx.waker());
        if let Some(displaced) = displaced {
            displaced.wake();
        }
        match self.look() {
            Some(seen) => Poll::Ready(seen),
            None => Poll::Pending,
        }
    }
}
