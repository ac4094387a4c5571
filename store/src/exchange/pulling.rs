//! Values that come to this store, in parts.
//!
//! A pull begins when its bytes fit in the budget, first come, first served with everybody else who waits for room;
//! so a pull into a full store waits and goes on by itself. It is for an entry here, or for a copy kept for others.

use std::{
    sync::{Arc, Weak},
    task::{Poll, Wake, Waker},
};

use super::{Copy, Desk, Exchange, GetError, LossReason, Message, ObjectId, State, StoreId, Todo};
use crate::{
    budget::Ticket,
    codec::Encoded,
    error::TaskError,
    exchange::serving::CopyValue,
    message::{Parcel, Pieces},
    table::Held,
    time::Time,
    transfer::{Fill, Pull, Request},
};

/// The encoding may be so many times longer than what the value is charged with: names of fields travel.
const ENCODING_MAX: u64 = 64;
/// And may always be so long.
const ENCODING_MIN: u64 = 1 << 20;

/// One value on its way here.
pub(super) struct Pulling {
    pull: Pull,
    buffer: Vec<u8>,
    parcels: Vec<(StoreId, Parcel)>,
    /// What the value is charged with.
    bytes: u64,
    room: Room,
    /// Who wait until there is room.
    sources: Vec<StoreId>,
    purpose: Purpose,
}

enum Room {
    /// Not asked for yet, or being asked for.
    Wanted,
    Queued(Ticket),
    Charged,
}

/// What a value is fetched for.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Entry,
    /// A copy for others.
    Copy {
        keeper: StoreId,
        /// It is to be kept here, and this is the term of the offer.
        adopted: Option<u64>,
    },
}

impl Pulling {
    pub(super) fn next_wake(&self) -> Option<Time> {
        self.pull.next_wake()
    }
}

/// Goes on with a pull when there is room.
struct Resume {
    exchange: Weak<Exchange>,
    object: ObjectId,
}

impl Wake for Resume {
    fn wake(self: Arc<Self>) {
        if let Some(exchange) = self.exchange.upgrade() {
            exchange.resume(self.object);
        }
    }
}

impl Exchange {
    /// Somebody here wants a value that may be elsewhere.
    pub(super) fn want(&self, object: ObjectId) {
        let copy = self.decide(|desk| {
            let State { core, rng, copies, .. } = &mut *desk.state;
            if let Some(copy) = copies.get(&object) {
                return Some(match &copy.value {
                    CopyValue::Typed(value, _) => (Some(Arc::clone(value)), None, copy.bytes),
                    CopyValue::Encoded(encoded) => (None, Some(encoded.clone()), copy.bytes),
                });
            }
            if core.keeps(object) {
                if core.owner.share(object).is_ok() {
                    let local = crate::owner::Local::Pending;
                    core.owner.want(self.me, object, local, (desk.now, rng), &mut desk.effects);
                }
            } else {
                core.borrower.want(object, desk.now, &mut desk.effects);
            }
            None
        });
        match copy {
            Some((Some(value), _, bytes)) => {
                if let Some(hold) = self.revive(object) {
                    // The same allocation; who frees it last is not known, so it is charged for both.
                    let contained = Box::default();
                    self.seal_typed(object, &hold, Held { value, bytes, contained });
                }
            }
            Some((_, Some(encoded), _)) => {
                self.seal_encoded(object, encoded.as_slice().to_vec(), Vec::new(), None);
            }
            _ => {}
        }
    }

    pub(super) fn pull_for_entry(&self, object: ObjectId, bytes: u64, sources: Vec<StoreId>) {
        self.decide(|desk| self.begin(desk, object, (bytes, sources), Purpose::Entry));
    }

    /// Fetches a copy for others: `found` is its size, and who has it.
    pub(super) fn pull_for_others(
        &self,
        desk: &mut Desk<'_>,
        object: ObjectId,
        found: (u64, Vec<StoreId>),
        purpose: Purpose,
    ) {
        let (bytes, sources) = found;
        let sources = sources.into_iter().filter(|source| *source != self.me).collect();
        self.begin(desk, object, (bytes, sources), purpose);
    }

    fn begin(
        &self,
        desk: &mut Desk<'_>,
        object: ObjectId,
        (bytes, sources): (u64, Vec<StoreId>),
        purpose: Purpose,
    ) {
        if let Some(pulling) = desk.state.pulls.get_mut(&object) {
            if matches!(purpose, Purpose::Copy { .. }) {
                pulling.purpose = purpose;
            }
            if matches!(pulling.room, Room::Charged) {
                self.feed(desk, object, sources);
            } else {
                pulling.sources.extend(sources);
            }
            return;
        }
        desk.state.pulls.insert(
            object,
            Pulling {
                pull: Pull::new(),
                buffer: Vec::new(),
                parcels: Vec::new(),
                bytes,
                room: Room::Wanted,
                sources,
                purpose,
            },
        );
        desk.todo.push(Todo::Queue(object, bytes));
    }

    /// Asks for room, without the lock: who is given room is woken at once.
    pub(super) fn queue_pull(&self, object: ObjectId, bytes: u64) {
        let Some(home) = self.home.upgrade() else { return };
        let ledger = &home.ledger;
        if ledger.is_too_large(bytes) {
            let capacity_bytes = ledger.usage().capacity_bytes;
            let task = object.to_string().into();
            self.decide(|desk| desk.cancel_pull(object));
            if let Some(entry) = self.find(object) {
                entry.fail(TaskError::StoreFull { task, bytes, capacity_bytes });
            }
            return;
        }
        let ticket = ledger.queue(bytes);
        let is_wanted = self.decide(|desk| {
            let pulling = desk.state.pulls.get_mut(&object);
            let pulling = pulling.filter(|pulling| matches!(pulling.room, Room::Wanted));
            pulling.map(|pulling| pulling.room = Room::Queued(ticket)).is_some()
        });
        if !is_wanted {
            return ledger.withdraw(ticket);
        }
        let resume = Resume { exchange: Weak::clone(&self.this), object };
        if ledger.poll_admitted(ticket, &Waker::from(Arc::new(resume))) == Poll::Ready(()) {
            self.resume(object);
        }
    }

    fn resume(&self, object: ObjectId) {
        let Some(home) = self.home.upgrade() else { return };
        self.decide(|desk| {
            let Some(pulling) = desk.state.pulls.get_mut(&object) else { return };
            let Room::Queued(ticket) = pulling.room else { return };
            if home.ledger.claim(ticket) {
                pulling.room = Room::Charged;
                let sources = std::mem::take(&mut pulling.sources);
                self.feed(desk, object, sources);
            }
        });
    }

    fn feed(&self, desk: &mut Desk<'_>, object: ObjectId, sources: Vec<StoreId>) {
        let State { pulls, rng, .. } = &mut *desk.state;
        if let Some(pulling) = pulls.get_mut(&object) {
            let mut out = Vec::new();
            pulling.pull.add_sources(sources, desk.now, rng, &mut out);
            if pulling.pull.is_stuck() {
                out.push(Request::Stuck);
            }
            self.request(desk, object, out);
        }
    }

    pub(super) fn chunk(
        &self,
        from: StoreId,
        object: ObjectId,
        (offset, total, bytes): (u64, u64, Pieces),
        parcel: Option<Parcel>,
    ) {
        let unwanted = self.decide(|desk| {
            let State { pulls, rng, .. } = &mut *desk.state;
            let Some(pulling) = pulls.get_mut(&object) else { return parcel };
            let longest = pulling.bytes.saturating_mul(ENCODING_MAX).max(ENCODING_MIN);
            let mut out = Vec::new();
            let part = (offset, bytes.len() as u64, total);
            let is_sane = total <= longest && usize::try_from(total).is_ok();
            let fill = if is_sane {
                pulling.pull.part(from, part, desk.now, rng, &mut out)
            } else {
                pulling.pull.give_up(from, desk.now, rng, &mut out);
                Fill::Ignore
            };
            let unwanted = match fill {
                Fill::Write => {
                    pulling.write(offset, total, bytes);
                    pulling.parcels.extend(parcel.map(|parcel| (from, parcel)));
                    None
                }
                Fill::Ignore => parcel,
            };
            self.request(desk, object, out);
            unwanted
        });
        if let Some(parcel) = unwanted {
            self.unwanted(from, parcel);
        }
    }

    pub(super) fn no_copy(&self, from: StoreId, object: ObjectId, text: Option<String>) {
        if let Some(text) = text {
            let reason = LossReason::Encode { text };
            self.decide(|desk| desk.cancel_pull(object));
            return self.act(Todo::Lose(object, GetError::Lost { object, reason }));
        }
        self.decide(|desk| self.source_down(desk, object, from));
    }

    pub(super) fn source_down(&self, desk: &mut Desk<'_>, object: ObjectId, source: StoreId) {
        let State { pulls, rng, .. } = &mut *desk.state;
        if let Some(pulling) = pulls.get_mut(&object) {
            let mut out = Vec::new();
            pulling.sources.retain(|waiting| *waiting != source);
            pulling.pull.give_up(source, desk.now, rng, &mut out);
            self.request(desk, object, out);
        }
    }

    pub(super) fn tick_pull(&self, desk: &mut Desk<'_>, object: ObjectId) {
        let State { pulls, rng, .. } = &mut *desk.state;
        if let Some(pulling) = pulls.get_mut(&object) {
            let mut out = Vec::new();
            pulling.pull.tick(desk.now, rng, &mut out);
            self.request(desk, object, out);
        }
    }

    fn request(&self, desk: &mut Desk<'_>, object: ObjectId, requests: Vec<Request>) {
        for request in requests {
            match request {
                Request::Part { source, offset, length } => {
                    let message = Message::Pull { object, offset, length };
                    desk.todo.push(Todo::Send(source, message));
                }
                Request::GivenUp { source } => {
                    let keeper = desk.state.core.borrower.keeper(object);
                    let to = keeper.map_or(self.me, |(keeper, _)| keeper);
                    let message = Message::Missing { object, source };
                    desk.todo.push(if to == self.me {
                        Todo::Hear(message)
                    } else {
                        Todo::Send(to, message)
                    });
                }
                Request::Stuck => self.stuck(desk, object),
                Request::Complete => desk.todo.push(Todo::Finish(object)),
            }
        }
    }

    /// No source is left: for an entry the keeper will name others; a copy for others is given up.
    fn stuck(&self, desk: &mut Desk<'_>, object: ObjectId) {
        let purpose = desk.state.pulls.get(&object).map(|pulling| pulling.purpose);
        match purpose {
            Some(Purpose::Copy { .. }) => {
                // One that was to be adopted is offered again: to say that it is kept here, without a copy, would lose it
                // if its old keeper is about to leave.
                desk.cancel_pull(object);
                if desk.state.core.borrower.holds(object) {
                    desk.state.core.borrower.want(object, desk.now, &mut desk.effects);
                }
            }
            Some(Purpose::Entry) if desk.state.core.borrower.holds(object) => {
                // In case the word to the keeper is lost.
                desk.state.core.borrower.want(object, desk.now, &mut desk.effects);
            }
            Some(Purpose::Entry) | None => {}
        }
    }

    /// Every part is here.
    pub(super) fn finish_pull(&self, object: ObjectId) {
        let Some(pulling) = self.decide(|desk| desk.state.pulls.remove(&object)) else { return };
        if let Some(home) = self.home.upgrade() {
            home.ledger.count_pull();
        }
        let Pulling { buffer, parcels, bytes, purpose, .. } = pulling;
        let Purpose::Copy { keeper, adopted } = purpose else {
            return self.seal_encoded(object, buffer, parcels, Some(bytes));
        };
        let inner = parcels.iter().flat_map(|(_, parcel)| &parcel.carried).copied();
        let inner: Vec<crate::message::Carried> = inner.collect();
        let Some(kept) = self.take_parcels(&parcels) else {
            return self.act(Todo::GiveBack(bytes));
        };
        let held: Vec<ObjectId> = inner.iter().map(|carried| carried.object).collect();
        self.decide(|desk| inner.iter().for_each(|carried| desk.hold_bare(*carried)));
        self.put_down(kept);
        let value = CopyValue::Encoded(Encoded::from(buffer));
        self.keep_copy(object, Copy { value, bytes, keeper, inner: held, told: 0 });
        self.decide(|desk| {
            if let Some(term) = adopted {
                self.confirm(desk, object, (keeper, term), bytes);
            } else {
                desk.todo
                    .push(Todo::Send(keeper, Message::Located { object, bytes, hosted: true }));
            }
        });
        // Somebody here may have waited for it, too.
        if self.find(object).is_some_and(|entry| !entry.is_ready()) {
            self.want(object);
        }
    }
}

impl Pulling {
    fn write(&mut self, offset: u64, total: u64, bytes: Pieces) {
        if total == bytes.len() as u64 {
            // The same memory, if it came in one piece and nobody shares it.
            self.buffer = bytes.into_bytes().into();
            return;
        }
        let length = usize::try_from(total).unwrap_or(0);
        if self.buffer.len() != length {
            self.buffer = vec![0; length];
        }
        let mut begin = usize::try_from(offset).unwrap_or(length);
        for piece in bytes.iter() {
            let end = begin.saturating_add(piece.len());
            if let Some(place) = self.buffer.get_mut(begin..end) {
                place.copy_from_slice(piece);
            }
            begin = end;
        }
    }
}

impl Desk<'_> {
    /// Nobody wants the value any more.
    pub(super) fn cancel_pull(&mut self, object: ObjectId) {
        if let Some(pulling) = self.state.pulls.remove(&object) {
            match pulling.room {
                Room::Wanted => {}
                Room::Queued(ticket) => self.todo.push(Todo::Withdraw(ticket)),
                Room::Charged => self.todo.push(Todo::GiveBack(pulling.bytes)),
            }
        }
    }
}
