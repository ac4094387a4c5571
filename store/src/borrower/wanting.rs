//! What is wanted of borrowed objects: their values, or to know where they are.
//!
//! A task may run anywhere, and had better go where its large arguments are. To fetch them first and then decide would cost
//! what the decision is to spare. So whoever only has to know whether an object is made asks for its place; what is small
//! comes at once all the same, since a second question would cost more.
//!
//! Pure: no clock, no I/O, no tasks.

use super::{Borrowed, Borrower, Effect, Message, ObjectId, REPEAT, StoreId, Time, Wish};
use crate::spread::SOURCES_MAX;

/// The size of an object, and who has a copy.
pub type Place = (u64, Vec<StoreId>);

impl Borrower {
    /// Somebody here wants the value.
    pub fn want(&mut self, object: ObjectId, now: Time, out: &mut Vec<Effect>) {
        self.wish(object, Wish::Value, now, out);
    }

    /// Somebody here wants to know whether the object is made. Who wants the value already will hear.
    pub fn want_place(&mut self, object: ObjectId, now: Time, out: &mut Vec<Effect>) {
        if self.objects.get(&object).is_some_and(|borrowed| borrowed.wish.is_none()) {
            self.wish(object, Wish::Place, now, out);
        }
    }

    fn wish(&mut self, object: ObjectId, wish: Wish, now: Time, out: &mut Vec<Effect>) {
        if let Some(borrowed) = self.objects.get_mut(&object)
            && borrowed.lost.is_none()
        {
            borrowed.wish = Some(wish);
            borrowed.pause = REPEAT;
            out.extend(Self::wanted(object, borrowed));
            self.repeat(object, now);
        }
    }

    /// The word for what is wanted, if anything is.
    pub(super) fn wanted(object: ObjectId, borrowed: &Borrowed) -> Option<Effect> {
        let or_place = borrowed.wish? == Wish::Place;
        let message = Message::Want { object, or_place };
        Some(Effect::Send { to: borrowed.keeper, message })
    }

    /// A value, or why there is none, came as an answer; false if it is not its keeper who speaks.
    #[must_use = "an answer of somebody else must be ignored"]
    pub fn answered(&mut self, from: StoreId, object: ObjectId) -> bool {
        let Some(borrowed) = self.heard_from(from, object) else { return false };
        borrowed.wish = None;
        true
    }

    /// A place came as an answer: who wants the value goes on wanting it. False if it is not its keeper who speaks.
    #[must_use = "an answer of somebody else must be ignored"]
    pub fn made(&mut self, from: StoreId, object: ObjectId, (bytes, mut copies): Place) -> bool {
        let Some(borrowed) = self.heard_from(from, object) else { return false };
        borrowed.wish = borrowed.wish.filter(|wish| *wish == Wish::Value);
        copies.truncate(SOURCES_MAX);
        borrowed.place = Some((bytes, copies));
        true
    }

    /// The size of an object and who has a copy, if its keeper has said so. It may be old.
    #[must_use]
    pub fn place(&self, object: ObjectId) -> Option<&Place> {
        self.objects.get(&object)?.place.as_ref()
    }

    fn heard_from(&mut self, from: StoreId, object: ObjectId) -> Option<&mut Borrowed> {
        let borrowed = self.objects.get_mut(&object)?;
        (borrowed.keeper == from && borrowed.holds > 0).then_some(borrowed)
    }
}
