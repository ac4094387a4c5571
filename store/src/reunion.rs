//! Two stores that were apart and did not both notice.
//!
//! A store that calls another gone ends all that is between them: it borrows nothing of it any more, and counts nothing
//! of what it borrowed. If the other was only out of reach for one of the two, it knows nothing of that: it goes on
//! counting needs that are forgotten, or believes in a need that nobody counts. So whoever is told that a store it had
//! called gone is there after all asks it to go through everything again; each word that is then said is one that both
//! sides understand anyway. The request is repeated until it is answered.
//!
//! Pure: no clock, no I/O, no tasks.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    borrower::{REPEAT, REPEAT_MAX},
    effect::Effect,
    message::Message,
    object_id::StoreId,
    time::Time,
};

/// Requests that are not answered, each repeated as a borrower repeats its words.
#[derive(Debug, Default)]
pub(crate) struct Reunions(BTreeMap<StoreId, (Time, Duration)>);

impl Reunions {
    /// The store is there after all.
    pub(crate) fn begin(&mut self, store: StoreId, now: Time, out: &mut Vec<Effect>) {
        self.0.insert(store, (now + REPEAT, REPEAT));
        out.push(Effect::Send { to: store, message: Message::Reunite });
    }

    /// It has gone through everything, or is gone again.
    pub(crate) fn end(&mut self, store: StoreId) {
        self.0.remove(&store);
    }

    pub(crate) fn tick(&mut self, now: Time, out: &mut Vec<Effect>) {
        for (store, (at, pause)) in &mut self.0 {
            if *at <= now {
                *pause = (*pause * 2).min(REPEAT_MAX);
                *at = now + *pause;
                out.push(Effect::Send { to: *store, message: Message::Reunite });
            }
        }
    }

    pub(crate) fn next_wake(&self) -> Option<Time> {
        self.0.values().map(|(at, _)| *at).min()
    }
}
