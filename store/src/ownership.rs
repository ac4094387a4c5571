//! Both sides of ownership in one store, and who of them hears what.
//!
//! A store owns some objects and borrows others, sends references and receives them; each of these is a small
//! machine of its own ([`Owner`], [`Borrower`], [`Pins`]). Here they hear messages and events together, so that
//! a test can run whole stores against each other, and the driver has one thing to feed.
//!
//! The driver keeps what these machines do not: local counts and values. It says when an entry of a foreign
//! object comes to be ([`Borrower::hold`]) and goes ([`Borrower::let_go`]), and when an own object that others
//! knew is needed by nobody ([`Owner::unreferenced`]).
//!
//! Pure: no clock, no I/O, no tasks.

use rand::Rng;

use crate::{
    borrower::Borrower,
    effect::{Effect, Mutant},
    message::{Carried, Message, Parcel},
    object_id::{ObjectId, StoreId},
    owner::{Local, Owner, OwnerLimits, TooManyShared},
    pins::{Pins, TooManyPins},
    reunion::Reunions,
    time::Time,
};

/// Why references cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PinError {
    /// Too many objects are known to other stores.
    #[error(transparent)]
    Shared(#[from] TooManyShared),
    /// Too many messages with references are on their way.
    #[error(transparent)]
    Pins(#[from] TooManyPins),
}

/// One store's part in ownership.
#[derive(Debug)]
pub struct Ownership {
    me: StoreId,
    /// What this store owns.
    pub owner: Owner,
    /// What it borrows.
    pub borrower: Borrower,
    /// What it sends.
    pub pins: Pins,
    reunions: Reunions,
}

impl Ownership {
    /// A store that nobody knows yet.
    #[must_use]
    pub fn new(me: StoreId, limits: OwnerLimits) -> Self {
        Self::mutated(me, limits, Mutant::None)
    }

    /// The same with a rule left out.
    #[doc(hidden)]
    #[must_use]
    pub fn mutated(me: StoreId, limits: OwnerLimits, mutant: Mutant) -> Self {
        Self {
            me,
            owner: Owner::mutated(me, limits, mutant),
            borrower: Borrower::mutated(mutant),
            pins: Pins::mutated(mutant),
            reunions: Reunions::default(),
        }
    }

    /// This store.
    #[must_use]
    pub const fn me(&self) -> StoreId {
        self.me
    }

    /// Whether this store answers for the object's needs.
    #[must_use]
    pub fn keeps(&self, object: ObjectId) -> bool {
        let own = object.owner() == self.me && self.owner.moved_to(object).is_none();
        own || self.owner.knows(object)
    }

    /// Pins references that are about to travel to `to`. The caller holds every object until
    /// [`Effect::Unpin`], or lets go at once after an error. Objects may be listed more than once.
    ///
    /// # Errors
    /// [`PinError`]: a table is full; the message must not be sent.
    pub fn pin(
        &mut self,
        to: StoreId,
        objects: impl IntoIterator<Item = ObjectId>,
    ) -> Result<Parcel, PinError> {
        let mut carried: Vec<Carried> = Vec::new();
        for object in objects {
            if carried.iter().any(|known| known.object == object) {
                continue;
            }
            let keeps = self.keeps(object);
            if keeps {
                self.owner.share(object)?;
            }
            let (keeper, backup) = if keeps {
                (self.me, self.owner.backup(object))
            } else {
                let moved = self.owner.moved_to(object).map(|keeper| (keeper, None));
                self.borrower.keeper(object).or(moved).unwrap_or((object.owner(), None))
            };
            carried.push(Carried { object, keeper, backup });
        }
        Ok(self.pins.open(to, carried)?)
    }

    /// Hears a message. Gives it back if it is the driver's: values and their parts, and what needs a copy.
    ///
    /// `local` says what the store's own table knows of a value, and is asked only for objects kept here.
    pub fn handle(
        &mut self,
        (now, rng): (Time, &mut impl Rng),
        from: StoreId,
        message: Message,
        local: impl Fn(ObjectId) -> Local,
        out: &mut Vec<Effect>,
    ) -> Option<Message> {
        match message {
            Message::Borrow { object, sequence } => {
                self.owner.borrow(from, object, sequence, now, out);
            }
            Message::Release { object, sequence } => {
                self.owner.release(from, object, sequence, rng, out);
            }
            Message::Want { object, or_place: false } => {
                let local = local(object);
                self.owner.want(from, object, local, (now, rng), out);
            }
            Message::Want { object, or_place: true } => {
                let local = local(object);
                self.owner.want_place(from, object, local, (now, rng), out);
            }
            Message::Located { object, bytes, hosted } => {
                if hosted {
                    self.owner.hosted(from, object);
                }
                self.owner.located(from, object, bytes, rng, out);
            }
            Message::Missing { object, source } => {
                self.owner.missing(from, object, source, rng, out);
            }
            Message::Counted { object, sequence, held, backup } => {
                self.borrower.counted(from, object, (sequence, held, backup), now, out);
            }
            Message::Gone { object, reason } => self.borrower.gone(from, object, reason, now, out),
            Message::Moved { object, keeper, term }
                if keeper != self.me && self.owner.knows(object) =>
            {
                // Whoever claims an object that was offered to it has adopted it.
                self.owner.adopted(from, object, term, out);
            }
            Message::Moved { object, keeper, .. } => {
                self.borrower.moved(from, object, keeper, now, out);
            }
            Message::Reunite => {
                self.owner.count_again(from, out);
                self.borrower.say_all_again(from, now, out);
                out.push(Effect::Send { to: from, message: Message::Reunited });
                // The driver has copies.
                return Some(Message::Reunite);
            }
            Message::Reunited => self.reunions.end(from),
            Message::Unpin { pin } => self.pins.unpin(from, pin, out),
            Message::Unpinned { pin } => self.borrower.unpinned(from, pin),
            Message::Close { pin } => {
                let arrived = self.borrower.is_arriving(from, pin);
                self.pins.close(from, pin, arrived, out);
            }
            Message::Adopted { object, term } => self.owner.adopted(from, object, term, out),
            Message::Mirrored { .. } => {}
            drivers @ (Message::Answer { .. }
            | Message::Evict { .. }
            | Message::Pull { .. }
            | Message::Chunk { .. }
            | Message::NoCopy { .. }
            | Message::Mirror { .. }
            | Message::Adopt { .. }) => return Some(drivers),
        }
        None
    }

    /// A message with references has come. The driver holds every object under it, kept here or not, until it
    /// has decoded the message, and must not decode it if this is false: its pin was closed.
    #[must_use = "what comes too late must not be decoded"]
    pub fn accepts(&self, from: StoreId, parcel: &Parcel) -> bool {
        !self.pins.is_refused(from, parcel.pin)
    }

    /// A store is there, and if it was taken for gone, in the same life.
    pub fn back(&mut self, store: StoreId, now: Time, out: &mut Vec<Effect>) {
        let was_gone = self.pins.back(store) | self.borrower.back(store) | self.owner.back(store);
        if was_gone {
            self.reunions.begin(store, now, out);
        }
    }

    /// A store is gone.
    pub fn down(&mut self, store: StoreId, now: Time, rng: &mut impl Rng, out: &mut Vec<Effect>) {
        self.reunions.end(store);
        self.pins.down(store, out);
        self.borrower.down(store, now, out);
        self.owner.down(store, now, rng, out);
    }

    /// Repeats what was not answered, and lets go of what was kept for a while.
    pub fn tick(&mut self, now: Time, out: &mut Vec<Effect>) {
        self.pins.tick(now, out);
        self.borrower.tick(now, out);
        self.owner.tick(now, out);
        self.reunions.tick(now, out);
    }

    /// When [`tick`](Self::tick) has something to do.
    #[must_use]
    pub fn next_wake(&self) -> Option<Time> {
        let wakes = [
            self.pins.next_wake(),
            self.borrower.next_wake(),
            self.owner.next_wake(),
            self.reunions.next_wake(),
        ];
        wakes.into_iter().flatten().min()
    }
}
