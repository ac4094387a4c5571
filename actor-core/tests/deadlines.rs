//! Deadlines: what has not begun is not begun, and what a handler asks inherits the time left.
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

use std::time::Duration;

use desk::{Desk, Place, beside, ms, on_node, quiet};
use mobula_actor_core::{
    ActorRef, AskError, Context, ExitReason, MonitorRef, Undelivered, UnknownOutcome,
};
use tokio::time::Instant;

pub struct Relay {
    desk: ActorRef<Desk>,
    place: Place,
}

#[mobula_actor_core::actor]
impl Relay {
    pub fn new(desk: ActorRef<Desk>, place: Place) -> Self {
        Self { desk, place }
    }
    /// Asks on without a timeout of its own, and notes how long that took.
    pub async fn pass_on(&mut self, entry: u64) -> String {
        let start = Instant::now();
        let result = self.desk.hold(entry).await;
        self.place.note(u64::try_from(start.elapsed().as_millis()).unwrap());
        result.map_or_else(|error| error.to_string(), |value| value.to_string())
    }
    pub async fn pass_on_within(&mut self, entry: u64, time: Duration) -> String {
        let start = Instant::now();
        let result = self.desk.hold(entry).timeout(time).await;
        self.place.note(u64::try_from(start.elapsed().as_millis()).unwrap());
        result.map_or_else(|error| error.to_string(), |value| value.to_string())
    }
    pub fn observe(&mut self, ctx: &mut Context<Self>, other: ActorRef<Desk>) {
        ctx.watch(&other);
    }
    async fn down(&mut self, _monitor: MonitorRef, _reason: ExitReason) {
        match self.desk.note(77).await {
            Ok(entry) => self.place.note(entry),
            Err(_) => self.place.note(0),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_ask_ends_at_its_deadline_with_an_unknown_outcome() {
    on_node(async {
        let desk = Desk::remote(Place::new());
        let start = Instant::now();
        let error = desk.hold(1).timeout(ms(100)).await.unwrap_err();
        assert!(matches!(error, AskError::OutcomeUnknown { why: UnknownOutcome::Deadline(_), .. }));
        assert_eq!(start.elapsed().as_millis(), 100);
        assert!(error.to_string().contains("no reply within 100ms"), "{error}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_has_not_begun_by_its_deadline_is_never_begun() {
    on_node(async {
        let place = Place::new();
        let desk = Desk::remote(place.clone());
        desk.hold(0).tell().await.unwrap();
        quiet().await;
        drop(desk.note(1).timeout(ms(10)).await.unwrap_err());
        place.open(1);
        desk.note(2).await.unwrap();
        assert_eq!(place.take(), [0, 2]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_deadline_of_no_time_at_all_is_not_sent() {
    on_node(async {
        let place = Place::new();
        let desk = Desk::remote(place.clone());
        let error = desk.note(1).timeout(Duration::ZERO).await.unwrap_err();
        match error {
            AskError::NotDelivered {
                message: Some(message), reason: Undelivered::Expired, ..
            } => {
                assert_eq!(message.into_inner().into_args(), (1,));
            }
            other => panic!("{other}"),
        }
        quiet().await;
        assert_eq!(place.take(), []);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_nested_ask_ends_at_the_deadline_it_inherits() {
    on_node(async {
        let notes = Place::new();
        let relay = Relay::remote(Desk::remote(Place::new()), notes.clone());
        drop(relay.pass_on(1).timeout(ms(100)).await.unwrap_err());
        // The relay is free again: it did not go on waiting for a desk that never answers.
        let text = relay.pass_on_within(2, ms(50)).await.unwrap();
        assert!(text.contains("unknown") || text.contains("not delivered"), "{text}");
        assert_eq!(notes.take(), [100, 50]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_nearer_of_two_deadlines_holds() {
    on_node(async {
        let notes = Place::new();
        let relay = Relay::remote(Desk::remote(Place::new()), notes.clone());
        drop(relay.pass_on_within(1, ms(500)).timeout(ms(100)).await.unwrap_err());
        let text = relay.pass_on_within(2, ms(30)).timeout(ms(100)).await.unwrap();
        assert!(text.contains("deadline") || text.contains("30ms"), "{text}");
        assert_eq!(notes.take(), [100, 30]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_hook_does_not_inherit_the_deadline_of_the_message_before_it() {
    on_node(async {
        let (notes, desk_place) = (Place::new(), Place::new());
        let watched = Desk::remote(Place::new());
        let relay = Relay::remote(Desk::remote(desk_place.clone()), notes.clone());
        relay.observe(watched.clone()).timeout(ms(10)).await.unwrap();
        tokio::time::sleep(ms(100)).await;
        watched.kill().await.unwrap();
        quiet().await;
        assert_eq!(notes.take(), [77]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_longer_timeout_than_the_clock_can_tell_is_none() {
    on_node(async {
        let place = Place::new();
        let desk = Desk::remote(place.clone());
        let ask = beside({
            let desk = desk.clone();
            async move { desk.hold(1).timeout(Duration::MAX).await }
        });
        tokio::time::sleep(Duration::from_secs(1_000_000)).await;
        place.open(1);
        assert_eq!(ask.await.unwrap().unwrap(), 1);
    })
    .await;
}
