//! Timers: once, again and again, by key, cancelled, and never starved.
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

use desk::{Place, beside, ms, on_node, quiet};
use mobula_actor_core::{ActorRef, Context, Mailbox, Message, TimerKey};

#[derive(Clone, Message)]
struct Tick(u64);

pub struct Clock {
    place: Place,
    key: Option<TimerKey>,
}

#[mobula_actor_core::actor]
impl Clock {
    pub fn new(place: Place) -> Self {
        Self { place, key: None }
    }
    pub fn once(&mut self, ctx: &mut Context<Self>, delay: Duration, entry: u64) {
        self.key = Some(ctx.after(delay, Tick(entry)));
    }
    pub fn keyed(&mut self, ctx: &mut Context<Self>, key: String, delay: Duration, entry: u64) {
        ctx.after_keyed(key, delay, Tick(entry));
    }
    pub fn every(&mut self, ctx: &mut Context<Self>, period: Duration, entry: u64) {
        self.key = Some(ctx.every(period, Tick(entry)));
    }
    pub fn cancel(&mut self, ctx: &mut Context<Self>) -> bool {
        self.key.take().is_some_and(|key| ctx.cancel_timer(key))
    }
    pub fn cancel_keyed(&mut self, ctx: &mut Context<Self>, key: String) -> bool {
        ctx.cancel_timer(key)
    }
    /// Works for so long without an await to others, then cancels the timer that came due meanwhile.
    pub async fn sleep_and_cancel(&mut self, ctx: &mut Context<Self>, time: Duration) -> bool {
        tokio::time::sleep(time).await;
        self.key.take().is_some_and(|key| ctx.cancel_timer(key))
    }
    pub async fn sleep(&mut self, time: Duration) {
        tokio::time::sleep(time).await;
    }
    /// Sends itself the next message: the mailbox is never empty.
    pub fn spin(&mut self, ctx: &mut Context<Self>) {
        let me = ctx.actor_ref();
        let _ = me.spin().try_tell();
    }
    /// Lets in who waits for room, and fills what room they leave: when it ends, the mailbox is full.
    pub async fn crowd(&mut self, ctx: &mut Context<Self>) {
        tokio::task::yield_now().await;
        let me = ctx.actor_ref();
        while me.crowd().try_tell().is_ok() {}
    }
    pub fn boom(&mut self) {
        panic!("boom");
    }
}

impl mobula_actor_core::Handler<Tick> for Clock {
    async fn handle(&mut self, Tick(entry): Tick, _ctx: &mut Context<Self>) {
        self.place.note(entry);
    }
}

fn clock() -> (ActorRef<Clock>, Place) {
    let place = Place::new();
    (Clock::remote(place.clone()), place)
}

#[tokio::test(start_paused = true)]
async fn a_timer_fires_once_and_not_before_its_time() {
    on_node(async {
        let (clock, place) = clock();
        clock.once(ms(100), 1).await.unwrap();
        tokio::time::sleep(ms(99)).await;
        assert_eq!(place.entries(), []);
        tokio::time::sleep(ms(2)).await;
        assert_eq!(place.take(), [1]);
        tokio::time::sleep(ms(1000)).await;
        assert_eq!(place.take(), []);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn timers_fire_in_order_of_their_time_not_of_their_setting() {
    on_node(async {
        let (clock, place) = clock();
        for entry in [30, 10, 50, 20, 40] {
            clock.once(ms(entry), entry).await.unwrap();
        }
        tokio::time::sleep(ms(100)).await;
        assert_eq!(place.take(), [10, 20, 30, 40, 50]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_timer_set_again_under_its_key_fires_only_as_set_last() {
    on_node(async {
        let (clock, place) = clock();
        clock.keyed("beat".to_owned(), ms(10), 1).await.unwrap();
        clock.keyed("beat".to_owned(), ms(50), 2).await.unwrap();
        clock.keyed("other".to_owned(), ms(20), 3).await.unwrap();
        tokio::time::sleep(ms(100)).await;
        assert_eq!(place.take(), [3, 2]);
        assert!(!clock.cancel_keyed("beat".to_owned()).await.unwrap(), "it has fired");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_repeating_timer_ticks_until_it_is_cancelled_and_makes_up_for_nothing() {
    on_node(async {
        let (clock, place) = clock();
        clock.every(ms(10), 1).await.unwrap();
        tokio::time::sleep(ms(35)).await;
        assert_eq!(place.take().len(), 3);
        clock.sleep(ms(100)).await.unwrap();
        quiet().await;
        assert!(place.take().len() <= 2, "ticks missed under load are not made up for");
        assert!(clock.cancel().await.unwrap());
        place.take();
        tokio::time::sleep(ms(100)).await;
        assert_eq!(place.take(), []);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_timer_cancelled_after_it_was_due_does_not_fire() {
    on_node(async {
        let (clock, place) = clock();
        clock.once(ms(10), 1).await.unwrap();
        assert!(clock.sleep_and_cancel(ms(50)).await.unwrap());
        tokio::time::sleep(ms(100)).await;
        assert_eq!(place.take(), []);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn timers_are_not_starved_by_a_mailbox_that_is_never_empty() {
    on_node(async {
        let place = Place::new();
        let clock = Clock::options().mailbox(Mailbox::bounded(256)).remote(place.clone());
        clock.every(Duration::ZERO, 1).await.unwrap();
        clock.once(Duration::ZERO, 2).await.unwrap();
        clock.spin().tell().await.unwrap();
        for _ in 0..5_000 {
            if place.entries().contains(&1) && place.entries().contains(&2) {
                break;
            }
            tokio::task::yield_now().await;
        }
        let entries = place.take();
        assert!(entries.contains(&1) && entries.contains(&2), "{entries:?}");
        clock.kill().await.unwrap();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn timers_are_not_starved_by_a_mailbox_that_is_always_full() {
    on_node(async {
        let place = Place::new();
        let clock = Clock::options().mailbox(Mailbox::bounded(2)).remote(place.clone());
        clock.every(ms(10), 1).await.unwrap();
        clock.crowd().tell().await.unwrap();
        let sender = beside({
            let clock = clock.clone();
            // Waits for room again as soon as it was let in, until the actor is gone.
            async move { while clock.crowd().tell().await.is_ok() {} }
        });
        for ticks in 1..=5 {
            // Virtual time stands still while somebody is busy: it is turned by hand.
            tokio::time::advance(ms(11)).await;
            for _ in 0..10_000 {
                if place.entries().len() >= ticks {
                    break;
                }
                tokio::task::yield_now().await;
            }
            assert_eq!(place.entries().len(), ticks, "the tick came, and once");
        }
        assert!(!sender.is_finished());
        clock.kill().await.unwrap();
        sender.await.unwrap();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_timer_that_is_always_due_does_not_starve_the_mailbox() {
    on_node(async {
        let (clock, place) = clock();
        clock.every(Duration::ZERO, 1).await.unwrap();
        // Virtual time stands still while somebody is busy: a deadline would never come.
        assert!(clock.cancel().await.unwrap());
        place.take();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_delay_longer_than_the_clock_can_tell_is_no_panic() {
    on_node(async {
        let (clock, _place) = clock();
        clock.once(Duration::MAX, 1).await.unwrap();
        clock.every(Duration::MAX, 1).await.unwrap();
        assert!(clock.cancel().timeout(Duration::MAX).await.unwrap());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn timers_end_with_their_actor_whether_it_stops_or_crashes() {
    on_node(async {
        for crash in [false, true] {
            let (clock, place) = clock();
            clock.once(ms(10), 1).await.unwrap();
            if crash {
                assert!(clock.boom().await.is_err());
            } else {
                clock.stop().await.unwrap();
            }
            tokio::time::sleep(ms(100)).await;
            assert_eq!(place.take(), []);
        }
    })
    .await;
}
