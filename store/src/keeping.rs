//! Objects that outlive the node that made them: backed up, or handed to the node of an actor.
//!
//! Whoever makes an object keeps it, and when that node dies the object goes, although others may still need it. Two
//! ways out, each a word at the place where it matters: [`put(value).durable()`](Put::durable) has one other node keep a
//! copy and the books, and take over; [`object.transfer(&actor)`](ObjectRef::transfer) hands the object to
//! the node where an actor lives, so that it goes when that one does.
//!
//! Invariant: when either has returned without an error, the death of the node that made the object takes nothing away.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use mobula_actor_core::{Actor, ActorRef, AsHandle};

use crate::{
    codec::Object,
    error::StoreError,
    exchange::{Until, Watch},
    object_id::{Incarnation, NodeId, StoreId},
    object_ref::ObjectRef,
    put::Put,
    remote::TransferError,
    store::Store,
};

impl<T: Object> Put<T> {
    /// The object outlives this node: another node keeps a copy of it, and takes over.
    ///
    /// The put returns when that node has its copy. Which one it is follows from the members; when it is lost, the next
    /// is found without being asked. While there is no other member the object is like any other, and the put does not
    /// wait. What is durable needs its bytes on two nodes.
    ///
    /// # Errors
    /// As without; and [`StoreError::NotDurable`] when too many objects are known to other nodes.
    ///
    /// # Cancel safety
    /// Dropping it before it is done stores nothing for long.
    ///
    /// # Examples
    /// ```
    /// # use mobula_store::{Store, StoreConfig};
    /// # let store = Store::new(StoreConfig::default());
    /// # tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(async {
    /// let object = store.put(7_u64).durable().await?;
    /// assert_eq!(*object.get().await?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).expect("there is room");
    /// ```
    pub const fn durable(self) -> DurablePut<T> {
        DurablePut { put: Some(self), object: None, watch: None }
    }
}

/// A put that is to outlive its node; see [`Put::durable`].
#[must_use = "a put does nothing until it is awaited"]
pub struct DurablePut<T: Object> {
    put: Option<Put<T>>,
    object: Option<ObjectRef<T>>,
    watch: Option<Watch>,
}

impl<T: Object> Future for DurablePut<T> {
    type Output = Result<ObjectRef<T>, StoreError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Some(put) = &mut this.put {
            let object = ready!(Pin::new(put).poll(cx))?;
            this.put = None;
            this.watch = keep_twice(&object)?;
            this.object = Some(object);
        }
        if let Some(watch) = &mut this.watch {
            let _in_either_case = ready!(Pin::new(watch).poll(cx));
            this.watch = None;
        }
        // Polled again after its end it has no object any more.
        this.object.take().map_or(Poll::Pending, |object| Poll::Ready(Ok(object)))
    }
}

impl<T: Object> fmt::Debug for DurablePut<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DurablePut")
    }
}

fn keep_twice<T>(object: &ObjectRef<T>) -> Result<Option<Watch>, StoreError> {
    let store = Store::of(object.hold().entry().home());
    match store.make_durable(object) {
        Ok(()) => {}
        // Nobody can outlive a node that is on its own.
        Err(TransferError::Alone { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let exchange = store.exchange();
    Ok(exchange.map(|exchange| Watch::new(exchange, object.id(), Until::BackedUp)))
}

impl<T> ObjectRef<T> {
    /// Hands the object to the node where `actor` lives: from now on that node keeps it and counts who needs it, and it
    /// lives on when the node that made it dies. References go on working wherever they are.
    ///
    /// Returns when that node has a copy and everything else. An actor of the keeping node changes nothing. The object
    /// stays on that node, also when the actor moves later.
    ///
    /// # Errors
    /// [`TransferError`]: the object is not this node's to give, has no value yet, or the actor has ended. It stays
    /// where it is.
    ///
    /// # Cancel safety
    /// Dropping the future does not take the offer back.
    pub async fn transfer<A: Actor>(&self, actor: &ActorRef<A>) -> Result<(), TransferError> {
        let object = self.id();
        let located = actor.as_handle().located().await;
        let Some(home) = located.map_err(|_ended| TransferError::NoActor { object })? else {
            // The actor lives here.
            return Ok(());
        };
        let to = StoreId::new(NodeId(home.node.0), Incarnation(home.incarnation));
        let store = Store::of(self.hold().entry().home());
        if to == store.id() {
            return Ok(());
        }
        store.transfer(self, to)?;
        let exchange = store.exchange().ok_or(TransferError::Alone { object })?;
        if Watch::new(exchange, object, Until::HandedOver(to)).await {
            Ok(())
        } else {
            Err(TransferError::NotNow { object })
        }
    }
}
