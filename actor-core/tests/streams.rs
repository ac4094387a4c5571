//! Streams attached to an actor: order, back-pressure, their end, and fair turns with the mailbox.
#![allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::expect_used,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::new_without_default,
    clippy::unwrap_used,
    clippy::use_self,
    reason = "a test's actors are public for the macro's sake alone, and a test may fail by a panic"
)]

extern crate mobula_actor_core as mobula;

#[path = "fixture/desk.rs"]
mod desk;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use desk::{Place, on_node, quiet};
use futures_util::stream::{self, StreamExt};
use mobula_actor_core::{Context, ExitReason, Handler, Message};
use tokio::sync::mpsc;

#[derive(Message)]
struct Item(u64);

#[derive(Message)]
struct Over;

pub struct Reader {
    place: Place,
}

#[mobula_actor_core::actor]
impl Reader {
    pub fn new(place: Place) -> Self {
        Self { place }
    }
    pub fn read(&mut self, ctx: &mut Context<Self>, from: mpsc::Receiver<u64>) {
        let items =
            stream::unfold(from, |mut from| async { Some((Item(from.recv().await?), from)) });
        ctx.attach_with_end(items, Over);
    }
    /// Reads a stream that is always ready, counting how often it was asked.
    pub fn read_endless(&mut self, ctx: &mut Context<Self>, asked: Arc<AtomicU64>) {
        ctx.attach(stream::repeat_with(move || Item(asked.fetch_add(1, Ordering::Relaxed))));
    }
    pub fn read_panicking(&mut self, ctx: &mut Context<Self>) {
        ctx.attach(
            stream::iter(0..)
                .map(|count: u64| if count < 3 { Item(count) } else { panic!("torn") }),
        );
    }
    pub async fn hold(&mut self) {
        self.place.pass().await;
    }
    pub fn count(&mut self) -> u64 {
        self.place.entries().len() as u64
    }
}

impl Handler<Item> for Reader {
    async fn handle(&mut self, Item(entry): Item, _ctx: &mut Context<Self>) {
        self.place.note(entry);
    }
}

impl Handler<Over> for Reader {
    async fn handle(&mut self, _over: Over, _ctx: &mut Context<Self>) {
        self.place.note(u64::MAX);
    }
}

#[tokio::test(start_paused = true)]
async fn items_are_handled_in_order_and_then_the_end() {
    on_node(async {
        let place = Place::new();
        let reader = Reader::remote(place.clone());
        let (sender, receiver) = mpsc::channel(100);
        reader.read(receiver).await.unwrap();
        for entry in 0..100 {
            sender.send(entry).await.unwrap();
        }
        drop(sender);
        quiet().await;
        assert_eq!(place.take(), (0..100).chain([u64::MAX]).collect::<Vec<_>>());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_polled_only_when_the_actor_has_time_for_an_item() {
    on_node(async {
        let place = Place::new();
        let reader = Reader::remote(place.clone());
        let (sender, receiver) = mpsc::channel(4);
        reader.read(receiver).await.unwrap();
        reader.hold().tell().await.unwrap();
        quiet().await;
        for entry in 0..4 {
            sender.try_send(entry).unwrap();
        }
        quiet().await;
        assert!(sender.try_send(4).is_err(), "nothing is taken out while the actor is busy");
        place.open(1);
        quiet().await;
        assert_eq!(place.take(), [0, 1, 2, 3]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_always_ready_does_not_starve_the_mailbox() {
    on_node(async {
        let place = Place::new();
        let reader = Reader::remote(place.clone());
        let asked = Arc::new(AtomicU64::new(0));
        reader.read_endless(Arc::clone(&asked)).await.unwrap();
        for _ in 0..10 {
            reader.count().await.unwrap();
        }
        reader.kill().await.unwrap();
        assert!(asked.load(Ordering::Relaxed) > 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_a_stream_that_never_ends() {
    on_node(async {
        let reader = Reader::remote(Place::new());
        reader.read_endless(Arc::default()).await.unwrap();
        assert!(matches!(reader.stop().await, Ok(ExitReason::Shutdown)));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn two_streams_that_are_always_ready_take_turns() {
    on_node(async {
        let reader = Reader::remote(Place::new());
        let (one, two) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        reader.read_endless(Arc::clone(&one)).await.unwrap();
        reader.read_endless(Arc::clone(&two)).await.unwrap();
        while one.load(Ordering::Relaxed) < 500 {
            tokio::task::yield_now().await;
        }
        assert!(two.load(Ordering::Relaxed) > 50);
        reader.kill().await.unwrap();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_panics_ends_its_actor_with_the_text() {
    on_node(async {
        let place = Place::new();
        let reader = Reader::remote(place.clone());
        reader.read_panicking().tell().await.unwrap();
        let reason = reader.closed().await;
        assert!(matches!(&reason, ExitReason::Panic(_)), "{reason}");
        assert!(reason.to_string().contains("torn"), "{reason}");
        assert_eq!(place.take(), [0, 1, 2]);
    })
    .await;
}
