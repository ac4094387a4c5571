//! Parcels of another node, taken by an exchange with an actor behind it: none of them harms the node.
//!
//! Each parcel comes after its length in two bytes. Every input has a node of its own, so that it means the same each time.
//!
//! `.ci/run fuzz`, or `cargo +nightly fuzz run exchange`.

#![no_main]

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use mobula::Placement;
use mobula::prelude::*;
use mobula_actor_core::remote::table::Table;
use mobula_actor_core::remote::{Place, Remote, SpawnKind};
use mobula_actor_core::{ActorDemand, AsHandle as _, Current, NodeId, SpawnError, System, scope};
use mobula_cluster::exchange::rights::Rights;
use mobula_cluster::exchange::{Courier, CourierError, Exchange, Placer};
use mobula_cluster::strangers::{Called, parcels};
use mobula_fuzz::{after_length, parts, sow};
use tokio::sync::watch;

const PEER: (NodeId, u64) = (NodeId(2), 12);
const OWN: (NodeId, u64) = (NodeId(1), 11);

pub struct Counter(u64);

#[mobula::actor]
impl Counter {
    pub fn new(start: u64) -> Self {
        Self(start)
    }
    pub fn add(&mut self, by: u64) -> u64 {
        self.0 = self.0.wrapping_add(by);
        self.0
    }
    pub fn keep(&mut self, others: Vec<ActorRef<Counter>>) -> Option<ActorRef<Counter>> {
        others.into_iter().next()
    }
}

/// Where nobody listens, half of the time.
#[derive(Debug)]
struct Away;

impl Courier for Away {
    fn send(&self, to: NodeId, parcel: Bytes) -> Result<(), CourierError> {
        if parcel.len() % 2 == 0 { Ok(()) } else { Err(CourierError::Unreachable(to)) }
    }

    fn poll_room(&self, _to: NodeId, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

#[derive(Debug)]
struct Here;

impl Placer for Here {
    fn place(
        &self,
        _placement: &Placement,
        _kind: &SpawnKind,
        _demand: &ActorDemand,
    ) -> Result<Place, SpawnError> {
        Ok(Place::Here)
    }

    fn news(&self) -> watch::Receiver<u64> {
        watch::channel(0).1
    }
}

async fn settle() {
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
}

fn on_a_node<T>(what: impl AsyncFnOnce(&Exchange, &ActorRef<Counter>) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime").block_on(async {
        let system = System::builder().build();
        let exchange = Exchange::new(system.clone(), OWN, Arc::new(Away), Arc::new(Here));
        system.set_remote(Arc::clone(&exchange) as Arc<dyn Remote>);
        exchange.reached(PEER.0, PEER.1);
        let done = scope(Current::root(system.clone()), async {
            let counter = Counter::remote(1);
            settle().await;
            what(&exchange, &counter).await
        });
        let done = done.await;
        // They hold each other.
        system.clear_extensions();
        done
    })
}

fn seeds() -> Vec<Vec<u8>> {
    let provided = Table::linked().provided();
    let key = |message: Option<&str>| {
        let mut ours = provided.iter().filter(|entry| entry.actor.ends_with("Counter"));
        let found = ours.find(|entry| match (entry.message, message) {
            (Some(name), Some(wanted)) => name.ends_with(wanted),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        });
        found.unwrap_or_else(|| panic!("{message:?} is linked: {provided:?}")).key
    };
    let actor = on_a_node(async |_exchange, counter| counter.as_handle().id());
    let handlers = vec![key(Some("add")), key(Some("keep"))];
    let called = Called { actor, handlers, constructor: key(None), life: OWN.1 };
    let parcels: Vec<Vec<u8>> = parcels(&called).into_iter().map(after_length).collect();
    let all = parcels.concat();
    parcels.into_iter().chain([all]).collect()
}

fuzz_target!(init: sow(seeds()), |input: &[u8]| {
    on_a_node(async |exchange, counter| {
        for parcel in parts(input) {
            let _unreadable = exchange.receive(PEER.0, Rights::FULL, parcel);
            settle().await;
        }
        // The node still works: it answers, or its actor was ended as the other node may.
        let _answer = counter.add(1).await;
        exchange.lost(PEER.0);
        settle().await;
    });
});
