//! The object store as a citizen: listed, named, and asked by messages.
//!
//! Putting and getting through a mailbox would send every object of the node through one queue; that part stays
//! with the [`Store`]'s own handles. But who watches a node wants the store among its actors, and wants to ask it
//! from anywhere an actor can be asked from. So this actor answers questions *about* objects and frees them, and
//! touches no value.
//!
//! Invariant: the actor holds no object; when it ends, nothing is lost but a listing.

use std::convert::Infallible;

use mobula_actor_core::{
    Actor, ActorOptions, ActorRef, Context, Exclusive, Factory, Handler, Kind, Message, NoCalls,
    System,
};
use serde::{Deserialize, Serialize};

use crate::{
    entry::ObjectListing,
    object_id::ObjectId,
    store::{Store, StoreUsage},
};

/// The namespace of a node's own actors.
const NAMESPACE: &str = "mobula";
/// The name of the store's actor.
const NAME: &str = "store";

/// Answers questions about the objects of one store.
#[derive(Debug)]
pub struct StoreActor {
    store: Store,
}

impl StoreActor {
    /// Starts the actor of `store` under the name `store` in the namespace `mobula`. For the composition root,
    /// once per node.
    ///
    /// # Examples
    /// ```
    /// # use mobula_actor_core::System;
    /// # use mobula_store::{Store, StoreActor, StoreConfig, store_actor::Usage};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let (system, store) = (System::builder().build(), Store::new(StoreConfig::default()));
    /// let actor = StoreActor::spawn(&system, &store);
    /// let _object = store.put(7_u64).await.expect("room");
    /// assert_eq!(actor.ask(Usage).await.expect("an answer").bytes, 8);
    /// # }
    /// ```
    #[must_use = "the last reference to the store's actor ends it"]
    pub fn spawn(system: &System, store: &Store) -> ActorRef<Self> {
        let store = store.clone();
        ActorOptions::new(system.clone())
            .namespace(NAMESPACE)
            .name(NAME)
            .spawn_factory(Factory::many(move || Self { store: store.clone() }))
    }
}

impl Actor for StoreActor {
    type Mode = Exclusive;
    type Calls = NoCalls<Self>;
    const NAME: &'static str = "StoreActor";
    const KIND: Kind = Kind::Store;
}

/// Asks what the store holds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Usage;

/// Asks for every object that somebody references, by id.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct List;

/// Frees an object by hand; the answer is whether it was known.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Free(
    /// The object.
    pub ObjectId,
);

/// Questions that are never refused.
macro_rules! questions {
    ($($message:ident -> $reply:ty),* $(,)?) => {
        $(impl Message for $message {
            type Reply = $reply;
            type Value = $reply;
            type Refusal = Infallible;
            const NAME: &'static str = concat!("StoreActor::", stringify!($message));

            fn into_result(reply: $reply) -> Result<$reply, Infallible> {
                Ok(reply)
            }

            fn refusal_text(refusal: &Infallible) -> String {
                match *refusal {}
            }
        })*
    };
}

questions! {
    Usage -> StoreUsage,
    List -> Vec<ObjectListing>,
    Free -> bool,
}

impl Handler<Usage> for StoreActor {
    async fn handle(&mut self, Usage: Usage, _ctx: &mut Context<Self>) -> StoreUsage {
        self.store.usage()
    }
}

impl Handler<List> for StoreActor {
    async fn handle(&mut self, List: List, _ctx: &mut Context<Self>) -> Vec<ObjectListing> {
        self.store.list()
    }
}

impl Handler<Free> for StoreActor {
    async fn handle(&mut self, Free(object): Free, _ctx: &mut Context<Self>) -> bool {
        self.store.free(object)
    }
}
