//! Joining a store to others.
//!
//! A node hands its store a port ([`Remote`]) and whatever other stores say; everything between, what it takes to
//! keep objects alive and to find their values, is the store's own. A store that is not attached answers for itself
//! alone, and nothing here does anything.
//!
//! The whole of the wiring:
//!
//! | when | the node calls |
//! |---|---|
//! | it has a name | [`Store::attach`] |
//! | a message of a store comes | [`Store::receive`] |
//! | a store is gone, or never was | [`Store::node_down`] |
//! | a store that was called gone is there after all | [`Store::node_back`] |
//! | time passes, or [`Store::tick`] said so | [`Store::tick`] |
//! | it sends something that may contain references | [`collect_refs`](crate::collect_refs), then [`Store::pin`] |
//! | something with a [`Parcel`] comes | [`Store::unpack`], also when it cannot be delivered |
//! | something with a parcel was not, or perhaps not, delivered | [`Store::undelivered`], [`Store::uncertain`] |
//! | a task ran here for an object of elsewhere | [`Store::deliver`], and sends what that gives to the keeper |
//! | a task may run again for a lost result | [`Store::remember`] |

use std::sync::Arc;

use crate::{
    codec::Object,
    collect::{self, Collected},
    entry::Entry,
    error::TaskError,
    exchange::Exchange,
    hold::FarHold,
    lineage::Recipe,
    message::{Message, Parcel, PinId},
    object_id::{ObjectId, StoreId},
    object_ref::ObjectRef,
    owner::OwnerLimits,
    ownership::PinError,
    remote::{AttachError, DeliverError, Remote, TransferError, UnpackError, Whereabouts},
    store::Store,
    time::Time,
};

impl Store {
    /// Joins this store to others through `port`. `seed` begins the random choice of sources.
    ///
    /// # Errors
    /// [`AttachError::Attached`]: once is enough.
    pub fn attach(
        &self,
        port: Arc<dyn Remote>,
        limits: OwnerLimits,
        seed: u64,
    ) -> Result<(), AttachError> {
        let exchange = Exchange::new(self.home(), port, limits, seed);
        self.home().elsewhere.set(exchange).map_err(|_attached| AttachError::Attached)
    }

    pub(crate) fn exchange(&self) -> Option<Arc<Exchange>> {
        let elsewhere = self.home().elsewhere.get()?;
        Arc::clone(elsewhere).into_any().downcast().ok()
    }

    // What the node hears.

    /// A message of another store has come.
    pub fn receive(&self, from: StoreId, message: Message) {
        if let Some(exchange) = self.exchange() {
            exchange.receive(from, message);
        }
    }

    /// A store is gone. Its borrows end; gets of objects that it kept fail with
    /// [`GetError::OwnerDied`](crate::GetError::OwnerDied) unless somebody takes over. A node that starts again is another
    /// store; one that was only out of reach is the same, and needs [`node_back`](Self::node_back).
    pub fn node_down(&self, store: StoreId) {
        if let Some(exchange) = self.exchange() {
            exchange.node_down(store);
        }
    }

    /// A store that was called gone is there after all, in the same life. What ended stays ended; what it borrows and
    /// offers from now on counts. Without this word it would wait for answers that never come.
    pub fn node_back(&self, store: StoreId) {
        if let Some(exchange) = self.exchange() {
            exchange.node_back(store);
        }
    }

    /// Repeats what was not answered, and ends what is over. Gives the time when there will be something to do; call
    /// it then, and at least four times a second while objects are shared.
    #[expect(clippy::must_use_candidate, reason = "who ticks by a fixed clock needs no answer")]
    pub fn tick(&self) -> Option<Time> {
        self.exchange()?.tick()
    }

    // References in messages.

    /// Pins references that are about to be sent to `to`: they live until they have arrived there. `None` if there
    /// are none; otherwise the parcel must travel with the message.
    ///
    /// # Errors
    /// [`PinError`]: too much is on its way; the message must not be sent.
    pub fn pin(&self, to: StoreId, references: Collected) -> Result<Option<Parcel>, PinError> {
        match self.exchange() {
            Some(exchange) if !references.is_empty() => exchange.pin(to, references.0).map(Some),
            _ => Ok(None),
        }
    }

    /// Decodes a message that came with a parcel: its references lead to objects here, and its sender is told that
    /// they have arrived. For a message that cannot be delivered, decode nothing.
    ///
    /// # Errors
    /// [`UnpackError::GivenUp`]: it came too late; `decode` was not called.
    pub fn unpack<R>(
        &self,
        from: StoreId,
        parcel: Option<&Parcel>,
        decode: impl FnOnce() -> R,
    ) -> Result<R, UnpackError> {
        match (self.exchange(), parcel) {
            (Some(exchange), Some(parcel)) => exchange.unpack(self, from, parcel, decode),
            _ => Ok(collect::arrive(self, decode)),
        }
    }

    /// The message under this pin was not delivered and never will be.
    pub fn undelivered(&self, pin: PinId) {
        if let Some(exchange) = self.exchange() {
            exchange.undelivered(pin);
        }
    }

    /// Nobody knows whether the message under this pin was delivered. If it comes after all, late, it is refused.
    pub fn uncertain(&self, pin: PinId) {
        if let Some(exchange) = self.exchange() {
            exchange.uncertain(pin);
        }
    }

    // Results of tasks that run here for others.

    /// The result of a task that ran here for `object`, which `keeper` keeps: gives the message to send there. A small
    /// value travels in it; a large one stays here until its keeper says that nobody needs it.
    ///
    /// # Errors
    /// [`DeliverError`]: the value cannot be sent now; nothing was kept.
    pub fn deliver<T: Object>(
        &self,
        object: ObjectId,
        keeper: StoreId,
        result: Result<Arc<T>, TaskError>,
    ) -> Result<Message, DeliverError> {
        self.exchange().ok_or(DeliverError::Alone)?.deliver(object, keeper, result)
    }

    /// Remembers how objects of this store are made, should they be lost.
    pub fn remember(&self, recipe: Recipe) {
        if let Some(exchange) = self.exchange() {
            exchange.remember(recipe);
        }
    }

    /// A task that runs again for lost objects, `object` among them, was repeated by itself so many times: they count
    /// as attempts.
    pub fn repeated(&self, object: ObjectId, times: u32) {
        if let Some(exchange) = self.exchange() {
            exchange.repeated(object, times);
        }
    }

    /// A rebuild that was asked for will not take place; whoever waits for the object is told.
    pub fn cannot_rebuild(&self, object: ObjectId, text: &str) {
        if let Some(exchange) = self.exchange() {
            exchange.cannot_rebuild(object, text);
        }
    }

    // Objects that outlive their owner.

    /// Keeps an object's bookkeeping and a copy at one more store, so that it outlives this one.
    ///
    /// # Errors
    /// [`TransferError`]: the object is as durable as before.
    pub fn make_durable<T>(&self, object: &ObjectRef<T>) -> Result<(), TransferError> {
        let id = object.id();
        let exchange = self.exchange().ok_or(TransferError::Alone { object: id })?;
        exchange.make_durable(object.hold().entry())
    }

    /// The same for an object without its type, once it has a value; not at all on a node on its own.
    pub fn make_entry_durable(&self, entry: &Arc<Entry>) {
        if let (Some(exchange), Some(hold)) = (self.exchange(), FarHold::revive(Arc::clone(entry)))
        {
            // Too many objects are known to others: this one is not.
            let _as_it_was = exchange.make_durable(hold.entry());
        }
    }

    /// Hands an object with a value over to another store, for instance that of a named actor. References go on
    /// working. It is done once that store has a copy.
    ///
    /// # Errors
    /// [`TransferError`]: it stays here.
    pub fn transfer<T>(&self, object: &ObjectRef<T>, to: StoreId) -> Result<(), TransferError> {
        let id = object.id();
        let exchange = self.exchange().ok_or(TransferError::Alone { object: id })?;
        exchange.transfer(object.hold().entry(), to)
    }

    /// Offers every object with a value that is kept here and needed by other stores to one of those; gives how many
    /// this store still has to keep for others. For a node that is about to leave: call it again until none is left.
    #[must_use = "what others need is not all gone yet unless this is 0"]
    pub fn evacuate(&self) -> usize {
        self.exchange().map_or(0, |exchange| exchange.evacuate())
    }

    /// What this store needs of others, or gives back, and what it said of it: for whoever looks for what is left over.
    #[must_use]
    pub fn borrowed(&self) -> Vec<(ObjectId, String)> {
        self.exchange().map(|exchange| exchange.borrowed()).unwrap_or_default()
    }

    /// What is known here of an object's place, for schedulers.
    #[must_use]
    pub fn whereabouts(&self, object: ObjectId) -> Option<Whereabouts> {
        match self.exchange() {
            Some(exchange) => exchange.whereabouts(object),
            None => self.home().ledger.find(object).map(|entry| Whereabouts {
                keeper: self.id(),
                is_here: entry.is_ready(),
                bytes: Some(entry.listing().bytes),
                copies: Vec::new(),
                borrowers: Vec::new(),
                backup: None,
            }),
        }
    }
}
