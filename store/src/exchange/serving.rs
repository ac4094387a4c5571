//! Values that leave this store: in an answer, in parts, or with the result of a task.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
    time::Duration,
};

use super::{
    Exchange, FarHold, GetError, Holding, Kept, LossReason, Message, ObjectId, StoreId, Todo,
};
use crate::{
    codec::{Encoded, Object, ValueType, held},
    collect,
    discard::{AnyValue, discard},
    error::{TaskError, failure},
    message::{Answer, Carried, Parcel},
    remote::DeliverError,
    table::Held,
    time::Time,
};

/// So many encoded values are kept for those who pull them.
const SERVED_MAX: usize = 16;
/// So long after the last part was asked for.
const SERVED_FOR: Duration = Duration::from_secs(10);

/// How long to wait before a keeper is told again of a result; four times as long each time.
const ANNOUNCE_PAUSE: Duration = Duration::from_secs(2);
/// So often.
const ANNOUNCES_MAX: u32 = 4;

/// A copy kept for others: without references here, and without an entry.
pub(super) struct Copy {
    pub(super) value: CopyValue,
    /// What it is charged with.
    pub(super) bytes: u64,
    pub(super) keeper: StoreId,
    /// What an encoded value refers to, needed as long as it is here.
    pub(super) inner: Vec<ObjectId>,
    /// How often its keeper was told of it again.
    pub(super) told: u32,
}

pub(super) enum CopyValue {
    /// As the task made it.
    Typed(AnyValue, &'static ValueType),
    /// As it came.
    Encoded(Encoded),
}

/// Encoded values, kept while somebody pulls them.
#[derive(Default)]
pub(super) struct Served(BTreeMap<ObjectId, (Time, Encoded, Vec<FarHold>)>);

impl Served {
    /// Gives what was held for the encoded value, to be dropped without the lock.
    #[must_use]
    pub(super) fn remove(&mut self, object: ObjectId) -> Vec<FarHold> {
        self.0.remove(&object).map(|(_, _, holds)| holds).unwrap_or_default()
    }

    fn get(&mut self, object: ObjectId, now: Time) -> Option<(Encoded, Vec<FarHold>)> {
        let (used, encoded, holds) = self.0.get_mut(&object)?;
        *used = now;
        Some((encoded.clone(), holds.clone()))
    }

    #[must_use]
    fn insert(
        &mut self,
        object: ObjectId,
        now: Time,
        encoded: Encoded,
        holds: Vec<FarHold>,
    ) -> Vec<FarHold> {
        let mut old = self.remove(object);
        if self.0.len() >= SERVED_MAX {
            let oldest = self.0.iter().min_by_key(|(_, (used, ..))| *used).map(|(id, _)| *id);
            old.extend(oldest.into_iter().flat_map(|oldest| self.remove(oldest)));
        }
        self.0.insert(object, (now, encoded, holds));
        old
    }

    #[must_use]
    pub(super) fn tick(&mut self, now: Time) -> Vec<FarHold> {
        let is_idle = |used: &Time| now.since(*used) >= SERVED_FOR;
        let idle = self.0.iter().filter(|(_, (used, ..))| is_idle(used));
        let idle: Vec<ObjectId> = idle.map(|(object, _)| *object).collect();
        idle.into_iter().flat_map(|object| self.remove(object)).collect()
    }
}

/// What there is to send of an object.
enum Offer {
    Bytes(Encoded, Vec<Kept>),
    None(Option<String>),
}

impl Exchange {
    /// The encoded value and what it refers to.
    fn offer(&self, object: ObjectId) -> Offer {
        let (ready, value) = self.decide(|desk| {
            if let Some((encoded, holds)) = desk.state.served.get(object, desk.now) {
                let kept = holds.into_iter().map(Kept::Entry).collect();
                return (Some(Offer::Bytes(encoded, kept)), None);
            }
            match desk.state.copies.get(&object) {
                Some(Copy { value: CopyValue::Encoded(encoded), inner, .. }) => {
                    let (encoded, inner) = (encoded.clone(), inner.clone());
                    let keep = |object| {
                        let known = desk.state.core.borrower.keeper(object);
                        let (keeper, backup) = known.unwrap_or((object.owner(), None));
                        desk.hold_bare(Carried { object, keeper, backup });
                        Kept::Bare(object)
                    };
                    let kept = inner.into_iter().map(keep).collect();
                    (Some(Offer::Bytes(encoded, kept)), None)
                }
                Some(Copy { value: CopyValue::Typed(value, value_type), .. }) => {
                    (None, Some((Arc::clone(value), *value_type)))
                }
                None => (None, None),
            }
        });
        if let Some(ready) = ready {
            return ready;
        }
        let value = value.or_else(|| {
            let entry = self.find(object)?;
            match entry.holding() {
                Holding::Value { value, .. } => Some((value, entry.value_type())),
                Holding::Pending | Holding::Failed(_) | Holding::Freed => None,
            }
        });
        let Some((value, value_type)) = value else { return Offer::None(None) };
        let (encoded, met) = collect::collect_refs(|| (value_type.encode)(&value));
        match encoded {
            Ok(encoded) => {
                let holds = met.0;
                let mine = encoded.clone();
                self.decide(|desk| {
                    let old = desk.state.served.insert(object, desk.now, mine, holds.clone());
                    desk.todo.extend(old.into_iter().map(Todo::LetGo));
                });
                Offer::Bytes(encoded, holds.into_iter().map(Kept::Entry).collect())
            }
            Err(text) => Offer::None(Some(text)),
        }
    }

    /// Pins what a value refers to, if it refers to anything.
    fn parcel_for(&self, to: StoreId, kept: Vec<Kept>) -> Result<Option<Parcel>, String> {
        if kept.is_empty() {
            return Ok(None);
        }
        self.pin_kept(to, kept).map(Some).map_err(|error| error.to_string())
    }

    pub(super) fn send_inline(&self, to: StoreId, object: ObjectId) {
        let answer = match self.offer(object) {
            Offer::Bytes(encoded, kept) => match self.parcel_for(to, kept) {
                Ok(parcel) => Answer::Inline { bytes: encoded.as_slice().to_vec(), parcel },
                // Full for now: the borrower asks again.
                Err(_full) => return,
            },
            Offer::None(Some(text)) => Answer::Lost(LossReason::Encode { text }),
            Offer::None(None) => return,
        };
        self.act(Todo::Send(to, Message::Answer { object, answer }));
    }

    /// Sends one part of a value to who asked for it.
    pub(super) fn serve(&self, to: StoreId, object: ObjectId, offset: u64, length: u64) {
        let message = match self.offer(object) {
            Offer::Bytes(encoded, kept) => {
                let whole = encoded.bytes();
                let total = whole.len() as u64;
                let begin = usize::try_from(offset.min(total)).unwrap_or(whole.len());
                let end = begin.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
                let part = whole.slice(begin..end.min(whole.len()));
                let parcel = if offset == 0 {
                    match self.parcel_for(to, kept) {
                        Ok(parcel) => parcel,
                        Err(_full) => return,
                    }
                } else {
                    self.put_down(kept);
                    None
                };
                Message::Chunk { object, offset, total, bytes: part.into(), parcel }
            }
            Offer::None(text) => Message::NoCopy { object, text },
        };
        let to_self = to == self.me;
        self.act(if to_self { Todo::Hear(message) } else { Todo::Send(to, message) });
    }

    pub(crate) fn deliver<T: Object>(
        &self,
        object: ObjectId,
        keeper: StoreId,
        result: Result<Arc<T>, TaskError>,
    ) -> Result<Message, DeliverError> {
        let value = match result {
            Ok(value) => value,
            Err(error) => {
                let answer = Answer::Failed(failure(&error));
                return Ok(Message::Answer { object, answer });
            }
        };
        let held = held(value);
        let value_type = ValueType::of::<T>();
        if keeper == self.me
            && let Some(hold) = self.revive(object)
        {
            let bytes = held.bytes;
            self.seal_typed(object, &hold, held);
            return Ok(Message::Located { object, bytes, hosted: false });
        }
        if held.bytes <= self.inline_max() {
            let (encoded, met) = collect::collect_refs(|| (value_type.encode)(&held.value));
            let answer = match encoded {
                Ok(encoded) => {
                    let kept: Vec<Kept> = met.0.into_iter().map(Kept::Entry).collect();
                    let parcel = match kept.is_empty() {
                        true => None,
                        false => Some(self.pin_kept(keeper, kept)?),
                    };
                    Answer::Inline { bytes: encoded.as_slice().to_vec(), parcel }
                }
                Err(text) => Answer::Lost(LossReason::Encode { text }),
            };
            return Ok(Message::Answer { object, answer });
        }
        let bytes = held.bytes;
        let charged = self.home.upgrade().is_some_and(|home| home.ledger.charge(bytes));
        if !charged {
            let capacity_bytes =
                self.home.upgrade().map_or(0, |home| home.ledger.usage().capacity_bytes);
            let task = object.to_string().into();
            let error = TaskError::StoreFull { task, bytes, capacity_bytes };
            return Ok(Message::Answer { object, answer: Answer::Failed(failure(&error)) });
        }
        let value = CopyValue::Typed(held.value, value_type);
        self.keep_copy(object, Copy { value, bytes, keeper, inner: Vec::new(), told: 0 });
        self.decide(|desk| {
            desk.state.announces.insert((desk.now + ANNOUNCE_PAUSE, object));
        });
        // Somebody here may wait for it: its keeper, which hears that it is here, will say nothing more.
        if self.find(object).is_some_and(|entry| entry.is_wanted() && !entry.has_value()) {
            self.decide(|desk| desk.cancel_pull(object));
            self.want(object);
        }
        Ok(Message::Located { object, bytes, hosted: true })
    }

    /// Says again where results are: whoever was to bring the word may have failed, and then nobody would ever let go
    /// of them.
    pub(super) fn announce_copies(&self, desk: &mut super::Desk<'_>) {
        while let Some((at, object)) = desk.state.announces.first().copied()
            && at <= desk.now
        {
            desk.state.announces.pop_first();
            let Some(copy) = desk.state.copies.get_mut(&object) else { continue };
            copy.told += 1;
            if copy.told < ANNOUNCES_MAX {
                let pause = ANNOUNCE_PAUSE * (1 << (2 * copy.told));
                desk.state.announces.insert((desk.now + pause, object));
            }
            let (to, bytes) = (copy.keeper, copy.bytes);
            if to != self.me {
                let message = Message::Located { object, bytes, hosted: true };
                desk.todo.push(Todo::Send(to, message));
            }
        }
    }

    /// A value that is here already, for an entry of the same store.
    pub(super) fn seal_typed(&self, object: ObjectId, hold: &FarHold, held: Held<AnyValue>) {
        let Some(home) = self.home.upgrade() else { return };
        if home.ledger.charge(held.bytes) {
            hold.entry().seal(held);
        } else {
            let capacity_bytes = home.ledger.usage().capacity_bytes;
            let (task, bytes) = (object.to_string().into(), held.bytes);
            hold.entry().fail(TaskError::StoreFull { task, bytes, capacity_bytes });
        }
    }

    /// Keeps a copy for others; one that is there already stays.
    pub(super) fn keep_copy(&self, object: ObjectId, copy: Copy) {
        self.decide(|desk| {
            let double = match desk.state.copies.entry(object) {
                Entry::Vacant(place) => {
                    place.insert(copy);
                    return;
                }
                Entry::Occupied(_) => copy,
            };
            for inner in &double.inner {
                desk.let_go(Kept::Bare(*inner));
            }
            desk.todo.push(Todo::Discard(double));
        });
    }

    pub(super) fn discard(&self, copy: Copy) {
        if let Some(home) = self.home.upgrade() {
            home.ledger.release(copy.bytes);
        }
        if let CopyValue::Typed(value, _) = copy.value {
            discard(value);
        }
    }

    /// A value that came encoded, for an entry here: `charged` if its bytes are paid for already.
    pub(super) fn seal_encoded(
        &self,
        object: ObjectId,
        bytes: Vec<u8>,
        parcels: Vec<(StoreId, Parcel)>,
        charged: Option<u64>,
    ) {
        let (Some(home), hold) = (self.home.upgrade(), self.revive(object)) else { return };
        let store = crate::store::Store::of(&home);
        let kept = self.take_parcels(&parcels);
        let sealed = match (&hold, &kept) {
            (Some(hold), Some(_)) => {
                let decode = hold.entry().value_type().decode;
                Some(collect::arrive(&store, || decode(bytes)))
            }
            _ => None,
        };
        if let Some(kept) = kept {
            self.put_down(kept);
        }
        let give_back = || charged.into_iter().for_each(|bytes| home.ledger.release(bytes));
        let Some((hold, result)) = hold.zip(sealed) else { return give_back() };
        let entry = hold.entry();
        match result {
            Ok(mut held) => {
                match charged {
                    Some(charged) => held.bytes = charged,
                    None if !home.ledger.charge(held.bytes) => {
                        let capacity_bytes = home.ledger.usage().capacity_bytes;
                        let task = object.to_string().into();
                        let bytes = held.bytes;
                        entry.fail(TaskError::StoreFull { task, bytes, capacity_bytes });
                        return discard(held.value);
                    }
                    None => {}
                }
                let bytes = held.bytes;
                entry.seal(held);
                self.tell_located(object, bytes);
            }
            Err(text) => {
                give_back();
                let type_name = entry.type_name();
                entry.lose(GetError::Unreadable { object, type_name, text: text.into() });
            }
        }
    }

    /// A value whose pull is complete, or whose copy is here already.
    pub(super) fn tell_located(&self, object: ObjectId, bytes: u64) {
        if bytes <= self.inline_max() {
            return;
        }
        self.decide(|desk| {
            let keeper = desk.state.core.borrower.keeper(object).map(|(keeper, _)| keeper);
            let to = keeper.unwrap_or(self.me);
            let hosted = desk.state.copies.contains_key(&object);
            let message = Message::Located { object, bytes, hosted };
            desk.todo.push(if to == self.me {
                Todo::Hear(message)
            } else {
                Todo::Send(to, message)
            });
        });
    }
}
